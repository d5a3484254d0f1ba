"""Print the verdict of each table and its leading rows, within one screen if there are several tables."""

import math
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmark.leaderboard import groups
from benchmark.leaderboard.board import Board, Row, Table
from benchmark.leaderboard.columns import iou_text, ranks_text, test_speed
from benchmark.leaderboard.formats.grids import fitted
from benchmark.leaderboard.groups import Group
from benchmark.leaderboard.verdict import COMMAND, stopped, verdict

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

LINES = 27
_BLOCKS = 3
"""Tables that are shown with rows; the others are named."""
_STYLES = {Group.BEST: "green", Group.BEHIND: "", Group.BASELINE: "dim", Group.UNRANKED: ""}


def print_compact(board: Board, console: "Console", new: frozenset[str] = frozenset()) -> None:
    """Print the tables; rows with a run among the keys `new` are shown in any case, and marked."""
    layout = _Layout.of(board, console.width, new)
    if len(board.tables) == 1:
        lines = [layout.head(), *layout.whole(board.tables[0])]
    else:
        # Tables with new rows first, then those of unchanged protocols, as far as there is room.
        keys = {table.key: (not layout.new_in(table), bool(table.head.protocol.overrides)) for table in board.tables}
        firsts = [table.key for table in sorted(board.tables, key=lambda table: keys[table.key])[:_BLOCKS]]
        shown = [table for table in board.tables if table.key in firsts and keys[table.key] != (True, True)]
        shown = shown or [*board.tables[:1]]
        others = [f"{table.name}{table.changes}" for table in board.tables if table not in shown]
        rest = [layout.line(""), *layout.wrapped(f"Also: {'; '.join(others)}.")] if others else []
        rest += layout.next(board.tables)

        def render(rows: int) -> list["Text"]:
            return [layout.head(), *(line for table in shown for line in layout.block(table, rows)), *rest]

        lines = fitted(render, max(len(table.rows) for table in shown), LINES)
    for line in lines:
        console.print(line, no_wrap=True, crop=False, soft_wrap=True)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Layout:
    """Widths in characters; the bars reach from `low` to `high` per cent."""

    width: int
    name: int
    bar: int
    low: int
    high: int
    sounds: bool
    new: frozenset[str]

    @classmethod
    def of(cls, board: Board, width: int, new: frozenset[str]) -> "_Layout":
        rows = [row for table in board.tables for row in table.rows]
        ends = [100 * row.interval.mean + sign * 100 * row.interval.half_width() for row in rows if row.interval
                for sign in (-1, 1)]  # fmt: skip
        name = min(max(len(row.label) for row in rows), 24 if width < 100 else 48)
        sounds = any(table.has_sounds for table in board.tables)
        return cls(
            width=width,
            name=name,
            bar=min(max(width - name - (44 if sounds else 34), 0), 50),
            low=max(10 * math.floor(min(ends, default=0) / 10), 0),
            high=min(10 * math.ceil(max(ends, default=100) / 10), 100),
            sounds=sounds,
            new=new,
        )

    def new_in(self, table: Table) -> bool:
        return any(self.is_new(row) for row in table.rows)

    def is_new(self, row: Row) -> bool:
        return any(run.run_key in self.new for run in row.runs)

    def line(self, text: str, style: str = "") -> "Text":
        from rich.text import Text

        return Text(text.rstrip(), style=style)

    def wrapped(self, text: str, *, start: str = "", style: str = "") -> list["Text"]:
        """Lines of whole words; a command begins a line, and can be copied."""
        before, begin, command = text.partition(COMMAND)
        lines = self._filled(before, start, self.width)
        commands = self._filled(begin + command, "  ", self.width - 2)
        lines += [f"{line} \\" for line in commands[:-1]] + commands[-1:]
        return [self.line(line, style) for line in lines]

    def _filled(self, text: str, start: str, width: int) -> list[str]:
        return textwrap.wrap(
            text, width, initial_indent=start, subsequent_indent=" " * len(start), break_long_words=False,
            break_on_hyphens=False,
        )  # fmt: skip

    def head(self) -> "Text":
        axis = f"{self.low}{self.high:>{self.bar - len(str(self.low))}}" if self.bar > 8 else " " * self.bar
        sound = "  sound dB" if self.sounds else ""
        return self.line(f"{'rank':>5}  {'network':<{self.name}}  {'IoU (%)':<11}  {axis}{sound}  images/s", "bold")

    def row(self, row: Row) -> "Text":
        """A row of a table."""
        gain = row.scores.get("sisdr_improvement", math.nan)
        speed = test_speed(row) if row.runs else None
        mean, _, half = iou_text(row).partition(" ")
        iou = f"{mean:>4} {half}"
        label = row.label if len(row.label) <= self.name else f"{row.label[: self.name - 1]}…"
        cells = [f"{ranks_text(row) or '–':>5}", f"{label:<{self.name}}", f"{iou:<11}", self._bar(row)]
        cells += [f"{'–' if math.isnan(gain) else f'{gain:+.1f}':>8}"] if self.sounds else []
        cells += [f"{f'{speed:.0f}' if isinstance(speed, float) else '–':>8}"]
        style = _STYLES[groups.of(row)]
        if self.is_new(row):
            return self.line("  ".join(cells) + " ←", f"bold {style}")
        return self.line("  ".join(cells), style)

    def _bar(self, row: Row) -> str:
        iou = 100 * row.scores.get("iou", math.nan)
        if self.bar <= 8 or math.isnan(iou):
            return " " * self.bar
        half = 100 * row.interval.half_width() if row.interval else 0.0
        low, middle, high = (self._place(value) for value in (iou - half, iou, iou + half))
        signs = ["━" if low <= place <= high else "┈" for place in range(self.bar)]
        signs[middle] = "┿"
        return "".join(signs)

    def _place(self, value: float) -> int:
        share = (value - self.low) / ((self.high - self.low) or 1)
        return min(max(round(share * (self.bar - 1)), 0), self.bar - 1)

    def whole(self, table: Table) -> list["Text"]:
        """Every row under the title of its group, and every sentence."""
        lines = [self.line(""), *self.wrapped(table.title, style="bold")]
        for group, rows in groups.grouped(table.rows).items():
            lines += [self.line(f"       {groups.heading(group, rows)}", "italic"), *map(self.row, rows)]
        return lines + [line for said in verdict(table) for line in self.wrapped(stopped(said), start="→ ")]

    def block(self, table: Table, count: int) -> list["Text"]:
        """The title, `count` rows and those that are new, a line on the others, and the verdict."""
        shown = [row for index, row in enumerate(table.rows) if index < count or self.is_new(row)]
        lines = [self.line(""), *self.wrapped(table.title, style="bold"), *map(self.row, shown)]
        others = [row for row in table.rows if row not in shown]
        if others:
            lines += self.wrapped("; ".join(_summed(others)), start="    …  ")
        said = [table.verdict[about] for about in ("best", "floor", "unranked") if about in table.verdict]
        return lines + [line for sentence in said for line in self.wrapped(f"{sentence}.", start="→ ")]

    def next(self, tables: Sequence[Table]) -> list["Text"]:
        """What to do next: rank what is not ranked in the first table that has such entries, or part the leaders."""
        found = [table.verdict["next"] for table in tables if "next" in table.verdict]
        found.sort(key=lambda sentence: not sentence.startswith("Not ranked"))
        return [self.line(""), *self.wrapped(found[0])] if found else []


def _summed(rows: Sequence[Row]) -> Iterator[str]:
    """How many rows of each group there are."""
    for group, members in groups.grouped(rows).items():
        if group is Group.BEST:
            yield f"{len(members)} more may be the best"
        elif group is Group.BEHIND:
            yield f"{len(members)} behind"
        elif group is Group.BASELINE:
            yield f"{len(members)} baseline{'s' if len(members) > 1 else ''}"
        else:
            yield f"{len(members)} not ranked yet"
