"""What a table shows: one list of columns for every format, so that all of them say the same with the same rounding."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal, TypeAlias

from benchmark import scores
from benchmark.common.errors import UserError, nearest
from benchmark.leaderboard.board import Row, Table
from benchmark.records.schema import Record, ReportedRecord

Value: TypeAlias = float | int | str | None
Group = Literal["entry", "scores", "sounds", "variants", "cost"]


_LESS_IS_BETTER = frozenset(
    [
        "rank",
        "iou_half_width",
        "iou_sd",
        "sisdr_clipped",
        "harm",
        "noise_left",
        "parameters_m",
        "gflops",
        "train_seconds",
        "peak_memory_gb",
    ]
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """A column: `value` of a row, rounded to `digits`; `rank` orders the columns that a narrow terminal keeps.

    `definition` says what it means. `order` is the number that rows are sorted by, where the value is a text about
    numbers.
    """

    name: str
    title: str
    definition: str
    group: Group
    value: Callable[[Row], Value]
    digits: int = 0
    rank: int = 99
    order: Callable[[Row], float] | None = None

    @property
    def less_is_better(self) -> bool:
        """Whether a low value is a good one."""
        return self.name in _LESS_IS_BETTER or self.name.startswith("empty_")

    def rounded(self, row: Row) -> Value:
        """The value as JSON shows it; None where it is unknown or undefined."""
        if not row.runs and self.group not in ("scores", "sounds") and self.name not in ("architecture", "status"):
            return None  # a reference has scores alone
        value = self.value(row)
        if not isinstance(value, float):
            return value
        if math.isnan(value):
            return None
        return round(value, self.digits) if self.digits else round(value)

    def text(self, row: Row) -> str:
        """The value as the tables show it."""
        value = self.rounded(row)
        return "–" if value is None else self.written(value)

    def written(self, value: float | str) -> str:
        """A rounded value with as many digits as the column has."""
        return f"{value:.{self.digits}f}" if isinstance(value, float) else str(value)


def of(table: Table) -> list[Column]:
    """The columns of a table: its test slices add some."""
    taken = {column.name for column in COMMON}
    slices = [
        Column(
            name=f"iou_slice_{name}" if f"iou_{name}" in taken else f"iou_{name}",
            title=f"IoU {name} (%)",
            definition=f"IoU on the test images of slice {name}",
            group="scores",
            value=_slice(name),
            digits=2,
            rank=8,
        )
        for name in table.slices
    ]
    if any(row.above for row in table.rows):
        slices = [
            _above(table.head.headline_slice, ""),
            *(part for name, own in zip(table.slices, slices, strict=True) for part in (own, _above(name, f" {name}"))),
        ]
    at = next(index for index, column in enumerate(COMMON) if column.name == "dice")
    tuned = [_CHOSEN] if any(run.training.candidates for row in table.rows for run in row.runs) else []
    return [*COMMON[:at], *slices, *COMMON[at:], *tuned, *(_sound_columns(table) if table.has_sounds else ())]


def chosen(table: Table, names: Sequence[str]) -> list[Column]:
    """The columns of those names, after the one that says which entry it is."""
    by_name = {column.name: column for column in of(table)}
    wanted = [name for name in names if name in by_name and name != "architecture"]
    return [by_name["architecture"], *(by_name[name] for name in wanted)]


def check(tables: Sequence[Table], names: Sequence[str]) -> None:
    """Refuse names that no table has.

    Raises:
        UserError: with the names that there are.
    """
    known = list(dict.fromkeys(column.name for table in tables for column in of(table)))
    for name in names:
        if name not in known:
            raise UserError(f"no column '{name}'{nearest(name, known)}; there are: {', '.join(known)}")


def _sound_columns(table: Table) -> list[Column]:
    columns = []
    for name, score in scores.SOUND_SCORES.items():
        title = f"{score.title} ({'dB' if score.unit == 'dB' else '%'})"
        value = _count(name) if score.unit == "dB" else _percent(name)
        rank = {"sisdr_improvement": 1}.get(name, 99)
        columns.append(
            Column(
                name=name, title=title, definition=score.definition, group="sounds", value=value, digits=2, rank=rank
            )
        )
        if name == "sisdr_improvement":
            columns += [
                Column(
                    name=f"sisdr_improvement_{place}",
                    title=f"SI-SDR gain {place} (dB)",
                    definition=f"SI-SDR gain on the test images of slice {place}",
                    group="sounds",
                    value=_slice(place, "sisdr_improvement", 1.0),
                    digits=2,
                    rank=9,
                )
                for place in table.slices
            ]
    return columns


def published_iou(record: Record) -> ReportedRecord | None:
    """The entry's published test IoU, if there is one."""
    return next((n for n in record.architecture.reported if (n.metric, n.split) == ("IoU", "test")), None)


