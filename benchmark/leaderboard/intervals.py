"""Means over the images of a stratum, with their confidence intervals."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from benchmark.leaderboard.board import Interval
from benchmark.leaderboard.strata import Images, Stratum
from benchmark.scores import uncertainty
from benchmark.scores.uncertainty import Kinds


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """A score of an entry for each seed and image, (S, N), NaN where undefined.

    `whole`: no seed failed. `deterministic`: every seed gives the same.
    """

    values: NDArray[np.float64]
    deterministic: bool
    whole: bool = True


def intervals(
    entries: Sequence[Measured], images: Images, strata: Sequence[Stratum]
) -> list[tuple[Interval | None, ...]]:
    """The mean of each entry in each stratum; NaN values are left out, and a stratum without values is None.

    An entry gets no interval if a seed failed: the other seeds alone would look too certain.
    """
    known = [np.isfinite(entry.values).all(axis=0) for entry in entries]
    result: list[list[Interval | None]] = [[None] * len(strata) for _ in entries]
    for number, stratum in enumerate(strata):
        # Entries with the same defined images are computed together; usually these are all entries of a table.
        alike: dict[bytes, list[int]] = {}
        for index, defined in enumerate(known):
            alike.setdefault((stratum.inside & defined).tobytes(), []).append(index)
        for mask, members in alike.items():
            inside = np.frombuffer(mask, dtype=np.bool_)
            if inside.any():
                for index, found in zip(
                    members, _intervals([entries[i] for i in members], images, inside), strict=True
                ):
                    result[index][number] = found
    return [tuple(found) for found in result]


def _intervals(entries: Sequence[Measured], images: Images, inside: NDArray[np.bool_]) -> Iterator[Interval]:
    kinds = Kinds.of([labels[inside] for labels in images.groups])
    values = [entry.values[:, inside] for entry in entries]
    able_to = cache(lambda seeds, deterministic: not uncertainty.obstacle(seeds, kinds, deterministic=deterministic))
    sure = [entry.whole and able_to(len(entry.values), entry.deterministic) for entry in entries]
    able = [own for own, one in zip(values, sure, strict=True) if one]
    halves = iter([found.half_width() for found in uncertainty.means(able, kinds)] if able else [])
    images_inside = int(inside.sum())
    for own, one in zip(values, sure, strict=True):
        yield Interval(mean=float(own.mean()), half_width=next(halves) if one else None, images=images_inside)
