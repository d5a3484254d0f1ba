"""Render the page from its templates."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from benchmark.common.errors import UserError
from benchmark.leaderboard.board import Board
from benchmark.leaderboard.formats import grids, wording
from benchmark.leaderboard.page import charts
from benchmark.leaderboard.page.content import part

LARGEST = 5_000_000
"""In bytes. A larger page opens slowly and is too large for mail."""

_TEMPLATES = Path(__file__).parent / "templates"


class TooLargeError(UserError):
    """The page is too large even without pictures."""


def rendered(board: Board, results: Path, *, sort: str = "iou", private: bool = False) -> str:
    """Render the page with the 20 worst images of each entry; if that is too large with 5, or without any pictures.

    `sort` names the column that the board is sorted by. `private` adds thumbnails of the user's own recordings.

    Raises:
        TooLargeError: the page is too large even without pictures.
    """
    size = 0
    for worst in (20, 5, None):
        text = _attempt(board, results, worst=worst, sort=sort, private=private)
        size = len(text.encode())
        if size < LARGEST:
            return text
    raise TooLargeError(
        f"the page would have {size / 1e6:.1f} MB, more than {LARGEST / 1e6:g}; show fewer tables: "
        "bench leaderboard --format html --protocol NAME"
    )


def _attempt(board: Board, results: Path, *, worst: int | None, sort: str, private: bool) -> str:
    parts = [part(table, number, results, worst=worst, private=private) for number, table in enumerate(board.tables)]
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html").render(
        parts=parts,
        published=board.published,
        matrix=grids.generalisation(board.matrix) if board.matrix else None,
        comparisons=[wording.agreement(found) for found in board.comparisons],
        meanings=wording.meanings(board),
        wording=wording,
        chart=charts,
        sort=sort,
        pictures={part["id"]: part["gallery"]["drawn"] for part in parts if part["gallery"]},
        # Our own files; everything else is escaped.
        style=Markup((_TEMPLATES / "style.css").read_text(encoding="utf-8")),
        script=Markup((_TEMPLATES / "script.js").read_text(encoding="utf-8")),
    )
