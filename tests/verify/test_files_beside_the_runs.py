"""What all runs on the same data share: the manifest, the true masks and thumbnails, the reference scores."""

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tampering import Store, found, put_truth, truth

from benchmark.records import verify
from benchmark.records.store import manifest_path, pictures_path, read, references_path


def test_the_manifest_is_the_digest_s(store: Store) -> None:
    path = store.manifest()
    text = path.read_text()
    path.write_text(text.replace('"foreground": ', '"foreground": 1', 1))
    findings = verify.check(store.results)
    assert len(findings) == 3
    assert found(findings, path.name, "its SHA-256 is not the manifest digest in run.json")
    path.unlink()
    assert found(verify.check(store.results), path.name, "the manifest of the run's data is missing; restore it")


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: [{**row, "height": "x"} for row in rows],
        lambda rows: [row for row in rows if row["split"] != "test"],
        lambda rows: [row["id"] for row in rows],
        lambda rows: [{**row, "groups": None} for row in rows],
        lambda rows: [{**row, "sound": 7} for row in rows],
        lambda rows: [{**row, "more": 7} for row in rows],
        lambda rows: rows[:0],
    ],
)
def test_a_manifest_that_is_none_under_its_own_digest(store: Store, change: Callable[[Any], Any]) -> None:
    rows = change([json.loads(line) for line in store.manifest().read_text().splitlines()])
    text = "".join(json.dumps(row) + "\n" for row in rows)
    digest = hashlib.sha256(text.encode()).hexdigest()
    path = manifest_path(store.results, digest)
    path.write_text(text)
    store.put(dataset__manifest=digest)
    store.run = store.rekeyed(store.run)
    assert found(verify.check(store.results), path.name, "it cannot be read")


def test_a_truth_of_other_masks_is_found(store: Store) -> None:
    masks = truth(store)
    masks[3, 5, 5] ^= True
    put_truth(store, masks)
    assert {finding.run for finding in verify.check(store.results)} == {store.run, store.other, store.otsu}


def edited(pattern: str, text: str) -> Callable[[Path], None]:
    def edit(path: Path) -> None:
        before = path.read_text()
        path.write_text(re.sub(pattern, text, before, count=1))
        assert path.read_text() != before

    return edit


REFERENCES: list[tuple[Callable[[Path], None], str]] = [
    (edited("test-00001", "test-00009"), "its images are not the test split of the manifest"),
    (edited(r"\n[^\n]+\n$", "\n"), "its images are not the test split of the manifest"),
    (edited(",ood,", ",main,"), "its images are not the test split of the manifest"),
    (edited(r"main,[^,]+,", "main,30.1,"), r"truth_mask_sisdr is beyond \+-30 dB"),
    (edited(r"main,[^,]+,[^,]+,", "main,1.0,-200,"), r"truth_mask_sdr is beyond \+-100 dB"),
    (edited(r"[^,]+\n$", "-61\n"), r"all_foreground_noise_left is beyond \+-60 dB"),
    (edited(r"main,[^,]+,", "main,-inf,"), "it cannot be read"),
    (edited(r"[^,]+(,[^,]+,[^,]+)\n$", r"7.7777\1\n"), "all_foreground_sdr is not the sdr_noisy of the runs"),
    (edited("all_foreground_sisdr", "some_foreground_sisdr"), "it cannot be read"),
    (Path.unlink, "it is missing"),
    (lambda path: path.write_bytes(b"\xff\x00") and None, "it cannot be read"),
]


@pytest.mark.parametrize(("change", "pattern"), REFERENCES)
def test_reference_scores_that_were_altered(store: Store, change: Callable[[Path], None], pattern: str) -> None:
    """Once, although three runs have them."""
    found = read(store.run)
    path = references_path(store.results, found.dataset.manifest, found.protocol.revision)
    change(path)
    (finding,) = verify.check(store.results)
    assert (finding.run, finding.file) == (path, path)
    assert re.search(pattern, finding.text), finding
    assert verify.check(store.results, [store.run]) == [finding]


@pytest.mark.parametrize(
    ("change", "pattern"),
    [
        (lambda ends, small: (ends[::-1], small), "does not increase up to their length"),
        (lambda ends, small: (ends, small[:-1]), "does not increase up to their length"),
        (lambda ends, small: (ends[1:], small), "its thumbnails are not 6, as the manifest's test images"),
        (lambda ends, small: (ends.astype(float), small), "its thumbnails are not 6"),
        (lambda ends, small: (ends - [1, 0, 0, 0, 0, 0], small), "one of its thumbnails is no WebP file"),
        (lambda ends, small: (ends, small[::-1]), "one of its thumbnails is no WebP file"),
    ],
)
def test_thumbnails_that_were_altered(store: Store, change: Callable[..., Any], pattern: str) -> None:
    found = read(store.run)
    path = pictures_path(store.results, found.dataset.manifest, found.protocol.settings["image_size"])
    with np.load(path) as archive:
        arrays = dict(archive)
    arrays["ends"], arrays["thumbnails"] = change(arrays["ends"], arrays["thumbnails"])
    np.savez_compressed(path, **arrays)
    (finding,) = verify.check(store.results)
    assert (finding.run, finding.file) == (path, path)
    assert re.search(pattern, finding.text), finding
