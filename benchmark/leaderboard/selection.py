"""Select tables of a board, and sort their rows by a column."""

from collections.abc import Sequence
from dataclasses import replace

from benchmark.common.errors import UserError, nearest
from benchmark.leaderboard import columns
from benchmark.leaderboard.board import Board, Row, Table


def select(
    board: Board, protocols: Sequence[str] = (), sort: str = "", shown: Sequence[str] = (), text: str = ""
) -> Board:
    """Keep the tables of these protocols (none: all), with rows sorted by a column ("": in groups, by IoU).

    `text` keeps the tables with it in their name, or else the entries with it in theirs, in all tables that have them.
    Ranks and verdicts stay those of the whole tables. `shown` are the columns to print.

    Raises:
        UserError: a protocol without a table, a column that no table has, or a text that nothing has.
    """
    there = list(dict.fromkeys(table.head.protocol.name for table in board.tables))
    for name in protocols:
        if name not in there:
            raise UserError(
                f"no runs of protocol '{name}'{nearest(name, there)}; there are runs of: {', '.join(there)}"
            )
    tables = [table for table in board.tables if not protocols or table.head.protocol.name in protocols]
    tables = _with_text(tables, text) if text else tables
    columns.check(tables, [*shown, *([sort] if sort else ())])
    titles = {table.heading for table in tables}
    return replace(
        board,
        tables=tuple(_sorted(table, sort) if sort else table for table in tables),
        matrix=None if protocols or text else board.matrix,
        comparisons=tuple(found for found in board.comparisons if {found.first, found.second} <= titles),
    )


def _with_text(tables: Sequence[Table], text: str) -> list[Table]:
    """The tables of that name; else those with the text in name or heading; else the entries with it in their label."""
    wanted = text.casefold()
    for found in (
        [table for table in tables if wanted == table.name.casefold()],
        [table for table in tables if wanted in f"{table.title} {table.heading}".casefold()],
        [
            replace(table, rows=rows, references=())
            for table in tables
            if (rows := tuple(row for row in table.rows if wanted in row.label.casefold()))
        ],
    ):
        if found:
            return found
    names = ", ".join(table.name for table in tables)
    known = [*(table.name for table in tables), *dict.fromkeys(row.label for table in tables for row in table.rows)]
    raise UserError(f"no table or entry has '{text}' in its name{nearest(text, known)}; tables: {names}")


def _sorted(table: Table, name: str) -> Table:
    """Best first, words by the alphabet, unknown values last."""
    column = next((column for column in columns.of(table) if column.name == name), None)
    if column is None:
        return table

    def order(row: Row) -> tuple[float | str, str]:
        value = column.order(row) if column.order else column.value(row)
        assert value is not None  # only known values are sorted
        if isinstance(value, str):
            return value, row.label
        return value if column.less_is_better else -value, row.label

    known = [row for row in table.rows if column.rounded(row) is not None]
    unknown = [row for row in table.rows if column.rounded(row) is None]
    return replace(table, rows=(*sorted(known, key=order), *unknown))
