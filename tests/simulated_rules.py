"""The rules that were compared before one was chosen: docs/statistics.md. The first is the one that is shipped."""

import math
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import combinations

import numpy as np
from scipy import special, stats
from simulating import Answer, Labels, Pairs, Rule, Values, first, shipped, with_holm

from benchmark.scores import intervals
from benchmark.scores.intervals import Estimate

SOME = (
    "48x32", "24x10", "24 of one kind", "48x5", "24x10, strong backgrounds", "24x5, strong backgrounds", "24x10, Zipf",
    "2 seeds dominate, spread 1:4", "48x32, spread 1:4",
)  # fmt: skip
"""The designs on which they differ."""


def satterthwaite(entries: Sequence[Values], labels: Labels, tables: Sequence[int]) -> Answer:
    """Every kind of group has its own degrees of freedom, the seeds are weighed at their upper 75 %.

    The variance is Cameron, Gelbach & Miller's with the factor G / (G - 1), the correction Holm's.
    """
    pairs = list(combinations(range(len(entries)), 2))
    centres = np.stack([entry.mean(0) for entry in entries])
    seeds = [(entry.mean(1).var(ddof=1) / len(entry) if len(entry) > 1 else 0.0, len(entry) - 1.0) for entry in entries]
    differences = np.stack([centres[i] - centres[j] for i, j in pairs])
    found = _satterthwaite(differences, labels, [[seeds[i], seeds[j]] for i, j in pairs])
    estimates = dict(zip(pairs, found, strict=True))
    means = _satterthwaite(centres[:2], labels, [[own] for own in seeds[:2]])
    return means, {
        count: with_holm({pair: own for pair, own in estimates.items() if max(pair) < count}) for count in tables
    }


def _satterthwaite(rows: Values, labels: Labels, seeds: Sequence[Sequence[tuple[float, float]]]) -> list[Estimate]:
    """Of each row of (P, N), and the variances and degrees of freedom of its seeds."""
    kinds = [*labels, labels[0] * (labels[-1].max() + 1) + labels[-1]] if len(labels) > 1 else labels
    centred = rows - rows.mean(1, keepdims=True)
    parts, degrees = [], []
    for kind in kinds:
        _, numbers, sizes = np.unique(kind, return_inverse=True, return_counts=True)
        order = np.argsort(numbers, kind="stable")
        sums = np.add.reduceat(centred[:, order], np.cumsum(sizes) - sizes, axis=1)
        parts.append((sums**2).sum(1) / rows.shape[1] ** 2 * len(sizes) / (len(sizes) - 1))
        degrees.append(intervals.effective(sizes) - 1)
    found = []
    for row, mean in enumerate(rows.mean(1)):
        groups = [(float(part[row]), own) for part, own in zip(parts, degrees, strict=True)]
        if len(groups) > 1:
            (one, _), (other, _), (both, _) = groups
            both = -both
            if one + other + both < max(one, other):
                one, other, both = (one, 0.0, 0.0) if one >= other else (0.0, other, 0.0)
            groups = list(zip((one, other, both), degrees, strict=True))
        drawn = [own for own in seeds[row] if own[0]]
        weighed = groups + [(part * own / special.chdtri(own, 0.75), own) for part, own in drawn]
        variance = sum(part for part, _ in [*groups, *drawn])
        freedom = sum(part for part, _ in weighed) ** 2 / sum(part**2 / own for part, own in weighed)
        found.append(Estimate(mean=float(mean), error=math.sqrt(variance), degrees=float(freedom)))
    return found


def ten_groups(entries: Sequence[Values], labels: Labels, tables: Sequence[int]) -> Answer:
    """The same, and nothing is ranked with fewer than ten groups of a kind."""
    means, found = satterthwaite(entries, labels, tables)
    if min(intervals.effective(np.bincount(kind)) for kind in labels) >= 10:
        return means, found
    return means, {count: dict.fromkeys(pairs, (_UNKNOWN, 1.0)) for count, pairs in found.items()}


_UNKNOWN = Estimate(mean=0.0, error=1.0, degrees=1.0)


def games_howell(entries: Sequence[Values], labels: Labels, tables: Sequence[int]) -> Answer:
    """Games & Howell 1976: the studentised range instead of Holm's correction, each pair with its own variance."""
    means, found = shipped(entries, labels, [len(entries)])
    return means, {count: _by_range(count, first(count, found[len(entries)])) for count in tables}


