"""Write a board for the terminal and as Markdown, LaTeX, CSV and JSON. The same board gives the same bytes."""

from collections.abc import Callable, Mapping, Sequence

from benchmark.leaderboard.board import Board
from benchmark.leaderboard.formats import wording
from benchmark.leaderboard.formats.compact import print_compact
from benchmark.leaderboard.formats.data import as_json, csv
from benchmark.leaderboard.formats.latex import latex
from benchmark.leaderboard.formats.markdown import has_place, in_readme, markdown, pages
from benchmark.leaderboard.formats.terminal import print_terminal

__all__ = [
    "WRITERS",
    "as_json",
    "csv",
    "files",
    "has_place",
    "in_readme",
    "latex",
    "markdown",
    "pages",
    "print_compact",
    "print_terminal",
    "wording",
]

Writer = Callable[[Board, Sequence[str]], str]

WRITERS: Mapping[str, Writer] = {"md": markdown, "csv": csv, "tex": latex, "json": as_json}
"""Suffix -> function from a board and the chosen columns (none: all) to the text of the file."""


def files(board: Board, suffixes: Sequence[str] = tuple(WRITERS), chosen: Sequence[str] = ()) -> dict[str, str]:
    """Path below the results folder -> text of the files of these formats; Markdown also has a page for each table."""
    found = {f"leaderboard.{suffix}": WRITERS[suffix](board, chosen) for suffix in suffixes}
    if "md" in suffixes:
        found |= {f"tables/{name}.md": text for name, text in pages(board, chosen).items()}
    return found
