"""What was not altered is consistent, and so is a run of which something lies elsewhere."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers import TINY, Bench
from tampering import Store, truth

from benchmark.records import find, verify
from benchmark.records.store import WEIGHTS, read, read_all
from benchmark.records.verify.run_files import Subject


def test_what_was_not_altered_is_consistent(store: Store) -> None:
    assert verify.check(store.results) == []
    np.testing.assert_array_equal(Subject(store.results, store.run).truth, truth(store))
    assert verify.check(store.results, [store.run]) == []


def test_a_tuned_run_is_consistent(bench: Bench, tuned: Store, tmp_path: Path) -> None:
    assert verify.check(tuned.results) == []
    training = read(tuned.run).training
    assert [each.validation_iou is None for each in training.candidates] == [False, False, True]
    words = ("run", *TINY, "--results", tmp_path / "more", "--arch")
    assert bench(*words, "otsu", "--tune", "lr", "--budget", 2).code == 0
    rates = ("--set", "optimiser=sgd", "--lr", 1e30, "--set", "learning_rates=[1e30, 1e31]")
    assert bench(*words, "unet:width=4", *rates).code == 0
    assert {run.status for _, run in read_all(tmp_path / "more")[0]} == {"finished", "diverged"}
    assert verify.check(tmp_path / "more") == []


def test_weights_and_private_pictures_may_be_elsewhere(store: Store) -> None:
    (store.run / "private").mkdir()
    (store.run / "private" / "best.png").write_bytes(b"x")
    store.seal()
    (store.run / "private" / "best.png").unlink()
    (store.run / WEIGHTS).unlink()
    assert verify.check(store.results) == []


def test_records_without_torch_s_build_are_of_a_build_that_exists(store: Store) -> None:
    """As those that were made before the build was recorded."""
    version = read(store.run).environment["torch"]
    assert "+" in version or version.replace(".", "").isdigit()
    store.put(environment__torch=version.partition("+")[0])
    store.seal()
    assert verify.check(store.results) == []


@pytest.mark.parametrize("place", ["runs/.x/synthetic/otsu", "runs/quick/.x/otsu", "runs/quick/synthetic/.x"])
def test_what_is_hidden_is_neither_shown_nor_checked(store: Store, place: str) -> None:
    before = read_all(store.results)
    hidden = store.results / place / store.otsu.name
    hidden.parent.mkdir(parents=True)
    shutil.copytree(store.otsu, hidden)
    assert read_all(store.results) == before
    assert hidden not in find.folders(store.results)
    (above,) = [folder for folder in hidden.parents if folder.name == ".x"]
    above.rename(above.with_name("x"))
    shown = store.results / place.replace(".x", "x") / store.otsu.name
    assert shown in [path for path, _ in read_all(store.results)[0]]
    assert {finding.run for finding in verify.check(store.results)} == {shown}
