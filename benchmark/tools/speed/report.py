"""The figures of `bench speed` as text, Markdown and CSV."""

import datetime
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tabulate import tabulate

from benchmark.common import files
from benchmark.records import tables
from benchmark.tools.speed.ceiling import Ceiling
from benchmark.tools.speed.measure import Failure, Speed

Value = float | str | None


@dataclass(frozen=True, slots=True)
class _Column:
    """A column of the CSV file; without a title it is not shown. The default format is three significant digits."""

    name: str
    title: str
    value: Callable[[Speed], Value]
    digits: str = ""


_COST = (
    _Column("parameters_million", "M params", lambda s: s.parameters / 1e6, ".2f"),
    _Column("gigaflops", "GFLOPs", lambda s: s.gigaflops, ".2f"),
    _Column("train_images_per_second", "train/s", lambda s: s.train),
    _Column("infer_images_per_second", "infer/s", lambda s: s.infer),
    _Column("train_memory_gib", "train GiB", lambda s: _gib(s.train_memory), ".2f"),
    _Column("infer_memory_gib", "infer GiB", lambda s: _gib(s.infer_memory), ".2f"),
)
_LATENCY = (
    _Column("latency_1_p50_ms", "b1 p50", lambda s: 1e3 * s.latency[0].p50),
    _Column("latency_1_p95_ms", "b1 p95", lambda s: 1e3 * s.latency[0].p95),
    _Column("latency_16_p50_ms", "b16 p50", lambda s: 1e3 * s.latency[1].p50),
    _Column("latency_16_p95_ms", "b16 p95", lambda s: 1e3 * s.latency[1].p95),
    _Column("step_gigaflops", "", lambda s: s.demand.flops / 1e9 if s.demand else None),
    _Column("step_gigabytes", "", lambda s: s.demand.bytes / 1e9 if s.demand else None),
    _Column("bound_by", "bound by", lambda s: s.bound or None),
    _Column("share_of_ceiling_percent", "share %", lambda s: 100 * s.share if s.share else None, ".0f"),
)
_TABLES = {
    "Cost, images per second and peak memory": _COST,
    "Latency in ms at batches of 1 and 16; what limits the training, and the share of that ceiling": _LATENCY,
}


def heading(speeds: Sequence[Speed], most: Ceiling) -> list[str]:
    """The device, the settings and the versions."""
    shared = speeds[0]
    height, width = shared.image_size
    threads = "1 thread" if shared.threads == 1 else f"{shared.threads} threads"
    return [
        f"{shared.kind}, {shared.precision}, {threads}, execution {shared.execution}; "
        f"{height} x {width}, training batches of {shared.batch_size}.",
        f"Ceilings of the device, measured: {most.flops / 1e9:.0f} GFLOP/s in a matrix product, "
        f"{most.bytes / 1e9:.1f} GB/s in a copy.",
        f"torch {version('torch')}, Python {platform.python_version()}, {datetime.date.today().isoformat()}.",
    ]


def text(results: Sequence[Speed | Failure], most: Ceiling, style: str = "simple") -> str:
    """Heading, tables, and the reasons of failures; `style` is tabulate's."""
    speeds = [result for result in results if isinstance(result, Speed)]
    failures = [f"{result.label}: {result.message}" for result in results if isinstance(result, Failure)]
    parts = ["\n".join(heading(speeds, most))] if speeds else []
    for title, columns in _TABLES.items() if speeds else ():
        shown = [column for column in columns if column.title]
        rows = [_row(result, shown) for result in results]
        align = ["left", *("right" for _ in shown)]
        header = ["Architecture", *(column.title for column in shown)]
        grid = tabulate(rows, header, tablefmt=style, colalign=align, disable_numparse=True)
        parts.append(f"{title}:\n\n{grid}")
    return "\n\n".join([*parts, *failures])


def write(path: Path, command: str, results: Sequence[Speed | Failure], most: Ceiling) -> list[Path]:
    """Write a CSV file, and the tables as Markdown beside it; returns the paths."""
    header = ["architecture", "device", "precision", "threads", "execution", "height", "width", "batch_size"]
    columns = (*_COST, *_LATENCY)
    rows = [
        [*_settings(speed), *(_plain(column.value(speed)) for column in columns)]
        for speed in results
        if isinstance(speed, Speed)
    ]
    names = [*header, *(column.name for column in columns)]
    files.write_atomically(path, lambda temporary: tables.write_csv(temporary, names, rows))
    page = path.with_suffix(".md")
    content = f"    {command}\n\n{text(results, most, 'github')}\n"
    files.write_atomically(page, lambda temporary: temporary.write_text(content, encoding="utf-8"))
    return [path, page]


def _row(result: Speed | Failure, columns: Sequence[_Column]) -> list[str]:
    if isinstance(result, Failure):
        return [result.label, "failed"]
    return [result.label, *(_shown(column, column.value(result)) for column in columns)]


def _shown(column: _Column, value: Value) -> str:
    if value is None or isinstance(value, str):
        return value or "-"
    if column.digits:
        return format(value, column.digits)
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _settings(speed: Speed) -> list[Any]:
    kind = [speed.label, speed.kind, speed.precision, speed.threads, speed.execution]
    return [*kind, *speed.image_size, speed.batch_size]


def _plain(value: Value) -> str:
    return f"{value:.5g}" if isinstance(value, float) else (value or "")


def _gib(value: int | None) -> float | None:
    return None if value is None else value / 2**30