def _percent(name: str) -> Callable[[Row], Value]:
    return lambda row: 100 * row.scores[name] if name in row.scores else None


def _count(name: str) -> Callable[[Row], Value]:
    return lambda row: row.scores.get(name)


def _slice(place: str, score: str = "iou", scale: float = 100.0) -> Callable[[Row], Value]:
    def value(row: Row) -> Value:
        found = row.slice_scores.get(place, {})
        return scale * found[score] if score in found else None

    return value


_ALONE = 0.05
"""Of the machine's processor time: others that take no more do not slow a run."""


def _memory(row: Row) -> Value:
    known = [run.peak_memory_bytes for run in row.runs if run.peak_memory_bytes is not None]
    return 1e-9 * fmean(known) if known else None


def _timed_alone(row: Row) -> Value:
    """How many, None where the system does not say."""
    return len(_alone(row)) if any(run.training.others is not None for run in row.runs) else None


def _alone(row: Row) -> list[Record]:
    """The runs that had the machine to themselves."""
    return [run for run in row.runs if run.training.others is not None and run.training.others <= _ALONE]


def _over_runs(
    best: Callable[[Sequence[float]], float], get: Callable[[Record], float | None]
) -> Callable[[Row], Value]:
    """Of times the best of the runs that were alone on the machine, or of all: other work only slows."""

    def value(row: Row) -> Value:
        known = [found for found in map(get, _alone(row) or row.runs) if found is not None]
        return best(known) if known else None

    return value


def ranks_text(row: Row) -> str | None:
    """The ranks that an entry may have."""
    if row.ranks is None:
        return None
    best, worst = row.ranks
    return str(best) if best == worst else f"{best}–{worst}"


def _seeds(row: Row) -> Value:
    """How many seeds were run; "2 of 3" where one failed."""
    if row.status != "finished":
        return f"0 of {len(row.failed)}"
    return f"{len(row.runs)} of {len(row.runs) + len(row.failed)}" if row.failed else len(row.runs)


def _chosen_rates(row: Row) -> Value:
    """The learning rate that each seed chose."""
    rates = [run.training.learning_rate for run in row.runs]
    return ", ".join("–" if rate is None else f"{rate:g}" for rate in rates)


def _published(row: Row) -> Value:
    number = published_iou(row.runs[0]) if row.runs else None
    return None if number is None else number.value


def _comparable(row: Row) -> Value:
    number = published_iou(row.runs[0]) if row.runs else None
    return None if number is None else number.comparable


def _score_columns() -> list[Column]:
    headline = {"iou": 1, "dice": 5, "precision": 9, "recall": 10, "surface_distance": 14}
    columns = []
    for name, score in scores.SCORES.items():
        group: Group = "scores" if name in headline else "variants"
        if name.startswith("empty_"):
            columns.append(
                Column(name=name, title=score.title, definition=score.definition, group=group, value=_count(name))
            )
        else:
            columns.append(
                Column(
                    name=name,
                    title=f"{score.title} (%)",
                    definition=score.definition,
                    group=group,
                    value=_percent(name),
                    digits=2,
                    rank=headline.get(name, 99),
                )
            )
        if name == "iou":
            columns.append(
                Column(
                    name="iou_half_width",
                    title="± (95 %)",
                    definition="half the 95 % interval of IoU, over other recordings and other seeds",
                    group="scores",
                    value=lambda row: None if row.interval is None else 100 * row.interval.half_width(),
                    digits=2,
                    rank=1,
                )
            )
            columns.append(
                Column(
                    name="iou_sd",
                    title="SD over seeds",
                    definition="standard deviation of IoU (%) over the seeds, which share the test images",
                    group="scores",
                    value=lambda row: None if row.iou_deviation is None else 100 * row.iou_deviation,
                    digits=2,
                    rank=4,
                )
            )
    return columns


def _above(place: str, suffix: str) -> Column:
    def value(row: Row) -> Value:
        return ("yes" if row.above[place] else "no") if place in row.above else None

    where = f" on the test images of slice {suffix.strip()}" if suffix else ""
    return Column(
        name="above_baseline" + suffix.replace(" ", "_"),
        title=f"Above baseline{suffix}",
        definition=f"whether IoU{where} is clearly above that of the pixel-wise baseline, which sees no shapes; "
        "one-sided, at 95 % for all entries together",
        group="scores",
        value=value,
        rank=7,
    )


