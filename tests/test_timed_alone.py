"""Seconds are those of runs that had the machine to themselves, where there are any."""

from pathlib import Path

import numpy as np
import pytest
from helpers import TINY, Bench
from records import recordings, write_entry, write_manifest

from benchmark import store, workers
from benchmark.leaderboard import columns, tables


def test_what_others_took_is_what_was_busy_without_us(monkeypatch: pytest.MonkeyPatch) -> None:
    readings = iter([(100.0, 400.0, 10.0), (160.0, 480.0, 50.0)])  # busy, in all, of this process
    monkeypatch.setattr(workers, "_processor_times", lambda: next(readings))
    assert workers.Watch().others() == pytest.approx((60 - 40) / 80)
    monkeypatch.setattr(workers, "_processor_times", lambda: None)
    assert workers.Watch().others() is None


def test_a_trained_run_records_it_and_an_untrained_one_does_not(bench: Bench, tmp_path: Path) -> None:
    for name in ("unet:width=4", "otsu"):
        assert bench("run", "--arch", name, *TINY, "--results", tmp_path).code == 0
    found = {path.parent.name: store.read(path).training.others for path in tmp_path.glob("runs/*/*/*/*")}
    assert found["otsu"] is None
    if Path("/proc/stat").exists():
        assert found["unet"] is not None
        assert 0 <= found["unet"] <= 1


@pytest.mark.parametrize(
    ("others", "seconds", "alone"),
    [
        ((0.5, 0.02, 0.05), 20.0, 2),  # the fastest of those that were alone
        ((0.5, 0.3, None), 10.0, 0),  # none was: the fastest of all
    ],
)
def test_the_table_shows_the_fastest_run_that_was_alone(
    tmp_path: Path, others: tuple[float | None, ...], seconds: float, alone: int
) -> None:
    data = recordings(8, 8)
    write_manifest(tmp_path, data)
    for seed, share in enumerate(others):
        changes = {"training__seconds": 10.0 * (seed + 1), "training__others": share, "seed": seed}
        write_entry(tmp_path, data, "net", np.full((1, 8), 0.5), **changes)
    (table,) = tables.build(tmp_path).tables
    (row,) = table.rows
    shown = {column.name: column.value(row) for column in columns.of(table)}
    assert (shown["train_seconds"], shown["timed_alone"]) == (seconds, alone)
