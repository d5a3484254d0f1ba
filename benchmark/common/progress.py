"""Progress bars: every stage of long work reports to one callable."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

from benchmark.common.errors import printable

Report: TypeAlias = Callable[[str, int, int, str], None]
"""`report(stage, done, total, note)`; a total of 0 prints a line without a bar."""


def silent(stage: str, done: int, total: int, note: str) -> None:
    """Report nothing."""
    del stage, done, total, note


@contextmanager
def bars() -> Iterator[Report]:
    """Yield a `Report` that shows a bar per stage on standard error, with the time left, then the time taken.

    Without a terminal it prints a line whenever a stage's note changes.
    """
    if not sys.stderr.isatty():
        yield _lines()
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (  # together at most 80 wide
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=12),
        TaskProgressColumn(),
        TimeRemainingColumn(compact=True, elapsed_when_finished=True),
        TextColumn("{task.fields[note]}", markup=False),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        tasks = {}

        def report(stage: str, done: int, total: int, note: str) -> None:
            stage, note = printable(stage), printable(note)
            if total == 0:
                progress.console.print(f"{stage}: {note}", markup=False, highlight=False)
                return
            if stage not in tasks:
                # The steps of an earlier process do not count for this one's speed.
                tasks[stage] = progress.add_task(stage, total=total, completed=done, note=note)
            progress.update(tasks[stage], completed=done, total=total, note=note)

        yield report


def _lines() -> Report:
    last: dict[str, str] = {}

    def report(stage: str, done: int, total: int, note: str) -> None:
        line = note or f"{done}/{total}"
        if (note and last.get(stage) != note) or (not note and done in (0, total)):
            print(printable(f"{stage}: {line}"), file=sys.stderr, flush=True)  # noqa: T201 - a line for a log file
        last[stage] = line

    return report
