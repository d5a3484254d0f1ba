"""How sure a mean is, when the images are not independent and training is a lottery. NumPy and SciPy only.

Images that share a song or a background resemble each other: the group is the unit, never the image. A second training
from another seed gives another network: the seeds are a source of variance beside the groups.

Legend: S seeds, N images, K entries. Labels of a kind of group are (N,).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import special

FEWEST_GROUPS = 5
"""With fewer independent groups of a kind no interval is given."""
FEWEST_SEEDS = 2

LEVEL = 0.95

Values: TypeAlias = NDArray[np.floating[Any]]
Labels: TypeAlias = Sequence[NDArray[Any]]
Alike: TypeAlias = "Labels | Kinds"
"""The labels, or what was made of them where they are used again and again."""
Part: TypeAlias = tuple[Any, Any]
"""A part of a variance, of one mean or of P of them, and its degrees of freedom: (), or (P,)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """A mean, its standard error, and the degrees of freedom of the t distribution that its error follows."""

    mean: float
    error: float
    degrees: float

    def half_width(self, level: float = LEVEL) -> float:
        """Half the confidence interval."""
        return float(special.stdtrit(self.degrees, (1 + level) / 2)) * self.error if self.error else 0.0

    @property
    def p_value(self) -> float:
        """Of the two-sided test that the expectation is 0."""
        if not self.error:
            return float(self.mean == 0)
        return float(2 * special.stdtr(self.degrees, -abs(self.mean) / self.error))


def obstacle(seeds: int, labels: Alike, *, deterministic: bool = False) -> str | None:
    """Why nothing can be said of how sure a mean is; None where something can.

    `deterministic`: there is nothing to train, so that no seed would give another result.
    """
    kinds = Kinds.of(labels)
    if not kinds.alone:
        return "the data name no recordings, songs or species"
    fewest = min((kind.sizes for kind in kinds.alone), key=effective)
    if len(fewest) < FEWEST_GROUPS:
        return f"{len(fewest)} independent groups, fewer than {FEWEST_GROUPS}"
    if effective(fewest) < FEWEST_GROUPS - 0.1:  # five that are all but equal are five
        return (
            f"{len(fewest)} independent groups, so unequal that they count as {effective(fewest):.1f}, "
            f"fewer than {FEWEST_GROUPS}"
        )
    if seeds < FEWEST_SEEDS and not deterministic:
        return f"{seeds} seed{'s' if seeds != 1 else ''}, fewer than {FEWEST_SEEDS}"
    return None


def effective(sizes: NDArray[np.intp]) -> float:
    """As how many equal groups those of these sizes count: 1 / sum of squared shares (Kish 1965).

    One long recording beside a few short ones decides the mean nearly alone, and there is only one of it.
    """
    return float(sizes.sum() ** 2 / (sizes**2).sum())


def mean(values: Values, labels: Alike) -> Estimate:
    """The mean of (S, N) values over images and seeds.

    Its variance has a part per kind of group (`clustered`) and s^2 / S of the seeds' means; the degrees of freedom are
    Satterthwaite's (1946, Biometrics Bulletin 2), see `_degrees`. A single seed (1, N) has no such part: `obstacle`.
    """
    return means([values], labels)[0]


def means(entries: Sequence[Values], labels: Alike) -> list[Estimate]:
    """The same of several entries, whose images are the same."""
    known = _all(entries)
    largest = np.array([entry.largest for entry in known])
    return _estimates(np.stack([entry.means for entry in known]), Kinds.of(labels), [_seeds(known)], largest)


def difference(first: Values, second: Values, labels: Alike) -> Estimate:
    """By how much the mean of (S, N) values is above that of other (S', N) values of the same images.

    Paired by image: what makes an image hard for both cancels. Not paired by seed: the same number starts two
    networks that have nothing in common.
    """
    one, other = _all([first, second])
    return _against(one, [other], Kinds.of(labels))[0]


@dataclass(frozen=True, slots=True)
class _Entry:
    """Means over the seeds (N,), the part of the variance that the seeds have, and the largest absolute value."""

    means: Values
    seeds: Part
    largest: float


def _all(entries: Sequence[Values]) -> list[_Entry]:
    """Of each (S, N); those with as many seeds are computed together."""
    result: list[_Entry | None] = [None] * len(entries)
    for runs in {len(values) for values in entries}:
        members = [index for index, values in enumerate(entries) if len(values) == runs]
        values = np.stack([entries[index] for index in members])
        parts = values.mean(2).var(1, ddof=1) / runs if runs > 1 else np.zeros(len(members))
        degrees = max(runs - 1.0, 1.0)
        found = zip(values.mean(1), parts.tolist(), np.abs(values).max((1, 2)).tolist(), strict=True)
        for index, (means, part, largest) in zip(members, found, strict=True):
            result[index] = _Entry(means, (part, degrees), largest)
    return [entry for entry in result if entry]


