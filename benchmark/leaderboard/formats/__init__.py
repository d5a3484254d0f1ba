"""Write a board for the terminal and as Markdown, LaTeX, CSV and JSON. The same board gives the same bytes."""

from collections.abc import Callable, Mapping, Sequence

from benchmark.leaderboard.board import Board
from benchmark.leaderboard.formats import wording
from benchmark.leaderboard.formats.data import as_json, csv
from benchmark.leaderboard.formats.latex import latex
from benchmark.leaderboard.formats.markdown import markdown
from benchmark.leaderboard.formats.terminal import print_terminal

__all__ = ["WRITERS", "as_json", "csv", "latex", "markdown", "print_terminal", "wording"]

Writer = Callable[[Board, Sequence[str]], str]

WRITERS: Mapping[str, Writer] = {"md": markdown, "csv": csv, "tex": latex, "json": as_json}
"""Suffix -> function from a board and the chosen columns (none: all) to the text of the file."""
