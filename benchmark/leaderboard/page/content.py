"""Gather the content of the page from a board and from the folders of its runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.leaderboard import columns
from benchmark.leaderboard.board import Interval, Row, Table
from benchmark.leaderboard.columns import Column
from benchmark.leaderboard.formats import wording
from benchmark.leaderboard.page import charts, gallery
from benchmark.leaderboard.page.charts import Curves, Scatter, Whisker
from benchmark.leaderboard.page.gallery import Gallery, Shelf
from benchmark.leaderboard.strata import Stratum
from benchmark.records.store import HISTORY
from benchmark.records.tables import History, read_history

_SHOWN = ("seeds", "parameters_m", "gflops", "test_images_per_second", "published_iou", "badge")
"""Columns of the ranked table after the scores."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """A text, and the key that it is sorted by ("" sorts last)."""

    name: str
    text: str
    key: str
    numeric: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Strata:
    """A table of IoU by one kind of stratum; each cell has a text and a shade of 0 to 100."""

    title: str
    about: str
    header: list[str]
    rows: list[tuple[str, list[tuple[str, int]]]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A row of the ranked table, and the details that open below it."""

    id: str
    row: Row
    whisker: Whisker | None
    cells: list[Cell]
    everything: list[tuple[str, str]]
    curves: list[Curves]
    shelf: Shelf | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """A table of the leaderboard as the page shows it."""

    id: str
    name: str
    data: str
    about: list[str]
    top: float
    header: list[tuple[Column, bool]]
    entries: list[Entry]
    references: list[tuple[str, list[tuple[str, str]]]]
    scatters: list[Scatter]
    strata: list[Strata]
    gallery: Gallery | None
    remarks: list[str]


def part(table: Table, number: int, results: Path, *, worst: int | None, private: bool) -> Part:
    """Gather everything about a table; `worst`: how many of the worst images per entry, None: no pictures at all."""
    top = charts.whole_scale(table.rows)
    header = _header(table)
    found = None if worst is None else gallery.gather(table, results, worst=worst, private=private)
    trained = [row for row in table.rows if row.finished and not row.deterministic]
    return Part(
        id=f"t{number}",
        name=table.heading.removesuffix(f" on {table.head.dataset.label}{table.distinction}"),
        data=f"{table.head.dataset.label}{table.distinction}",
        about=wording.about(table),
        top=top,
        header=[(column, column.name in ("architecture", "iou", "rank", "badge")) for column in header],
        entries=[
            _entry(f"t{number}e{index}", table, row, header, top, found.shelves.get(row.label) if found else None)
            for index, row in enumerate(table.rows)
        ],
        references=_references(table),
        scatters=_scatters(trained),
        strata=_strata(table),
        gallery=found,
        remarks=[*wording.below(table), *wording.unranked(table)],
    )


def _header(table: Table) -> list[Column]:
    by_name = {column.name: column for column in columns.of(table)}
    slices = [name for name in by_name if by_name[name].title in {f"IoU {place} (%)" for place in table.slices}]
    sounds = ["sisdr_improvement"] if table.has_sounds else []
    tuned = ["learning_rate"] if "learning_rate" in by_name else []
    above = [name for name in by_name if name.startswith("above_baseline")]
    return [by_name[name] for name in ("rank", "architecture", "iou", *slices, *above, *sounds, *tuned, *_SHOWN)]


def _entry(id_: str, table: Table, row: Row, header: Sequence[Column], top: float, shelf: Shelf | None) -> Entry:
    shown = [column for column in columns.of(table) if column.name not in ("architecture", "comparable")]
    return Entry(
        id=id_,
        row=row,
        whisker=charts.whisker(row, top),
        cells=[_cell(column, row) for column in header],
        everything=[(column.title, column.text(row)) for column in shown if column.rounded(row) is not None],
        curves=_curves(row),
        shelf=shelf,
    )


def _cell(column: Column, row: Row) -> Cell:
    value = column.rounded(row)
    if column.order and value is not None:
        value = column.order(row)
    text = column.text(row)
    if column.name == "iou" and row.interval is not None:
        text = f"{text} ± {100 * row.interval.half_width():.2f}"
    return Cell(
        name=column.name,
        text=text,
        key="" if value is None else str(value),
        numeric=column.group != "entry" or column.name in ("rank", "seeds"),
    )


def _curves(row: Row) -> list[Curves]:
    """The paper's Figure 3: loss and IoU over epochs."""
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


def _scatters(trained: Sequence[Row]) -> list[Scatter]:
    def cost(name: str) -> list[tuple[Row, float]]:
        by_name = {column.name: column for column in columns.COMMON}
        return [(row, float(by_name[name].value(row) or 0)) for row in trained]

    found = [
        charts.scatter("GFLOPs per image", "GFLOPs", cost("gflops"), more_is_better=False),
        charts.scatter("Parameters (millions)", "million", cost("parameters_m"), more_is_better=False),
        charts.scatter("Test images per second", "images/s", cost("test_images_per_second"), more_is_better=True),
    ]
    return [scatter for scatter in found if scatter]


def _strata(table: Table) -> list[Strata]:
    if table.images is None:
        return []
    kinds = {
        "snr": ("IoU by input SNR", "how loud the bird is above the noise", table.images.by_snr()),
        "area": (
            "IoU by mask area",
            "how much of the image is bird, in quarters of the test images",
            table.images.by_area(),
        ),
    }
    return [_stratum_table(table, kind, *rest) for kind, rest in kinds.items() if rest[2]]


def _stratum_table(table: Table, kind: str, title: str, about: str, strata: Sequence[Stratum]) -> Strata:
    shown = [row for row in table.rows if row.strata]
    counts = [found.images if found else 0 for found in shown[0].strata[kind]] if shown else []
    header = [f"{stratum.title} ({count} images)" for stratum, count in zip(strata, counts, strict=False)]
    rows = [(row.label, [_shaded(found) for found in row.strata[kind]]) for row in shown]
    return Strata(title=title, about=about, header=header, rows=rows)


def _shaded(found: Interval | None) -> tuple[str, int]:
    if found is None:
        return "–", 0
    half = f" ± {100 * found.half_width:.2f}" if found.half_width is not None else ""
    return f"{100 * found.mean:.2f}{half}", round(100 * found.mean)
