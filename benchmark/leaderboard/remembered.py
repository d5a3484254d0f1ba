"""What a leaderboard said, remembered as long as nothing that it was made of has changed.

A call among thousands of records takes seconds; most calls change nothing. What is remembered is text, keyed by the
sizes and times of every file that the tables are made of: the records, the program, the plugins that are found. It
lies in the cache folder, may be removed at any time, and is never read by `bench leaderboard --check`. Imports nothing
that takes a while.
"""

import gc
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import benchmark
from benchmark import files, registry
from benchmark.errors import UserError

_READ = ("runs", "transfers", "manifests", "references")
_KEPT = 16
_SETTLED = 2_000_000_000
"""Nanoseconds after which a file that changes again has another time, on every file system in use."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Said:
    """Lines on what was skipped, the text of each file by its suffix, and what the terminal showed."""

    problems: list[str]
    texts: dict[str, str]
    terminal: str


def said(results: Path, asked: Mapping[str, Any], make: Callable[[], Said]) -> Said:
    """What was said to this question of these records; else what `make` says now.

    `asked` is all that decides the text beside the files: JSON.
    """
    began = time.time_ns()
    states = sorted([*_results(results), *_program()])
    question = json.dumps([asked, str(results), str(results.resolve()), states], sort_keys=True)
    folder = files.cache_folder() / "leaderboards"
    path = folder / f"{hashlib.sha256(question.encode()).hexdigest()[:24]}.json"
    try:
        return Said(**json.loads(path.read_bytes()))
    except (OSError, TypeError, ValueError):
        with _uncollected():
            found = make()
    if all(changed < began - _SETTLED for *_, changed in states):
        _keep(path, found)
    return found


@contextmanager
def _uncollected() -> Iterator[None]:
    """Ten thousand records stay until the end: looking for garbage among them again and again takes a sixth longer."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _keep(path: Path, found: Said) -> None:
    """Beside the last few; where the cache cannot be written the next call takes as long as this one."""
    text = json.dumps(asdict(found), ensure_ascii=False)
    try:
        files.write_atomically(path, partial(Path.write_text, data=text, encoding="utf-8"))
        older = sorted(path.parent.glob("*.json"), key=lambda other: other.stat().st_mtime_ns, reverse=True)
        for other in older[_KEPT:]:
            other.unlink(missing_ok=True)
    except (OSError, UserError):
        return


State = tuple[str, int, int]
"""A file's path, its size in bytes, and when it was changed, in nanoseconds."""


def _results(results: Path) -> Iterator[State]:
    for name in _READ:
        yield from _below(str(results / name))


def _program() -> Iterator[State]:
    package = Path(benchmark.__file__).parent
    yield from _below(str(package), suffixes=(".py", ".toml"))
    for root in benchmark.__path__:
        if Path(root) != package:
            yield from _below(str(Path(root) / "architectures"), suffixes=(".py",))
    for path in registry.installed("architectures"):
        found = path.stat()
        yield str(path), found.st_size, found.st_mtime_ns


def _below(folder: str, suffixes: tuple[str, ...] = ("",)) -> Iterator[State]:
    """Every file in a folder and in those in it, but for hidden ones: they are under way or put aside."""
    try:
        entries = list(os.scandir(folder))
    except FileNotFoundError:
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield from _below(entry.path, suffixes)
        elif entry.name.endswith(suffixes):
            found = entry.stat()
            yield entry.path, found.st_size, found.st_mtime_ns
