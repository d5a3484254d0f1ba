"""What the user chose for cleaning."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from benchmark.common.errors import UserError
from benchmark.data import recordings

Mask = Literal["soft", "hard"]
Above = Literal["remove", "keep"]
Labels = Literal["none", "raven", "audacity"]

_REVISION = 1
"""Raised whenever the same settings give another sound; files cleaned before are then cleaned again."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """How to clean, and what to write.

    `strength` is the share that is removed of what the mask does not keep: weights w become 1 - strength (1 - w).
    """

    mask: Mask = "soft"
    above: Above = "remove"
    strength: float = 1.0
    residue: bool = False
    labels: Labels = "none"

    def __post_init__(self) -> None:
        """Check the strength.

        Raises:
            UserError: it is not a number from 0 to 1.
        """
        if not 0 <= self.strength <= 1:
            raise UserError(f"the strength is a number from 0 (remove nothing) to 1 (remove all), not {self.strength}")

    def key(self, source: Path, run_key: str) -> str:
        """A digest of all that decides the cleaned sound: the settings, the network, and the content of the source.

        Raises:
            UserError: the source cannot be read.
        """
        with recordings.opened(source), source.open("rb") as file:  # which refuses pipes
            content = hashlib.file_digest(file, "sha256").hexdigest()
        chosen = {name: value for name, value in asdict(self).items() if name not in ("residue", "labels")}
        parts = {"revision": _REVISION, "run": run_key, "content": content, **chosen}
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
