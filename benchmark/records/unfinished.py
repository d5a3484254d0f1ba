"""The runs under way and the interrupted ones, from their locks and checkpoints (see `slot`). Loads without torch."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from benchmark.common import files
from benchmark.records.slot import FOLDER


@dataclass(frozen=True, kw_only=True, slots=True)
class Unfinished:
    """A run without a result yet. `running`: a process works on it now.

    `epochs_done` are those of the newest checkpoint, of all learning rates together; `epochs` is None, `command` empty
    and `seed` None if no lock file says them. `seconds_left` is an estimate for a running one.
    """

    path: Path
    running: bool
    protocol: str
    dataset: str
    architecture: str
    seed: int | None
    epochs_done: int
    epochs: int | None
    validation_iou: float | None
    seconds_left: float | None
    command: str


def unfinished(results: Path) -> list[Unfinished]:
    """The unfinished runs of a results folder, the running ones first."""
    top = results / FOLDER
    places = {path.with_suffix("") for path in [*top.glob("*/*/*/*.lock"), *top.glob("*/*/*/*/")]}
    found = [_read(place, place.relative_to(top).parts) for place in sorted(places)]
    return sorted(found, key=lambda run: not run.running)


def _read(place: Path, parts: Sequence[str]) -> Unfinished:
    lock = place.with_suffix(".lock")
    running = files.is_locked(lock)
    about, epochs, age = _about(lock), _epochs(place), _age(place)
    wanted = about.get("epochs")
    left = None
    if running and wanted and epochs:
        left = max((wanted - len(epochs)) * sum(epoch["seconds"] for epoch in epochs) / len(epochs) - age, 0.0)
    return Unfinished(
        path=place,
        running=running,
        protocol=parts[0],
        dataset=parts[1],
        architecture=about.get("architecture", parts[2]),
        seed=about.get("seed"),
        epochs_done=len(epochs),
        epochs=wanted,
        validation_iou=epochs[-1]["validation_iou"] if epochs else None,
        seconds_left=left,
        command=about.get("command", ""),
    )


def _about(lock: Path) -> Mapping[str, Any]:
    """What the process that made the lock wrote into it; empty if that is not known."""
    try:
        found = json.loads(lock.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _snapshots(place: Path, pattern: str) -> list[Path]:
    """The checkpoints of a run, the newest first; a process may remove them meanwhile."""
    dated = []
    for path in place.glob(pattern):
        try:
            dated.append((path.stat().st_mtime, path))
        except OSError:
            continue
    return [path for _, path in sorted(dated, reverse=True)]


def _age(place: Path) -> float:
    """Seconds since the newest checkpoint."""
    found = _snapshots(place, "**/*.safetensors")
    return time.time() - found[0].stat().st_mtime if found else 0.0


def _epochs(place: Path) -> list[Mapping[str, Any]]:
    """The epochs done, of the finished learning rates and of the training under way."""
    tried = [each["trained"]["history"] for each in _notes(place, "*/rate-*.safetensors").get("candidates", [])]
    under_way = _notes(place, "**/epoch-*.safetensors").get("history", [])
    return [epoch for history in [*tried, under_way] for epoch in history]


def _notes(place: Path, pattern: str) -> Mapping[str, Any]:
    for path in _snapshots(place, pattern):
        try:
            with safe_open(path, "np") as file:
                notes: Mapping[str, Any] = json.loads((file.metadata() or {})["notes"])["notes"]
                return notes
        except (OSError, ValueError, KeyError, SafetensorError):
            continue  # damaged, or just removed
    return {}
