"""Print a board on the terminal."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from benchmark.leaderboard import columns
from benchmark.leaderboard.board import Board, Row, Table
from benchmark.leaderboard.columns import Column
from benchmark.leaderboard.formats import grids, wording
from benchmark.leaderboard.verdict import verdict

if TYPE_CHECKING:
    from rich.console import Console


def print_terminal(board: Board, console: "Console", chosen: Sequence[str] = ()) -> None:
    """Print each table with as many columns as fit, the most important ones first."""
    from rich.text import Text

    for table in board.tables:
        console.print(Text(table.heading, style="bold"))
        for sentence in verdict(table):
            console.print(Text(f"{sentence}."))
        for line in wording.about(table):
            console.print(Text(line, style="dim"))
        _print_scores(table, console, chosen)
        _print_rest(table, console, short=bool(chosen))
        console.print()
    for found in board.comparisons:
        console.print(Text(wording.agreement(found)))
    if board.matrix:
        text = grids.draw(grids.generalisation(board.matrix), "plain")
        if max(map(len, text.splitlines())) > console.width:
            text = "This table is too wide for the terminal: use --width, or see leaderboard.md."
        console.print(Text(f"\n{wording.GENERALISATION}\n{text}"))


def _print_scores(table: Table, console: "Console", chosen: Sequence[str]) -> None:
    from rich.table import Table as Grid
    from rich.text import Text

    rows = [*table.rows, *(() if chosen else table.references)]
    shown = columns.chosen(table, chosen) if chosen else _fitting(columns.of(table), rows, console.width)
    grid = Grid(show_edge=False, pad_edge=False, box=None, header_style="bold")
    for column in shown:
        grid.add_column(Text(column.title), justify="left" if column.group == "entry" else "right", no_wrap=True)
    for row in rows:
        grid.add_row(*(Text(column.text(row)) for column in shown), style=None if row.runs else "dim")
    console.print(grid)
    hidden = len(columns.of(table)) - len(shown)
    if hidden and not chosen:
        line = f"{hidden} more columns, with their meaning, are in the files; --width 200 shows some of them"
        console.print(Text(line, style="dim"))


def _print_rest(table: Table, console: "Console", *, short: bool) -> None:
    from rich.text import Text

    if table.snr_bins and not short:
        console.print(Text(f"\n{wording.BY_SNR}"))
        for block in _blocks(grids.by_snr(table), console.width):
            console.print(Text(grids.draw(block, "plain")))
    for line in (*(() if short else wording.absent(table)), *wording.remarks(table)):
        console.print(Text(line, style="dim"))


def _blocks(grid: grids.Grid, width: int) -> list[grids.Grid]:
    """Split the grid into parts that fit the terminal, each with the first column."""
    header, rows = grid
    needed = [2 + max(len(line[index]) for line in (header, *rows)) for index in range(len(header))]
    parts: list[list[int]] = [[]]
    for index in range(1, len(header)):
        if parts[-1] and needed[0] + sum(needed[other] for other in (*parts[-1], index)) > width:
            parts.append([])
        parts[-1].append(index)
    shown = [[0, *part] for part in parts]
    return [([header[i] for i in part], [[row[i] for i in part] for row in rows]) for part in shown]


def _fitting(candidates: Sequence[Column], rows: Sequence[Row], width: int) -> list[Column]:
    chosen: list[Column] = []
    left = width
    for column in sorted((column for column in candidates if column.priority < 99), key=lambda column: column.priority):
        cells = [column.text(row) for row in rows]
        needed = 2 + max(len(text) for text in (column.title, *cells))
        empty = all(text in ("", "–") for text in cells)
        if needed <= left and not empty:
            chosen.append(column)
            left -= needed
    return sorted(chosen, key=candidates.index)