def _against(entry: _Entry, others: Sequence[_Entry], kinds: "Kinds") -> list[Estimate]:
    """By how much the entry is above each of P others."""
    largest = np.maximum(entry.largest, [other.largest for other in others])
    means = entry.means - np.stack([other.means for other in others])
    return _estimates(means, kinds, [entry.seeds, _seeds(others)], largest)


def _seeds(entries: Sequence[_Entry]) -> Part:
    variances, degrees = zip(*(entry.seeds for entry in entries), strict=True)
    return np.array(variances), np.array(degrees)


def _estimates(means: Values, kinds: "Kinds", seeds: Sequence[Part], largest: Any) -> list[Estimate]:
    """Of each row of (P, N) means; `largest` is the absolute value that they were computed from, () or (P,)."""
    groups = clustered(means, kinds)
    variance = sum(part for part, _ in (*groups, *seeds))
    # Of values that are all the same, rounding leaves some 1e-17.
    negligible = 1e-12 * (1 + largest)
    none = variance <= negligible**2
    with np.errstate(invalid="ignore", divide="ignore"):  # of those that are none
        degrees = np.where(none, math.inf, _degrees(groups, seeds))
    centres = means.mean(1)
    centres = np.where(none & (np.abs(centres) <= negligible), 0.0, centres)
    errors = np.where(none, 0.0, np.sqrt(np.where(none, 1.0, variance)))
    return [
        Estimate(mean=centre, error=error, degrees=freedom)
        for centre, error, freedom in zip(centres.tolist(), errors.tolist(), degrees.tolist(), strict=True)
    ]


def _degrees(groups: Sequence[Part], seeds: Sequence[Part]) -> Any:
    """Satterthwaite's degrees of freedom, where the seeds weigh as much as their variance may well be.

    Three seeds often lie close together by luck. Their variance is then estimated too low, and with it its weight in
    the degrees of freedom: the interval is too narrow twice over, and covers 92 % where the seeds dominate. So the
    weight is taken from the upper end of the variance's one-sided 75 % confidence interval.
    """
    upper = [(part * degrees / special.chdtri(degrees, 0.75), degrees) for part, degrees in seeds]
    parts = [*groups, *upper]
    return sum(part for part, _ in parts) ** 2 / sum(part**2 / degrees for part, degrees in parts)


@dataclass(frozen=True, slots=True)
class _Kind:
    """Images (N,) in the order of their groups, and where each of the groups starts (G,)."""

    order: NDArray[np.intp]
    starts: NDArray[np.intp]
    degrees: float
    """As many groups as they count, less 1."""

    @classmethod
    def of(cls, numbers: NDArray[np.intp]) -> "_Kind":
        order = np.argsort(numbers, kind="stable")
        starts = np.unique(numbers[order], return_index=True)[1]
        return cls(order, starts, effective(np.diff([*starts, len(numbers)])) - 1)

    @property
    def sizes(self) -> NDArray[np.intp]:
        """Images of each group, (G,)."""
        return np.diff([*self.starts, len(self.order)])

    def variance(self, centred: Values) -> Part:
        """Of the mean of each row of (P, N), clustered, with the small-sample factor G / (G - 1)."""
        sums, count = np.add.reduceat(centred[:, self.order], self.starts, axis=1), len(self.starts)
        return (sums**2).sum(1) / centred.shape[1] ** 2 * count / (count - 1), self.degrees


@dataclass(frozen=True, slots=True)
class Kinds:
    """One or two kinds of groups; where there are two, also what is alike in both."""

    alone: tuple[_Kind, ...]
    both: _Kind | None

    @classmethod
    def of(cls, labels: Alike) -> "Kinds":
        """From the labels of each kind, (N,)."""
        if isinstance(labels, Kinds):
            return labels
        numbers = [np.unique(kind, return_inverse=True)[1].ravel() for kind in labels]
        both = _Kind.of(numbers[0] * len(numbers[0]) + numbers[1]) if len(numbers) > 1 else None
        return cls(tuple(_Kind.of(number) for number in numbers), both)


def clustered(values: Values, kinds: Kinds) -> list[Part]:
    """The variance of the mean of each row of (P, N) values, alike within groups of one or two kinds, in parts (P,).

    Cameron, Gelbach & Miller 2011 (Journal of Business & Economic Statistics 29), equation 2.11: the variance by one
    kind and by the other, minus that by both together. Where that is below the variance by one kind alone, the latter.
    """
    centred = values - values.mean(1, keepdims=True)
    alone = [kind.variance(centred) for kind in kinds.alone]
    if kinds.both is None:
        return alone
    (first, of_first), (second, of_second) = alone
    overlap, of_overlap = kinds.both.variance(centred)
    single = first + second - overlap < np.maximum(first, second)
    larger = first >= second
    return [
        (np.where(single & ~larger, 0.0, first), of_first),
        (np.where(single & larger, 0.0, second), of_second),
        (np.where(single, 0.0, -overlap), of_overlap),
    ]


