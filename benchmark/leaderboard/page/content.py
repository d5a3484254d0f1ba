"""Gather the content of the page from a board and from the folders of its runs."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmark.leaderboard import columns, groups
from benchmark.leaderboard.board import Row, Table
from benchmark.leaderboard.columns import Column
from benchmark.leaderboard.formats import wording
from benchmark.leaderboard.page import charts, gallery
from benchmark.leaderboard.page.cards import cards, next_steps
from benchmark.leaderboard.page.charts import Drawing
from benchmark.leaderboard.page.pairs import pairs
from benchmark.records.store import HISTORY
from benchmark.records.tables import History, read_history

_TITLES = {
    "architecture": "Network",
    "iou": "Overlap, IoU (%)",
    "sisdr_improvement": "Sound gain (dB)",
    "parameters_m": "Size (M)",
    "test_images_per_second": "Images/s",
}
_SHOWN = ("seeds", "parameters_m", "gflops", "test_images_per_second", "badge")
"""Columns of the ranked table after the scores."""
_ALWAYS = ("rank", "architecture", "iou")
"""Columns that a phone shows."""
_WIDE = ("seeds", "gflops", "badge", "learning_rate")
"""Columns that only a wide screen shows."""


def part(table: Table, results: Path, *, worst: int | None, private: bool, listen: bool) -> dict[str, Any]:
    """Everything that the template shows of a table.

    `worst`: how many of the worst images of each entry to show, None: no pictures at all. `listen`: with sounds, if
    they may be published.
    """
    ids = _ids(table)
    scale = charts.iou_scale(table.rows)
    header = _header(table)
    found = None if worst is None else gallery.gather(table, results, ids, worst=worst, private=private, listen=listen)
    shelves = found["shelves"] if found else {}
    drawn = _curves(table)
    entries = {
        row.label: {
            "id": ids[row.label],
            "row": row,
            "name": row.runs[0].architecture.label,
            "distinction": row.label.removeprefix(row.runs[0].architecture.label).strip(" ()"),
            "whisker": charts.whisker(row, scale),
            "cells": [_cell(column, row) for column in header],
            "everything": _everything(table, row),
            "curves": drawn[row.label],
            "shelf": shelves.get(row.label),
            "command": _command(row),
        }
        for row in table.rows
    }
    return {
        "id": table.name,
        "title": wording.title(table),
        "heading": table.heading,
        "verdict": [sentence for about, sentence in table.verdict.items() if about != "next"],
        "cards": cards(table),
        "next": next_steps(table),
        "about": wording.about(table),
        "scale": scale,
        "header": [_head(column) for column in header],
        "groups": [
            {
                "title": groups.heading(group, rows),
                "says": _GROUPS[group],
                "entries": [entries[row.label] for row in rows],
            }
            for group, rows in groups.grouped(table.rows).items()
        ],
        "references": _references(table),
        "scatters": _scatters([row for row in table.rows if row.finished and not row.deterministic], scale),
        "strata": _strata(table),
        "gallery": found,
        "remarks": [*wording.below(table), *wording.unranked(table)],
        "ids": ids,
        "script": {"pairs": pairs(table, ids), "names": {ids[label]: label for label in ids}}
        | (found["drawn"] if found else {"images": {}}),
    }


_GROUPS = {
    groups.Group.BEST: "with all pairs tested at once, no difference between first place and these is certain",
    groups.Group.BEHIND: "",
    groups.Group.BASELINE: "nothing is trained, or no shapes are seen",
    groups.Group.UNRANKED: "",
}


def _ids(table: Table) -> dict[str, str]:
    """Label -> the name of the entry in a link, e.g. quick/unet."""
    found: dict[str, str] = {}
    for row in table.rows:
        name = f"{table.name}/{re.sub(r'[^A-Za-z0-9_.,:=-]+', '-', row.label).strip('-')}"
        found[row.label] = f"{name}-{len(found)}" if name in found.values() else name
    return found


def _header(table: Table) -> list[Column]:
    by_name = {column.name: column for column in columns.of(table)}
    slices = [name for name in by_name if by_name[name].title in {f"IoU {place} (%)" for place in table.slices}]
    sounds = ["sisdr_improvement"] if table.has_sounds else []
    tuned = ["learning_rate"] if "learning_rate" in by_name else []
    return [by_name[name] for name in (*_ALWAYS, *slices, *sounds, *tuned, *_SHOWN)]


def _head(column: Column) -> dict[str, Any]:
    title = _TITLES.get(column.name, column.title)
    if column.name.startswith("iou_"):
        place = column.title.removeprefix("IoU ").removesuffix(" (%)")
        title = f"{wording.in_words(place).capitalize()} (%)"
    return {"column": column, "title": title, "kind": _kind(column), "numeric": _is_number(column)}


def _kind(column: Column) -> str:
    """Where the column is shown: "" everywhere."""
    return "" if column.name in _ALWAYS else "broad" if column.name in _WIDE else "minor"


def _is_number(column: Column) -> bool:
    return column.group != "entry" or column.name in ("rank", "seeds")


def _everything(table: Table, row: Row) -> list[tuple[str, list[tuple[str, str]]]]:
    """All values of an entry, by group of columns."""
    hidden = ("architecture", "comparable", "published_iou", "group")
    shown = [column for column in columns.of(table) if column.name not in hidden and column.rounded(row) is not None]
    names = {"scores": "Overlap", "variants": "Variants of it", "sounds": "Sound", "cost": "Cost", "entry": "Entry"}
    found = [(name, [(c.title, c.text(row)) for c in shown if c.group == group]) for group, name in names.items()]
    return [(name, values) for name, values in found if values]


def _cell(column: Column, row: Row) -> dict[str, Any]:
    """A text, its `reach` for the IoU, and the key that it is sorted by ("" sorts last)."""
    value = column.rounded(row)
    text, reach = column.text(row), ""
    if isinstance(value, float) and not column.order:
        text = brief(float(column.value(row) or 0))
    if column.name == "iou":
        text, _, reach = columns.iou_text(row).partition(" ")
    if column.order and value is not None:
        value = column.order(row)
    key = "" if value is None else str(value)
    return {
        "column": column,
        "text": text,
        "reach": reach,
        "key": key,
        "kind": _kind(column),
        "numeric": _is_number(column),
    }


def brief(value: float) -> str:
    """A number with about three digits: 51,350, 84.8, 0.0042."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 0.1 else f"{value:.1g}"


