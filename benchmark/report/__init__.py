"""The leaderboard as one HTML file that people like to open: `content` gathers, `charts` measures out, `page` draws.

The file asks for nothing but itself: styles, script, thumbnails and masks are in it. From the same records come the
same bytes.
"""

from functools import partial
from pathlib import Path

from benchmark.files import write_atomically
from benchmark.leaderboard.board import Board
from benchmark.report.page import rendered

__all__ = ["rendered", "write"]


def write(board: Board, results: Path, folder: Path, *, sort: str = "iou", private: bool = False) -> Path:
    """Write `leaderboard.html` into a folder, sorted by that column.

    `private`: with thumbnails of the user's own recordings; into `private/`, which is not committed.
    """
    path = folder / ("private/leaderboard.html" if private else "leaderboard.html")
    text = rendered(board, results, sort=sort, private=private)
    write_atomically(path, partial(Path.write_text, data=text, encoding="utf-8"))
    return path
