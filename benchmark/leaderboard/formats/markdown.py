"""Write a board as Markdown: leaderboard.md on one screen, all tables whole in files of their own, and the README."""

import math
from collections.abc import Sequence

from benchmark.leaderboard import columns, groups
from benchmark.leaderboard.board import Board, Row, Table
from benchmark.leaderboard.columns import iou_text
from benchmark.leaderboard.formats import grids, wording
from benchmark.leaderboard.groups import Group
from benchmark.leaderboard.verdict import COMMAND, stopped, verdict
from benchmark.scores.separation import REFERENCES

LINES = 80
_BLOCKS = 3
"""Tables with rows in leaderboard.md, and in the README; of the others there is a sentence each."""
BEGIN, END = "<!-- results: bench leaderboard -->", "<!-- end of results -->"
_IN_README = ("best", "floor", "fall", "fastest", "sound")
"""The sentences in the README, which says elsewhere what to do next."""


def markdown(board: Board, chosen: Sequence[str] = ()) -> str:
    """Write the verdict of each table and its leading rows, in at most 80 lines."""
    del chosen  # its columns are fixed
    shown = _main(board)[:_BLOCKS] or [*board.tables[:1]]
    others = [f"- [{_text(table.title)}](tables/{table.name}.md): {_sentence(verdict(table)[0])}"
              for table in board.tables if table not in shown]  # fmt: skip
    start = [
        "# Leaderboard",
        "",
        "Made by `bench leaderboard` from the records in `runs/`. ±: half the 95 % interval, over other recordings and "
        "other seeds. Ranks guard all pairs of a table at once, so two intervals can stand apart while the order is "
        "still open. [What the columns mean, in full](tables/columns.md).",
    ]
    end = ["", *(["## Other tables", "", *others, ""] if others else []), _links(board)]

    def render(rows: int) -> list[str]:
        return [*start, *(line for table in shown for line in _block(table, rows)), *end]

    most = max((len(table.rows) for table in shown), default=1)
    return "\n".join(grids.fitted(render, most, LINES)) + "\n"


def _main(board: Board) -> list[Table]:
    """The tables of unchanged protocols in which something is ranked."""
    return [table for table in board.tables if not table.head.protocol.overrides and any(r.ranks for r in table.rows)]


def _links(board: Board) -> str:
    across = "[whether the tables agree](tables/across.md) · " if board.comparisons or board.matrix else ""
    return (
        f"{across}[published elsewhere](tables/published.md) · [columns](tables/columns.md) · "
        "[.csv](leaderboard.csv) · [.json](leaderboard.json) · [.tex](leaderboard.tex) · [.html](leaderboard.html)"
    )


def _block(table: Table, count: int) -> list[str]:
    """The verdict, at most `count` rows of networks in groups, the other rows in a line each."""
    places = [place for place in table.slices if place != table.head.headline_slice][:3]
    header = ["Rank", "Network", "IoU (%)", *(f"IoU {place} (%)" for place in places)]
    header += [*(["SI-SDR gain (dB)"] if table.has_sounds else []), "Test (images/s)", "Checked"]
    by_name = {column.name: column for column in columns.of(table)}

    def cells(row: Row) -> list[str]:
        found = [100 * row.slice_scores.get(place, {}).get("iou", float("nan")) for place in places]
        found += [row.scores.get("sisdr_improvement", float("nan"))] if table.has_sounds else []
        numbers = ["–" if math.isnan(value) else f"{value:.1f}" for value in found]
        speed = by_name["test_images_per_second"].rounded(row)
        return [
            by_name["rank"].text(row), f"`{_text(row.label)}`", iou_text(row), *numbers,
            f"{speed:.0f}" if isinstance(speed, float) else "–", row.badge,
        ]  # fmt: skip

    found, lines, left = groups.grouped(table.rows), [], count
    for group in (Group.BEST, Group.BEHIND):
        if rows := found.get(group, ()):
            lines.append(["", f"**{groups.heading(group, rows)}**", *[""] * (len(header) - 2)])
            lines += [cells(row) for row in rows[:left]]
            left = max(left - len(rows), 0)
    aside = [
        f"{groups.heading(group, rows)}: " + ", ".join(f"`{_text(row.label)}` {iou_text(row)}" for row in rows)
        for group, rows in found.items() if group not in (Group.BEST, Group.BEHIND)
    ]  # fmt: skip
    grid = ["", *grids.draw((header, lines), "github").splitlines()] if lines else []
    said = " ".join(_sentence(sentence) for sentence in verdict(table))
    last = " · ".join([*aside, f"[all rows and columns](tables/{table.name}.md)"])
    return ["", f"## {_text(table.title)}", "", said, *grid, "", last]


