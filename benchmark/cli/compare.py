"""`bench compare`."""

from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from benchmark.cli.common import Plugins, Results, add_plugins, complain, one_line_errors, say
from benchmark.common.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmark.leaderboard.compare import EntryComparison


@one_line_errors
def compare(
    *,
    names: Annotated[
        list[str],
        typer.Argument(help="Two networks or more, as the leaderboard names them.", metavar="A B [C ...]"),
    ],
    results: Results = Path("results"),
    plugins: Plugins = None,
    protocol: Annotated[list[str] | None, typer.Option(help="Only tables of this protocol. Repeatable.")] = None,
    full: Annotated[bool, typer.Option("--full", help="Also by input SNR, mask area, recording and image.")] = False,
    format_: Annotated[Literal["terminal", "json"], typer.Option("--format", help="Print text or JSON.")] = "terminal",
) -> None:
    """Compare networks: which is better, how sure, and where.

    Two networks give five lines, more give a matrix of all pairs.
    """
    add_plugins(plugins)
    from benchmark.leaderboard import compare, selection, tables
    from benchmark.leaderboard.formats.comparison import as_json

    if len(names) < 2:
        raise UserError("name two networks to compare, e.g.: bench compare unet segnet")
    board = tables.build(results)
    for problem in board.problems:
        complain(f"skipped: {problem}")
    if not board.tables:
        raise UserError(f"no runs in {results}; begin with: bench run --arch custom_resnet34")
    chosen = selection.select(board, protocol or []).tables
    if len(names) > 2:
        whole = [table for table in chosen if set(names) <= {row.label for row in table.rows}]
        chosen = tuple(whole) or chosen
    found = [one for pair in combinations(names, 2) for one in compare.compare(chosen, *pair)]
    if format_ == "json":
        say(as_json(found).rstrip())
    else:
        _print(found, matrix=len(names) > 2, full=full)


def _print(found: "Sequence[EntryComparison]", *, matrix: bool, full: bool) -> None:
    from rich.console import Console

    from benchmark.leaderboard.formats import comparison, duel

    console = Console(highlight=False)
    by_table: dict[str, list[EntryComparison]] = {}
    for one in found:
        by_table.setdefault(one.table.key, []).append(one)
    for number, pairs in enumerate(by_table.values()):
        if number:
            say("")
        if matrix:
            duel.print_matrix(pairs[0].table, {(one.first.label, one.second.label): one for one in pairs}, console)
        else:
            duel.print_duel(pairs[0], console)
    if full:
        say("")
        comparison.print_comparisons(found, console)
    elif not matrix:
        say("\nBy input SNR, mask area, recording and image: --full; for programs: --format json")
