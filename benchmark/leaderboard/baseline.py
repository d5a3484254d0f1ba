"""Find the entries that are above the pixel-wise baseline, which sees no shapes."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from benchmark.leaderboard.board import Row
from benchmark.leaderboard.strata import Images
from benchmark.scores import intervals
from benchmark.scores.intervals import LEVEL, Estimate, Kinds


def compare_with_baselines(rows: Sequence[Row], images: Images | None) -> tuple[Row, ...]:
    """Add to each row whether it is above every pixel-wise row, on each slice of the test.

    The one-sided test of the paired difference of IoU asks for a p-value of at most 5 % after Holm's correction over
    all rows of the table.
    """
    floors = [row for row in rows if is_pixelwise(row)]
    if images is None or not floors:
        return tuple(rows)
    above: list[dict[str, bool]] = [{} for _ in rows]
    for place in images.places:
        for index, sure in _above(rows, floors, images, images.slices == place).items():
            above[index][place] = sure
    return tuple(replace(row, above=found) for row, found in zip(rows, above, strict=True))


def is_pixelwise(row: Row) -> bool:
    """Whether the row is a baseline to compare others with."""
    return row.complete and row.runs[0].architecture.pixelwise


def _above(rows: Sequence[Row], floors: Sequence[Row], images: Images, inside: NDArray[np.bool_]) -> dict[int, bool]:
    """Row index -> whether it is above, for rows that can be tested on the images `inside` (N,) that have a mask."""
    kept = inside & np.isfinite(floors[0].ious[0])
    kinds = Kinds.of([group[kept] for group in images.groups])
    if not kept.any():
        return {}
    pairs = [
        (index, intervals.difference(row.ious[:, kept], floor.ious[:, kept], kinds))
        for index, row in enumerate(rows)
        for floor in floors
        if not is_pixelwise(row) and _comparable(row, kinds) and _comparable(floor, kinds)
    ]
    found: dict[int, bool] = {}
    for (index, _), p in zip(pairs, intervals.holm([_one_sided(own) for _, own in pairs]), strict=True):
        found[index] = found.get(index, True) and p <= 1 - LEVEL
    return found


def _one_sided(found: Estimate) -> float:
    """The one-sided p-value of a difference above 0."""
    return found.p_value / 2 if found.mean > 0 else 1 - found.p_value / 2


def _comparable(row: Row, kinds: Kinds) -> bool:
    return row.complete and not intervals.obstacle(len(row.runs), kinds, deterministic=row.deterministic)
