"""How sure a mean is, when the images are not independent. NumPy and SciPy only.

Images that share a song or a background resemble each other: the group is the unit, never the image.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

FEWEST_GROUPS = 5
"""With fewer independent groups no interval is given."""


def half_width(values: NDArray[np.floating[Any]], groups: Sequence[NDArray[Any]], level: float = 0.95) -> float | None:
    """Half the confidence interval of the mean of (N,) values, clustered by every kind of group, labels (N,) each.

    Cameron, Gelbach & Miller 2011 (Journal of Business & Economic Statistics 29), equation 2.11 for two kinds: the
    variances by one kind and by the other, minus that by both; never below either alone. A t quantile with as many
    degrees of freedom as the scarcer kind has groups, less one. None where there are fewer than five of either.
    """
    kinds = [np.unique(labels, return_inverse=True)[1] for labels in groups] or [np.arange(len(values))]
    fewest = min(int(kind.max(initial=-1)) + 1 for kind in kinds)
    if fewest < FEWEST_GROUPS:
        return None
    alone = [_variance(values, kind) for kind in kinds]
    variance = max(alone)
    if len(kinds) == 2:
        both = np.unique(np.stack(kinds), axis=1, return_inverse=True)[1].ravel()
        variance = max(sum(alone) - _variance(values, both), *alone)
    return float(special.stdtrit(fewest - 1, (1 + level) / 2) * np.sqrt(variance))


def _variance(values: NDArray[np.floating[Any]], labels: NDArray[Any]) -> float:
    """Variance of the mean, clustered, with the small-sample factor G / (G - 1)."""
    sums = np.bincount(labels, weights=values - values.mean())
    return float((sums**2).sum() / len(values) ** 2 * len(sums) / (len(sums) - 1))
