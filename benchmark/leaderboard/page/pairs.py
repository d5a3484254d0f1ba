"""The differences of all pairs of ranked entries, for the comparison on the page."""

from typing import Any

from benchmark.leaderboard.board import Table
from benchmark.leaderboard.tables import with_mask
from benchmark.scores import intervals


def pairs(table: Table, ids: dict[str, str]) -> dict[str, Any]:
    """Id of an entry -> id of a later one -> difference of IoU, half its interval (points), p-value for all pairs."""
    able = [row for row in table.rows if row.ranks is not None]
    if table.images is None or len(able) < 2:
        return {}
    kept = with_mask(able[0], table.images)
    found = intervals.differences([row.ious[:, kept] for row in able], [group[kept] for group in table.images.groups])
    result: dict[str, Any] = {}
    for (first, second), (estimate, p) in found.items():
        numbers = [round(100 * estimate.mean, 1), round(100 * estimate.half_width(), 1), float(f"{p:.1g}")]
        result.setdefault(ids[able[first].label], {})[ids[able[second].label]] = numbers
    return result
