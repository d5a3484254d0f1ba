"""Which entries are above the pixel-wise baseline, on the test and on its other slices."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from records import Data, recordings, write_entry, write_manifest
from test_ranks import terminal

from benchmark.leaderboard import columns, formats, tables
from benchmark.leaderboard.board import Board, Row, Table
from benchmark.leaderboard.formats.markdown import pages
from benchmark.scores import intervals

SEEDS, MAIN, OTHER = 4, 96, 48


def markdown(board: Board) -> str:
    """All pages of the whole tables."""
    return "\n".join(pages(board).values())


def ious(main: float, other: float, seed: int) -> NDArray[np.float64]:
    random = np.random.default_rng(seed)
    middle = np.repeat([main, other], [MAIN, OTHER])
    return np.clip(middle + 0.05 * random.normal(size=(SEEDS, MAIN + OTHER)), 0, 1)


def build(results: Path, entries: dict[str, NDArray[np.float64]], **changes: object) -> tuple[Table, Data]:
    data = recordings(MAIN, 24, other=OTHER)
    write_manifest(results, data)
    for label, values in entries.items():
        pixelwise = label.startswith("floor")
        write_entry(results, data, label, values, architecture__pixelwise=pixelwise, **changes)
    (table,) = tables.build(results).tables
    return table, data


def rows(table: Table) -> dict[str, Row]:
    return {row.label: row for row in table.rows}


@pytest.fixture
def entries() -> dict[str, NDArray[np.float64]]:
    return {
        "net": ious(0.8, 0.4, 0),
        "floor": ious(0.6, 0.4, 1),
        "alike": ious(0.6, 0.5, 2),
        "worse": ious(0.5, 0.3, 3),
    }


def test_each_entry_is_held_against_it_on_each_slice(tmp_path: Path, entries: dict[str, NDArray[np.float64]]) -> None:
    table, _ = build(tmp_path, entries)
    assert {label: row.above for label, row in rows(table).items()} == {
        "net": {"main": True, "ood": False},
        "alike": {"main": False, "ood": True},
        "worse": {"main": False, "ood": False},
        "floor": {},
    }


def test_above_means_the_paired_difference_after_the_correction(tmp_path: Path) -> None:
    """A difference that is one in twenty by itself is not enough beside twenty others that are none."""
    floor = ious(0.6, 0.6, 0)
    close = np.clip(floor + 0.015 + 0.02 * np.random.default_rng(5).normal(size=floor.shape), 0, 1)
    twins = {f"twin{number}": ious(0.6, 0.6, 10 + number) for number in range(20)}
    table, data = build(tmp_path, {"floor": floor, "close": close, **twins})
    found = rows(table)
    labels = data.labels(data.main)
    differences = {
        label: intervals.difference(row.ious[:, data.main], found["floor"].ious[:, data.main], labels)
        for label, row in found.items()
        if label != "floor"
    }
    one_sided = [d.p_value / 2 if d.mean > 0 else 1 - d.p_value / 2 for d in differences.values()]
    adjusted = dict(zip(differences, intervals.holm(one_sided), strict=True))
    assert differences["close"].p_value < 0.05 < adjusted["close"]
    assert found["close"].above["main"] is False


def test_where_nothing_can_be_said_nothing_is(tmp_path: Path, entries: dict[str, NDArray[np.float64]]) -> None:
    table, _ = build(tmp_path, {"net": entries["net"][:1], "floor": entries["floor"]})
    assert rows(table)["net"].above == {}
    assert not any(column.name.startswith("above") for column in columns.of(table))


def test_what_is_not_known_is_named(tmp_path: Path, entries: dict[str, NDArray[np.float64]]) -> None:
    build(tmp_path, {**entries, "single": entries["net"][:1]})
    text = markdown(tables.build(tmp_path))
    assert "baseline (floor): alike, worse. Not tested: single.\n" in text


def test_a_baseline_that_nothing_can_be_held_against_is_said(
    tmp_path: Path, entries: dict[str, NDArray[np.float64]]
) -> None:
    build(tmp_path, {"net": entries["net"], "floor": entries["floor"][:1]})
    text = markdown(tables.build(tmp_path))
    assert "No entry can be compared with the pixel-wise baseline (floor)" in text


def test_several_baselines_must_all_be_beaten(tmp_path: Path, entries: dict[str, NDArray[np.float64]]) -> None:
    table, _ = build(tmp_path, {**entries, "floor:wide=1": ious(0.9, 0.1, 7)})
    assert rows(table)["net"].above == {"main": False, "ood": False}


def test_every_format_says_it(tmp_path: Path, entries: dict[str, NDArray[np.float64]]) -> None:
    build(tmp_path, entries)
    board = tables.build(tmp_path)
    said = "Not clearly above the pixel-wise baseline (floor"
    for text in (terminal(tmp_path), markdown(board)):
        assert f"{said}): alike, worse." in text
        assert f"{said}; slice ood): net, worse." in text
    line = next(line for line in markdown(board).splitlines() if line.startswith("| 1 ") and "| net " in line)
    header = next(line for line in markdown(board).splitlines() if line.startswith("| Rank "))
    cells = dict(zip(*([cell.strip() for cell in row.split("|")] for row in (header, line)), strict=True))
    assert (cells["Above baseline"], cells["Above baseline ood"]) == ("yes", "no")
    assert "above_baseline_ood" in formats.csv(board).splitlines()[0]


def test_every_column_says_what_it_means(tmp_path: Path, entries: dict[str, NDArray[np.float64]]) -> None:
    table, _ = build(tmp_path, entries)
    shown = columns.of(table)
    assert len({column.name for column in shown}) == len({column.title for column in shown}) == len(shown)
    text = markdown(tables.build(tmp_path))
    for column in shown:
        assert len(column.definition) > 10
        assert f"- **{column.title}**: {column.definition}" in text
    assert "a multiply-add counts as two" in next(column for column in shown if column.name == "gflops").definition
