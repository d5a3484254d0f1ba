"""The type `Score`: a number derived from stored counts."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Counts: TypeAlias = Mapping[str, NDArray[Any]]
"""Column name -> (N,) in manifest order; `COUNT_COLUMNS` in integers, `SOUND_COLUMNS` in floats."""
Unit = Literal["share", "count", "dB"]
Over: TypeAlias = Callable[[Counts], NDArray[np.float64]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    """A number derived from the columns of a split, NaN where undefined.

    `over` takes the columns of any number of runs, (..., N), and gives (...); `compute` takes those of one run, (N,).
    """

    name: str
    title: str
    definition: str
    over: Over
    unit: Unit = "share"

    def compute(self, columns: Counts) -> float:
        """The score of one run, from columns (N,)."""
        return float(self.over(columns))


def mean(values: NDArray[Any], kept: NDArray[np.bool_] | None = None) -> NDArray[np.float64]:
    """Average the values of the last axis that are `kept`, NaN where none is: (..., N) -> (...)."""
    if kept is None:
        kept = np.ones(values.shape, dtype=np.bool_)
    return ratio(np.where(kept, values, 0.0).sum(-1), kept.sum(-1))


def ratio(numerator: Any, denominator: Any) -> NDArray[np.float64]:
    """Element-wise ratio, NaN where the denominator is 0."""
    undefined = np.full(np.shape(denominator), np.nan)
    return np.asarray(np.divide(numerator, denominator, out=undefined, where=np.asarray(denominator) != 0))
