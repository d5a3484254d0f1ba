"""What every format shows: entries in rows, rows in tables, tables on a board."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.leaderboard.strata import Images
from benchmark.protocols import REVISION
from benchmark.records.schema import Record, ReportedRecord
from benchmark.scores.uncertainty import Agreement, Estimate


@dataclass(frozen=True, kw_only=True, slots=True)
class Interval:
    """A mean with half its 95 % confidence interval (None: nothing can be said), over so many images."""

    mean: float
    half_width: float | None
    images: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """An entry of a table: one architecture with its parameters on one device; its runs are the seeds.

    `failed` are the seeds that diverged or ran out of memory and never finished: a mean over the others flatters.
    `label` is the architecture's, and where a table has it twice, what tells the rows apart. `folders` are those of
    `runs`.

    `scores` are means over the runs (NaN where undefined), on the headline slice of the test split; `slice_scores`
    those of the other slices; `iou_deviation` the standard deviation of IoU over seeds, None for one seed.

    `ious` are of every seed and test image (S, N), NaN where the mask is empty; `gains` likewise, SI-SDR in dB (S, N),
    NaN for silence, (0, 0) where no sounds are known. `by_snr` is the mean of `gains` per interval of input SNR,
    `strata` that of `ious` by kind of stratum.

    `aligned` says that the images of every run are those of the manifest, in its order: only then may they be paired,
    grouped or shown.

    `interval` and `ranks` are None where an entry cannot be ranked; `unranked` says why.

    `above` says of each slice whether the entry is above the table's pixel-wise baseline; a slice of which nothing can
    be said is left out.

    A reference, a mask that needs no network or a denoiser, is a row without runs.
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
        """Whether there is nothing to train: every seed gives the same."""
        return self.finished and self.runs[0].architecture.parameter_count == 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """All rows that may be compared: one protocol digest, one manifest digest.

    `references` stand apart from the entries; `snr_bins` are the lower ends in dB of the intervals of `by_snr`.
    `images` is what is known of the test images, None where the manifest is missing.
    """

    key: str
    rows: tuple[Row, ...]
    references: tuple[Row, ...]
    slices: tuple[str, ...]
    snr_bins: tuple[float, ...]
    images: Images | None = None
    distinction: str = ""
    """What tells it apart where two tables would be called the same."""

    @property
    def has_sounds(self) -> bool:
        """Whether the sounds behind the images are known."""
        return any("sisdr" in row.scores for row in self.rows)

    @property
    def head(self) -> Record:
        """A record of the table: protocol and dataset are the same in all."""
        return self.rows[0].runs[0]

    @property
    def heading(self) -> str:
        """Protocol, what was changed in it, and dataset."""
        protocol = self.head.protocol
        changed = ", ".join(f"{name} = {_listed(value)}" for name, value in sorted(protocol.overrides.items()))
        revision = f", revision {protocol.revision}" if protocol.revision != REVISION else ""
        start = f"{protocol.name}{f' with {changed}' if changed else ''}{revision}"
        return f"{start} on {self.head.dataset.label}{self.distinction}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """A number that somebody printed for an architecture, measured here or not."""

    title: str
    number: ReportedRecord


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """How far two tables rank the entries alike that stand in both."""

    first: str
    second: str
    agreement: Agreement


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """Mean IoU over so many seeds, of as many as the entry has; `at_home`: on the test of its own data.

    `leaking`: some of the test was in its training or validation.
    """

    iou: float
    seeds: int
    of: int
    at_home: bool
    leaking: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class MatrixRow:
    """An entry, the table that it was trained in, and its IoU on every test (None: not tested)."""

    entry: str
    trained_on: str
    cells: tuple[Cell | None, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Matrix:
    """Entries by what they were trained on, times what they were tested on."""

    tests: tuple[str, ...]
    rows: tuple[MatrixRow, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Board:
    """Everything that the formats show. `problems` are records that could not be used, a line each."""

    tables: tuple[Table, ...]
    published: tuple[Published, ...]
    comparisons: tuple[Comparison, ...]
    problems: tuple[str, ...]
    matrix: Matrix | None = None


def _listed(value: Any) -> str:
    return ", ".join(f"{part:g}" for part in value) if isinstance(value, list) else str(value)
