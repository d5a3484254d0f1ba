"""Which runs are what their SHA256SUMS lists: remembered by the states of their files, else looked at.

To look at ten thousand runs takes seconds: other processes do it while the records are read.
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeAlias

from benchmark.common import workers
from benchmark.leaderboard import kept
from benchmark.records import checksums, verify
from benchmark.records.verify.badges import CHECKED

_MANY = 500
"""Runs from which on other processes are worth their start."""
_AT_ONCE = 100

Looked: TypeAlias = Mapping[str, tuple[Future[list[bool]], int]]
"""Path of a run -> what a worker finds out of several, and which of them it is."""


class Intact:
    """Asked of a run's folder, says whether its files are what it lists; the weights are not looked at.

    `marks` are digests of the states of a folder's files by its path, and `known` those of folders that were intact.
    """

    def __init__(self, marks: Mapping[str, str], known: Collection[str], looked: Looked) -> None:
        self._marks, self._looked, self.known = marks, looked, set(known)

    def __call__(self, path: Path) -> bool:
        """Whether the folder of a run is what it lists."""
        mark = self._marks.get(str(path))
        if mark in self.known:
            return True
        found = self._look(path)
        if found and mark is not None:
            self.known.add(mark)
        return found

    def _look(self, path: Path) -> bool:
        if str(path) in self._looked:
            future, number = self._looked[str(path)]
            with suppress(OSError, BrokenExecutor):  # a worker was killed: then it is looked at here
                return future.result()[number]
        return verify.unaltered(path)


@contextmanager
def asked(marks: Mapping[str, str], settled: Collection[str], path: Path) -> Iterator[Intact]:
    """Whom to ask while the block runs; it looks beside at what it does not know, and remembers in `path` at the end.

    Only the `settled` marks are remembered: those that another state would change.
    """
    before = _read(path)
    unknown = [run for run, mark in marks.items() if mark not in before]
    if len(unknown) < _MANY:
        answering = Intact(marks, before, {})
        yield answering
    else:
        with workers.pool() as pool:
            answering = Intact(marks, before, _handed_out(pool, unknown))
            try:
                yield answering
            finally:
                pool.shutdown(wait=False, cancel_futures=True)
    after = answering.known & set(settled)
    if after != before:
        kept.keep(path, json.dumps(sorted(after)))


def _handed_out(pool: Executor, runs: Sequence[str]) -> Looked:
    """What workers are told to look at; the rest where no worker can be started."""
    looked: dict[str, tuple[Future[list[bool]], int]] = {}
    with suppress(OSError, BrokenExecutor):
        for start in range(0, len(runs), _AT_ONCE):
            part = runs[start : start + _AT_ONCE]
            future = pool.submit(checksums.intact_each, [Path(run) for run in part], **CHECKED)
            looked |= {run: (future, number) for number, run in enumerate(part)}
    return looked


def _read(path: Path) -> set[str]:
    try:
        return {str(mark) for mark in json.loads(path.read_bytes())}
    except (OSError, TypeError, ValueError):
        return set()
