"""Progress bars: every stage of long work reports to one callable. Lines for the user go above the bars."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias

from benchmark.common.errors import printable

if TYPE_CHECKING:
    from rich.console import Console

QUIET = "BENCH_QUIET"
"""The environment variable that `bench -q` sets, so that processes of its own are quiet, too."""
_EVERY = 30.0
"""Seconds between two lines of a stage in a log file."""
_live: list["Console"] = []
"""The consoles on which bars are drawn now."""

Report: TypeAlias = Callable[[str, int, int, str], None]
"""`report(stage, done, total, note)`; a total of 0 prints a line without a bar."""


def silent(stage: str, done: int, total: int, note: str) -> None:
    """Report nothing."""
    del stage, done, total, note


def write(text: str, *, error: bool = False) -> None:
    """Print lines on standard output or standard error, above the bars that are drawn on the same terminal."""
    stream = sys.stderr if error else sys.stdout
    if _live and stream.isatty():
        _live[-1].print(text, markup=False, highlight=False, soft_wrap=True)
    else:
        print(text, file=stream, flush=True)


def duration(seconds: float) -> str:
    """A time in words: 40 s, 12 min, 3 h 5 min."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


@contextmanager
def bars() -> Iterator[Report]:
    """Yield a `Report` that shows a bar per stage on standard error, with the time left, then the time taken.

    Without a terminal it prints a line whenever a stage begins, its note changes, or half a minute has passed; under
    `bench -q` it prints warnings only. While bars are drawn, print with `write`.
    """
    if os.environ.get(QUIET):
        yield _warnings
        return
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
    # Not redirected: typer would write past the redirection, and results would go to standard error.
    with Progress(*columns, console=Console(stderr=True), redirect_stdout=False) as progress:
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

        _live.append(progress.console)
        try:
            yield report
        finally:
            _live.remove(progress.console)


def _warnings(stage: str, done: int, total: int, note: str) -> None:
    del done, total
    if stage == "warning":
        write(printable(f"{stage}: {note}"), error=True)


def _lines() -> Report:
    last: dict[str, str] = {}
    written: dict[str, float] = {}

    def report(stage: str, done: int, total: int, note: str) -> None:
        line = note or f"{done}/{total}"
        due = time.monotonic() - written.get(stage, -_EVERY) >= _EVERY or done == total
        if last.get(stage) != line and (note or due):
            write(printable(f"{stage}: {line}"), error=True)
            written[stage] = time.monotonic()
        last[stage] = line

    return report
