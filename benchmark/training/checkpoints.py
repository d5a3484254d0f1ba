"""Snapshots of unfinished work that survive a kill: numbered safetensors files; the two newest are kept.

A snapshot is written to a temporary file, synced and renamed. Reading one executes nothing. A damaged one is skipped
for the one before.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from benchmark.common import files
from benchmark.common.errors import UserError, first_line

KEPT = 2
_SUFFIX = ".safetensors"
_DAMAGE = (SafetensorError, OSError, ValueError, KeyError)


@dataclass(frozen=True, kw_only=True, slots=True)
class Snapshot:
    """Tensors by name, and notes in JSON's types."""

    number: int
    tensors: Mapping[str, Tensor]
    notes: Mapping[str, Any]


class Checkpoints:
    """The snapshots of one run, in a folder per set of conditions.

    `conditions` is everything that must be the same for the resumed run to end with the same bits; snapshots made under
    other conditions are neither used nor changed. `warn` takes one line for the user; `unit` names what is counted.
    """

    def __init__(
        self,
        folder: Path,
        conditions: Mapping[str, Any],
        warn: Callable[[str], None],
        *,
        unit: str = "epoch",
        part: str = "",
    ) -> None:
        self._all, self._warn, self._unit, self._part = folder, warn, unit, part
        text = json.dumps(dict(conditions), sort_keys=True)
        self._conditions = json.loads(text)
        self._folder = folder / hashlib.sha256(text.encode()).hexdigest()[:8] / part

    def part(self, name: str) -> "Checkpoints":
        """The epochs of one of the run's several trainings, in a folder inside."""
        return Checkpoints(self._all, self._conditions, self._warn, part=name)

    def drop(self) -> None:
        """Delete these snapshots."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def write(self, snapshot: Snapshot) -> bool:
        """Store a snapshot and delete the oldest; return whether that worked. A disk that refuses is a warning."""
        tensors = {name: value.detach().cpu().clone().contiguous() for name, value in snapshot.tensors.items()}
        metadata = {"notes": json.dumps({"conditions": self._conditions, "notes": dict(snapshot.notes)})}
        try:
            path = self._folder / f"{self._unit}-{snapshot.number:05d}{_SUFFIX}"
            files.write_atomically(path, lambda temporary: save_file(tensors, temporary, metadata))
            for old in self._paths()[KEPT:]:
                old.unlink(missing_ok=True)
        except (UserError, SafetensorError, OSError) as error:
            self._warn(f"no checkpoint of {self._unit} {snapshot.number}: {error}")
            return False
        return True

    def newest_first(self) -> Iterator[Snapshot]:
        """The readable snapshots made under these conditions; each is read when it is asked for."""
        if not self._paths() and not self._part:
            self._warn_of_other_conditions()
        for path in self._paths():
            try:
                yield _read(path)
            except _DAMAGE as error:
                self._warn(f"{path} is damaged ({first_line(error)}) and is not used")

    def _warn_of_other_conditions(self) -> None:
        before = conditions(self._all)
        changed = [name for name, value in self._conditions.items() if before.get(name) != value]
        if before and changed:
            was = ", ".join(f"{name} {before.get(name)}, now {self._conditions[name]}" for name in changed)
            self._warn(f"checkpoints in {self._all} were made under other conditions ({was}) and are not used")

    def _paths(self) -> list[Path]:
        return sorted(self._folder.glob(f"{self._unit}-*{_SUFFIX}"), reverse=True)


def conditions(folder: Path) -> Mapping[str, Any]:
    """The conditions of the newest readable snapshot in a folder; empty if there is none. No tensor is read."""
    for path in sorted(folder.rglob(f"*{_SUFFIX}"), key=lambda path: path.stat().st_mtime_ns, reverse=True):
        try:
            with safe_open(path, "pt") as file:
                return dict(json.loads((file.metadata() or {})["notes"])["conditions"])
        except _DAMAGE:
            continue
    return {}


def _read(path: Path) -> Snapshot:
    with safe_open(path, "pt") as file:
        notes = json.loads((file.metadata() or {})["notes"])["notes"]
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - safe_open has keys() but cannot be iterated
    return Snapshot(number=int(path.stem.rpartition("-")[2]), tensors=tensors, notes=notes)