def _command(row: Row) -> str:
    """The command that makes all seeds of an entry again."""
    seeds = [run.seed for run in row.runs]
    if row.failed or seeds != list(range(len(seeds))) or row.deterministic:
        return ""
    return re.sub(r"--seed 0\b", f"--seeds {len(seeds)}", row.runs[0].command)


def _curves(table: Table) -> dict[str, list[Drawing]]:
    """Label -> loss and IoU over epochs, as in the paper's Figure 3, on the same scales for all entries."""
    found: dict[str, list[tuple[int, History, int]]] = {row.label: [] for row in table.rows}
    for row in table.rows:
        for run, folder in zip(row.runs, row.folders, strict=True):
            if (history := _history(folder)) is not None:
                found[row.label].append((run.seed, history, run.training.best_epoch))
    everything = [history for runs in found.values() for _, history, _ in runs]
    longest = max((len(history.ious) for history in everything), default=0)
    # A loss that explodes may not flatten the others: the scale ends at what the first epochs have.
    top = max((loss for history in everything for loss in charts.finite(history.losses[:1])), default=1.0)
    drawn = {}
    for label, runs in found.items():
        losses = [(seed, history.losses, best) for seed, history, best in runs]
        ious = [(seed, [100 * iou for iou in history.ious], best) for seed, history, best in runs]
        both = [
            charts.curves("Training loss", losses, top, longest),
            charts.curves("Validation IoU (%)", ious, 100, longest),
        ]
        drawn[label] = [one for one in both if one]
    return drawn


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


def _scatters(trained: Sequence[Row], scale: charts.Scale) -> list[Drawing]:
    by_name: Mapping[str, Column] = {column.name: column for column in columns.COMMON}

    def cost(name: str) -> list[tuple[Row, float]]:
        return [(row, float(by_name[name].value(row) or 0)) for row in trained]

    found = [
        charts.scatter("GFLOPs per image", "GFLOPs", cost("gflops"), scale, more_is_better=False),
        charts.scatter("Parameters (millions)", "million", cost("parameters_m"), scale, more_is_better=False),
        charts.scatter(
            "Test images per second", "images/s", cost("test_images_per_second"), scale, more_is_better=True
        ),
    ]
    return [scatter for scatter in found if scatter]


def _strata(table: Table) -> list[Drawing]:
    """IoU by input SNR and by mask area, as lines."""
    if table.images is None:
        return []
    area = "how much of the image is bird, in quarters of the test images"
    kinds = (
        ("snr", "How faint may the bird be?", "input SNR", table.images.by_snr()),
        ("area", "How small may it be?", area, table.images.by_area()),
    )
    shown = [row for row in table.rows if row.strata]
    return [
        charts.lines(
            title,
            axis,
            [
                stratum.title.replace("-", "\N{MINUS SIGN}").replace(" to ", "–" if kind == "area" else " to ")
                for stratum in strata
            ],
            [(row, row.strata[kind]) for row in shown],
        )
        for kind, title, axis, strata in kinds
        if strata and shown
    ]
