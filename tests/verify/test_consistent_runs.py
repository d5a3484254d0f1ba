"""A run that nobody changed is consistent, also without the files that are not committed."""

import shutil

import numpy as np
import pytest
from tampering import Store, truth

from benchmark.records import verify
from benchmark.records.store import WEIGHTS, read_all
from benchmark.records.verify.run_files import RunFolder


def test_what_was_not_altered_is_consistent(store: Store) -> None:
    assert verify.check(store.results) == []
    np.testing.assert_array_equal(RunFolder(store.results, store.run).truth, truth(store))
    assert verify.check(store.results, [store.run]) == []


def test_weights_and_private_pictures_may_be_elsewhere(store: Store) -> None:
    (store.run / "private").mkdir()
    (store.run / "private" / "best.png").write_bytes(b"x")
    store.seal()
    (store.run / "private" / "best.png").unlink()
    (store.run / WEIGHTS).unlink()
    assert verify.check(store.results) == []


@pytest.mark.parametrize("place", ["runs/.x/synthetic/otsu", "runs/quick/.x/otsu", "runs/quick/synthetic/.x"])
def test_what_is_hidden_is_neither_shown_nor_checked(store: Store, place: str) -> None:
    before = read_all(store.results)
    hidden = store.results / place / store.otsu.name
    hidden.parent.mkdir(parents=True)
    shutil.copytree(store.otsu, hidden)
    assert read_all(store.results) == before
    assert verify.check(store.results) == []
    (above,) = [folder for folder in hidden.parents if folder.name == ".x"]
    above.rename(above.with_name("x"))
    shown = store.results / place.replace(".x", "x") / store.otsu.name
    assert shown in [path for path, _ in read_all(store.results)[0]]
    assert {finding.run for finding in verify.check(store.results)} == {shown}
