"""Gather the content of the page from a board and from the folders of its runs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmark.leaderboard import columns
from benchmark.leaderboard.board import Interval, Row, Table
from benchmark.leaderboard.columns import Column
from benchmark.leaderboard.formats import wording
from benchmark.leaderboard.page import charts, gallery
from benchmark.leaderboard.page.charts import Drawing
from benchmark.leaderboard.verdict import verdict
from benchmark.records.store import HISTORY
from benchmark.records.tables import History, read_history

_SHOWN = ("seeds", "parameters_m", "gflops", "test_images_per_second", "published_iou", "badge")
"""Columns of the ranked table after the scores."""


def part(table: Table, number: int, results: Path, *, worst: int | None, private: bool) -> dict[str, Any]:
    """Everything that the template shows of a table.

    `worst`: how many of the worst images of each entry to show, None: no pictures at all.
    """
    top = charts.scale_end(table.rows)
    header = _header(table)
    found = None if worst is None else gallery.gather(table, results, worst=worst, private=private)
    shelves = found["shelves"] if found else {}
    trained = [row for row in table.rows if row.finished and not row.deterministic]
    entries = []
    for index, row in enumerate(table.rows):
        entry = {
            "id": f"t{number}e{index}",
            "row": row,
            "whisker": charts.whisker(row, top),
            "cells": [_cell(column, row) for column in header],
            "everything": _everything(table, row),
            "curves": _curves(row),
            "shelf": shelves.get(row.label),
        }
        entries.append(entry)
    return {
        "id": f"t{number}",
        "name": table.heading.removesuffix(f" on {table.head.dataset.label}{table.distinction}"),
        "data": f"{table.head.dataset.label}{table.distinction}",
        "verdict": verdict(table),
        "about": wording.about(table),
        "top": top,
        "header": [(column, column.name in ("architecture", "iou", "rank", "badge")) for column in header],
        "entries": entries,
        "references": _references(table),
        "scatters": _scatters(trained),
        "strata": _strata(table),
        "gallery": found,
        "remarks": [*wording.below(table), *wording.unranked(table)],
    }


def _header(table: Table) -> list[Column]:
    by_name = {column.name: column for column in columns.of(table)}
    slices = [name for name in by_name if by_name[name].title in {f"IoU {place} (%)" for place in table.slices}]
    sounds = ["sisdr_improvement"] if table.has_sounds else []
    tuned = ["learning_rate"] if "learning_rate" in by_name else []
    above = [name for name in by_name if name.startswith("above_baseline")]
    return [by_name[name] for name in ("rank", "architecture", "iou", *slices, *above, *sounds, *tuned, *_SHOWN)]


def _everything(table: Table, row: Row) -> list[tuple[str, str]]:
    shown = [column for column in columns.of(table) if column.name not in ("architecture", "comparable")]
    return [(column.title, column.text(row)) for column in shown if column.rounded(row) is not None]


def _cell(column: Column, row: Row) -> dict[str, Any]:
    """A text, and the key that it is sorted by ("" sorts last)."""
    value = column.rounded(row)
    if column.order and value is not None:
        value = column.order(row)
    text = column.text(row)
    if column.name == "iou" and row.interval is not None:
        text = f"{text} ± {100 * row.interval.half_width():.2f}"
    numeric = column.group != "entry" or column.name in ("rank", "seeds")
    return {"name": column.name, "text": text, "key": "" if value is None else str(value), "numeric": numeric}


def _curves(row: Row) -> list[Drawing]:
    """Loss and IoU over epochs, as in the paper's Figure 3."""
    histories = [(run, _history(folder)) for run, folder in zip(row.runs, row.folders, strict=True)]
    trained = [(run.seed, history, run.training.best_epoch) for run, history in histories if history]
    losses = [(seed, history.losses, best) for seed, history, best in trained]
    ious = [(seed, [100 * iou for iou in history.ious], best) for seed, history, best in trained]
    found = [charts.curves("Training loss", losses), charts.curves("Validation IoU (%)", ious)]
    return [curves for curves in found if curves]


def _history(folder: Path) -> History | None:
    """The learning curve; None if it is empty, or damaged, which `bench verify` reports."""
    try:
        found = read_history(folder / HISTORY)
    except (OSError, ValueError):
        return None
    return found if found.epochs else None


def _references(table: Table) -> list[tuple[str, list[tuple[str, str]]]]:
    shown = [column for column in columns.of(table) if column.group == "sounds" and column.name != "sdr_dvad"]
    return [(row.label, [(column.title, column.text(row)) for column in shown]) for row in table.references]


def _scatters(trained: Sequence[Row]) -> list[Drawing]:
    def cost(name: str) -> list[tuple[Row, float]]:
        by_name = {column.name: column for column in columns.COMMON}
        return [(row, float(by_name[name].value(row) or 0)) for row in trained]

    found = [
        charts.scatter("GFLOPs per image", "GFLOPs", cost("gflops"), more_is_better=False),
        charts.scatter("Parameters (millions)", "million", cost("parameters_m"), more_is_better=False),
        charts.scatter("Test images per second", "images/s", cost("test_images_per_second"), more_is_better=True),
    ]
    return [scatter for scatter in found if scatter]


def _strata(table: Table) -> list[dict[str, Any]]:
    """A table of IoU for each kind of stratum; a cell has a text and a shade of 0 to 100."""
    if table.images is None:
        return []
    area = "how much of the image is bird, in quarters of the test images"
    kinds = (
        ("snr", "IoU by input SNR", "how loud the bird is above the noise", table.images.by_snr()),
        ("area", "IoU by mask area", area, table.images.by_area()),
    )
    shown = [row for row in table.rows if row.strata]
    found = []
    for kind, title, about, strata in kinds:
        counts = [interval.images if interval else 0 for interval in shown[0].strata[kind]] if shown else []
        header = [f"{stratum.title} ({count} images)" for stratum, count in zip(strata, counts, strict=False)]
        rows = [(row.label, [_shaded(interval) for interval in row.strata[kind]]) for row in shown]
        if strata:
            found.append({"title": title, "about": about, "header": header, "rows": rows})
    return found


def _shaded(found: Interval | None) -> tuple[str, int]:
    if found is None:
        return "–", 0
    half = f" ± {100 * found.half_width:.2f}" if found.half_width is not None else ""
    return f"{100 * found.mean:.2f}{half}", round(100 * found.mean)
