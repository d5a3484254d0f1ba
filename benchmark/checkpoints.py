"""Unfinished work that survives a kill: numbered snapshots of tensors, of which the two newest are kept.

A snapshot is one safetensors file, so reading it executes nothing. It is written beside, synced and renamed, and holds
a checksum: one that was cut off or damaged is passed over for the older.
"""

import json
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from benchmark import files
from benchmark.errors import UserError

KEPT = 2
_DAMAGE = (SafetensorError, OSError, ValueError, KeyError)


@dataclass(frozen=True, kw_only=True, slots=True)
class Snapshot:
    """Tensors by name, contiguous and on the CPU, and what JSON can say beside them."""

    number: int
    tensors: Mapping[str, Tensor]
    notes: Mapping[str, Any]


class Checkpoints:
    """The snapshots of one run in a folder of their own.

    `conditions` are whatever must be the same for the continued run to end with the same bits; a snapshot made under
    others is not used. `warn` takes one line for the user.
    """

    def __init__(self, folder: Path, conditions: Mapping[str, Any], warn: Callable[[str], None]) -> None:
        self._folder, self._warn = folder, warn
        self._conditions = json.loads(json.dumps(dict(conditions)))

    def write(self, snapshot: Snapshot) -> None:
        """Store a snapshot and drop the oldest; a disk that refuses is a warning, the work goes on."""
        tensors = {name: value.detach().cpu().clone().contiguous() for name, value in snapshot.tensors.items()}
        notes = json.dumps({"conditions": self._conditions, "notes": dict(snapshot.notes)})
        metadata = {"notes": notes, "checksum": str(_checksum(tensors, notes))}
        path = self._folder / f"epoch-{snapshot.number:05d}.safetensors"
        try:
            files.write_atomically(path, lambda temporary: save_file(tensors, temporary, metadata))
            for old in self._paths()[KEPT:]:
                old.unlink(missing_ok=True)
        except (UserError, SafetensorError, OSError) as error:
            self._warn(f"no checkpoint of epoch {snapshot.number}: {error}")

    def newest_first(self) -> Iterator[Snapshot]:
        """The snapshots that are whole and of these conditions, each read when it is asked for."""
        for path in self._paths():
            try:
                snapshot, conditions = _read(path)
            except _DAMAGE as error:
                self._warn(f"{path} is damaged ({next(iter(str(error).splitlines()), '')}) and is passed over")
                continue
            other = [name for name, value in self._conditions.items() if conditions.get(name) != value]
            if other:
                was = ", ".join(f"{name} {conditions.get(name)}, now {self._conditions[name]}" for name in other)
                self._warn(f"{path} was made under other conditions ({was}) and is not used")
                continue
            yield snapshot

    def _paths(self) -> list[Path]:
        return _paths(self._folder)


def conditions(folder: Path) -> Mapping[str, Any]:
    """Those of the newest snapshot that is whole; empty where there is none."""
    for path in _paths(folder):
        try:
            return _read(path)[1]
        except _DAMAGE:
            continue
    return {}


def _paths(folder: Path) -> list[Path]:
    return sorted(folder.glob("epoch-*.safetensors"), reverse=True)


def _read(path: Path) -> tuple[Snapshot, Mapping[str, Any]]:
    with safe_open(path, "pt") as file:
        metadata = file.metadata() or {}
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
    notes = metadata["notes"]
    if metadata["checksum"] != str(_checksum(tensors, notes)):
        raise ValueError("its checksum is another")
    written = json.loads(notes)
    number = int(path.stem.removeprefix("epoch-"))
    return Snapshot(number=number, tensors=tensors, notes=written["notes"]), written["conditions"]


def _checksum(tensors: Mapping[str, Tensor], notes: str) -> int:
    """CRC-32: against accidents, at the speed of the disk."""
    checksum = zlib.crc32(notes.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        checksum = zlib.crc32(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode(), checksum)
        checksum = zlib.crc32(tensor.reshape(-1).view(torch.uint8).numpy().data, checksum)
    return checksum
