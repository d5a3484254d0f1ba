"""One line of what was found."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

Status: TypeAlias = Literal["ok", "note", "warning", "problem"]
"""note: something is missing that most runs do without; warning: runs work, but not all, or not well; problem: none."""

GIB = 1024**3


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """What was looked at, how it is, what was found, and what to do where that is amiss."""

    name: str
    status: Status = "ok"
    found: str
    remedy: str = ""
