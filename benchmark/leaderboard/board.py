"""The data that every format shows: a board of tables, with a row for each entry."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.contract import Reported
from benchmark.leaderboard.strata import Images
from benchmark.protocols import REVISION
from benchmark.records.schema import Record
from benchmark.scores.intervals import Estimate
from benchmark.scores.ranks import Agreement


@dataclass(frozen=True, kw_only=True, slots=True)
class Interval:
    """A mean over `images` images, with half its 95 % confidence interval (None: there is none)."""

    mean: float
    half_width: float | None
    images: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """An entry of a table: one architecture with its parameters on one device; its runs are the seeds.

    `label` is that of the architecture, with a distinction if the table has it twice. `folders` are those of `runs`.
    `failed` are the seeds that diverged or ran out of memory; a mean over the other seeds is too good.

    `scores` are means over the runs on the headline slice of the test split, NaN where undefined; `slice_scores` are
    those on the other slices. `iou_deviation` is the standard deviation of IoU over the seeds, None for one seed.

    `ious` (S, N) hold every seed and test image, NaN where the mask is empty. `gains` hold SI-SDR in dB likewise, NaN
    for silence, shape (0, 0) if no sounds are known. `by_snr` are means of `gains` by interval of input SNR, `strata`
    means of `ious` by kind of stratum.

    `aligned`: the images of every run are those of the manifest in the same order. Only then can they be paired,
    grouped and shown.

    `interval` and `ranks` are None if an entry cannot be ranked; `unranked` then says why. `above` says for each slice
    that can be tested whether the entry is above the pixel-wise baseline of the table.

    A reference (a mask that needs no network, or a denoiser) is a row without runs.
    """

    label: str
    status: str
    runs: tuple[Record, ...] = ()
    folders: tuple[Path, ...] = ()
    failed: tuple[Record, ...] = ()
    scores: Mapping[str, float]
    slice_scores: Mapping[str, Mapping[str, float]]
    iou_deviation: float | None = None
    ious: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 0)))
    gains: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 0)))
    by_snr: tuple[Interval | None, ...] = ()
    strata: Mapping[str, tuple[Interval | None, ...]] = field(default_factory=dict)
    interval: Estimate | None = None
    ranks: tuple[int, int] | None = None
    unranked: str = ""
    above: Mapping[str, bool] = field(default_factory=dict)
    aligned: bool = False
    badge: str = ""

    @property
    def finished(self) -> bool:
        """Whether there is a run whose scores can be shown."""
        return self.status == "finished"

    @property
    def deterministic(self) -> bool:
        """Whether there is nothing to train, so every seed gives the same."""
        return self.status == "reference" or (self.finished and self.runs[0].architecture.parameter_count == 0)

    @property
    def complete(self) -> bool:
        """Whether every seed finished, on the images of the manifest."""
        return self.finished and not self.failed and self.aligned


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """All rows that can be compared: they share the protocol digest and the manifest digest.

    `references` are not entries. `snr_bins` are the lower ends of the intervals of `by_snr` in dB. `images` describe
    the test images, None if the manifest is missing. `name` is short, for file names, links and filters: the protocol,
    with the beginning of the key unless it is the only table of the protocol as it stands. `distinction` is added to
    the heading if two tables would have the same.

    `rows` stand in groups, see `groups`, by IoU within each. `verdict` are the sentences that sum the whole table up.
    """

    key: str
    name: str = ""
    rows: tuple[Row, ...]
    references: tuple[Row, ...]
    slices: tuple[str, ...]
    snr_bins: tuple[float, ...]
    images: Images | None = None
    distinction: str = ""
    verdict: Mapping[str, str] = field(default_factory=dict)

    @property
    def has_sounds(self) -> bool:
        """Whether the sounds behind the images are known."""
        return any("sisdr" in row.scores for row in self.rows)

    @property
    def head(self) -> Record:
        """Any record of the table: all have the same protocol and dataset."""
        return self.rows[0].runs[0]

    @property
    def heading(self) -> str:
        """The protocol with its changes, and the dataset."""
        return f"{self.head.protocol.name}{self.changes} on {self.head.dataset.label}{self.distinction}"

    @property
    def title(self) -> str:
        """The table in words, with its name."""
        return f"{self.head.protocol.title}{self.changes} ({self.name})"

    @property
    def changes(self) -> str:
        """What the protocol was changed in, and an old revision; "" if it stands as it is."""
        protocol = self.head.protocol
        changed = ", ".join(f"{name} = {_listed(value)}" for name, value in sorted(protocol.overrides.items()))
        revision = f", revision {protocol.revision}" if protocol.revision != REVISION else ""
        return f"{f' with {changed}' if changed else ''}{revision}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """A published number of a system, whether or not it was measured here."""

    title: str
    number: Reported


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """How far two tables agree on the order of the entries that both have."""

    first: str
    second: str
    agreement: Agreement


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """Mean IoU over `seeds` of the `of` seeds that the entry has.

    `at_home`: on the test of its own data. `leaking`: part of the test was in its training or validation split.
    """

    iou: float
    seeds: int
    of: int
    at_home: bool
    leaking: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class MatrixRow:
    """An entry, the name of the table that it was trained for, and its IoU on every test (None: not tested)."""

    entry: str
    trained_on: str
    cells: tuple[Cell | None, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Matrix:
    """Entries, by the data that they were trained on, times the data that they were tested on."""

    tests: tuple[str, ...]
    rows: tuple[MatrixRow, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Board:
    """Everything that the formats show. `problems` has a line for each record that cannot be used."""

    tables: tuple[Table, ...]
    published: tuple[Published, ...]
    comparisons: tuple[Comparison, ...]
    problems: tuple[str, ...]
    matrix: Matrix | None = None


def _listed(value: Any) -> str:
    return ", ".join(f"{part:g}" for part in value) if isinstance(value, list) else str(value)
