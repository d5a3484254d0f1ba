"""Rank sets of a table, and the agreement of two rankings (Kendall's tau).

Legend: K entries.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from benchmark.scores.intervals import LEVEL, Estimate, Values

FEWEST_RANKED = 5
"""Even the same order of four entries means nothing: unrelated scores give it once in 24 times."""


def rank_sets(
    count: int, pairs: Mapping[tuple[int, int], tuple[Estimate, float]], level: float = LEVEL
) -> list[tuple[int, int]]:
    """The best and the worst rank that each of K entries may have, simultaneously at the level.

    [1 + number significantly better, K - number significantly worse]: Mogstad, Romano, Shaikh & Wilhelm 2024 (Review of
    Economic Studies 91), section 3. Entries whose sets overlap are not ordered.
    """
    better, worse = [0] * count, [0] * count
    for (first, second), (estimate, p) in pairs.items():
        if p <= 1 - level:
            winner, loser = (first, second) if estimate.mean > 0 else (second, first)
            worse[winner] += 1
            better[loser] += 1
    return [(1 + better[entry], count - worse[entry]) for entry in range(count)]


@dataclass(frozen=True, kw_only=True, slots=True)
class Agreement:
    """Kendall's tau-b between two rankings of the same entries, its confidence interval, and the number of entries."""

    tau: float
    low: float
    high: float
    entries: int


def _tau_b(first: Values, second: Values) -> float:
    """Kendall 1945 (Biometrika 33), equation 3; NaN where one is constant. `scipy.stats` takes a second to import."""
    orders = [np.sign(values[:, None] - values) for values in (first, second)]
    norms = [float((order**2).sum()) for order in orders]
    return float((orders[0] * orders[1]).sum()) / math.sqrt(math.prod(norms)) if all(norms) else math.nan


def agreement(first: Sequence[float], second: Sequence[float], level: float = LEVEL) -> Agreement | None:
    """Compare how two scores rank the same K entries; None where either score has fewer than five distinct values.

    The interval holds every tau of bivariate normal scores for which the observed tau is in neither tail of
    (1 - level) / 2. It covers another choice of architectures, not other images or seeds. Entries that tie count as
    one: they carry less information, and they raise tau-b.
    """
    count = min(len(set(first)), len(set(second)))
    tau = _tau_b(np.asarray(first), np.asarray(second))
    if count < FEWEST_RANKED or math.isnan(tau):
        return None
    lows, highs = _limits(count, level)
    alike = (tau + 1) / 2 * (len(lows) - 1)  # pairs in the same order
    low, high = lows[math.floor(alike + 1e-9)], highs[math.ceil(alike - 1e-9)]
    return Agreement(tau=tau, low=low, high=high, entries=len(first))


@cache
def _limits(count: int, level: float) -> tuple[list[float], list[float]]:
    """The lower and upper limits of tau, indexed by how many of the P pairs of K entries have the same order: (P + 1,).

    They are simulated, with scores x and y = r x + sqrt(1 - r^2) e. A pair has the same order once r exceeds the value
    at which r / sqrt(1 - r^2) = -(e - e') / (x - x'); tau there is 2 / pi times the arctangent of that. The sorted
    pairs of a draw thus give the tau at which each number of pairs is in order, and the limits are quantiles over the
    draws, rounded to three digits because a fourth would be chance.
    """
    one, other = np.triu_indices(count, 1)
    random = np.random.default_rng(0)
    x, e = random.standard_normal((2, min(100_000, 1 + 3_000_000 // len(one)), count))
    turns = np.sort(2 / np.pi * np.arctan((e[:, other] - e[:, one]) / (x[:, one] - x[:, other])), axis=1)
    low = [-1.0, *np.quantile(turns, (1 - level) / 2, axis=0).round(3).tolist()]
    return low, [-limit for limit in reversed(low)]