def _text(text: str) -> str:
    return grids.as_markdown(text).replace("|", "\\|")


def _sentence(text: str) -> str:
    """A sentence of the verdict, with its command as code."""
    before, begin, command = text.partition(COMMAND)
    return grids.as_markdown(stopped(text)) if not begin else f"{grids.as_markdown(before)}`{begin}{command}`."


# ---------------------------------------------------------------- the README


def has_place(readme: str) -> bool:
    """Whether the text has both markers, in their order."""
    return 0 <= readme.find(BEGIN) < readme.find(END)


def in_readme(readme: str, board: Board) -> str:
    """The text with the verdicts of the first tables between the markers."""
    before, _, rest = readme.partition(BEGIN)
    _, _, after = rest.partition(END)
    said = [
        f"**{_text(table.title)}**: "
        f"{' '.join(_sentence(table.verdict[about]) for about in _IN_README if about in table.verdict)} "
        f"([all rows](results/tables/{table.name}.md))"
        for table in _main(board)[:_BLOCKS]
    ]
    return "\n\n".join([f"{before}{BEGIN}", *said, f"{END}{after}"])


# ---------------------------------------------------------------- whole tables


def pages(board: Board, chosen: Sequence[str] = ()) -> dict[str, str]:
    """Name -> text: every table whole, the published numbers, the meaning of the columns, and what spans tables."""
    found = {table.name: _whole(table, chosen) for table in board.tables}
    found["published"] = ["# Published elsewhere", grids.draw(grids.published(board), "github")]
    meanings = (f"- **{column.title}**: {column.definition}" for column in wording.meanings(board, chosen))
    found["columns"] = ["# What the columns mean", wording.NOTE, wording.RANKS, "\n".join(meanings)]
    if any(table.has_sounds for table in board.tables):
        lines = "\n".join(f"- **{name}**: {meaning}" for name, meaning in REFERENCES.items())
        found["columns"] += ["## The references", wording.REFERENCES, lines]
    across = []
    if board.comparisons:
        lines = "\n".join(f"- {grids.as_markdown(wording.agreement(one))}" for one in board.comparisons)
        across += ["## Do the tables agree?", wording.AGREEMENT, lines]
    if board.matrix:
        grid = grids.draw(grids.generalisation(board.matrix), "github")
        across += ["## Trained here, tested there", wording.GENERALISATION, grid]
    if across:
        found["across"] = ["# Across tables", *across]
    return {name: "\n\n".join(parts) + "\n" for name, parts in found.items()}


def _whole(table: Table, chosen: Sequence[str]) -> list[str]:
    parts = [f"# {_text(table.title)}", _text(table.heading), wording.NOTE]
    parts.append("\n".join(f"- {_sentence(sentence)}" for sentence in verdict(table)))
    parts.append("\n".join(f"- {grids.as_markdown(line)}" for line in wording.about(table)))
    for title, (shown, rows) in grids.parts(table, chosen).items():
        parts.append(f"## {title}\n\n{grids.draw(grids.cells(shown, rows), 'github')}")
    if table.snr_bins and not chosen:
        parts.append(f"## {wording.BY_SNR}\n\n{grids.draw(grids.by_snr(table), 'github')}")
    parts += map(grids.as_markdown, [*(() if chosen else wording.absent(table)), *wording.remarks(table)])
    commands = dict.fromkeys(run.command for row in table.rows for run in row.runs)
    return [*parts, "Reproduce:\n\n" + "\n".join(f"    {command}" for command in commands)]
