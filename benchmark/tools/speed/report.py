"""The figures of `bench speed` as text, Markdown and CSV."""

import datetime
import platform
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

from tabulate import tabulate

from benchmark.common import files
from benchmark.records import tables
from benchmark.tools.speed.ceiling import Ceiling
from benchmark.tools.speed.measure import Failure, Speed

Value = float | str | None


Column = tuple[str, str, str, Callable[[Speed], Value]]
"""Name in the CSV file, title (without one it is not shown), format ("": three significant digits), and value."""

_COST: tuple[Column, ...] = (
    ("parameters_million", "M params", ".2f", lambda s: s.parameters / 1e6),
    ("gigaflops", "GFLOPs", ".2f", lambda s: s.gigaflops),
    ("train_images_per_second", "train/s", "", lambda s: s.train),
    ("infer_images_per_second", "infer/s", "", lambda s: s.infer),
    ("train_memory_gib", "train GiB", ".2f", lambda s: s.train_memory and s.train_memory / 2**30),
    ("infer_memory_gib", "infer GiB", ".2f", lambda s: s.infer_memory and s.infer_memory / 2**30),
)
_LATENCY: tuple[Column, ...] = (
    ("latency_1_p50_ms", "b1 p50", "", lambda s: 1e3 * s.latency[0].p50),
    ("latency_1_p95_ms", "b1 p95", "", lambda s: 1e3 * s.latency[0].p95),
    ("latency_16_p50_ms", "b16 p50", "", lambda s: 1e3 * s.latency[1].p50),
    ("latency_16_p95_ms", "b16 p95", "", lambda s: 1e3 * s.latency[1].p95),
    ("step_gigaflops", "", "", lambda s: s.demand.flops / 1e9 if s.demand else None),
    ("step_gigabytes", "", "", lambda s: s.demand.bytes / 1e9 if s.demand else None),
    ("bound_by", "bound by", "", lambda s: s.bound or None),
    ("share_of_ceiling_percent", "share %", ".0f", lambda s: s.share and 100 * s.share),
)
_TABLES = {
    "Cost, images per second and peak memory": _COST,
    "Latency in ms at batches of 1 and 16; what limits the training, and the share of that ceiling": _LATENCY,
}


def text(results: Sequence[Speed | Failure], most: Ceiling, style: str = "simple") -> str:
    """Heading, tables, and the reasons of failures; `style` is tabulate's."""
    speeds = [result for result in results if isinstance(result, Speed)]
    failures = [result for result in results if isinstance(result, Failure)]
    parts = [_heading(speeds[0], most)] if speeds else []
    for title, columns in _TABLES.items() if speeds else ():
        shown = [column for column in columns if column[1]]
        rows = [[speed.label, *(_shown(value(speed), digits) for *_, digits, value in shown)] for speed in speeds]
        rows += [[failure.label, "failed"] for failure in failures]
        align = ["left", *("right" for _ in shown)]
        header = ["Architecture", *(title for _, title, *_ in shown)]
        grid = tabulate(rows, header, tablefmt=style, colalign=align, disable_numparse=True)
        parts.append(f"{title}:\n\n{grid}")
    return "\n\n".join([*parts, *(f"{failure.label}: {failure.message}" for failure in failures)])


def _heading(shared: Speed, most: Ceiling) -> str:
    """The device, the settings and the versions."""
    height, width = shared.image_size
    threads = "1 thread" if shared.threads == 1 else f"{shared.threads} threads"
    return (
        f"{shared.kind}, {shared.precision}, {threads}, execution {shared.execution}; "
        f"{height} x {width}, training batches of {shared.batch_size}.\n"
        f"Ceilings of the device, measured: {most.flops / 1e9:.0f} GFLOP/s in a matrix product, "
        f"{most.bytes / 1e9:.1f} GB/s in a copy.\n"
        f"torch {version('torch')}, Python {platform.python_version()}, {datetime.date.today().isoformat()}."
    )


def write(path: Path, command: str, results: Sequence[Speed | Failure], most: Ceiling) -> list[Path]:
    """Write a CSV file, and the tables as Markdown next to it; returns the paths."""
    settings = ["architecture", "device", "precision", "threads", "execution", "height", "width", "batch_size"]
    columns = (*_COST, *_LATENCY)
    rows = [
        [
            *(speed.label, speed.kind, speed.precision, speed.threads, speed.execution),
            *(*speed.image_size, speed.batch_size),
            *(_plain(value(speed)) for *_, value in columns),
        ]
        for speed in results
        if isinstance(speed, Speed)
    ]
    names = [*settings, *(name for name, *_ in columns)]
    files.write_atomically(path, lambda temporary: tables.write_csv(temporary, names, rows))
    page = path.with_suffix(".md")
    content = f"    {command}\n\n{text(results, most, 'github')}\n"
    files.write_atomically(page, lambda temporary: temporary.write_text(content, encoding="utf-8"))
    return [path, page]


def _shown(value: Value, digits: str) -> str:
    if value is None or isinstance(value, str):
        return value or "-"
    if digits:
        return format(value, digits)
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _plain(value: Value) -> str:
    return f"{value:.5g}" if isinstance(value, float) else (value or "")
