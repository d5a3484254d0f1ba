"""The place of a run or a transfer in the results folder: one process at a time fills it, and it appears whole.

results/unfinished/<protocol>/<dataset>/<architecture>/<run key, 12 digits>/    checkpoints of a run under way
results/unfinished/.../<run key, 12 digits>.lock    held while a process works on it; says in JSON what that is
results/unfinished/transfers/<run key>/<manifest digest>.lock                   the same for a transfer
"""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Set
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.common import files
from benchmark.common.errors import UserError
from benchmark.common.progress import Report
from benchmark.records import checksums

FOLDER = "unfinished"


@dataclass(frozen=True, kw_only=True, slots=True)
class Slot:
    """`path` is the folder to be filled; `is_finished` says whether it is, and raises UserError if it is unreadable.

    With `force` it is filled again, whatever lies there.
    """

    results: Path
    path: Path
    is_finished: Callable[[Path], bool]
    force: bool = False

    @property
    def work(self) -> Path:
        """The folder of the checkpoints."""
        below = self.path.relative_to(self.results)
        return self.results / FOLDER / (below.relative_to("runs") if below.parts[0] == "runs" else below)

    def done(self) -> bool:
        """Whether there is nothing to do.

        Raises:
            UserError: the folder holds something that cannot be read.
        """
        return not self.force and self.is_finished(self.path)

    def settled(self) -> bool:
        """Whether there is nothing to do, and no killed process has left anything to clear away.

        Raises:
            UserError: the folder holds something that cannot be read.
        """
        return self.done() and not self.traces()

    def traces(self) -> bool:
        """Whether checkpoints, a lock or empty folders are left of the work on it."""
        if self.work.exists() or self.work.with_suffix(".lock").exists():
            return True
        nearest = next(folder for folder in self.work.parents if folder.exists())
        return nearest.is_relative_to(self.results / FOLDER) and not any(nearest.iterdir())

    def holds_a_result(self) -> bool:
        """Whether a failed run must not replace what lies there, not even by force: it is finished or unreadable."""
        try:
            return self.is_finished(self.path)
        except UserError:
            return True

    @contextmanager
    def claimed(self, report: Report, about: Mapping[str, Any] | None = None) -> Iterator[None]:
        """Hold the slot's lock; wait while another process holds it. `about` is written into it, for `bench status`.

        Half-written folders of killed processes are removed, and a finished one that was being replaced is put back.

        Raises:
            UserError: the disk refuses.
        """
        existing = {folder for folder in self.work.parents if folder.exists()}
        lock = self.work.with_suffix(".lock")
        try:
            with files.locked(lock, lambda: report("waiting", 0, 0, "another process is working on this run")):
                files.clear_leftovers(self.path)
                if about is not None:
                    with suppress(OSError):
                        lock.write_text(json.dumps(dict(about)), encoding="utf-8")
                yield
        finally:
            if not self.work.exists():
                self._remove_empty_folders(keep=existing)

    @contextmanager
    def writing(self) -> Iterator[Path]:
        """Yield a temporary folder that becomes `path` if the block succeeds; SHA256SUMS is written last.

        Raises:
            UserError: the disk refuses.
        """
        with files.atomic_folder(self.path) as target:
            yield target
            checksums.write(target)

    def forget(self) -> None:
        """Remove the checkpoints."""
        shutil.rmtree(self.work, ignore_errors=True)

    def _remove_empty_folders(self, keep: Set[Path]) -> None:
        with suppress(OSError):  # a folder that is not empty belongs to another unfinished run
            for folder in self.work.parents:
                if folder in keep and not folder.is_relative_to(self.results / FOLDER):
                    return
                folder.rmdir()
