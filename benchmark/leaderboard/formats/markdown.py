"""Write a board as Markdown."""

from collections.abc import Sequence

from benchmark.leaderboard.board import Board, Table
from benchmark.leaderboard.formats import grids, wording
from benchmark.leaderboard.verdict import verdict
from benchmark.scores.separation import REFERENCES


def markdown(board: Board, chosen: Sequence[str] = ()) -> str:
    """Write the tables, the published numbers, and the meaning of each column."""
    parts = ["# Leaderboard", "Made by `bench leaderboard` from the records in `runs/`.", wording.NOTE, wording.RANKS]
    for table in board.tables:
        parts += _table(table, chosen)
    if board.comparisons:
        lines = "\n".join(f"- {grids.as_markdown(wording.agreement(found))}" for found in board.comparisons)
        parts.append(f"## Do the tables agree?\n\n{wording.AGREEMENT}\n\n{lines}")
    if board.matrix:
        grid = grids.draw(grids.generalisation(board.matrix), "github")
        parts.append(f"## Trained here, tested there\n\n{wording.GENERALISATION}\n\n{grid}")
    parts.append("## Published elsewhere\n\n" + grids.draw(grids.published(board), "github"))
    meanings = (f"- **{column.title}**: {column.definition}" for column in wording.meanings(board, chosen))
    parts.append("## What the columns mean\n\n" + "\n".join(meanings))
    if any(table.has_sounds for table in board.tables):
        found = "\n".join(f"- **{name}**: {meaning}" for name, meaning in REFERENCES.items())
        parts.append(f"## The references\n\n{wording.REFERENCES}\n\n{found}")
    return "\n\n".join(parts) + "\n"


def _table(table: Table, chosen: Sequence[str]) -> list[str]:
    about = [f"- {grids.as_markdown(line)}" for line in wording.about(table)]
    said = [f"{grids.as_markdown(sentence)}." for sentence in verdict(table)]
    parts = [f"## {grids.as_markdown(table.heading)}", *said[:1], "\n".join(f"- {line}" for line in said[1:])]
    parts += ["\n".join(about)]
    for title, (columns, rows) in grids.parts(table, chosen).items():
        parts.append(f"### {title}\n\n{grids.draw(grids.cells(columns, rows), 'github')}")
    if table.snr_bins and not chosen:
        parts.append(f"### {wording.BY_SNR}\n\n{grids.draw(grids.by_snr(table), 'github')}")
    parts += map(grids.as_markdown, [*(() if chosen else wording.absent(table)), *wording.remarks(table)])
    commands = dict.fromkeys(run.command for row in table.rows for run in row.runs)
    parts.append("Reproduce:\n\n" + "\n".join(f"    {command}" for command in commands))
    return parts
