"""The manifest of the data and the true masks, which all runs on the same data share, are checked for each run."""

import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from tampering import Store, found, put_truth, truth

from benchmark.records import verify
from benchmark.records.store import manifest_path


def test_the_manifest_has_the_digest_of_the_record(store: Store) -> None:
    path = store.manifest()
    text = path.read_text()
    path.write_text(text.replace('"foreground": ', '"foreground": 1', 1))
    findings = verify.check(store.results)
    assert len(findings) == 3
    assert found(findings, path.name, "its SHA-256 is not the manifest digest of the record")
    path.unlink()
    assert found(verify.check(store.results), path.name, "it is missing; restore")


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: [{**row, "height": "x"} for row in rows],
        lambda rows: [row for row in rows if row["split"] != "test"],
        lambda rows: [row["id"] for row in rows],
        lambda rows: [{**row, "groups": None} for row in rows],
        lambda rows: [{**row, "sound": 7} for row in rows],
        lambda rows: rows[:0],
    ],
)
def test_a_damaged_manifest_under_its_own_digest(store: Store, change: Callable[[Any], Any]) -> None:
    rows = change([json.loads(line) for line in store.manifest().read_text().splitlines()])
    text = "".join(json.dumps(row) + "\n" for row in rows)
    digest = hashlib.sha256(text.encode()).hexdigest()
    path = manifest_path(store.results, digest)
    path.write_text(text)
    store.put(dataset__manifest=digest)
    store.run = store.rekeyed(store.run)
    assert found(verify.check(store.results), path.name, "it cannot be read|it does not follow its schema")


def test_other_true_masks_are_found(store: Store) -> None:
    masks = truth(store)
    masks[3, 5, 5] ^= True
    put_truth(store, masks)
    assert {finding.run for finding in verify.check(store.results)} == {store.run, store.other, store.otsu}
