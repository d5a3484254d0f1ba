"""Means over the images of a stratum, with how sure they are."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from benchmark import statistics
from benchmark.leaderboard.board import Interval
from benchmark.leaderboard.images import Images, Stratum


def intervals(
    values: NDArray[np.float64], images: Images, strata: Sequence[Stratum], *, deterministic: bool, whole: bool = True
) -> tuple[Interval | None, ...]:
    """The mean of (S, N) values in each stratum; NaN values are left out, and a stratum without any is None.

    No interval is given where the seeds are not `whole`: some failed, and the others alone would look too sure.
    """
    found = (_interval(values, images, stratum, deterministic=deterministic) for stratum in strata)
    return tuple(one if one is None or whole else replace(one, half_width=None) for one in found)


def _interval(values: NDArray[np.float64], images: Images, stratum: Stratum, *, deterministic: bool) -> Interval | None:
    inside = stratum.inside & np.isfinite(values).all(axis=0)
    if not inside.any():
        return None
    kept = values[:, inside]
    labels = [labels[inside] for labels in images.groups]
    sure = statistics.obstacle(len(values), labels, deterministic=deterministic) is None
    half = statistics.mean(kept, labels).half_width() if sure else None
    return Interval(mean=float(kept.mean()), half_width=half, images=int(inside.sum()))
