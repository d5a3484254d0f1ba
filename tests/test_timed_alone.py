"""The table shows the times of runs that had the machine to themselves, if there are any."""

from pathlib import Path

import numpy as np
import pytest
from helpers import TINY, Bench
from records import recordings, write_entry, write_manifest

from benchmark.common import workers
from benchmark.leaderboard import columns, tables
from benchmark.records import store


def test_what_others_took_is_what_was_busy_without_us(monkeypatch: pytest.MonkeyPatch) -> None:
    readings = iter([(100.0, 400.0, 10.0), (160.0, 480.0, 50.0)])  # busy, in all, of this process
    monkeypatch.setattr(workers, "_processor_times", lambda: next(readings))
    assert workers.Watch().others() == pytest.approx((60 - 40) / 80)
    monkeypatch.setattr(workers, "_processor_times", lambda: None)
    assert workers.Watch().others() is None


def test_busy_is_all_but_idle_and_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    line = (
        "cpu  100 20 30 400 50 6 7 8 9 9"  # user, nice, system, idle, waiting, two kinds of interrupts, taken by a host
    )
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: line + "\ncpu0 1 2 3 4 5 6 7 8 9 9\n")
    monkeypatch.setattr("os.sysconf", lambda _: 100)
    busy, total, _ = workers._processor_times() or (0, 0, 0)
    assert (busy, total) == (pytest.approx(1.71), pytest.approx(6.21))


def test_a_trained_run_records_it_and_an_untrained_one_does_not(bench: Bench, tmp_path: Path) -> None:
    for name in ("unet:width=4", "otsu"):
        assert bench("run", "--arch", name, *TINY, "--results", tmp_path).code == 0
    found = {path.parent.name: store.read(path).training.others for path in tmp_path.glob("runs/*/*/*/*")}
    assert found["otsu"] is None
    if Path("/proc/stat").exists():
        assert found["unet"] is not None


@pytest.mark.parametrize(
    ("others", "seconds", "alone"),
    [
        ((0.5, 0.02, 0.05), 20.0, 2),  # the fastest of those that were alone
        ((0.5, 0.3, None), 10.0, 0),  # none was: the fastest of all
        ((None, None, None), 10.0, None),  # nothing is known
    ],
)
def test_the_table_shows_the_fastest_run_that_was_alone(
    tmp_path: Path, others: tuple[float | None, ...], seconds: float, alone: int | None
) -> None:
    data = recordings(8, 8)
    write_manifest(tmp_path, data)
    for seed, share in enumerate(others):
        changes = {"training__seconds": 10.0 * (seed + 1), "training__others": share, "seed": seed}
        changes["peak_memory_bytes"] = (seed + 1) * 10**9
        write_entry(tmp_path, data, "net", np.full((1, 8), 0.5), **changes)
    (table,) = tables.build(tmp_path).tables
    (row,) = table.rows
    shown = {column.name: column.value(row) for column in columns.of(table)}
    assert (shown["train_seconds"], shown["timed_alone"]) == (seconds, alone)
    assert shown["peak_memory_gb"] == pytest.approx(2)  # of all three: others do not add to it
