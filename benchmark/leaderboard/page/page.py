"""The page, from its templates."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from benchmark.common.errors import UserError
from benchmark.leaderboard.board import Board
from benchmark.leaderboard.formats import grids, wording
from benchmark.leaderboard.page import charts
from benchmark.leaderboard.page.content import Part, part

LARGEST = 5_000_000
"""Bytes: larger, and it neither opens at once nor goes by mail."""

_TEMPLATES = Path(__file__).parent / "templates"


class TooLargeError(UserError):
    """The page is too large, whatever is left out of it."""


def rendered(board: Board, results: Path, *, sort: str = "iou", private: bool = False) -> str:
    """The page with as many of the worst images per entry, up to twenty, as it stays small with; else without pictures.

    `sort` names the column that the board is sorted by.

    Raises:
        TooLargeError: it is too large even so.
    """
    for worst in (20, None, 10, 5, 0):  # without any second: where that is too large, nothing else need be tried
        text = _attempt(board, results, worst=worst, sort=sort, private=private)
        size = len(text.encode())
        if worst is None and size >= LARGEST:
            raise TooLargeError(
                f"the page would have {size / 1e6:.1f} MB, more than {LARGEST / 1e6:g}; show fewer tables: "
                "bench leaderboard --format html --protocol NAME"
            )
        if worst is None:
            bare = text
        elif size < LARGEST:
            return text
    return bare


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
        pictures={part.id: _pictures(part) for part in parts if part.gallery},
        # Ours, not a user's: everything else is escaped.
        style=Markup((_TEMPLATES / "style.css").read_text(encoding="utf-8")),
        script=Markup((_TEMPLATES / "script.js").read_text(encoding="utf-8")),
    )


def _pictures(part: Part) -> dict[str, object]:
    """What the script draws from: each test image once, predictions by entry."""
    assert part.gallery is not None
    return {
        "height": part.gallery.height,
        "width": part.gallery.width,
        "images": {str(index): entry for index, entry in part.gallery.images.items()},
    }
