"""Two processes that start the same run, and the leftovers of a killed one."""

import threading
import time
from pathlib import Path

import pytest

from benchmark.common.progress import silent
from benchmark.records import claim


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "results" / "runs" / "quick" / "synthetic" / "unet" / "0123"


def test_nothing_is_left_of_a_run_that_is_done_or_refused(tmp_path: Path, path: Path) -> None:
    results = tmp_path / "results"
    with claim.claimed(results, path, silent) as work:
        work.mkdir(parents=True)
        claim.forget(work)
    assert not results.exists()
    with pytest.raises(ValueError, match="refused"), claim.claimed(results, path, silent):
        raise ValueError("refused")
    assert not results.exists()


@pytest.mark.parametrize("left", ["0123/", "0123.lock", "", "../"])
def test_traces_of_a_process_that_was_killed_when_all_was_done(tmp_path: Path, path: Path, left: str) -> None:
    results = tmp_path / "results"
    assert not claim.traces(results, path)
    place = claim.place(results, path).parent / left
    place.parent.mkdir(parents=True)
    place.touch() if left.endswith(".lock") else place.resolve().mkdir(parents=True, exist_ok=True)
    assert claim.traces(results, path)
    with claim.claimed(results, path, silent) as work:
        claim.forget(work)
    assert not (results / "unfinished").exists()


def test_what_was_trained_stays_until_it_is_done(tmp_path: Path, path: Path) -> None:
    with claim.claimed(tmp_path / "results", path, silent) as work:
        work.mkdir(parents=True)
    assert work.exists()
    assert work == claim.place(tmp_path / "results", path)


def test_half_written_folders_go_and_a_replaced_one_comes_back(tmp_path: Path, path: Path) -> None:
    """As `record` leaves them when it is killed between its two renames."""
    old, new = (path.parent / f".tmp-{path.name}-{name}" for name in ("77-old", "77"))
    for folder in (old, new):
        folder.mkdir(parents=True)
        (folder / "run.json").write_text(folder.name)
    with claim.claimed(tmp_path / "results", path, silent):
        assert [left.name for left in path.parent.iterdir()] == [path.name]
        assert (path / "run.json").read_text() == old.name


def test_a_second_process_waits_and_says_so(tmp_path: Path, path: Path) -> None:
    order: list[str] = []

    def second() -> None:
        def report(stage: str, _: int, __: int, note: str) -> None:
            order.append(f"{stage}: {note}")

        with claim.claimed(tmp_path / "results", path, report):
            order.append("second")

    with claim.claimed(tmp_path / "results", path, silent):
        thread = threading.Thread(target=second)
        thread.start()
        time.sleep(0.5)
        order.append("first")
    thread.join()
    assert order == ["waiting: another process is at this run", "first", "second"]
