"""The CSV tables of a results folder: what was written is read, and a damaged table is an error."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark.records import tables
from benchmark.scores import COUNT_COLUMNS, SOUND_COLUMNS, separation

HEADER = ["id", "slice", *COUNT_COLUMNS, *SOUND_COLUMNS]


def row(name: str, count: int, decibels: float) -> list[Any]:
    return [name, "main", *[count] * len(COUNT_COLUMNS), *[f"{decibels:.4f}"] * len(SOUND_COLUMNS)]


def written(path: Path, rows: Sequence[Sequence[Any]], header: Sequence[str] = HEADER) -> Path:
    tables.write_csv(path, header, rows)
    return path


def test_each_column_has_the_type_that_the_scores_say(tmp_path: Path) -> None:
    (found,) = tables.read_images([written(tmp_path / "a.csv", [row("x", 3, 1.5), row("y,z", 4, float("nan"))])])
    assert found["id"].tolist() == ["x", "y,z"]
    assert {name for name, values in found.items() if values.dtype == np.int64} == set(COUNT_COLUMNS)
    assert {name for name, values in found.items() if values.dtype == np.float64} == set(SOUND_COLUMNS)
    np.testing.assert_array_equal(found["sdr_dvad"], [1.5, np.nan])


def test_tables_read_together_are_those_read_alone(tmp_path: Path) -> None:
    paths = [written(tmp_path / f"{n}.csv", [row(f"i{k}", k, n) for k in range(n + 1)]) for n in range(3)]
    without_sounds = len(HEADER) - len(SOUND_COLUMNS)
    rows = [row("x", 1, 0.0)[:without_sounds]]
    paths.insert(1, written(tmp_path / "silent.csv", rows, HEADER[:without_sounds]))
    for path, together in zip(paths, tables.read_images(paths), strict=True):
        (alone,) = tables.read_images([path])
        assert list(together) == list(alone)
        for name, values in alone.items():
            np.testing.assert_array_equal(values, together[name])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace(",tp,", ",", 1), "column tp is missing"),
        (lambda text: text.replace("sdr_dvad", "sdr_dvad,more", 1), "its columns are not those of this file"),
        (lambda text: text.replace(",7,", ",-7,", 1), "column tp does not hold counts"),
        (lambda text: text.replace(",7,", f",{10**13},", 1), "column tp does not hold counts"),
        (lambda text: text.replace(",7,", ",7.5,", 1), "."),
        (lambda text: text.replace(",7,", ",,", 1), "."),
        (lambda text: text.replace("2.0000", "-inf", 1), "column sisdr holds an infinite value"),
        (lambda text: text.replace("2.0000", "", 1), "."),
        (lambda text: text[:-1], "no line end at its end"),
        (lambda text: text[:-8] + "\n", "."),
        (lambda text: text[:-1] + ",3\n", "more fields than the header"),
        (lambda text: text.replace("x,main", '"x\n",main', 1), "quoted line break"),
        (lambda _: "", "column id is missing"),
    ],
)
def test_a_damaged_table_of_images_is_an_error(tmp_path: Path, change: Callable[[str], str], message: str) -> None:
    path = written(tmp_path / "images.csv", [row("x", 7, 2.0), row("y", 7, 2.0)])
    before = path.read_text()
    path.write_text(change(before))
    assert path.read_text() != before
    with pytest.raises(ValueError, match=message):
        tables.read_images([path])


def test_references(tmp_path: Path) -> None:
    columns = separation.reference_columns(separation.OPTIONAL)
    path = written(tmp_path / "r.csv", [["x", "main", *range(len(columns))]], ["id", "slice", *columns])
    found = tables.read_references(path)
    assert [float(found[name][0]) for name in columns] == list(range(len(columns)))
    path.write_text(path.read_text().replace(columns[0], "other_sisdr", 1))
    with pytest.raises(ValueError, match="is missing"):
        tables.read_references(path)


def test_history(tmp_path: Path) -> None:
    path = written(tmp_path / "history.csv", [[1, "0.5", "0.25", "1.000"], [2, "nan", "0.0", "2.000"]], tables.HISTORY)
    found = tables.read_history(path)
    assert (found.epochs, found.ious, found.seconds) == ([1, 2], [0.25, 0.0], [1.0, 2.0])
    np.testing.assert_array_equal(found.losses, [0.5, np.nan])
    for damaged in ("", "epoch,loss\n1,2\n", path.read_text() + "3,0.1\n", path.read_text() + "x,1,1,1\n"):
        path.write_text(damaged)
        with pytest.raises(ValueError):  # noqa: PT011 - of whatever kind
            tables.read_history(path)
