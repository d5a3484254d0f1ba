"""Compare two entries of a table: which is better, how sure that is, and on which images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmark import scores
from benchmark.common.errors import UserError, nearest
from benchmark.leaderboard.board import Row, Table
from benchmark.leaderboard.strata import Images, Stratum
from benchmark.leaderboard.tables import with_mask
from benchmark.scores import intervals
from benchmark.scores.intervals import Estimate

EQUAL = 1e-9
"""Means over seeds that differ by less are equal: the difference is rounding."""
GROUPS = 5
"""Groups of a kind that are listed for each entry."""
IMAGES = 10
"""Images that are listed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """The means of both entries, `first` (A) and `second` (B), over the images of a slice, stratum or group.

    `estimate` is that of the difference; where it is None, `reason` says why the difference cannot be tested.
    """

    title: str
    images: int
    first: float
    second: float
    estimate: Estimate | None = None
    reason: str = ""

    @property
    def difference(self) -> float:
        """A - B."""
        return self.first - self.second

    @property
    def winner(self) -> str:
        """Who is better: "A" or "B" if the 95 % interval excludes 0, else "open"; "" without an interval."""
        if self.estimate is None:
            return ""
        if abs(self.estimate.mean) <= max(self.estimate.half_width(), EQUAL):
            return "open"
        return "A" if self.estimate.mean > 0 else "B"


@dataclass(frozen=True, kw_only=True, slots=True)
class Image(Pair):
    """One test image: `title` is its id; `groups` are its groups by kind; `snr` is in dB, NaN where not stated."""

    groups: Mapping[str, str]
    snr: float


