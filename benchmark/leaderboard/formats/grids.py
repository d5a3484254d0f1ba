"""Lay out rows and columns as text, for every format that draws tables."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import numpy as np
from tabulate import tabulate

from benchmark.leaderboard import columns
from benchmark.leaderboard.board import Board, Cell, Interval, Matrix, Row, Table
from benchmark.leaderboard.columns import Column, Group

SCORES = "Scores"
_GROUPS: Mapping[Group, str] = {"scores": SCORES, "sounds": "Sound", "variants": "Other averages", "cost": "Cost"}

T = TypeVar("T")
Grid = tuple[list[str], list[list[str]]]
"""The header, and the cells of every row."""


def parts(table: Table, chosen: Sequence[str]) -> dict[str, tuple[list[Column], list[Row]]]:
    """Title -> the columns and rows of a part of the table; chosen columns form a single part."""
    if chosen:
        return {SCORES: (columns.chosen(table, chosen), [*table.rows])}
    return {
        title: (_columns(table, group), [*table.rows, *(table.references if group == "sounds" else ())])
        for group, title in _GROUPS.items()
        if group != "sounds" or table.has_sounds
    }


def _columns(table: Table, group: Group) -> list[Column]:
    everything = columns.of(table)
    entry = ["rank", "architecture", "seeds"] if group == "scores" else ["architecture", "seeds"]
    entry += ["weights", "badge"] if group == "cost" else []
    shown = [column for column in everything if column.group == group and column.name != "comparable"]
    return [*(column for column in everything if column.name in entry), *shown]


def cells(shown: Sequence[Column], rows: Sequence[Row]) -> Grid:
    """The texts of a part of the table."""
    return [column.title for column in shown], [[column.text(row) for column in shown] for row in rows]


def by_snr(table: Table) -> Grid:
    """SI-SDR gain of every row per interval of input SNR."""
    assert table.images is not None  # a table has snr_bins only if it has images
    header = ["Architecture", *(stratum.title for stratum in table.images.by_snr())]
    shown = [row for row in (*table.rows, *table.references) if row.by_snr]
    images = [f"{found.images if found else 0}" for row in shown[:1] for found in row.by_snr]
    return header, [*([row.label, *map(interval, row.by_snr)] for row in shown), ["images", *images]]


def by_group(table: Table, kind: str) -> Grid:
    """Mean IoU in % of each entry over the images of each group of a kind (noise, species), the hardest group first."""
    assert table.images is not None
    images, shown = table.images, [row for row in table.rows if row.aligned and len(row.ious)]
    means = np.array([np.nanmean(row.ious, axis=0) for row in shown])  # (entries, N)
    known = np.isfinite(means).all(axis=0)
    found = []
    for place, label in sorted(
        set(zip(images.slices[known].tolist(), images.labels[kind][known].tolist(), strict=True))
    ):
        inside = known & (images.slices == place) & (images.labels[kind] == label)
        found.append((place, label, int(inside.sum()), 100 * means[:, inside].mean(axis=1)))
    found.sort(key=lambda group: (images.places.index(group[0]), float(group[3].mean())))
    header = ["slice", kind, "images", "mean", *(row.label for row in shown)]
    return header, [
        [place, label, f"{count}", f"{values.mean():.1f}", *(f"{value:.1f}" for value in values)]
        for place, label, count, values in found
    ]


def published(board: Board) -> Grid:
    """The published numbers."""
    header = ["System", "Metric", "Split", "Value", "Dataset", "Source", "Comparable"]
    return header, [
        [entry.title, n.metric, n.split, f"{n.value:.2f}", n.dataset, n.source, n.comparable]
        for entry in board.published
        for n in (entry.number,)
    ]


def generalisation(matrix: Matrix) -> Grid:
    """Entries, by the data that they were trained on, times the data that they were tested on."""
    return ["Trained on", "Architecture", *matrix.tests], [
        [row.trained_on, row.entry, *(_cell(cell) for cell in row.cells)] for row in matrix.rows
    ]


def _cell(found: Cell | None) -> str:
    if found is None or math.isnan(found.iou):
        return "–"
    text = f"{100 * found.iou:.2f}"
    if found.seeds < found.of:
        text = f"{text} [{found.seeds}/{found.of}]"
    if found.leaking:
        text = f"{text}, leakage"
    return f"({text})" if found.at_home else text


def interval(found: Interval | None) -> str:
    """A mean with its interval, if there is one."""
    if found is None:
        return "–"
    return f"{found.mean:.2f}" + (f" ± {found.half_width:.2f}" if found.half_width is not None else "")


def draw(grid: Grid, style: str) -> str:
    """Draw the grid in a style of tabulate."""
    header, rows = grid
    if style == "github":
        header, *rows = ([as_markdown(cell).replace("|", "\\|") for cell in row] for row in (header, *rows))
    aligned = ["right" if _numeric(rows, index) else "left" for index in range(len(header))]
    return tabulate(rows, header, tablefmt=style, disable_numparse=True, colalign=aligned if rows else None)


def as_markdown(text: str) -> str:
    """Escape HTML and links in a text."""
    return text.replace("<", "&lt;").replace("](", "]\\(").replace("][", "]\\[").replace("]:", "]\\:")


def _numeric(rows: Sequence[Sequence[str]], index: int) -> bool:
    """Whether a column holds numbers only, perhaps with marks for LaTeX."""
    texts = [row[index].strip("\x02\x03\x04") for row in rows]
    return all(text.replace(".", "").replace("-", "").isdigit() or text == "–" for text in texts)


def fitted(render: Callable[[int], list[T]], most: int, limit: int) -> list[T]:
    """The lines that `render` gives for the greatest number of rows, at most `most`, that fit into `limit` lines."""
    return next((lines for rows in range(most, 1, -1) if len(lines := render(rows)) <= limit), render(1))
