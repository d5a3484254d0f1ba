"""Unfinished work that survives a kill: numbered snapshots of tensors, of which the two newest are kept.

A snapshot is one safetensors file, so reading it executes nothing. It is written beside, synced and renamed, and holds
a checksum: one that was cut off or damaged is passed over for the older.
"""

import hashlib
import json
import shutil
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
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
    """Tensors by name, contiguous and on the CPU, and what JSON can say beside them."""

    number: int
    tensors: Mapping[str, Tensor]
    notes: Mapping[str, Any]


class Checkpoints:
    """The snapshots of one run, in a folder for each set of conditions.

    `conditions` are whatever must be the same for the continued run to end with the same bits; snapshots made under
    others are neither used nor touched. `warn` takes one line for the user; `unit` is what the numbers count.
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
        """Nobody needs these any more."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def write(self, snapshot: Snapshot) -> bool:
        """Store a snapshot and drop the oldest; a disk that refuses is a warning, the work goes on.

        Returns whether the snapshot is on the disk.
        """
        tensors = {name: value.detach().cpu().clone().contiguous() for name, value in snapshot.tensors.items()}
        notes = json.dumps({"conditions": self._conditions, "notes": dict(snapshot.notes)})
        metadata = {"notes": notes, "checksum": str(_checksum(tensors, notes))}
        path = self._path(snapshot.number)
        try:
            files.write_atomically(path, lambda temporary: save_file(tensors, temporary, metadata))
            for old in self._paths()[KEPT:]:
                old.unlink(missing_ok=True)
        except (UserError, SafetensorError, OSError) as error:
            self._warn(f"no checkpoint of {self._unit} {snapshot.number}: {error}")
            return False
        return True

    def newest_first(self) -> Iterator[Snapshot]:
        """The snapshots that are whole and of these conditions, each read when it is asked for."""
        if not self._paths() and not self._part:
            self._say_what_is_not_used()
        for path in self._paths():
            try:
                snapshot, _ = _read(path)
            except _DAMAGE as error:
                self._warn(f"{path} is damaged ({first_line(error)}) and is passed over")
                continue
            yield snapshot

    def numbered(self, number: int) -> Snapshot:
        """A certain one: what the first of several processes chose.

        Raises:
            UserError: it cannot be read here.
        """
        try:
            return _read(self._path(number))[0]
        except _DAMAGE as error:
            raise UserError(
                f"{self._path(number)} cannot be read by every process: the results folder must be shared"
            ) from error

    def _say_what_is_not_used(self) -> None:
        began = conditions(self._all)
        names = [name for name, value in self._conditions.items() if began.get(name) != value]
        if names and began:
            was = ", ".join(f"{name} {began.get(name)}, now {self._conditions[name]}" for name in names)
            self._warn(f"checkpoints in {self._all} were made under other conditions ({was}) and are not used")

    def _path(self, number: int) -> Path:
        return self._folder / f"{self._unit}-{number:05d}{_SUFFIX}"

    def _paths(self) -> list[Path]:
        return sorted(self._folder.glob(f"{self._unit}-*{_SUFFIX}"), reverse=True)


def conditions(folder: Path) -> Mapping[str, Any]:
    """Those of the snapshot that was written last and is not cut off; empty where there is none. Reads no tensor."""
    for path in sorted(folder.rglob(f"*{_SUFFIX}"), key=lambda path: path.stat().st_mtime_ns, reverse=True):
        try:
            with safe_open(path, "pt") as file:
                return dict(json.loads((file.metadata() or {})["notes"])["conditions"])
        except _DAMAGE:
            continue
    return {}


def _read(path: Path) -> tuple[Snapshot, Mapping[str, Any]]:
    with safe_open(path, "pt") as file:
        metadata = file.metadata() or {}
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
    notes = metadata["notes"]
    if metadata["checksum"] != str(_checksum(tensors, notes)):
        raise ValueError("its checksum is another")
    written = json.loads(notes)
    number = int(path.stem.rpartition("-")[2])
    return Snapshot(number=number, tensors=tensors, notes=written["notes"]), written["conditions"]


def _checksum(tensors: Mapping[str, Tensor], notes: str) -> int:
    """CRC-32: against accidents, at the speed of the disk."""
    checksum = zlib.crc32(notes.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        checksum = zlib.crc32(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode(), checksum)
        checksum = zlib.crc32(tensor.reshape(-1).view(torch.uint8).numpy().data, checksum)
    return checksum
