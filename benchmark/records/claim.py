"""Where a run works until it is finished, and how one that was killed is found again.

results/unfinished/<protocol>/<dataset>/<architecture>/<run key, 12 digits>/    checkpoints
results/unfinished/.../<run key, 12 digits>.lock                                held while a process is at it
results/unfinished/transfers/<run key>/<manifest digest>.lock                   the same of a transfer
"""

import shutil
from collections.abc import Iterator, Set
from contextlib import contextmanager, suppress
from pathlib import Path

from benchmark.common import files
from benchmark.common.progress import Report

FOLDER = "unfinished"


def place(results: Path, path: Path) -> Path:
    """The working folder of the run, or the place of the lock of the transfer, that will lie at `path`."""
    below = path.relative_to(results)
    return results / FOLDER / (below.relative_to("runs") if below.parts[0] == "runs" else below)


def traces(results: Path, path: Path) -> bool:
    """Whether something is left of work at the run at `path`: checkpoints, a lock, folders that are empty."""
    work = place(results, path)
    if work.exists() or work.with_suffix(".lock").exists():
        return True
    nearest = next(folder for folder in work.parents if folder.exists())
    return nearest.is_relative_to(results / FOLDER) and not any(nearest.iterdir())


@contextmanager
def claimed(results: Path, path: Path, report: Report) -> Iterator[Path]:
    """The working folder, for this process alone; another one that is at the same run is waited for.

    What a killed process left half-written beside `path` is cleared away, and a finished run that it was about to
    replace is put back.

    Raises:
        UserError: the disk refuses.
    """
    work = place(results, path)
    known = {folder for folder in work.parents if folder.exists()}
    try:
        with files.locked(work.with_suffix(".lock"), lambda: report("waiting", 0, 0, "another process is at this run")):
            files.clear_leftovers(path)
            yield work
    finally:
        if not work.exists():
            _remove_empty(work, results, keep=known)


@contextmanager
def alone(results: Path, path: Path, report: Report) -> Iterator[None]:
    """The same for work that is short enough to be done again: a transfer."""
    with claimed(results, path, report):
        yield


def forget(work: Path) -> None:
    """The run is finished: what it worked with goes."""
    shutil.rmtree(work, ignore_errors=True)


def _remove_empty(work: Path, results: Path, *, keep: Set[Path]) -> None:
    """Leave no trace of finished work."""
    with suppress(OSError):
        for folder in work.parents:
            if folder in keep and not folder.is_relative_to(results / FOLDER):
                return
            folder.rmdir()  # refused where other runs are unfinished