def pigeonhole(
    values: Values, labels: Labels, *, against: Values | None = None, draws: int = 2000, seed: int = 0
) -> Values:
    """Bootstrapped means (draws,) of (S, N) values: groups of every kind, and seeds, are drawn anew each on their own.

    `against`: other values (S', N) of the same images, whose means are subtracted. Both are of the same drawn groups,
    as the images are paired; the seeds of each are drawn on their own, as those are not.

    Owen 2007 (Annals of Applied Statistics 1): an image counts as often as all its groups together. Where images vary
    on their own account its variance is rather too large; the part of G groups or seeds is too small by (G - 1) / G. A
    cross-check of `mean` and `difference`, not their rival.
    """
    random = np.random.default_rng(seed)
    weights = np.ones((draws, values.shape[1]))
    for kind in labels:
        number = np.unique(kind, return_inverse=True)[1].ravel()
        count = int(number.max()) + 1
        weights *= random.multinomial(count, np.full(count, 1 / count), size=draws)[:, number]
    sums = _over_drawn_seeds(weights, values, random)
    if against is not None:
        sums = sums - _over_drawn_seeds(weights, against, random)
    totals = weights.sum(1)
    kept = totals > 0  # no group in common among those drawn
    return np.asarray(sums[kept] / totals[kept])


def _over_drawn_seeds(weights: Values, values: Values, random: np.random.Generator) -> Values:
    """Weighted sums (draws,) over the images of (S, N) values, of S seeds drawn anew for each (draws, N) weights."""
    runs = len(values)
    seeds = random.multinomial(runs, np.full(runs, 1 / runs), size=len(weights)) / runs  # (draws, S)
    return np.asarray(((weights @ values.T) * seeds).sum(1))


# ---------------------------------------------------------------- rankings


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values adjusted for their number, so that the chance of any false one stays below the level (Holm 1979)."""
    order = np.argsort(p_values, kind="stable")
    factors = np.arange(len(order), 0, -1)
    stepped = np.maximum.accumulate(np.asarray(p_values)[order] * factors)
    adjusted = np.empty(len(order))
    adjusted[order] = np.minimum(stepped, 1)
    return [float(value) for value in adjusted]


def differences(entries: Sequence[Values], labels: Alike) -> dict[tuple[int, int], tuple[Estimate, float]]:
    """Every pair of K entries -> their `difference`, and its p-value after Holm's correction over all pairs."""
    kinds, known = Kinds.of(labels), _all(entries)
    pairs = list(combinations(range(len(known)), 2))
    estimates = [
        found for index, entry in enumerate(known[:-1]) for found in _against(entry, known[index + 1 :], kinds)
    ]
    adjusted = holm([estimate.p_value for estimate in estimates])
    return {pair: (estimate, p) for pair, estimate, p in zip(pairs, estimates, adjusted, strict=True)}


def rank_sets(
    count: int, pairs: Mapping[tuple[int, int], tuple[Estimate, float]], level: float = LEVEL
) -> list[tuple[int, int]]:
    """The best and the worst rank that each of K entries may have, all of them together at the level.

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
    """Kendall's tau-b between two rankings of the same `entries`, with its confidence interval."""

    tau: float
    low: float
    high: float
    entries: int


def _tau_b(first: Values, second: Values) -> float:
    """Kendall 1945 (Biometrika 33), equation 3; NaN where one is constant. SciPy's takes a second to import."""
    orders = [np.sign(values[:, None] - values) for values in (first, second)]
    norms = [float((order**2).sum()) for order in orders]
    return float((orders[0] * orders[1]).sum()) / math.sqrt(math.prod(norms)) if all(norms) else math.nan


FEWEST_RANKED = 5
"""Fieller's variance divides by the number of entries less 4."""


def agreement(first: Sequence[float], second: Sequence[float], level: float = LEVEL) -> Agreement | None:
    """How far two scores rank the same K entries alike; None below five entries, or where one score is constant.

    The interval is Fieller, Hartley & Pearson's (1957, Biometrika 44): the variance of atanh(tau) is 0.437 / (K - 4).
    It says what another choice of architectures might give, not what other images or seeds would. At tau = +-1, where
    atanh ends, its inner limit is that of half a pair out of order.
    """
    count = len(first)
    if count < FEWEST_RANKED:
        return None
    tau = _tau_b(np.asarray(first), np.asarray(second))
    if math.isnan(tau):
        return None
    most = 1 - 2 / (count * (count - 1))  # one pair out of order costs 4 / (K (K - 1))
    middle, reach = (
        math.atanh(max(-most, min(most, tau))),
        special.ndtri((1 + level) / 2) * math.sqrt(0.437 / (count - 4)),
    )
    low, high = math.tanh(middle - reach), math.tanh(middle + reach)
    return Agreement(tau=tau, low=min(low, tau), high=max(high, tau), entries=count)
