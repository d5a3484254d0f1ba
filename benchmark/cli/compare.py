"""`bench compare`."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from benchmark.cli.common import Results, complain, say, speaking
from benchmark.common.errors import UserError


class Format(StrEnum):
    """For a reader, or for another program."""

    terminal = "terminal"
    json = "json"


@speaking
def compare(
    *,
    first: Annotated[str, typer.Argument(help="An entry, as the leaderboard names it.", metavar="A")],
    second: Annotated[str, typer.Argument(help="Another, e.g. 'custom_resnet34 (fp32)'.", metavar="B")],
    results: Results = Path("results"),
    protocol: Annotated[list[str] | None, typer.Option(help="Tables of this protocol only. Repeatable.")] = None,
    format_: Annotated[Format, typer.Option("--format", help="Print text or JSON.")] = Format.terminal,
) -> None:
    """Compare two entries image by image: how sure the difference is, and where each of them wins."""
    from rich.console import Console

    from benchmark.leaderboard import selection, tables
    from benchmark.leaderboard.compare import duels
    from benchmark.leaderboard.formats.comparison import as_json, print_duels

    board = tables.build(results)
    for problem in board.problems:
        complain(f"skipped: {problem}")
    if not board.tables:
        raise UserError(f"no runs in {results}; begin with: bench run --arch custom_resnet34")
    board = selection.seen(board, selection.View(protocols=protocol or []))
    found = duels(board.tables, first, second)
    if format_ == Format.json:
        say(as_json(found).rstrip())
    else:
        print_duels(found, Console(highlight=False))
