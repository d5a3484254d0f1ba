"""Two entries of a table, side by side: by how much one is better, how sure that is, and where."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from benchmark import scores
from benchmark.common.errors import UserError, nearest
from benchmark.leaderboard.board import Row, Table
from benchmark.leaderboard.strata import Images, Stratum
from benchmark.leaderboard.tables import with_mask
from benchmark.scores import uncertainty
from benchmark.scores.uncertainty import Estimate

EQUAL = 1e-9
"""Means over seeds that differ by less are equal: what is left is rounding."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Means:
    """The means of both entries, A `first` and B `second`, over so many images of one `title`."""

    title: str
    images: int
    first: float
    second: float

    @property
    def difference(self) -> float:
        """A - B."""
        return self.first - self.second


@dataclass(frozen=True, kw_only=True, slots=True)
class Tested(Means):
    """Means whose difference has an `estimate`, or None and the `reason` why nothing can be said of how sure it is."""

    estimate: Estimate | None
    reason: str

    @property
    def winner(self) -> str:
        """Where the 95 % interval leaves 0 out, "A" or "B"; where it does not, "open"; without an interval, ""."""
        if self.estimate is None:
            return ""
        if abs(self.estimate.mean) <= max(self.estimate.half_width(), EQUAL):
            return "open"
        return "A" if self.estimate.mean > 0 else "B"


@dataclass(frozen=True, kw_only=True, slots=True)
class Image:
    """A test image: its groups by kind, its input SNR in dB (NaN: not stated), the means over seeds of both entries."""

    id: str
    groups: Mapping[str, str]
    snr: float
    first: float
    second: float

    @property
    def difference(self) -> float:
        """A - B."""
        return self.first - self.second


