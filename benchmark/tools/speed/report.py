"""The figures of `bench speed` as a table, as CSV and as Markdown."""

import datetime
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from rich import box
from rich.table import Table
from tabulate import tabulate

from benchmark.common import files
from benchmark.records import tables
from benchmark.tools.speed.ceiling import Ceiling
from benchmark.tools.speed.measure import Failure, Speed
from benchmark.tools.speed.rivals import OURS


@dataclass(frozen=True, kw_only=True, slots=True)
class Race:
    """Images per second by contestant, a figure per round; ratios are of ours to theirs in the same round."""

    label: str
    images: int
    rates: dict[str, list[float]]
    decode_seconds: float | None
    failed: dict[str, str] = field(default_factory=dict)
    """Why a contestant has no figures."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Column:
    name: str
    title: str
    value: Callable[[Speed], Any]
    digits: str = ""
    """How it is shown; three significant digits if not said."""
    table: str = "Cost, throughput (images/s) and memory (GiB)"


_LATENCY = "Latency (ms), and what bounds the training"
_COLUMNS = (
    _Column(name="parameters_million", title="M params", value=lambda s: s.parameters / 1e6, digits=".2f"),
    _Column(name="gigaflops", title="GFLOPs", value=lambda s: s.gigaflops, digits=".2f"),
    _Column(name="train_images_per_second", title="train/s", value=lambda s: s.train),
    _Column(name="infer_images_per_second", title="infer/s", value=lambda s: s.infer),
    _Column(
        name="latency_1_p50_ms",
        title="b1 p50",
        value=lambda s: 1e3 * s.latency[0].p50,
        table=_LATENCY,
    ),
    _Column(name="latency_1_p95_ms", title="p95", value=lambda s: 1e3 * s.latency[0].p95, table=_LATENCY),
    _Column(
        name="latency_16_p50_ms",
        title="b16 p50",
        value=lambda s: 1e3 * s.latency[1].p50,
        table=_LATENCY,
    ),
    _Column(name="latency_16_p95_ms", title="p95 ", value=lambda s: 1e3 * s.latency[1].p95, table=_LATENCY),
    _Column(name="train_memory_gib", title="train", value=lambda s: _gib(s.train_memory), digits=".2f"),
    _Column(name="infer_memory_gib", title="infer", value=lambda s: _gib(s.infer_memory), digits=".2f"),
    _Column(name="step_gigaflops", title="", value=lambda s: s.demand and s.demand.flops / 1e9),
    _Column(name="step_gigabytes", title="", value=lambda s: s.demand and s.demand.bytes / 1e9),
    _Column(name="bound_by", title="bound by", value=lambda s: s.bound or None, table=_LATENCY),
    _Column(
        name="share_of_ceiling_percent",
        title="share %",
        value=lambda s: s.share and 100 * s.share,
        digits=".0f",
        table=_LATENCY,
    ),
)


_MARKDOWN_TITLES = {
    "train_images_per_second": "training, images/s",
    "infer_images_per_second": "inference, images/s",
    "latency_1_p50_ms": "latency at batch 1, p50 ms",
    "latency_1_p95_ms": "p95 ms",
    "latency_16_p50_ms": "at batch 16, p50 ms",
    "latency_16_p95_ms": "p95 ms",
    "train_memory_gib": "memory training, GiB",
    "infer_memory_gib": "inference, GiB",
    "share_of_ceiling_percent": "share of that ceiling, %",
}


def _gib(value: int | None) -> float | None:
    return None if value is None else value / 2**30


def _shown(column: _Column, speed: Speed) -> str:
    value = column.value(speed)
    if value is None or isinstance(value, str):
        return value or "-"
    return format(value, column.digits) if column.digits else _three_digits(value)


def _three_digits(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def heading(speeds: Sequence[Speed], most: Ceiling) -> list[str]:
    """On what and how it was measured."""
    first = speeds[0]
    height, width = first.image_size
    return [
        f"{first.kind}, {first.precision}, {first.threads} threads, execution {first.execution}; "
        f"{height} x {width}, training batches of {first.batch_size}.",
        f"Ceilings of the device, measured: {most.flops / 1e9:.0f} GFLOP/s in a matrix product, "
        f"{most.bytes / 1e9:.1f} GB/s in a copy.",
        f"torch {version('torch')}, Python {platform.python_version()}, {datetime.date.today().isoformat()}.",
    ]


def speed_tables(results: Sequence[Speed | Failure]) -> list[Table]:
    """For the terminal, 80 columns wide."""
    return [_speed_table(title, results) for title in dict.fromkeys(column.table for column in _COLUMNS)]


def _speed_table(title: str, results: Sequence[Speed | Failure]) -> Table:
    columns = [column for column in _COLUMNS if column.title and column.table == title]
    table = _table(title, ["Architecture", *(column.title for column in columns)])
    for result in results:
        if isinstance(result, Failure):
            table.add_row(result.label, "-")
        else:
            table.add_row(result.label, *(_shown(column, result) for column in columns))
    return table


def _table(title: str, header: Sequence[str], left: Sequence[str] = ("Architecture", "training")) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in header:
        table.add_column(name, justify="left" if name in left else "right", no_wrap=True)
    return table


def _race_rows(races: Sequence[Race]) -> tuple[list[str], list[list[str]]]:
    header = ["Architecture", "images", "training", "images/s", "in each round", "ours is faster by"]
    rows = []
    for race in races:
        for name, message in race.failed.items():
            rows.append([race.label, str(race.images), name, "-", message, ""])
        for name, rates in race.rates.items() if OURS in race.rates else ():
            ratios = sorted(ours / theirs for ours, theirs in zip(race.rates[OURS], rates, strict=True))
            factor = "" if name == OURS else f"{median(ratios):.2f} x ({ratios[0]:.2f}-{ratios[-1]:.2f})"
            rounds = " ".join(_three_digits(rate) for rate in rates)
            rows.append([race.label, str(race.images), name, _three_digits(median(rates)), rounds, factor])
    return header, rows


def race_table(races: Sequence[Race]) -> Table:
    """For the terminal, 80 columns wide: without each round's figures, which the files have."""
    header, rows = _race_rows(races)
    shown = [number for number, name in enumerate(header) if name not in ("images", "in each round")]
    table = _table("Side by side, in turns", [header[number] for number in shown])
    for row in rows:
        table.add_row(*(row[number] for number in shown))
    return table


