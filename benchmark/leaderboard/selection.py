"""Select tables of a board, and sort their rows by a column."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from benchmark.common.errors import UserError, nearest
from benchmark.leaderboard import columns
from benchmark.leaderboard.board import Board, Row, Table


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """The protocols to show (none: all), the column to sort by ("": IoU), and the columns to show (none: all)."""

    protocols: Sequence[str] = ()
    sort: str = ""
    columns: Sequence[str] = ()

    @property
    def whole(self) -> bool:
        """Whether this view leaves the board unchanged."""
        return not (self.protocols or self.sort or self.columns)


def seen(board: Board, view: View) -> Board:
    """Select and sort; the ranks stay those of the whole tables.

    Raises:
        UserError: a protocol without a table, or a column that no table has.
    """
    there = list(dict.fromkeys(table.head.protocol.name for table in board.tables))
    for name in view.protocols:
        if name not in there:
            raise UserError(
                f"no runs of protocol '{name}'{nearest(name, there)}; there are runs of: {', '.join(there)}"
            )
    tables = [table for table in board.tables if not view.protocols or table.head.protocol.name in view.protocols]
    columns.check(tables, [*view.columns, *([view.sort] if view.sort else ())])
    titles = {table.heading for table in tables}
    return replace(
        board,
        tables=tuple(_sorted(table, view.sort) if view.sort else table for table in tables),
        matrix=None if view.protocols else board.matrix,
        comparisons=tuple(found for found in board.comparisons if {found.first, found.second} <= titles),
    )


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