@dataclass(frozen=True, kw_only=True, slots=True)
class Contest:
    """One score of both entries in its `unit`, on the headline slice of the test split.

    `adjusted` is the p-value after the correction for all `pairs` of the table that the leaderboard makes; None for
    scores that it does not rank by. `bootstrap` is the standard error by `statistics.pigeonhole`, None where nothing is
    tested. `strata` are by kind: SNR, area, slice. `groups` are, by kind, those in which A is ahead by most, and those
    in which B is, the largest difference first. `ahead` counts the images on which A is better, B is, neither is;
    `images` are those that differ most. Without the manifest there is `total` alone.
    """

    score: str
    title: str
    unit: str
    total: Tested
    adjusted: float | None = None
    pairs: int = 0
    bootstrap: float | None = None
    strata: Mapping[str, tuple[Tested, ...]] = field(default_factory=dict)
    groups: Mapping[str, tuple[tuple[Means, ...], tuple[Means, ...]]] = field(default_factory=dict)
    ahead: tuple[int, int, int] | None = None
    images: tuple[Image, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Duel:
    """Two entries of one table. `units` are the kinds of groups of the images with a mask, and how many of each."""

    table: Table
    first: Row
    second: Row
    units: Mapping[str, int]
    contests: tuple[Contest, ...]


GROUPS = 5
"""So many groups of a kind are listed for each of the two."""
IMAGES = 10
DRAWS = 2000


def duels(tables: Sequence[Table], first: str, second: str) -> list[Duel]:
    """The comparison of the entries of those labels in every table that has both.

    Raises:
        UserError: no table has one of them, or both; they are the same; one of them never finished.
    """
    known = list(dict.fromkeys(row.label for table in tables for row in table.rows))
    for label in (first, second):
        if label not in known:
            raise UserError(f"no entry '{label}'{nearest(label, known)}; there are: {', '.join(known)}")
    if first == second:
        raise UserError(f"'{first}' is compared with itself; name two entries")
    both = [table for table in tables if {first, second} <= {row.label for row in table.rows}]
    if not both:
        raise UserError(f"no table has both '{first}' and '{second}'; run both with the same protocol and data")
    found = []
    for table in both:
        rows = {row.label: row for row in table.rows}
        if rows[first].finished and rows[second].finished:
            found.append(_duel(table, rows[first], rows[second]))
    if not found:
        lost = next(row for row in both[0].rows if row.label in (first, second) and not row.finished)
        raise UserError(f"'{lost.label}' has no finished seed ({lost.status}); choose an entry that has a score")
    return found


def _duel(table: Table, first: Row, second: Row) -> Duel:
    images = table.images
    if images is None or not (first.aligned and second.aligned):
        return Duel(table=table, first=first, second=second, units={}, contests=_without_images(first, second))
    ious = _Values(images=images, rows=(first, second), first=100 * first.ious, second=100 * second.ious)
    inside = images.main & ious.known
    adjusted, pairs = _adjusted(table, first.label, second.label, images)
    contests = [_contest(ious, "iou", adjusted, pairs)]
    if len(first.gains) and len(second.gains):
        gains = _Values(images=images, rows=(first, second), first=first.gains, second=second.gains)
        contests.append(_contest(gains, "sisdr_improvement", None, 0))
    units = zip(images.kinds, images.groups, strict=True)
    return Duel(
        table=table,
        first=first,
        second=second,
        units={kind: len(np.unique(labels[inside])) for kind, labels in units},
        contests=tuple(contests),
    )


def _without_images(first: Row, second: Row) -> tuple[Contest, ...]:
    """All that can be said where nothing is known of the images: the scores, as the leaderboard shows them."""
    return tuple(
        Contest(
            score=score,
            title=title,
            unit=unit,
            total=Tested(
                title=first.runs[0].headline_slice,
                images=0,
                first=scale * first.scores[score],
                second=scale * second.scores[score],
                estimate=None,
                reason=first.unranked,
            ),
        )
        for score, (title, unit, scale) in _SHOWN.items()
        if score in first.scores and score in second.scores
    )


def _adjusted(table: Table, first: str, second: str, images: Images) -> tuple[float | None, int]:
    """The p-value of a pair after the leaderboard's correction, and over how many pairs; None where one has no rank."""
    able = [row for row in table.rows if row.ranks is not None]
    labels = [row.label for row in able]
    if first not in labels or second not in labels:
        return None, 0
    kept = with_mask(able[0], images)
    pairs = uncertainty.differences([row.ious[:, kept] for row in able], [group[kept] for group in images.groups])
    low, high = sorted((labels.index(first), labels.index(second)))
    return pairs[low, high][1], len(pairs)


# ---------------------------------------------------------------- one score


@dataclass(frozen=True, kw_only=True, slots=True)
class _Values:
    """A score of both entries, of every seed and test image, (S, N) and (S', N); NaN where undefined."""

    images: Images
    rows: tuple[Row, Row]
    first: NDArray[np.float64]
    second: NDArray[np.float64]

    @property
    def known(self) -> NDArray[np.bool_]:
        """Where both are defined: (N,)."""
        return np.asarray(np.isfinite(self.first).all(0) & np.isfinite(self.second).all(0))

    def means(self, title: str, inside: NDArray[np.bool_]) -> Means:
        """Of the images `inside` (N,), at least one."""
        first, second = (float(values[:, inside].mean()) for values in (self.first, self.second))
        return Means(title=title, images=int(inside.sum()), first=first, second=second)

    def tested(self, title: str, inside: NDArray[np.bool_]) -> Tested:
        """The same with the difference's estimate, or the reason why there is none."""
        if not inside.any():
            nothing = float("nan")
            return Tested(title=title, images=0, first=nothing, second=nothing, estimate=None, reason="no such image")
        found = self.means(title, inside)
        labels = [labels[inside] for labels in self.images.groups]
        reason = self._reason(labels)
        estimate = None if reason else uncertainty.difference(self.first[:, inside], self.second[:, inside], labels)
        return Tested(
            title=title,
            images=found.images,
            first=found.first,
            second=found.second,
            estimate=estimate,
            reason=reason,
        )

    def _reason(self, labels: Sequence[NDArray[np.str_]]) -> str:
        """Why the difference of images with those labels cannot be tested, empty if it can."""
        reasons = [
            # A seed that failed is no matter of labels: the leaderboard's own words.
            row.unranked if row.failed else uncertainty.obstacle(len(row.runs), labels, deterministic=row.deterministic)
            for row in self.rows
        ]
        if reasons[0] == reasons[1]:
            return reasons[0] or ""
        return "; ".join(f"{name}: {reason}" for name, reason in zip("AB", reasons, strict=True) if reason)


_SHOWN = {
    "iou": (scores.SCORES["iou"].title, "points of per cent", 100.0),
    "sisdr_improvement": (scores.SOUND_SCORES["sisdr_improvement"].title, "dB", 1.0),
}
"""Score -> its title, the unit that it is compared in, and how many of that unit the stored one is."""


def _contest(values: _Values, score: str, adjusted: float | None, pairs: int) -> Contest:
    images = values.images
    title, unit, _ = _SHOWN[score]
    inside = images.main & values.known
    total = values.tested(images.places[0], inside)
    error = None
    if total.estimate is not None:
        labels = [labels[inside] for labels in images.groups]
        first, second = values.first[:, inside], values.second[:, inside]
        error = float(uncertainty.pigeonhole(first, labels, against=second, draws=DRAWS).std())
    strata = {"snr": images.by_snr(), "area": images.by_area(), "slice": list(_other_slices(images))}
    return Contest(
        score=score,
        title=title,
        unit=unit,
        total=total,
        adjusted=adjusted,
        pairs=pairs,
        bootstrap=error,
        strata={kind: _tested(values, found) for kind, found in strata.items()},
        groups={
            kind: _groups(values, labels, inside) for kind, labels in zip(images.kinds, images.groups, strict=True)
        },
        ahead=_ahead(values, inside),
        images=_most(values, inside),
    )


def _other_slices(images: Images) -> Iterable[Stratum]:
    for place in images.places[1:]:
        yield Stratum(title=place, low=0.0, inside=np.asarray(images.slices == place))


def _tested(values: _Values, strata: Sequence[Stratum]) -> tuple[Tested, ...]:
    inside = [(stratum.title, stratum.inside & values.known) for stratum in strata]
    return tuple(values.tested(title, kept) for title, kept in inside if kept.any())


def _groups(
    values: _Values, labels: NDArray[np.str_], inside: NDArray[np.bool_]
) -> tuple[tuple[Means, ...], tuple[Means, ...]]:
    found = [values.means(str(name), inside & (labels == name)) for name in np.unique(labels[inside])]
    ordered = sorted(found, key=lambda group: (-abs(group.difference), group.title))
    return (
        tuple([group for group in ordered if group.difference > EQUAL][:GROUPS]),
        tuple([group for group in ordered if group.difference < -EQUAL][:GROUPS]),
    )


def _ahead(values: _Values, inside: NDArray[np.bool_]) -> tuple[int, int, int]:
    differences = (values.first.mean(0) - values.second.mean(0))[inside]
    better, worse = int((differences > EQUAL).sum()), int((differences < -EQUAL).sum())
    return better, worse, len(differences) - better - worse


def _most(values: _Values, inside: NDArray[np.bool_]) -> tuple[Image, ...]:
    images = values.images
    first, second = values.first.mean(0), values.second.mean(0)
    found = [
        Image(
            id=images.ids[index],
            groups={kind: str(labels[index]) for kind, labels in zip(images.kinds, images.groups, strict=True)},
            snr=float(images.snr[index]),
            first=float(first[index]),
            second=float(second[index]),
        )
        for index in np.flatnonzero(inside)
        if abs(first[index] - second[index]) > EQUAL
    ]
    return tuple(sorted(found, key=lambda image: (-abs(image.difference), image.id))[:IMAGES])