def one_variance(entries: Sequence[Values], labels: Labels, tables: Sequence[int]) -> Answer:
    """Tukey's: the studentised range, and one variance for all pairs, of K - 1 times the degrees of freedom."""
    means, found = shipped(entries, labels, [len(entries)])
    result = {}
    for count in tables:
        own = first(count, found[len(entries)])
        error = math.sqrt(np.mean([estimate.error**2 for estimate in own.values()]))
        freedom = float(np.mean([estimate.degrees for estimate in own.values()])) * (count - 1)
        result[count] = _by_range(
            count, {pair: Estimate(mean=one.mean, error=error, degrees=freedom) for pair, one in own.items()}
        )
    return means, result


def _by_range(count: int, estimates: Mapping[tuple[int, int], Estimate]) -> Pairs:
    """Significant, 0, or not, 1, by the studentised range of so many entries."""
    logs, limits = _ranges(count)
    return {
        pair: (own, float(abs(own.mean) * math.sqrt(2) < own.error * np.interp(math.log(own.degrees), logs, limits)))
        for pair, own in estimates.items()
    }


@cache
def _ranges(count: int) -> tuple[Values, Values]:
    """What 95 % of studentised ranges stay below, by the logarithm of the degrees of freedom."""
    degrees = np.geomspace(1, 1000, 60)
    return np.log(degrees), np.asarray(stats.studentized_range.isf(0.05, count, degrees))


def wild_bootstrap(entries: Sequence[Values], labels: Labels, tables: Sequence[int], draws: int = 99) -> Answer:
    """The largest |t| of all pairs against that of a wild cluster bootstrap (Cameron, Gelbach & Miller 2008).

    The groups of the kind with the fewest are weighted by Webb's six points, the seeds of each entry on their own;
    variances are those that are shipped.
    """
    means, found = shipped(entries, labels, [len(entries)])
    random = np.random.default_rng(0)
    points = np.outer([-1, 1], np.sqrt([0.5, 1, 1.5])).ravel()
    centres = np.stack([entry.mean(0) for entry in entries])
    middles, variances = _wild(centres - centres.mean(1, keepdims=True), labels, points, draws, random)
    for index, entry in enumerate(entries):
        if len(entry) > 1:
            spread = (entry.mean(1) - entry.mean()) * math.sqrt(len(entry) / (len(entry) - 1))
            drawn = spread * random.choice(points, (draws, len(entry)))
            middles[:, index] += drawn.mean(1)
            part = drawn.var(1, ddof=1) / len(entry)
            variances[:, index, :] += part[:, None]
            variances[:, :, index] += part[:, None]
    one, other = np.triu_indices(len(entries), 1)
    ts = np.abs(middles[:, one] - middles[:, other]) / np.sqrt(variances[:, one, other])
    result = {}
    for count in tables:
        limit = np.sort(ts[:, other < count].max(1))[round(0.95 * (draws + 1)) - 1]
        own = first(count, found[len(entries)])
        result[count] = {pair: (one, float(abs(one.mean) < limit * one.error)) for pair, one in own.items()}
    return means, result


def _wild(
    centred: Values, labels: Labels, points: Values, draws: int, random: np.random.Generator
) -> tuple[Values, Values]:
    """Means (draws, K) of weighted (K, N) values, and the variances (draws, K, K) of their differences."""
    fewest = min(labels, key=lambda kind: int(kind.max()))
    weights = random.choice(points, (draws, int(fewest.max()) + 1))
    apart = np.stack([centred * (fewest == group) for group in range(weights.shape[1])])  # (H, K, N)
    middles = weights @ apart.sum(2) / centred.shape[1]
    parts = []
    for kind in [*labels, labels[0] * (labels[-1].max() + 1) + labels[-1]][: 2 * len(labels) - 1]:
        _, numbers, sizes = np.unique(kind, return_inverse=True, return_counts=True)
        order = np.argsort(numbers, kind="stable")
        groups = np.add.reduceat(apart[:, :, order], np.cumsum(sizes) - sizes, axis=2)
        sums = np.tensordot(weights, groups, 1) - middles[:, :, None] * sizes
        without = sums / (centred.shape[1] - sizes)
        products = without @ without.transpose(0, 2, 1) * (len(sizes) - 1) / len(sizes)
        own = np.einsum("dkk->dk", products)
        parts.append(own[:, :, None] + own[:, None, :] - 2 * products)
    largest = np.max(parts[:2], axis=0)
    return middles, np.maximum(parts[0] + parts[1] - parts[2], largest) if len(parts) > 1 else largest


RIVALS: dict[str, Rule] = {
    "shipped": shipped,
    "degrees of each kind, Holm": satterthwaite,
    "the same, ten groups": ten_groups,
    "Games-Howell": games_howell,
    "one variance, Tukey": one_variance,
    "wild bootstrap": wild_bootstrap,
}
