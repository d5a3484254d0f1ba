"""Confidence intervals and tests for means over images and seeds. NumPy and SciPy only.

Images that share a song or a background resemble each other, so the unit is the group, never the image. Another seed
gives another network, so the seeds are a second source of variance.

Legend: S seeds, N images, K entries. Labels of a kind of group are (N,).
"""

import math
from collections.abc import Sequence
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
"""Labels, or the `Kinds` made of them, for callers that use the same labels many times."""
Part: TypeAlias = tuple[Any, Any]
"""The part of a variance that comes from the seeds, and its degrees of freedom: () for one mean, (P,) for P of them."""


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
        """The p-value of the two-sided test that the expectation is 0."""
        if not self.error:
            return float(self.mean == 0)
        return float(2 * special.stdtr(self.degrees, -abs(self.mean) / self.error))


NO_GROUPS = (
    "the dataset names no recordings, songs or species; of a folder of your own, --dataset folder:group=REGEX finds "
    "them in the names"
)


def obstacle(seeds: int, labels: Alike, *, deterministic: bool = False) -> str | None:
    """Say why a mean gets no confidence interval; None where it gets one.

    `deterministic`: there is nothing to train, so every seed gives the same result.
    """
    kinds = Kinds.of(labels)
    if not kinds.alone:
        return NO_GROUPS
    fewest = min((kind.sizes for kind in kinds.alone), key=effective)
    if len(fewest) < FEWEST_GROUPS:
        return f"{len(fewest)} independent groups, fewer than {FEWEST_GROUPS}"
    if effective(fewest) < FEWEST_GROUPS - 0.1:  # five nearly equal groups count as five
        return (
            f"{len(fewest)} independent groups of such unequal size that they count as {effective(fewest):.1f}, "
            f"fewer than {FEWEST_GROUPS}"
        )
    if seeds < FEWEST_SEEDS and not deterministic:
        return f"{seeds} seed{'s' if seeds != 1 else ''}, fewer than {FEWEST_SEEDS}"
    return None


def effective(sizes: NDArray[np.intp]) -> float:
    """The number of equal groups that groups of these sizes are worth: 1 / sum of squared shares (Kish 1965).

    One long recording among short ones decides the mean almost alone, and there is only one of it.
    """
    return float(sizes.sum() ** 2 / (sizes**2).sum())


def means(entries: Sequence[Values], labels: Alike) -> list[Estimate]:
    """The means of entries on the same images, each (S, N) values over seeds and images.

    The variance is that of the groups (`clustered`) plus s^2 / S of the seeds' means; for the degrees of freedom see
    `_degrees`. A single seed (1, N) adds nothing, so `obstacle` refuses it.
    """
    known = _all(entries)
    largest = np.array([entry.largest for entry in known])
    return _estimates(np.stack([entry.means for entry in known]), Kinds.of(labels), [_seeds(known)], largest)


def difference(first: Values, second: Values, labels: Alike) -> Estimate:
    """The mean of (S, N) values minus that of other (S', N) values on the same images.

    The images are paired, so whatever makes an image hard for both cancels. The seeds are not: the same number starts
    two networks that have nothing in common.
    """
    one, other = _all([first, second])
    return _against(one, [other], Kinds.of(labels))[0]


@dataclass(frozen=True, slots=True)
class _Entry:
    """Means over the seeds (N,), the part of the variance that comes from the seeds, and the largest absolute value."""

    means: Values
    seeds: Part
    largest: float


def _all(entries: Sequence[Values]) -> list[_Entry]:
    """Summarise each (S, N) array."""
    found = []
    for values in entries:
        runs = len(values)
        part = float(values.mean(1).var(ddof=1)) / runs if runs > 1 else 0.0
        found.append(_Entry(values.mean(0), (part, max(runs - 1.0, 1.0)), float(np.abs(values).max())))
    return found


def _against(entry: _Entry, others: Sequence[_Entry], kinds: "Kinds") -> list[Estimate]:
    """The mean of the entry minus that of each of P others."""
    largest = np.maximum(entry.largest, [other.largest for other in others])
    means = entry.means - np.stack([other.means for other in others])
    return _estimates(means, kinds, [entry.seeds, _seeds(others)], largest)


def _seeds(entries: Sequence[_Entry]) -> Part:
    variances, degrees = zip(*(entry.seeds for entry in entries), strict=True)
    return np.array(variances), np.array(degrees)


