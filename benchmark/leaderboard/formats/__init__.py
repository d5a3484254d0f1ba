"""A board as terminal tables, Markdown, LaTeX, CSV and JSON. From the same board come the same bytes."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from benchmark.files import write_atomically
from benchmark.leaderboard.board import Board
from benchmark.leaderboard.formats import wording
from benchmark.leaderboard.formats.data import as_json, csv
from benchmark.leaderboard.formats.latex import latex
from benchmark.leaderboard.formats.markdown import markdown
from benchmark.leaderboard.formats.terminal import print_terminal

__all__ = ["WRITERS", "as_json", "csv", "latex", "markdown", "print_terminal", "wording", "write"]

Writer = Callable[[Board, Sequence[str]], str]

WRITERS: Mapping[str, Writer] = {"md": markdown, "csv": csv, "tex": latex, "json": as_json}
"""Suffix -> board and names of chosen columns (none: all) -> text."""


def write(board: Board, folder: Path, suffixes: Sequence[str], columns: Sequence[str] = ()) -> list[Path]:
    """Write `leaderboard.<suffix>` into a folder."""
    paths = []
    for suffix in suffixes:
        path = folder / f"leaderboard.{suffix}"
        text = WRITERS[suffix](board, columns)
        write_atomically(path, partial(Path.write_text, data=text, encoding="utf-8"))
        paths.append(path)
    return paths
