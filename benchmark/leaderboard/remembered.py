"""What a leaderboard said, remembered as long as nothing that it was made of has changed.

A call among thousands of records takes seconds; most calls change nothing. What is remembered is text, keyed by the
states of everything that the tables are made of: the records, the program and its libraries, the plugins that are
found. Which runs are what they list is remembered as well: see `intact`. Both lie in the cache folder, may be removed
at any time, and are never read by `bench leaderboard --check`. Imports nothing that takes a while.
"""

import gc
import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import benchmark
from benchmark.leaderboard import kept, states
from benchmark.leaderboard.states import State
from benchmark.plugins import registry

_RUNS = "runs"
_READ = (_RUNS, "transfers", "manifests", "references", "pictures")
_LIBRARIES = ("numpy", "pandas", "scipy", "tabulate", "rich", "jinja2", "markupsafe", "pydantic", "birdmask-bench")
_EVALUATED = f"{os.sep}verification.json"
_SETTLED = 2_000_000_000
"""Nanoseconds after which a file that changes again has another time, on every file system in use."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Said:
    """Lines on what was skipped, the text of each file by its suffix, what the terminal showed, what was refused."""

    problems: list[str]
    texts: dict[str, str]
    terminal: str
    refusal: str = ""


class Memory:
    """Of a results folder as it is now. Where the states of its files cannot be taken, nothing is remembered."""

    def __init__(self, results: Path) -> None:
        self._began = time.time_ns()
        level = re.escape(os.sep) + f"[^{re.escape(os.sep)}]+"
        self._run = re.compile(re.escape(str(results / _RUNS)) + 4 * level)  # protocol, dataset, architecture, key
        try:
            self._of = [str(results), os.path.realpath(results), _versions()]
            self._core, self._plugins = _core(), _plugins()
            self._results = [state for name in _READ for state in states.below(str(results / name))]
            self._known = True
        except OSError:  # the working folder is gone
            self._known = False

    def said(self, question: Mapping[str, Any], make: Callable[[], Said]) -> Said:
        """What was said to this question of these records; else what `make` says now.

        `question` is all that decides the text beside the files: JSON.
        """
        if not self._known:
            with _uncollected():
                return make()
        everything = [*self._core, *self._plugins, *self._results]
        path = kept.place("leaderboards", [question, self._of, states.digest(everything)])
        try:
            return Said(**json.loads(path.read_bytes()))
        except (OSError, TypeError, ValueError):
            with _uncollected():
                found = make()
        if self._settled(everything):
            kept.keep(path, json.dumps(asdict(found), ensure_ascii=False))
        return found

    def intact(self) -> AbstractContextManager[Callable[[Path], bool]]:
        """Whom to ask of a run's folder whether it is what it lists, as long as the `with` block runs."""
        from benchmark.leaderboard import intact
        from benchmark.records import verify

        if not self._known:
            return nullcontext(verify.unaltered)
        runs = self._evaluated()
        marks = {run: states.digest(found) for run, found in runs.items()}
        everything = self._settled(self._results)
        settled = {marks[run] for run, found in runs.items() if everything or self._settled(found)}
        return intact.asked(marks, settled, kept.place("intact", [self._of, states.digest(self._core)]))

    def _evaluated(self) -> dict[str, list[State]]:
        """The states by run, of those runs that have a verification."""
        found: dict[str, list[State]] = {}
        for state in self._results:
            match = self._run.match(state[0])
            if match:
                found.setdefault(match[0], []).append(state)
        return {run: inside for run, inside in found.items() if any(path == run + _EVALUATED for path, *_ in inside)}

    def _settled(self, found: Sequence[State]) -> bool:
        return states.newest(found) < self._began - _SETTLED


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


def _versions() -> list[str]:
    """Of what else decides the bytes."""
    found = [sys.version, benchmark.__version__]
    for name in _LIBRARIES:
        try:
            found.append(version(name))
        except PackageNotFoundError:  # run from a checkout
            found.append("")
    return found


def _core() -> list[State]:
    """The program without its plugins."""
    return states.files_below(str(Path(benchmark.__file__).parent), (".py", ".toml", ".html", ".css", ".js"))


def _plugins() -> list[State]:
    package = Path(benchmark.__file__).parent
    folders = [Path(root) / "architectures" for root in benchmark.__path__ if Path(root) != package]
    found = [state for folder in folders for state in states.files_below(str(folder), (".py",))]
    return found + [states.of(str(path)) for path in registry.installed("architectures")]
