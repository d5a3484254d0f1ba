"""One line of `bench doctor`."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

Status: TypeAlias = Literal["ok", "note", "warning", "problem"]
"""note: most runs do not need it. warning: some runs fail or are slow. problem: no run works."""

GIB = 1024**3


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """The examined part, its status, the finding, and the remedy if the status is not ok."""

    name: str
    status: Status = "ok"
    found: str
    remedy: str = ""