_TIMED = "the fastest seed that was alone on the machine, or of all seeds where none was"

COMMON = [
    Column(
        name="rank",
        title="Rank",
        definition="the ranks that the entry may have; entries whose ranks overlap are not ordered",
        group="entry",
        value=ranks_text,
        rank=2,
        order=lambda row: sum(row.ranks or ()),
    ),
    Column(
        name="architecture",
        title="Architecture",
        definition="the plugin, with the parameters that differ from its defaults",
        group="entry",
        value=lambda row: row.label,
        rank=0,
    ),
    Column(
        name="status",
        title="Status",
        definition="finished, or why no seed finished",
        group="entry",
        value=lambda row: row.status,
    ),
    Column(
        name="seeds",
        title="Seeds",
        definition="trainings that finished, each from another seed; the scores are means over them",
        group="entry",
        value=_seeds,
        rank=3,
        order=lambda row: len(row.runs) if row.finished else 0,
    ),
    Column(
        name="weights",
        title="Weights",
        definition="what the training started from",
        group="entry",
        value=lambda row: row.runs[0].architecture.weights,
        rank=13,
    ),
    *_score_columns(),
    Column(
        name="published_iou",
        title="Published (%)",
        definition="test IoU that others printed for this network, on other data: it does not compare",
        group="scores",
        value=_published,
        digits=2,
        rank=6,
    ),
    Column(
        name="comparable",
        title="Comparable",
        definition="why the published IoU does not compare",
        group="scores",
        value=_comparable,
    ),
    Column(
        name="parameters_m",
        title="Parameters (M)",
        definition="millions of parameters, trained or not",
        group="cost",
        value=lambda row: row.runs[0].architecture.parameter_count / 1e6,
        digits=2,
        rank=7,
    ),
    Column(
        name="gflops",
        title="GFLOPs",
        definition="1e9 floating-point operations of the convolutions and matrix products of one image forward, two "
        "for each multiply-add; what counts multiply-adds under this name prints half",
        group="cost",
        value=lambda row: row.runs[0].architecture.gflops,
        digits=2,
        rank=11,
    ),
    Column(
        name="train_seconds",
        title="Training (s)",
        definition=f"seconds of training without validation; {_TIMED}",
        group="cost",
        value=_over_runs(min, lambda run: run.training.seconds),
        digits=1,
        rank=3,
    ),
    Column(
        name="train_images_per_second",
        title="Training (images/s)",
        definition=f"training images per second, of the median epoch; {_TIMED}",
        group="cost",
        value=_over_runs(max, lambda run: run.training.images_per_second),
        digits=1,
        rank=15,
    ),
    Column(
        name="test_images_per_second",
        title="Test (images/s)",
        definition=f"test images per second forward, in batches of 32; {_TIMED}",
        group="cost",
        value=_over_runs(max, lambda run: run.inference_images_per_second),
        digits=1,
        rank=12,
    ),
    Column(
        name="timed_alone",
        title="Timed alone",
        definition=f"seeds during whose training and test other processes took at most {100 * _ALONE:g} % of the "
        "machine's processor time; of a shared GPU nothing is known",
        group="cost",
        value=_timed_alone,
        rank=20,
    ),
    Column(
        name="peak_memory_gb",
        title="Peak memory (GB)",
        definition="the most memory taken: of the GPU, or of the process on a CPU; mean over the seeds",
        group="cost",
        value=_memory,
        digits=2,
        rank=16,
    ),
    Column(
        name="badge",
        title="Checked",
        definition="verified: evaluated again with the same counts; self-reported: consistent, not evaluated again; "
        "older source: the plugin was changed since",
        group="entry",
        value=lambda row: row.badge,
        rank=19,
    ),
    Column(
        name="source",
        title="Source",
        definition="hash of the plugin's code without comments and docstrings",
        group="cost",
        value=lambda row: row.runs[0].architecture.source_hash[:12],
    ),
    Column(
        name="device",
        title="Device",
        definition="what it ran on",
        group="cost",
        value=lambda row: row.runs[0].device.kind,
        rank=17,
    ),
    Column(
        name="arithmetic",
        title="Arithmetic",
        definition="precision of the network's arithmetic, and micro-batches where batches were computed in parts",
        group="cost",
        value=lambda row: row.runs[0].device.arithmetic,
        rank=18,
    ),
]
_CHOSEN = Column(
    name="learning_rate",
    title="Learning rate",
    definition="the one of highest validation IoU, for each seed",
    group="cost",
    value=_chosen_rates,
    rank=8,
)