def notes(races: Sequence[Race]) -> list[str]:
    """What the ratios leave out."""
    return [
        f"{race.label}: decoding and resizing takes {1e3 * race.decode_seconds:.0f} ms an image; ours does it once, "
        "before the first training, and that time is not in its figures."
        for race in races
        if race.decode_seconds is not None
    ]


def write(
    path: Path, command: str, results: Sequence[Speed | Failure], races: Sequence[Race], most: Ceiling
) -> list[Path]:
    """CSV and, beside it, Markdown; returns what was written."""
    speeds = [result for result in results if isinstance(result, Speed)]
    written = []
    if speeds:
        written.append(path)
        header = ["architecture", "device", "precision", "threads", "execution", "height", "width", "batch_size"]
        header += [column.name for column in _COLUMNS]
        rows = [[*_identity(speed), *_values(speed)] for speed in speeds]
        files.write_atomically(path, lambda temporary: tables.write_csv(temporary, header, rows))
    if races:
        against = path.with_name(f"{path.stem}-against.csv")
        written.append(against)
        lines = [[race.label, race.images, name, number, f"{rate:.5g}"] for race in races
                 for name, rates in race.rates.items() for number, rate in enumerate(rates, start=1)]  # fmt: skip
        names = ["architecture", "images", "training", "round", "images_per_second"]
        files.write_atomically(against, lambda temporary: tables.write_csv(temporary, names, lines))
    text = _markdown(command, results, speeds, races, most)
    files.write_atomically(path.with_suffix(".md"), lambda temporary: temporary.write_text(text, encoding="utf-8"))
    return [*written, path.with_suffix(".md")]


def _identity(speed: Speed) -> list[Any]:
    kind = [speed.label, speed.kind, speed.precision, speed.threads, speed.execution]
    return [*kind, *speed.image_size, speed.batch_size]


def _values(speed: Speed) -> list[Any]:
    values = [column.value(speed) for column in _COLUMNS]
    return [f"{value:.5g}" if isinstance(value, float) else ("" if value is None else value) for value in values]


def _markdown(
    command: str, results: Sequence[Speed | Failure], speeds: Sequence[Speed], races: Sequence[Race], most: Ceiling
) -> str:
    parts = [f"    {command}"]
    if speeds:
        columns = [column for column in _COLUMNS if column.title]
        rows = [
            [result.label, result.message] if isinstance(result, Failure)
            else [result.label, *(_shown(column, result) for column in columns)]
            for result in results
        ]  # fmt: skip
        header = ["Architecture", *(_MARKDOWN_TITLES.get(column.name, column.title.strip()) for column in columns)]
        right = ["left", *("right" for _ in columns)]
        parts += ["\n".join(heading(speeds, most)), _grid(header, rows, right)]
    if races:
        header, rows = _race_rows(races)
        parts += [_grid(header, rows, ["left", "right", "left", "right", "right", "right"]), *notes(races)]
    return "\n\n".join(parts) + "\n"


def _grid(header: Sequence[str], rows: Sequence[Sequence[str]], align: Sequence[str]) -> str:
    return tabulate(rows, header, tablefmt="github", colalign=align, disable_numparse=True)
