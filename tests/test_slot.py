"""The place of a run: two processes that want it, and what a killed one leaves."""

import threading
import time
from pathlib import Path

import pytest

from benchmark.common.errors import UserError
from benchmark.common.progress import silent
from benchmark.records.slot import Slot


@pytest.fixture
def slot(tmp_path: Path) -> Slot:
    path = tmp_path / "results" / "runs" / "quick" / "synthetic" / "unet" / "0123"
    return Slot(results=tmp_path / "results", path=path, is_finished=Path.exists)


def test_nothing_is_left_of_a_run_that_is_finished_or_refused(slot: Slot) -> None:
    with slot.claimed(silent):
        slot.work.mkdir(parents=True)
        slot.forget()
    assert not slot.results.exists()
    with pytest.raises(ValueError, match="refused"), slot.claimed(silent):
        raise ValueError("refused")
    assert not slot.results.exists()


@pytest.mark.parametrize("left", ["0123/", "0123.lock", "", "../"])
def test_what_a_process_that_was_killed_at_the_end_leaves_is_cleared(slot: Slot, left: str) -> None:
    assert not slot.traces()
    place = slot.work.parent / left
    place.parent.mkdir(parents=True)
    place.touch() if left.endswith(".lock") else place.resolve().mkdir(parents=True, exist_ok=True)
    assert slot.traces()
    with slot.claimed(silent):
        slot.forget()
    assert not (slot.results / "unfinished").exists()


def test_checkpoints_stay_until_they_are_forgotten(slot: Slot) -> None:
    with slot.claimed(silent):
        slot.work.mkdir(parents=True)
    assert slot.work == slot.results / "unfinished" / "quick" / "synthetic" / "unet" / "0123"
    assert slot.work.exists()


def test_half_written_folders_go_and_a_replaced_one_comes_back(slot: Slot) -> None:
    """A kill between the two renames of `files.atomic_folder` leaves both."""
    old, new = (slot.path.parent / f".tmp-{slot.path.name}-{name}" for name in ("77-old", "77"))
    for folder in (old, new):
        folder.mkdir(parents=True)
        (folder / "run.json").write_text(folder.name)
    with slot.claimed(silent):
        assert [left.name for left in slot.path.parent.iterdir()] == [slot.path.name]
        assert (slot.path / "run.json").read_text() == old.name


def test_a_second_process_waits_and_says_so(slot: Slot) -> None:
    order: list[str] = []

    def second() -> None:
        def report(stage: str, _: int, __: int, note: str) -> None:
            order.append(f"{stage}: {note}")

        with slot.claimed(report):
            order.append("second")

    with slot.claimed(silent):
        thread = threading.Thread(target=second)
        thread.start()
        time.sleep(0.5)
        order.append("first")
    thread.join()
    assert order == ["waiting: another process is working on this run", "first", "second"]


def test_a_finished_slot_is_filled_again_only_by_force(slot: Slot) -> None:
    assert (slot.done(), slot.settled(), slot.holds_a_result()) == (False, False, False)
    with slot.writing() as target:
        (target / "run.json").touch()
    assert sorted(path.name for path in slot.path.iterdir()) == ["SHA256SUMS", "run.json"]
    assert (slot.done(), slot.settled(), slot.holds_a_result()) == (True, True, True)
    forced = Slot(results=slot.results, path=slot.path, is_finished=slot.is_finished, force=True)
    assert (forced.done(), forced.settled(), forced.holds_a_result()) == (False, False, True)


def test_an_unreadable_result_is_never_replaced_by_a_failed_run(slot: Slot) -> None:
    def unreadable(path: Path) -> bool:
        raise UserError(f"{path} cannot be read")

    broken = Slot(results=slot.results, path=slot.path, is_finished=unreadable, force=True)
    assert not broken.done()
    assert broken.holds_a_result()
