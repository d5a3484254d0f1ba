"""`bench status`."""

import json
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from benchmark.cli.common import Results, one_line_errors, say
from benchmark.common.errors import printable
from benchmark.common.progress import duration

if TYPE_CHECKING:
    from benchmark.records.unfinished import Unfinished

_PAUSE = 5.0
"""Seconds between two looks."""
_IDLE = 4
"""Looks in a row without a run under way after which --watch ends: the next run of a batch takes seconds to begin."""


@one_line_errors
def status(
    *,
    results: Results = Path("results"),
    watch: Annotated[bool, typer.Option("--watch", help="Print it again until nothing has run for 20 s.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show which runs are under way, interrupted or failed.

    With epochs and the time left.
    """
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    looks = _looks(results, json_=json_, watch=watch)
    if not watch or not (console := Console(highlight=False)).is_terminal:
        for look in looks:
            say(look)
        return
    with Live(console=console, auto_refresh=False) as live:
        for look in looks:
            live.update(Text(printable(look, keep="\n")), refresh=True)


def _looks(results: Path, *, json_: bool, watch: bool) -> Iterator[str]:
    """What there is now; with `watch` again and again, until nothing has run for a while."""
    lines, _ = _lines(results, json_=json_)
    yield "\n".join(lines)
    idle = 0 if watch else _IDLE
    while idle < _IDLE:
        time.sleep(_PAUSE)
        lines, running = _lines(results, json_=json_)
        yield "\n".join(lines)
        idle = 0 if running else idle + 1


def _lines(results: Path, *, json_: bool) -> tuple[list[str], bool]:
    """The lines to print, and whether a run is under way."""
    from benchmark.records import find, store
    from benchmark.records.schema import shown
    from benchmark.records.unfinished import unfinished

    open_ = unfinished(results)
    running = sum(run.running for run in open_)
    read, problems = store.read_all(results)
    failed = [(path, shown(record)) for path, record in read if record.status != "finished"]
    finished = len(read) - len(failed)
    if json_:
        facts: dict[str, Any] = {
            "unfinished": [{**asdict(run), "path": str(run.path)} for run in open_],
            "failed": [
                {"path": str(path), "architecture": record.architecture.label, "seed": record.seed,
                 "protocol": record.protocol.name, "status": record.status, "message": record.message}
                for path, record in failed
            ],
            "finished": finished,
            "unreadable": problems,
        }  # fmt: skip
        return [json.dumps(facts, indent=2)], bool(running)
    lines = [_line(run) for run in open_]
    for path, record in failed:
        what = f"{record.architecture.label}, seed {record.seed}, {record.protocol.name}"
        lines.append(
            f"failed       {what}: {record.status} ({record.message}); see {path}, or again: {find.again(record)}"
        )
    lines += [f"unreadable   {problem}" for problem in problems]
    counts = f"{running} running, {len(open_) - running} interrupted, {len(failed)} failed, {finished} finished"
    return [*lines, f"{counts} in {results}"], bool(running)


def _line(run: "Unfinished") -> str:
    seed = f", seed {run.seed}" if run.seed is not None else f", key {run.path.name}"
    done = f"epoch {run.epochs_done}{f' of {run.epochs}' if run.epochs else ''}"
    parts = [done if run.epochs_done else "before its first checkpoint"]
    if run.validation_iou is not None:
        parts.append(f"validation IoU {100 * run.validation_iou:.1f} %")
    if run.running and run.epochs_done == run.epochs:
        parts.append("testing")
    elif run.seconds_left is not None:
        parts.append(f"about {duration(run.seconds_left)} of training left")
    if not run.running:
        parts.append(f"go on: {run.command}" if run.command else "go on: give its command again")
    what = f"{run.architecture}{seed}, {run.protocol} on {run.dataset}"
    return f"{'running' if run.running else 'interrupted':12} {what}: {', '.join(parts)}"