def _estimates(means: Values, kinds: "Kinds", seeds: Sequence[Part], largest: Any) -> list[Estimate]:
    """Estimate the mean of each row of (P, N) values; `largest`: the largest absolute value behind each, () or (P,)."""
    groups = clustered(means, kinds)
    variance = groups + sum(part for part, _ in seeds)
    # Rounding leaves about 1e-17 of the variance of values that are all the same.
    negligible = 1e-12 * (1 + largest)
    none = variance <= negligible**2
    with np.errstate(invalid="ignore", divide="ignore"):  # where the variance is 0
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

    The groups' part has `fewest`, whatever each kind contributes: few groups whose variance is small by luck must not
    borrow the degrees of freedom of many groups (MacKinnon, Nielsen & Webb 2024, arXiv 2406.08880). Seeds are fewer
    still, and lie close together by luck more often. So the larger of their parts enters at the upper end of the
    one-sided confidence interval of its variance: of 90 % for two seeds, 80 % for three, 75 % for more.
    """
    upper = [part * degrees / special.chdtri(degrees, np.maximum(0.75, 1 - degrees / 10)) for part, degrees in seeds]
    larger = np.max(np.broadcast_arrays(*upper), axis=0)
    weights = [np.where(high == larger, high, part) for high, (part, _) in zip(upper, seeds, strict=True)]
    squares = sum(weight**2 / degrees for weight, (_, degrees) in zip(weights, seeds, strict=True))
    return np.minimum((groups + sum(weights)) ** 2 / (groups**2 / fewest + squares), fewest)


@dataclass(frozen=True, slots=True)
class _Kind:
    """One kind of group: the images (N,) in the order of their groups, and where each group starts (G,)."""

    order: NDArray[np.intp]
    starts: NDArray[np.intp]

    @classmethod
    def of(cls, numbers: NDArray[np.intp]) -> "_Kind":
        order = np.argsort(numbers, kind="stable")
        return cls(order, np.unique(numbers[order], return_index=True)[1])

    @property
    def sizes(self) -> NDArray[np.intp]:
        """The number of images in each group, (G,)."""
        return np.diff(self.starts, append=len(self.order))

    def variance(self, centred: Values) -> Values:
        """The variance (P,) of the mean of each row of (P, N) values, by the jackknife: leave each group out once."""
        count, images = len(self.starts), centred.shape[1]
        without = np.add.reduceat(centred[:, self.order], self.starts, axis=1) / (images - self.sizes)
        return np.asarray((without**2).sum(1) * (count - 1) / count)


@dataclass(frozen=True, slots=True)
class Kinds:
    """One or two kinds of groups; `both` are the groups of images that share both kinds, if there are two."""

    alone: tuple[_Kind, ...]
    both: _Kind | None

    @classmethod
    def of(cls, labels: Alike) -> "Kinds":
        """Group images by their labels (N,) of each kind."""
        if isinstance(labels, Kinds):
            return labels
        numbers = [np.unique(kind, return_inverse=True)[1].ravel() for kind in labels]
        both = _Kind.of(numbers[0] * len(numbers[0]) + numbers[1]) if len(numbers) > 1 else None
        return cls(tuple(_Kind.of(number) for number in numbers), both)

    @property
    def degrees(self) -> float:
        """The effective number of groups of the kind that has the fewest, less 1."""
        return min(effective(kind.sizes) for kind in self.alone) - 1


def clustered(values: Values, kinds: Kinds) -> Values:
    """The variance (P,) of the mean of each row of (P, N) values that resemble each other within groups.

    This is the two-way cluster jackknife (MacKinnon, Nielsen & Webb 2024): the variance by one kind plus that by the
    other, minus that by both together (Cameron, Gelbach & Miller 2011, Journal of Business & Economic Statistics 29,
    equation 2.11), and at least the variance by one kind alone. For equal groups it is the usual G / (G - 1) times the
    sum of squares. A large group among small ones pulls the mean towards itself, and the jackknife accounts for that.
    """
    centred = values - values.mean(1, keepdims=True)
    alone = [kind.variance(centred) for kind in kinds.alone]
    largest = np.max(alone, axis=0)
    return np.asarray(np.maximum(sum(alone) - kinds.both.variance(centred), largest) if kinds.both else largest)


# ---------------------------------------------------------------- rankings


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values for their number: the chance of any false finding stays below the level (Holm 1979)."""
    order = np.argsort(p_values, kind="stable")
    factors = np.arange(len(order), 0, -1)
    stepped = np.maximum.accumulate(np.asarray(p_values)[order] * factors)
    adjusted = np.empty(len(order))
    adjusted[order] = np.minimum(stepped, 1)
    return [float(value) for value in adjusted]


def differences(entries: Sequence[Values], labels: Alike) -> dict[tuple[int, int], tuple[Estimate, float]]:
    """Each pair of K entries -> its `difference`, and the p-value after Holm's correction over all pairs."""
    kinds, known = Kinds.of(labels), _all(entries)
    pairs = combinations(range(len(known)), 2)
    estimates = [
        found for index, entry in enumerate(known[:-1]) for found in _against(entry, known[index + 1 :], kinds)
    ]
    adjusted = holm([estimate.p_value for estimate in estimates])
    return {pair: (estimate, p) for pair, estimate, p in zip(pairs, estimates, adjusted, strict=True)}