@dataclass(frozen=True, kw_only=True, slots=True)
class ScoreComparison:
    """One score of both entries, in `unit`, on the headline slice of the test split.

    `adjusted` is the p-value after the leaderboard's correction for all `pairs` of the table; None for scores that it
    does not rank by. `strata` are by kind: SNR, area, slice. `groups` are by kind those with the biggest differences,
    first those where A is ahead, then those where B is. `ahead` counts the images where A is better, B is better, both
    are equal. `images` are those with the biggest differences.
    """

    score: str
    title: str
    unit: str
    total: Pair
    adjusted: float | None
    pairs: int
    strata: Mapping[str, tuple[Pair, ...]]
    groups: Mapping[str, tuple[tuple[Pair, ...], tuple[Pair, ...]]]
    ahead: tuple[int, int, int]
    images: tuple[Image, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class EntryComparison:
    """Two entries of one table. `units` counts the groups of each kind among the images that have a mask."""

    table: Table
    first: Row
    second: Row
    units: Mapping[str, int]
    scores: tuple[ScoreComparison, ...]


def compare(tables: Sequence[Table], first: str, second: str) -> list[EntryComparison]:
    """Compare the entries with these labels in every table that has both.

    Raises:
        UserError: no table has one of them, or both; they are the same; one of them never finished, or its images are
            not those of the manifest.
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
        one, other = (next(row for row in table.rows if row.label == label) for label in (first, second))
        if table.images is not None and one.aligned and other.aligned:
            found.append(_compare(table, table.images, one, other))
    if not found:
        bad = next(row for row in both[0].rows if row.label in (first, second) and not row.aligned)
        raise UserError(f"'{bad.label}' cannot be compared: {bad.unranked}")
    return found


def _compare(table: Table, images: Images, first: Row, second: Row) -> EntryComparison:
    ious = _Values(images=images, rows=(first, second), first=100 * first.ious, second=100 * second.ious)
    inside = images.main & ious.known
    adjusted, pairs = _adjusted(table, first.label, second.label, images)
    found = [_compare_score(ious, "iou", adjusted, pairs)]
    if len(first.gains) and len(second.gains):
        gains = _Values(images=images, rows=(first, second), first=first.gains, second=second.gains)
        found.append(_compare_score(gains, "sisdr_improvement", None, 0))
    units = zip(images.kinds, images.groups, strict=True)
    return EntryComparison(
        table=table,
        first=first,
        second=second,
        units={kind: len(np.unique(labels[inside])) for kind, labels in units},
        scores=tuple(found),
    )


_SHOWN = {
    "iou": (scores.SCORES["iou"].title, "percentage points"),
    "sisdr_improvement": (scores.SOUND_SCORES["sisdr_improvement"].title, "dB"),
}
"""Score -> its title and the unit of the comparison."""


def _adjusted(table: Table, first: str, second: str, images: Images) -> tuple[float | None, int]:
    """The p-value of a pair after the leaderboard's correction, and its number of pairs; None if one has no rank."""
    able = [row for row in table.rows if row.ranks is not None]
    labels = [row.label for row in able]
    if first not in labels or second not in labels:
        return None, 0
    kept = with_mask(able[0], images)
    pairs = intervals.differences([row.ious[:, kept] for row in able], [group[kept] for group in images.groups])
    low, high = sorted((labels.index(first), labels.index(second)))
    return pairs[low, high][1], len(pairs)


# ---------------------------------------------------------------- one score


@dataclass(frozen=True, kw_only=True, slots=True)
class _Values:
    """A score of both entries for every seed and test image, (S, N) and (S', N); NaN where undefined."""

    images: Images
    rows: tuple[Row, Row]
    first: NDArray[np.float64]
    second: NDArray[np.float64]

    @property
    def known(self) -> NDArray[np.bool_]:
        """The images where both are defined: (N,)."""
        return np.asarray(np.isfinite(self.first).all(0) & np.isfinite(self.second).all(0))

    def pair(self, title: str, inside: NDArray[np.bool_], *, test: bool) -> Pair:
        """The means over the images `inside` (N,); `test` adds the estimate of the difference, or why there is none."""
        if not inside.any():
            return Pair(title=title, images=0, first=np.nan, second=np.nan, reason="no such image")
        first, second = self.first[:, inside], self.second[:, inside]
        labels = [labels[inside] for labels in self.images.groups]
        reason = self._reason(labels) if test else ""
        return Pair(
            title=title,
            images=int(inside.sum()),
            first=float(first.mean()),
            second=float(second.mean()),
            estimate=intervals.difference(first, second, labels) if test and not reason else None,
            reason=reason,
        )

    def _reason(self, labels: Sequence[NDArray[np.str_]]) -> str:
        """Why the difference of images with these labels cannot be tested, empty if it can."""
        reasons = [
            row.unranked if row.failed else intervals.obstacle(len(row.runs), labels, deterministic=row.deterministic)
            for row in self.rows
        ]
        if reasons[0] == reasons[1]:
            return reasons[0] or ""
        return "; ".join(f"{name}: {reason}" for name, reason in zip("AB", reasons, strict=True) if reason)


def _compare_score(values: _Values, score: str, adjusted: float | None, pairs: int) -> ScoreComparison:
    images = values.images
    title, unit = _SHOWN[score]
    inside = images.main & values.known
    others = [Stratum(title=place, low=0.0, inside=images.slices == place) for place in images.places[1:]]
    strata = {"snr": images.by_snr(), "area": images.by_area(), "slice": others}
    differences = (values.first.mean(0) - values.second.mean(0))[inside]
    better, worse = int((differences > EQUAL).sum()), int((differences < -EQUAL).sum())
    return ScoreComparison(
        score=score,
        title=title,
        unit=unit,
        total=values.pair(images.places[0], inside, test=True),
        adjusted=adjusted,
        pairs=pairs,
        strata={kind: _tested(values, found) for kind, found in strata.items()},
        groups={
            kind: _groups(values, labels, inside) for kind, labels in zip(images.kinds, images.groups, strict=True)
        },
        ahead=(better, worse, len(differences) - better - worse),
        images=_images(values, inside),
    )


def _tested(values: _Values, strata: Sequence[Stratum]) -> tuple[Pair, ...]:
    """The strata that hold an image, each with its test."""
    inside = [(stratum.title, stratum.inside & values.known) for stratum in strata]
    return tuple(values.pair(title, kept, test=True) for title, kept in inside if kept.any())


def _groups(
    values: _Values, labels: NDArray[np.str_], inside: NDArray[np.bool_]
) -> tuple[tuple[Pair, ...], tuple[Pair, ...]]:
    """The groups where A is ahead and those where B is, biggest difference first."""
    names = np.unique(labels[inside])
    found = [values.pair(str(name), inside & (labels == name), test=False) for name in names]
    ordered = sorted(found, key=lambda group: (-abs(group.difference), group.title))
    return (
        tuple([group for group in ordered if group.difference > EQUAL][:GROUPS]),
        tuple([group for group in ordered if group.difference < -EQUAL][:GROUPS]),
    )


def _images(values: _Values, inside: NDArray[np.bool_]) -> tuple[Image, ...]:
    """The images with the biggest differences."""
    images = values.images
    first, second = values.first.mean(0), values.second.mean(0)
    differences = np.abs(first - second)
    different = [index for index in np.flatnonzero(inside) if differences[index] > EQUAL]
    biggest = sorted(different, key=lambda index: (-differences[index], images.ids[index]))[:IMAGES]
    return tuple(
        Image(
            title=images.ids[index],
            images=1,
            first=float(first[index]),
            second=float(second[index]),
            groups={kind: str(labels[index]) for kind, labels in zip(images.kinds, images.groups, strict=True)},
            snr=float(images.snr[index]),
        )
        for index in biggest
    )
