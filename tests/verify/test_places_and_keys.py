"""A run lies where its keys say, is no copy of another, and its table is of one protocol and one set of data."""

import shutil

import pytest
from helpers import SMALL, TINY, Bench
from tampering import Store, found

from benchmark import protocols
from benchmark.records import checksums, verify
from benchmark.records.store import read


def test_a_folder_in_the_wrong_place(store: Store) -> None:
    renamed = store.run.rename(store.run.parent / ("0" * 12))
    assert found(verify.check(store.results), "run.json", "not where the record belongs; move it to .*/unet/")
    moved = store.results / "runs/quick/synthetic/segnet" / store.run.name
    moved.parent.mkdir()
    renamed.rename(moved)
    assert found(verify.check(store.results), "run.json", "not where the record belongs; move it to .*/unet/")
    moved.rename(store.run)
    shutil.copytree(store.run, store.results / "runs" / "best")
    assert found(
        verify.check(store.results), "run.json", "not where the record belongs; remove it; the run is .*/unet/"
    )


def test_a_run_copied_as_another_seed(store: Store) -> None:
    copy = store.run.parent / "copy"
    shutil.copytree(store.run, copy)
    store.put(copy, seed=5)
    copy = store.rekeyed(copy)
    assert verify.check(store.results, [copy]) == []
    findings = verify.check(store.results)
    assert found(findings, "predictions.npz", "it is that of seed [05]")
    assert found(findings, "logits.csv", "it is that of seed [05].*run seed [05] again with --force")


def test_seeds_that_predict_nothing_are_no_copies(store: Store) -> None:
    """Two collapsed networks predict alike, and differ in their logits."""
    for run in (store.run, store.other):
        store.masks(lambda masks: masks.fill(False), run)
    findings = verify.check(store.results)
    assert not found(findings, "predictions.npz", "it is that of seed")
    assert found(findings, "predictions.npz", "not the file that SHA256SUMS lists")
    shutil.copy(store.run / "logits.csv", store.other / "logits.csv")
    assert not any("it is that of seed" in finding.text for finding in verify.check(store.results))


def test_another_protocol_with_keys_that_fit_is_another_table_and_says_so(store: Store) -> None:
    """Keys and place may be made to fit; that the protocol's name promises other settings remains."""
    store.put(protocol__settings__learning_rate=0.5)
    store.run = store.rekeyed(store.run)
    findings = verify.check(store.results)
    assert [finding.text for finding in findings] == [
        "setting learning_rate is not that of protocol quick, and protocol.overrides is silent"
    ]


def test_truth_and_revision_are_the_table_s(store: Store) -> None:
    """The truth of a third run tells which of two differs."""
    third = store.results / "runs/quick/synthetic/unet/third"
    shutil.copytree(store.run, third)
    store.put(third, seed=9)
    third = store.rekeyed(third)
    store.cells("images.csv", 4, sisdr_noisy=1)
    store.seal()
    wrong = [finding for finding in verify.check(store.results) if "is the data's alone" in finding.text]
    assert [(finding.run, finding.text.split()[0]) for finding in wrong] == [(store.run, "sisdr_noisy")]
    assert "row 5" in wrong[0].text


def test_a_run_of_other_data_that_claims_the_table(bench: Bench, store: Store) -> None:
    """Its images are not as many, so that the counts cannot be compared: that is said, and nothing stops."""
    small = ("--dataset", SMALL.replace("test=4", "test=3"), *TINY[2:], "--results", store.results)
    assert bench("run", "--arch", "otsu", *small).code == 0
    (other,) = {path for path in store.otsu.parent.iterdir() if path != store.otsu}
    assert verify.check(store.results) == []
    store.put(other, comparability_key=read(store.run).comparability_key)
    checksums.write(other)
    texts = [finding.text for finding in verify.check(store.results) if finding.run == other]
    assert "comparability_key is not that of protocol.digest and dataset.manifest" in texts
    assert "dataset.manifest is not that of the other runs of its table" in texts


@pytest.mark.parametrize("revision", [0, -1, protocols.REVISION + 1])
def test_a_revision_that_never_was(store: Store, revision: int) -> None:
    """Another table of the same name, with digest, keys and place that fit."""
    store.put(protocol__revision=revision)
    store.run = store.rekeyed(store.run)
    texts = {finding.file.name: finding.text for finding in verify.check(store.results)}
    assert texts.pop("run.json") == f"protocol.revision is {revision}, there are 1 to {protocols.REVISION}"
    assert list(texts.values()) == ["it is missing"]  # reference scores of that revision
