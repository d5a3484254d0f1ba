"""Records -> one table per comparability key. Every score is recomputed from the stored counts."""

import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from benchmark import metrics
from benchmark.leaderboard import sounds
from benchmark.leaderboard.sounds import Sounds
from benchmark.record import Record, ReportedRecord, read_all, read_counts
from benchmark.statistics import half_width

Counts: TypeAlias = Mapping[str, NDArray[Any]]

REFERENCE_SCORES = ("sisdr_improvement", "sisdr", "sisdr_median", "sisdr_clipped", "sdr_improvement", "sdr")

_PUBLISHED = Path(__file__).parent.parent / "published.toml"


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """An entry of a table: one architecture with its parameters on one device; its runs are the seeds.

    `failed` are the seeds that diverged or ran out of memory and never finished: a mean over the others flatters.
    `label` is the architecture's, and where a table has it twice, what tells the rows apart.

    `scores` are means over the runs (NaN where undefined), on the headline slice of the test split; `slice_scores`
    those of the other slices; `iou_deviation` the standard deviation of IoU over seeds, None for one seed; `by_snr`
    the SI-SDR gain per interval of input SNR.

    A reference, a mask that needs no network, is a row without runs.
    """

    label: str
    status: str
    runs: tuple[Record, ...]
    failed: tuple[Record, ...]
    scores: Mapping[str, float]
    slice_scores: Mapping[str, Mapping[str, float]]
    iou_deviation: float | None
    by_snr: tuple["Interval | None", ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Interval:
    """A mean with half its 95 % confidence interval (None: too few independent groups), over so many images."""

    mean: float
    half_width: float | None
    images: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """All rows that may be compared: one protocol digest, one manifest digest.

    `references` stand apart from the entries; `snr_bins` are the lower ends in dB of the intervals of `by_snr`.
    """

    key: str
    rows: tuple[Row, ...]
    references: tuple[Row, ...]
    slices: tuple[str, ...]
    snr_bins: tuple[float, ...]

    @property
    def has_sounds(self) -> bool:
        """Whether the sounds behind the images are known."""
        return any("sisdr" in row.scores for row in self.rows)

    @property
    def head(self) -> Record:
        """A record of the table: protocol and dataset are the same in all."""
        return self.rows[0].runs[0]


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """A number that somebody printed for an architecture, measured here or not."""

    title: str
    number: ReportedRecord


@dataclass(frozen=True, kw_only=True, slots=True)
class Board:
    """Everything that the formats show. `problems` are records that could not be used, a line each."""

    tables: tuple[Table, ...]
    published: tuple[Published, ...]
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Scored:
    record: Record
    scores: Mapping[str, float]
    slice_scores: Mapping[str, Mapping[str, float]]
    gains: NDArray[np.float64] | None = None
    """SI-SDR gain of every image of the test split, (N,) in dB."""


def build(results: Path) -> Board:
    """Read every record below `results` and group it."""
    found, problems = read_all(results)
    finished = [(path, record) for path, record in found if record.status == "finished"]
    scored = []
    for (path, record), counts in zip(finished, _read_counts([path for path, _ in finished]), strict=True):
        try:
            scored.append(_score(record, _complete(record, counts)))
        except ValueError as error:
            problems.append(f"{path / 'images.csv'} cannot be used: {error}")
    scored += [_Scored(record, {}, {}) for _, record in found if record.status != "finished"]
    groups: dict[str, list[_Scored]] = {}
    for run in scored:
        groups.setdefault(run.record.comparability_key, []).append(run)
    known = {data: sounds.load(results, *data, problems) for data in _data(scored)}
    made = (_table(key, runs, known.get(_data(runs)[0]) if _data(runs) else None) for key, runs in groups.items())
    tables = sorted(made, key=_table_order)
    return Board(tables=tuple(tables), published=tuple(_published(tables)), problems=tuple(problems))


def _read_counts(paths: Sequence[Path]) -> list[Counts | Exception]:
    """All tables in one go; where that fails, one by one, to know which is broken."""
    try:
        return list(read_counts(paths))
    except (OSError, ValueError):
        return [_read_one(path) for path in paths]


def _read_one(path: Path) -> Counts | Exception:
    try:
        return read_counts([path])[0]
    except (OSError, ValueError) as error:
        return error


def _complete(record: Record, counts: Counts | Exception) -> Counts:
    """The counts, if they are those of the record.

    Raises:
        ValueError: the table could not be read, lacks a column, or has other images than the record says.
    """
    if isinstance(counts, Exception):
        raise ValueError(counts) from counts  # noqa: TRY004 - the type says that reading failed
    missing = [name for name in ("slice", *metrics.COUNT_COLUMNS) if name not in counts]
    if missing:
        raise ValueError(f"column {missing[0]} is missing")
    slices = dict(Counter(counts["slice"].tolist()))
    if slices != record.dataset.test_slices:
        raise ValueError(f"it holds {slices} images, the record says {record.dataset.test_slices}")
    return counts


def _score(record: Record, counts: Counts) -> _Scored:
    heard = all(name in counts for name in metrics.SOUND_COLUMNS)
    columns = [*metrics.COUNT_COLUMNS, *(metrics.SOUND_COLUMNS if heard else ())]
    by_slice = {}
    for name in record.dataset.test_slices:
        inside = np.flatnonzero(counts["slice"] == name)
        by_slice[name] = {column: counts[column][inside] for column in columns}
    headline = record.headline_slice
    # All scores of the headline, and of the other slices the two that the tables show.
    scores = {name: score.compute(by_slice[headline]) for name, score in metrics.SCORES.items()}
    shown = {"iou": metrics.SCORES["iou"]}
    if heard:
        scores |= {name: score.compute(by_slice[headline]) for name, score in metrics.SOUND_SCORES.items()}
        shown |= {"sisdr_improvement": metrics.SOUND_SCORES["sisdr_improvement"]}
    others = {
        name: {score: shown[score].compute(part) for score in shown}
        for name, part in by_slice.items()
        if name != headline
    }
    return _Scored(record, scores, others, metrics.improvement(counts, "sisdr") if heard else None)


def _data(scored: Sequence[_Scored]) -> list[tuple[str, int]]:
    """Manifest and revision of the runs that have sounds."""
    heard = (run.record for run in scored if run.gains is not None)
    return list(dict.fromkeys((record.dataset.manifest, record.protocol.revision) for record in heard))


def _table(key: str, runs: Sequence[_Scored], known: Sounds | None) -> Table:
    groups: dict[tuple[str, ...], list[_Scored]] = {}
    for run in runs:
        record = run.record
        row = (record.architecture.label, record.device.kind, record.device.arithmetic, record.architecture.source_hash)
        groups.setdefault(row, []).append(run)
    rows = [_row(members, _distinction(names, groups), known) for names, members in groups.items()]
    slices = dict.fromkeys(name for run in runs for name in run.slice_scores)
    return Table(
        key=key,
        rows=tuple(sorted(rows, key=_row_order)),
        references=_references(known, runs[0].record) if known else (),
        slices=tuple(slices),
        snr_bins=known.bins if known else (),
    )


def _distinction(names: tuple[str, ...], all_names: Iterable[tuple[str, ...]]) -> str:
    """What of device, arithmetic and source differs from the table's other rows of the same label."""
    label, *own = names
    twins = [others for twin, *others in all_names if twin == label]
    differing = [index for index in range(len(own)) if any(twin[index] != own[index] for twin in twins)]
    shown = [f"source {own[index][:6]}" if index == 2 else own[index] for index in differing]
    return f" ({', '.join(shown)})" if shown else ""


def _references(known: Sounds, record: Record) -> tuple[Row, ...]:
    return tuple(_reference(name, known, record) for name in known.references)


def _reference(name: str, known: Sounds, record: Record) -> Row:
    """A reference as a row: its sound scores, on the headline slice and on the others."""
    columns = known.references[name]
    scores = {}
    for place in known.places:
        part = {key: values[known.slices == place] for key, values in columns.items()}
        scores[place] = {score: metrics.SOUND_SCORES[score].compute(part) for score in REFERENCE_SCORES}
    headline = record.headline_slice
    return Row(
        label=name,
        status="reference",
        runs=(),
        failed=(),
        scores=scores[headline],
        slice_scores={place: found for place, found in scores.items() if place != headline},
        iou_deviation=None,
        by_snr=_by_snr(metrics.improvement(columns, "sisdr"), known),
    )


def _by_snr(gains: NDArray[np.float64], known: Sounds) -> tuple[Interval | None, ...]:
    found: list[Interval | None] = []
    for chosen in known.in_bins():
        inside = chosen & np.isfinite(gains)
        groups = [labels[inside] for labels in known.groups]
        values = gains[inside]
        found.append(
            Interval(mean=float(values.mean()), half_width=half_width(values, groups), images=len(values))
            if len(values)
            else None
        )
    return tuple(found)


def _row(members: Sequence[_Scored], distinction: str, known: Sounds | None) -> Row:
    newest: dict[int, _Scored] = {}
    for run in sorted(members, key=lambda run: (run.record.status == "finished", run.record.finished)):
        newest[run.record.seed] = run  # a finished run stands before any other, then the newer one
    chosen = [newest[seed] for seed in sorted(newest)]
    runs = [run for run in chosen if run.record.status == "finished"]
    failed = [run for run in chosen if run.record.status != "finished"]
    status = runs[0].record.status if runs else failed[0].record.status
    ious = [run.scores["iou"] for run in runs]
    first: _Scored | None = runs[0] if runs else None
    return Row(
        label=chosen[0].record.architecture.label + distinction,
        status=status,
        runs=tuple(run.record for run in runs or failed),
        failed=tuple(run.record for run in failed),
        scores={name: fmean(run.scores[name] for run in runs) for name in (first.scores if first else ())},
        slice_scores={
            place: {name: fmean(run.slice_scores[place][name] for run in runs) for name in scores}
            for place, scores in (first.slice_scores if first else {}).items()
        },
        iou_deviation=stdev(ious) if len(ious) > 1 else None,
        by_snr=_by_snr(_mean_gains(runs), known) if known and runs else (),
    )


def _mean_gains(runs: Sequence[_Scored]) -> NDArray[np.float64]:
    """Over the seeds, of every image."""
    return np.asarray(np.mean([run.gains for run in runs if run.gains is not None], axis=0))


def _row_order(row: Row) -> tuple[bool, float, str]:
    iou = row.scores.get("iou", float("nan"))
    return bool(np.isnan(iou)), -iou if not np.isnan(iou) else 0.0, row.label


def _table_order(table: Table) -> tuple[str, bool, str, str]:
    """Protocols as they are before changed ones."""
    protocol = table.head.protocol
    return protocol.name, bool(protocol.overrides), table.head.dataset.label, table.key


def _published(tables: Sequence[Table]) -> list[Published]:
    """Numbers of the entries that were run, and of those that exist only in print."""
    printed = [
        Published(title=entry["title"], number=ReportedRecord.model_validate(number))
        for entry in tomllib.loads(_PUBLISHED.read_text(encoding="utf-8"))["entry"]
        for number in entry["reported"]
    ]
    measured = {
        (row.runs[0].architecture.title, number.model_dump_json()): number
        for table in tables
        for row in table.rows
        for number in row.runs[0].architecture.reported
    }
    found = [Published(title=title, number=number) for (title, _), number in measured.items()] + printed
    return sorted(found, key=lambda entry: (entry.number.metric != "IoU", entry.number.split, entry.title))
