"""How sure a mean is, when the images are not independent and training is a lottery. NumPy and SciPy only.

Images that share a song or a background resemble each other: the group is the unit, never the image. A second training
from another seed gives another network: the seeds are a source of variance beside the groups.

Legend: S seeds, N images, K entries. Labels of a kind of group are (N,).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
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
"""The seeds' part of a variance, of one mean or of P of them, and its degrees of freedom: (), or (P,)."""


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

    Its variance is that of the groups (`clustered`) and s^2 / S of the seeds' means; for the degrees of freedom see
    `_degrees`. A single seed (1, N) has no such part: `obstacle`.
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
    variance = groups + sum(part for part, _ in seeds)
    # Of values that are all the same, rounding leaves some 1e-17.
    negligible = 1e-12 * (1 + largest)
    none = variance <= negligible**2
    with np.errstate(invalid="ignore", divide="ignore"):  # of those that are none
        degrees = np.where(none, math.inf, _degrees(groups, kinds.degrees, seeds))
    centres = means.mean(1)
    centres = np.where(none & (np.abs(centres) <= negligible), 0.0, centres)
    errors = np.where(none, 0.0, np.sqrt(np.where(none, 1.0, variance)))
    return [
        Estimate(mean=centre, error=error, degrees=freedom)
        for centre, error, freedom in zip(centres.tolist(), errors.tolist(), degrees.tolist(), strict=True)
    ]


def _degrees(groups: Any, fewest: float, seeds: Sequence[Part]) -> Any:
    """Satterthwaite's degrees of freedom (1946, Biometrics Bulletin 2), and at most the `fewest` groups less 1.

    The groups' part has `fewest`, whatever the kinds weigh: a variance of few groups that is small by luck must not
    borrow the degrees of freedom of many (MacKinnon, Nielsen & Webb 2024, arXiv 2406.08880). Seeds are fewer still, and
    lie close together by luck more often. So the larger of their parts weighs as much as it may well be: the upper
    end of its variance's one-sided confidence interval, of 90 % for two seeds, 80 % for three, 75 % for more.
    """
    upper = [part * degrees / special.chdtri(degrees, np.maximum(0.75, 1 - degrees / 10)) for part, degrees in seeds]
    larger = np.max(np.broadcast_arrays(*upper), axis=0)
    weights = [np.where(high == larger, high, part) for high, (part, _) in zip(upper, seeds, strict=True)]
    squares = sum(weight**2 / degrees for weight, (_, degrees) in zip(weights, seeds, strict=True))
    return np.minimum((groups + sum(weights)) ** 2 / (groups**2 / fewest + squares), fewest)


@dataclass(frozen=True, slots=True)
class _Kind:
    """Images (N,) in the order of their groups, and where each of the groups starts (G,)."""

    order: NDArray[np.intp]
    starts: NDArray[np.intp]

    @classmethod
    def of(cls, numbers: NDArray[np.intp]) -> "_Kind":
        order = np.argsort(numbers, kind="stable")
        return cls(order, np.unique(numbers[order], return_index=True)[1])

    @property
    def sizes(self) -> NDArray[np.intp]:
        """Images of each group, (G,)."""
        return np.diff(self.starts, append=len(self.order))

    def variance(self, centred: Values) -> Values:
        """Of the mean of each row of (P, N) values, by the jackknife: each group is left out once."""
        count, images = len(self.starts), centred.shape[1]
        without = np.add.reduceat(centred[:, self.order], self.starts, axis=1) / (images - self.sizes)
        return np.asarray((without**2).sum(1) * (count - 1) / count)


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

    @property
    def degrees(self) -> float:
        """As many groups as those of the kind with the fewest count, less 1."""
        return min(effective(kind.sizes) for kind in self.alone) - 1


def clustered(values: Values, kinds: Kinds) -> Values:
    """The variance (P,) of the mean of each row of (P, N) values, which are alike within groups of one or two kinds.

    The cluster jackknife, two-way (MacKinnon, Nielsen & Webb 2024): by one kind and by the other, minus by both
    together (Cameron, Gelbach & Miller 2011, Journal of Business & Economic Statistics 29, equation 2.11); where that
    is below the variance by one kind alone, the latter. Of equal groups it is the usual G / (G - 1) times the sum of
    squares; a large one among small ones pulls the mean to itself, and the jackknife sees that.
    """
    centred = values - values.mean(1, keepdims=True)
    alone = [kind.variance(centred) for kind in kinds.alone]
    largest = np.max(alone, axis=0)
    return np.asarray(np.maximum(sum(alone) - kinds.both.variance(centred), largest) if kinds.both else largest)


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
"""Of four entries even the same order says nothing: unrelated scores give it once in 24."""


def agreement(first: Sequence[float], second: Sequence[float], level: float = LEVEL) -> Agreement | None:
    """How far two scores rank the same K entries alike; None where fewer than five entries are told apart by both.

    The interval is that of the taus, of bivariate normal scores, under which neither so high nor so low a one is rarer
    than (1 - level) / 2. It says what another choice of architectures might give, not what other images or seeds would.
    Entries that tie count as one: they say less, and their tau-b is the higher for it.
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
    """The lower and the upper limit of tau by how many of the P pairs of K entries are in the same order, (P + 1) each.

    Simulated: scores x, and y = r x + sqrt(1 - r^2) e. Two entries are in the same order from the r on at which
    r / sqrt(1 - r^2) = -(e - e') / (x - x'), and tau is 2 / pi arctan of that. So of each draw the sorted pairs tell at
    which tau how many are in order, and the limits are quantiles over the draws; a fourth digit would be chance.
    """
    one, other = np.triu_indices(count, 1)
    random = np.random.default_rng(0)
    x, e = random.standard_normal((2, min(100_000, 1 + 3_000_000 // len(one)), count))
    turns = np.sort(2 / np.pi * np.arctan((e[:, other] - e[:, one]) / (x[:, one] - x[:, other])), axis=1)
    low = [-1.0, *np.quantile(turns, (1 - level) / 2, axis=0).round(3).tolist()]
    return low, [-limit for limit in reversed(low)]
