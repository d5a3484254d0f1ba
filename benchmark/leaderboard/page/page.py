"""Render the page from its templates."""

import re
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

import benchmark
from benchmark.common.errors import UserError
from benchmark.leaderboard.board import Board
from benchmark.leaderboard.formats import grids, wording
from benchmark.leaderboard.page import charts
from benchmark.leaderboard.page.content import part
from benchmark.leaderboard.page.published import published

LARGEST = 3_000_000
"""In bytes. A larger page opens slowly and is too large for mail."""

_CITE = """@software{{birdmask_bench,
  title = {{birdmask-bench: segmentation networks that find birds in spectrograms}},
  author = {{{{The birdmask-bench authors}}}},
  version = {{{version}}}
}}"""
_TEMPLATES = Path(__file__).parent / "templates"


class TooLargeError(UserError):
    """The page is too large even without pictures."""


def rendered(board: Board, results: Path, *, sort: str = "iou", private: bool = False) -> str:
    """Render the page with the 12 worst images of each entry; if that is too large with 5, or without any pictures.

    `sort` names the column that the board is sorted by. `private` adds thumbnails of the user's own recordings.

    Raises:
        TooLargeError: the page is too large even without pictures.
    """
    size = 0
    for worst in (12, 5, None):
        text = _attempt(board, results, worst=worst, sort=sort, private=private)
        size = len(text.encode())
        if size < LARGEST:
            return text
    raise TooLargeError(
        f"the page would have {size / 1e6:.1f} MB, more than {LARGEST / 1e6:g}; show fewer tables: "
        "bench leaderboard --format html --protocol NAME"
    )


def _attempt(board: Board, results: Path, *, worst: int | None, sort: str, private: bool) -> str:
    # The sounds of a dataset once, in its first table.
    first = {table.head.dataset.label.partition(":")[0]: table.key for table in reversed(board.tables)}.values()
    parts = [part(table, results, worst=worst, private=private, listen=table.key in first) for table in board.tables]
    runs = [run for table in board.tables for row in table.rows for run in row.runs]
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"comparable": wording.caveat, "breakable": _breakable}
    return environment.get_template("page.html").render(
        parts=parts,
        published=published(board.published),
        matrix=grids.generalisation(board.matrix) if board.matrix else None,
        comparisons=[wording.agreement(found) for found in board.comparisons],
        meanings=wording.meanings(board),
        wording=wording,
        chart=charts,
        sort=sort,
        data={part["id"]: part["script"] for part in parts},
        version=benchmark.__version__,
        runs=len(runs),
        newest=max((run.finished for run in runs), default="")[:10],
        cite=_CITE.format(version=benchmark.__version__),
        base="../" if private else "",
        # Our own files; everything else is escaped.
        style=Markup((_TEMPLATES / "style.css").read_text(encoding="utf-8")),
        script=Markup((_TEMPLATES / "script.js").read_text(encoding="utf-8")),
    )


def _breakable(text: str) -> Markup:
    """A name that may be broken after an underscore, a comma or a colon."""
    return Markup(re.sub("([_,:])", r"\1<wbr>", str(escape(text))))
