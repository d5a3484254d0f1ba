"""The table "Trained here, tested there": networks on the test splits of data that they were not trained on."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TypeAlias, TypeVar

import numpy as np

from benchmark.data.manifest import headline
from benchmark.leaderboard.board import Cell, Matrix, MatrixRow, Row, Table
from benchmark.leaderboard.scoring import complete, read_one
from benchmark.records import checksums, transfers
from benchmark.records.schema import DatasetRecord, shown
from benchmark.records.store import IMAGES
from benchmark.records.transfers import TransferRecord
from benchmark.scores import COUNT_COLUMNS, SCORES

Place: TypeAlias = tuple[str, str]
"""Manifest digest of the data, slice of its test split."""
Name: TypeAlias = tuple[str, str, str]
"""Short name and label of the data, and the text that names the slice; empty for the headline slice."""
K = TypeVar("K")


@dataclass(frozen=True, slots=True)
class _Transfer:
    """A run that was tested on other data: its IoU by place."""

    path: Path
    record: TransferRecord
    ious: Mapping[Place, float]


def matrix(results: Path, tables: Sequence[Table], problems: list[str]) -> Matrix | None:
    """Entries with at least one transfer times all tests of such entries; None without transfers."""
    all_transfers = list(_read(results, problems))
    by_run: dict[str, list[_Transfer]] = {}
    for one in all_transfers:
        by_run.setdefault(one.record.run_key, []).append(one)
    tested = {place for one in all_transfers for place in one.ious}
    rows = []
    for table in tables:
        for row in table.rows:
            transferred = [one for run in row.runs for one in by_run.get(run.run_key, [])]
            transferred = [one for one in transferred if _current(row, one, problems)]
            if row.finished and transferred:
                cells = _cells(table, row, transferred)
                tested |= cells.keys()
                rows.append((table, row, cells))
    if not rows:
        return None
    homes, names = _homes(tables), _names(tables, all_transfers)
    places = [place for place in names if place in tested]
    return Matrix(
        tests=tuple(names[place] for place in places),
        rows=tuple(
            MatrixRow(entry=row.label, trained_on=homes[table.key], cells=tuple(cells.get(place) for place in places))
            for table, row, cells in rows
        ),
    )


def _read(results: Path, problems: list[str]) -> Iterator[_Transfer]:
    found, broken = transfers.read_all(results)
    problems += broken
    for path, record in ((path, shown(one)) for path, one in found):
        try:
            counts = complete(read_one(path), record.tested_on.test_slices)
        except ValueError as error:
            problems.append(f"{path / IMAGES} cannot be used: {error}")
            continue
        ious = {}
        for place in record.tested_on.test_slices:
            inside = np.flatnonzero(counts["slice"] == place)
            part = {name: counts[name][inside] for name in COUNT_COLUMNS}
            ious[record.tested_on.manifest, place] = SCORES["iou"].compute(part)
        yield _Transfer(path, record, ious)


def _current(row: Row, one: _Transfer, problems: list[str]) -> bool:
    """Whether the tested weights are still those of the run; if not, that is a problem."""
    folder = next(path for path, run in zip(row.folders, row.runs, strict=True) if run.run_key == one.record.run_key)
    try:
        if checksums.digest(folder / checksums.NAME) == one.record.run_sums:
            return True
    except OSError:
        pass
    problems.append(f"{one.path} tested weights that {folder} no longer has; test it again: bench transfer --force")
    return False


def _names(tables: Sequence[Table], all_transfers: Sequence[_Transfer]) -> dict[Place, str]:
    """The places in the order of the matrix: those of the tables, then those of the transfers; and their names."""
    names = {place: name for table in tables for place, name in _places(table.head.dataset)}
    others = {place: name for one in all_transfers for place, name in _places(one.record.tested_on)}
    new = [(place, name) for place, name in others.items() if place not in names]
    names |= dict(sorted(new, key=lambda entry: (entry[1], entry[0])))
    return _shortest({place: (short + part, label + part) for place, (short, label, part) in names.items()})


def _places(data: DatasetRecord) -> list[tuple[Place, Name]]:
    main = headline(list(data.test_slices))
    return [
        ((data.manifest, place), (data.short_name, data.label, "" if place == main else f", {place}"))
        for place in data.test_slices
    ]


def _homes(tables: Sequence[Table]) -> dict[str, str]:
    """Key -> name of a table."""
    data = {table.key: table.head.dataset for table in tables}
    return _shortest(
        {
            table.key: (table.heading.replace(data[table.key].label, data[table.key].short_name), table.heading)
            for table in tables
        }
    )


def _shortest(texts: Mapping[K, tuple[str, str]]) -> dict[K, str]:
    """Choose the short text of each key, which lacks the parameters of the data, or the long one if two would agree."""
    several = Counter(short for short, _ in texts.values())
    return {key: short if several[short] == 1 else long for key, (short, long) in texts.items()}


def _cells(table: Table, row: Row, transferred: Sequence[_Transfer]) -> dict[Place, Cell]:
    """Mean IoU over the seeds by place: on the test of its own data and on others."""
    data = table.head.dataset
    own = {table.head.headline_slice: row.scores["iou"]}
    own |= {place: scores["iou"] for place, scores in row.slice_scores.items()}
    count = len(row.runs)
    cells = {(data.manifest, place): Cell(iou=iou, seeds=count, of=count, at_home=True) for place, iou in own.items()}
    leaking = {place for one in transferred for place in one.ious if one.record.leakage}
    by_place: dict[Place, dict[int, float]] = {}
    for one in transferred:
        for place, iou in one.ious.items():
            by_place.setdefault(place, {})[one.record.seed] = iou
    for place, ious in by_place.items():
        cells[place] = Cell(
            iou=fmean(ious.values()), seeds=len(ious), of=count, at_home=False, leaking=place in leaking
        )
    return cells
