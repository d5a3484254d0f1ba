"""What a comparison of two entries holds, A `first` and B `second`; `compare` makes it, `formats.duels` shows it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from benchmark.leaderboard.board import Row, Table
from benchmark.statistics import Estimate

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
