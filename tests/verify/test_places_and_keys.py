"""A run is in the folder that its keys name, and its protocol is of a revision that exists."""

import shutil

import pytest
from tampering import Store, found

from benchmark import protocols
from benchmark.records import verify


def test_a_folder_in_the_wrong_place(store: Store) -> None:
    renamed = store.run.rename(store.run.parent / ("0" * 12))
    assert found(verify.check(store.results), "run.json", "not where its record belongs; move it to .*/unet/")
    moved = store.results / "runs/quick/synthetic/segnet" / store.run.name
    moved.parent.mkdir()
    renamed.rename(moved)
    assert found(verify.check(store.results), "run.json", "not where its record belongs; move it to .*/unet/")
    moved.rename(store.run)
    shutil.copytree(store.run, moved)
    pattern = "not where its record belongs; remove it; it belongs at .*/unet/.*, where another folder is"
    assert found(verify.check(store.results), "run.json", pattern)


@pytest.mark.parametrize("revision", [0, -1, protocols.REVISION + 1])
def test_a_revision_that_does_not_exist(store: Store, revision: int) -> None:
    """Although digest, keys and place fit."""
    store.put(protocol__revision=revision)
    store.run = store.rekeyed(store.run)
    (finding,) = verify.check(store.results)
    assert finding.text == f"protocol.revision is {revision}, there are 1 to {protocols.REVISION}"
