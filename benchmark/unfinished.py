"""Where a run works until it is finished, and how one that was killed is found again.

results/unfinished/<protocol>/<dataset>/<architecture>/<run key, 12 digits>/    checkpoints
results/unfinished/.../<run key, 12 digits>.lock                                held while a process is at it
"""

import shutil
from collections.abc import Iterator, Set
from contextlib import contextmanager, suppress
from pathlib import Path

from benchmark import files
from benchmark.peers import Peers
from benchmark.progress import Report

FOLDER = "unfinished"


def place(results: Path, path: Path) -> Path:
    """The working folder of the run that will lie at `path`."""
    return results / FOLDER / path.relative_to(results / "runs")


@contextmanager
def claimed(results: Path, path: Path, peers: Peers, report: Report) -> Iterator[Path]:
    """The working folder, for this process and its peers alone; another one that is at the same run is waited for.

    What a killed process left half-written beside `path` is cleared away, and a finished run that it was about to
    replace is put back.

    Raises:
        UserError: the disk refuses.
    """
    work = place(results, path)
    if not peers.first:
        yield work
        return
    known = {folder for folder in work.parents if folder.exists()}
    with files.locked(work.with_suffix(".lock"), lambda: report("waiting", 0, 0, "another process is at this run")):
        try:
            _clear(path)
            yield work
        finally:
            if not work.exists():
                _remove_empty(work, results, keep=known)


def forget(work: Path) -> None:
    """The run is finished: what it worked with goes."""
    shutil.rmtree(work, ignore_errors=True)


def _clear(path: Path) -> None:
    for left in path.parent.glob(f".tmp-{path.name}-*"):
        if left.name.endswith("-old") and not path.exists():
            left.rename(path)
        else:
            shutil.rmtree(left, ignore_errors=True)


def _remove_empty(work: Path, results: Path, *, keep: Set[Path]) -> None:
    """Leave no trace of finished work. A lock that others wait for may go: they look first whether it was finished."""
    with suppress(OSError):
        work.with_suffix(".lock").unlink(missing_ok=True)
        for folder in work.parents:
            if folder in keep and not folder.is_relative_to(results / FOLDER):
                return
            folder.rmdir()  # refused where other runs are unfinished
