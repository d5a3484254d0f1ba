"""`bench leaderboard`, `bench list`."""

from pathlib import Path
from typing import Annotated

import typer

from benchmark.cli.common import Plugins, Results, add_plugins, complain, say, speaking
from benchmark.errors import UserError


@speaking
def leaderboard(
    *,
    results: Results = Path("results"),
    width: Annotated[int | None, typer.Option(help="Columns of the terminal.", min=40)] = None,
) -> None:
    """Print a table per comparability key, and write leaderboard.md, .csv, .tex and .json beside the runs."""
    from rich.console import Console

    from benchmark.leaderboard import formats, tables

    board = tables.build(results)
    for problem in board.problems:
        complain(f"skipped: {problem}")
    if not board.tables:
        raise UserError(f"no runs in {results}; begin with: bench run --arch custom_resnet34")
    written = formats.write_all(board, results)  # before anything is printed: the reader may have seen enough (| head)
    console = Console(width=width, highlight=False)
    formats.print_terminal(board, console)
    say(formats.NOTE)
    say(f"All columns: {', '.join(str(path) for path in written)}")


@speaking
def list_(
    *,
    citations: Annotated[bool, typer.Option("--citations", help="Print the BibTeX entries instead.")] = False,
    plugins: Plugins = None,
) -> None:
    """Show architectures, datasets and protocols, each with title, parameter count and paper."""
    add_plugins(plugins)
    from rich.console import Console

    from benchmark import listing
    from benchmark.progress import bars

    if citations:
        for citation in listing.citations():
            say(citation)
        return
    console = Console(highlight=False)
    with bars() as report:
        tables = list(listing.tables(report))
    for table in tables:
        console.print(table)
        console.print()
