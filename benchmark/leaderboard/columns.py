"""The columns of a table. Every format takes them from here, so all show the same values with the same rounding."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Literal, TypeAlias

from benchmark import scores
from benchmark.common.errors import UserError, nearest
from benchmark.contract import Reported
from benchmark.leaderboard import groups
from benchmark.leaderboard.board import Row, Table
from benchmark.records.schema import Record
from benchmark.scores import Score

Value: TypeAlias = float | int | str | None
Group = Literal["entry", "scores", "sounds", "variants", "cost"]

_LOW_IS_GOOD = {"rank", "iou_half_width", "iou_sd", "sisdr_clipped", "harm", "noise_left"} | {
    *("empty_false_alarm_images", "empty_false_alarm_pixels"),
    *("parameters_m", "gflops", "train_seconds", "peak_memory_gb"),
}
_ONLY_IN_FILES = 99
_ALONE = 0.05
"""Share of the machine's processor time that other processes may take without slowing a run."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """A column: `value` gives the value of a row, which is rounded to `digits`; `definition` explains it.

    A narrow terminal shows the columns of lowest `priority`; those of priority 99 are in the files only. `order` gives
    the number to sort by where the value is a text.
    """

    name: str
    title: str
    definition: str
    group: Group
    value: Callable[[Row], Value]
    digits: int = 0
    priority: int = _ONLY_IN_FILES
    order: Callable[[Row], float] | None = None

    @property
    def less_is_better(self) -> bool:
        """Whether a low value is a good one."""
        return self.name in _LOW_IS_GOOD

    def rounded(self, row: Row) -> Value:
        """The value as JSON shows it; None where it is unknown or undefined."""
        if not row.runs and self.group not in ("scores", "sounds") and self.name not in ("architecture", "status"):
            return None  # a reference has scores only
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
    """The columns of a table: the common ones, those of its test slices, of tuning, and of sounds."""
    at = next(index for index, column in enumerate(COMMON) if column.name == "dice")
    tuned = [_LEARNING_RATE] if any(run.training.candidates for row in table.rows for run in row.runs) else []
    sounds = _sound_columns(table) if table.has_sounds else []
    return [*COMMON[:at], *_slice_columns(table), *COMMON[at:], *tuned, *sounds]


def chosen(table: Table, names: Sequence[str]) -> list[Column]:
    """The columns of these names that the table has, after the architecture."""
    by_name = {column.name: column for column in of(table)}
    wanted = [name for name in names if name in by_name and name != "architecture"]
    return [by_name["architecture"], *(by_name[name] for name in wanted)]


def check(tables: Sequence[Table], names: Sequence[str]) -> None:
    """Refuse names that no table has.

    Raises:
        UserError: it lists the names that exist.
    """
    known = list(dict.fromkeys(column.name for table in tables for column in of(table)))
    for name in names:
        if name not in known:
            raise UserError(f"no column '{name}'{nearest(name, known)}; there are: {', '.join(known)}")


def published_iou(row: Row) -> Reported | None:
    """The published test IoU of an entry, if there is one."""
    numbers = row.runs[0].architecture.reported if row.runs else ()
    return next((number for number in numbers if (number.metric, number.split) == ("IoU", "test")), None)


def ranks_text(row: Row) -> str | None:
    """The ranks that an entry may have, e.g. "1-8" with a long dash."""
    if row.ranks is None:
        return None
    best, worst = row.ranks
    return str(best) if best == worst else f"{best}–{worst}"


def iou_text(row: Row) -> str:
    """IoU in per cent with half its interval, e.g. "47.1 ± 8.0"; with two decimals if the interval is below a point."""
    iou = 100 * row.scores.get("iou", math.nan)
    if row.interval is None:
        return "–" if math.isnan(iou) else f"{iou:.1f}"
    half = 100 * row.interval.half_width()
    digits = 1 if half >= 1 else 2
    return f"{iou:.{digits}f} ± {half:.{digits}f}"


# ---------------------------------------------------------------- columns of scores


def _of_score(score: Score, group: Group, priority: int = _ONLY_IN_FILES, *, place: str = "", name: str = "") -> Column:
    """The column of a score on the headline slice, or on the slice `place`; shares are shown in per cent."""

    def value(row: Row) -> Value:
        found = row.slice_scores.get(place, {}) if place else row.scores
        return (100 if score.unit == "share" else 1) * found[score.name] if score.name in found else None

    title = f"{score.title} {place}" if place else score.title
    return Column(
        name=name or score.name,
        title=title + {"share": " (%)", "dB": " (dB)", "count": ""}[score.unit],
        definition=f"{score.title} on the test images of slice {place}" if place else score.definition,
        group=group,
        value=value,
        digits=0 if score.unit == "count" else 2,
        priority=priority,
    )


def _mask_columns() -> Iterable[Column]:
    priorities = {"iou": 1, "dice": 5, "precision": 9, "recall": 10, "surface_distance": 14}
    for name, score in scores.SCORES.items():
        yield _of_score(score, "scores" if name in priorities else "variants", priorities.get(name, _ONLY_IN_FILES))
        if name == "iou":
            yield _common("iou_half_width", "± (95 %)", "scores", _half_width, digits=2, priority=1)
            yield _common("iou_sd", "SD over seeds", "scores", _deviation, digits=2, priority=4)


def _slice_columns(table: Table) -> list[Column]:
    """IoU on the other slices and, if there is a pixel-wise baseline, whether an entry is above it on each slice."""
    taken = {column.name for column in COMMON}
    names = [f"iou_slice_{place}" if f"iou_{place}" in taken else f"iou_{place}" for place in table.slices]
    ious = [
        _of_score(scores.SCORES["iou"], "scores", 8, place=place, name=name)
        for place, name in zip(table.slices, names, strict=True)
    ]
    if not any(row.above for row in table.rows):
        return ious
    pairs = zip(table.slices, ious, strict=True)
    return [_above(table.head.headline_slice), *(c for place, iou in pairs for c in (iou, _above(place, named=True)))]


def _above(place: str, *, named: bool = False) -> Column:
    """Whether an entry is above the pixel-wise baseline on a slice; `named`: the title says which slice."""

    def value(row: Row) -> Value:
        return ("yes" if row.above[place] else "no") if place in row.above else None

    where = f" on the test images of slice {place}" if named else ""
    return Column(
        name=f"above_baseline_{place}" if named else "above_baseline",
        title=f"Above baseline {place}" if named else "Above baseline",
        definition=f"whether IoU{where} is clearly above that of the pixel-wise baseline, which sees no shapes; "
        "one-sided, at 95 % for all entries together",
        group="scores",
        value=value,
        priority=7,
    )


def _sound_columns(table: Table) -> Iterable[Column]:
    for name, score in scores.SOUND_SCORES.items():
        gain = name == "sisdr_improvement"
        yield _of_score(score, "sounds", 1 if gain else _ONLY_IN_FILES)
        for place in table.slices if gain else ():
            yield _of_score(score, "sounds", 9, place=place, name=f"{name}_{place}")


# ---------------------------------------------------------------- values of the other columns


def _half_width(row: Row) -> Value:
    return None if row.interval is None else 100 * row.interval.half_width()


def _deviation(row: Row) -> Value:
    return None if row.iou_deviation is None else 100 * row.iou_deviation


def _seeds(row: Row) -> Value:
    """How many seeds finished; "2 of 3" where one failed."""
    if row.status != "finished":
        return f"0 of {len(row.failed)}"
    return f"{len(row.runs)} of {len(row.runs) + len(row.failed)}" if row.failed else len(row.runs)


def _chosen_rates(row: Row) -> Value:
    """The learning rate that each seed chose."""
    rates = [run.training.learning_rate for run in row.runs]
    return ", ".join("–" if rate is None else f"{rate:g}" for rate in rates)


def _published(row: Row) -> Value:
    number = published_iou(row)
    return None if number is None else number.value


def _comparable(row: Row) -> Value:
    number = published_iou(row)
    return None if number is None else number.comparable


def _memory(row: Row) -> Value:
    known = [run.peak_memory_bytes for run in row.runs if run.peak_memory_bytes is not None]
    return 1e-9 * fmean(known) if known else None


def _timed_alone(row: Row) -> Value:
    """How many seeds had the machine to themselves, None where the system does not say."""
    return len(_alone(row)) if any(run.training.others is not None for run in row.runs) else None


def _alone(row: Row) -> list[Record]:
    """The runs that had the machine to themselves."""
    return [run for run in row.runs if run.training.others is not None and run.training.others <= _ALONE]


def _fastest(best: Callable[[list[float]], float], get: Callable[[Record], float | None]) -> Callable[[Row], Value]:
    """Take the fastest seed that had the machine to itself, or else the fastest of all: other work only slows it."""

    def value(row: Row) -> Value:
        known = [found for found in map(get, _alone(row) or row.runs) if found is not None]
        return best(known) if known else None

    return value


# ---------------------------------------------------------------- the columns that every table has

_TIMED = "of the fastest seed that had the machine to itself, or of the fastest of all if none had"
_DEFINITIONS = {
    "rank": "the ranks that the entry may have; entries whose ranks overlap are not ordered",
    "architecture": "the plugin, with the parameters that differ from its defaults",
    "status": "finished, or why no seed finished",
    "group": "whether the entry may be the best, is behind another, is a baseline, or is not ranked yet",
    "seeds": "trainings that finished, each from another seed; the scores are means over them",
    "weights": "the weights that training started from",
    "iou_half_width": "half the 95 % interval of IoU, over other recordings and other seeds",
    "iou_sd": "standard deviation of IoU (%) over the seeds, which share the test images",
    "published_iou": "test IoU that others published for this network, on other data: do not compare it with IoU",
    "comparable": "why the published IoU cannot be compared",
    "parameters_m": "millions of parameters, trained or not",
    "gflops": "billions of floating-point operations in the convolutions and matrix products of one image forward; a "
    "multiply-add counts as two (tools that count multiply-adds under this name print half)",
    "train_seconds": f"seconds of training without validation, {_TIMED}",
    "train_images_per_second": f"training images per second in the median epoch, {_TIMED}",
    "test_images_per_second": f"test images per second forward, in batches of 32, {_TIMED}",
    "timed_alone": "seeds that had the machine to themselves: during training and test other processes took at most "
    f"{100 * _ALONE:g} % of its processor time; nothing is known about a shared GPU",
    "peak_memory_gb": "peak memory of the GPU, or of the process on a CPU; mean over the seeds",
    "badge": "verified: evaluated again with the same counts; self-reported: consistent, not evaluated again; older "
    "source: the plugin has changed since",
    "source": "hash of the plugin's code without comments and docstrings",
    "device": "the processor or GPU that it ran on",
    "arithmetic": "precision of the network's arithmetic, and the micro-batch size if batches were computed in parts",
    "learning_rate": "the learning rate with the highest validation IoU, for each seed",
}


def _common(name: str, title: str, group: Group, value: Callable[[Row], Value], **more: Any) -> Column:
    return Column(name=name, title=title, definition=_DEFINITIONS[name], group=group, value=value, **more)


def _first(get: Callable[[Record], Value]) -> Callable[[Row], Value]:
    """A fact that is the same for all seeds of an entry."""
    return lambda row: get(row.runs[0])


_seconds = _fastest(min, lambda run: run.training.seconds)
_training_speed = _fastest(max, lambda run: run.training.images_per_second)
test_speed = _fastest(max, lambda run: run.inference_images_per_second)
_parameters = _first(lambda run: run.architecture.parameter_count / 1e6)

COMMON = [
    _common("rank", "Rank", "entry", ranks_text, priority=2, order=lambda row: sum(row.ranks or ())),
    _common("architecture", "Architecture", "entry", lambda row: row.label, priority=0),
    _common("status", "Status", "entry", lambda row: row.status),
    _common("group", "Group", "entry", lambda row: str(groups.of(row))),
    _common("seeds", "Seeds", "entry", _seeds, priority=3, order=lambda row: len(row.runs) if row.finished else 0),
    _common("weights", "Weights", "entry", _first(lambda run: run.architecture.weights), priority=13),
    *_mask_columns(),
    _common("published_iou", "Published (%)", "scores", _published, digits=2, priority=6),
    _common("comparable", "Comparable", "scores", _comparable),
    _common("parameters_m", "Parameters (M)", "cost", _parameters, digits=2, priority=7),
    _common("gflops", "GFLOPs", "cost", _first(lambda run: run.architecture.gflops), digits=2, priority=11),
    _common("train_seconds", "Training (s)", "cost", _seconds, digits=1, priority=3),
    _common("train_images_per_second", "Training (images/s)", "cost", _training_speed, digits=1, priority=15),
    _common("test_images_per_second", "Test (images/s)", "cost", test_speed, digits=1, priority=12),
    _common("timed_alone", "Timed alone", "cost", _timed_alone, priority=20),
    _common("peak_memory_gb", "Peak memory (GB)", "cost", _memory, digits=2, priority=16),
    _common("badge", "Checked", "entry", lambda row: row.badge, priority=19),
    _common("source", "Source", "cost", _first(lambda run: run.architecture.source_hash[:12])),
    _common("device", "Device", "cost", _first(lambda run: run.device.kind), priority=17),
    _common("arithmetic", "Arithmetic", "cost", _first(lambda run: run.device.arithmetic), priority=18),
]
_LEARNING_RATE = _common("learning_rate", "Learning rate", "cost", _chosen_rates, priority=8)
