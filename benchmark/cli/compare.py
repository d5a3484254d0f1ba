"""`bench compare`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from benchmark.cli.common import Plugins, Results, add_plugins, complain, one_line_errors, say
from benchmark.common.errors import UserError


@one_line_errors
def compare(
    *,
    first: Annotated[str, typer.Argument(help="A network, as the leaderboard names it.", metavar="A")],
    second: Annotated[str, typer.Argument(help="Another, e.g. 'custom_resnet34 (fp32)'.", metavar="B")],
    results: Results = Path("results"),
    plugins: Plugins = None,
    protocol: Annotated[list[str] | None, typer.Option(help="Only tables of this protocol. Repeatable.")] = None,
    format_: Annotated[Literal["terminal", "json"], typer.Option("--format", help="Print text or JSON.")] = "terminal",
) -> None:
    """Compare two networks: which is better, how sure, and where.

    Compares them image by image, on every table that has both.
    """
    add_plugins(plugins)
    from rich.console import Console

    from benchmark.leaderboard import compare, selection, tables
    from benchmark.leaderboard.formats.comparison import as_json, print_comparisons

    board = tables.build(results)
    for problem in board.problems:
        complain(f"skipped: {problem}")
    if not board.tables:
        raise UserError(f"no runs in {results}; begin with: bench run --arch custom_resnet34")
    found = compare.compare(selection.select(board, protocol or []).tables, first, second)
    if format_ == "json":
        say(as_json(found).rstrip())
    else:
        print_comparisons(found, Console(highlight=False))
