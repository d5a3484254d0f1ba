"""Means over the images of a stratum, with their confidence intervals."""

from collections.abc import Iterator, Sequence
from functools import cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from benchmark.leaderboard.board import Interval, Row
from benchmark.leaderboard.strata import Images, Stratum
from benchmark.scores import intervals
from benchmark.scores.intervals import Kinds

Entry: TypeAlias = tuple[Row, NDArray[np.float64]]
"""A row, and a score of it for each seed and image: (S, N), NaN where undefined."""


def stratum_means(
    entries: Sequence[Entry], images: Images, strata: Sequence[Stratum]
) -> list[tuple[Interval | None, ...]]:
    """The mean of each entry in each stratum; NaN values are left out, and a stratum without values is None.

    An entry gets no interval if a seed failed: the other seeds alone would look too certain.
    """
    known = [np.isfinite(values).all(axis=0) for _, values in entries]
    result: list[list[Interval | None]] = [[None] * len(strata) for _ in entries]
    for number, stratum in enumerate(strata):
        # Entries with the same defined images are computed together; usually these are all entries of a table.
        same_images: dict[bytes, list[int]] = {}
        for index, defined in enumerate(known):
            same_images.setdefault((stratum.inside & defined).tobytes(), []).append(index)
        for mask, members in same_images.items():
            inside = np.frombuffer(mask, dtype=np.bool_)
            if inside.any():
                for index, found in zip(
                    members, _intervals([entries[i] for i in members], images, inside), strict=True
                ):
                    result[index][number] = found
    return [tuple(found) for found in result]


def _intervals(entries: Sequence[Entry], images: Images, inside: NDArray[np.bool_]) -> Iterator[Interval]:
    kinds = Kinds.of([labels[inside] for labels in images.groups])
    obstacle = cache(lambda seeds, deterministic: intervals.obstacle(seeds, kinds, deterministic=deterministic))
    values = [score[:, inside] for _, score in entries]
    sure = [not row.failed and not obstacle(len(score), row.deterministic) for row, score in entries]
    able = [score for score, is_sure in zip(values, sure, strict=True) if is_sure]
    halves = iter([found.half_width() for found in intervals.means(able, kinds)] if able else [])
    for score, is_sure in zip(values, sure, strict=True):
        yield Interval(mean=float(score.mean()), half_width=next(halves) if is_sure else None, images=int(inside.sum()))
