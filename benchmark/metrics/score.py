"""What a score is: a number derived from stored counts."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from numpy.typing import NDArray

Counts: TypeAlias = Mapping[str, NDArray[Any]]
"""Column name -> (N,) in manifest order; `COUNT_COLUMNS` in integers, `SOUND_COLUMNS` in floats."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    """A number derived from the columns of a split: `compute` gives it in its unit, NaN where undefined."""

    name: str
    title: str
    definition: str
    compute: Callable[[Counts], float]
    unit: Literal["share", "count", "dB"] = "share"
