"""A results folder that a test changes, and whether `bench verify` finds the change."""

import csv
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from helpers import SMALL, put

from benchmark import protocols
from benchmark.common.progress import silent
from benchmark.plugins import datasets, registry
from benchmark.records import checksums, keys, verify
from benchmark.records.store import KEY_DIGITS, manifest_path, pictures_path, read


@dataclass
class Store:
    """A results folder with two seeds of a network and one of a method without parameters."""

    results: Path
    run: Path
    other: Path
    otsu: Path

    def edit(self, name: str, change: Callable[[str], str], run: Path | None = None) -> None:
        path = (run or self.run) / name
        before = path.read_text()
        after = change(before)
        assert after != before, "the tampering changed nothing"
        path.write_text(after)

    def put(self, run: Path | None = None, **changes: Any) -> None:
        """Change run.json: `training__best_epoch=1`."""

        def change(text: str) -> str:
            content = json.loads(text)
            put(content, changes)
            return json.dumps(content, indent=2) + "\n"

        self.edit("run.json", change, run)

    def cells(self, name: str, row: int, **changes: int) -> None:
        """Add to cells of a table, by column; rows count from 0."""

        def change(text: str) -> str:
            lines = list(csv.reader(text.splitlines()))
            for column, step in changes.items():
                at = lines[0].index(column)
                lines[row + 1][at] = f"{float(lines[row + 1][at]) + step:g}"
            return "".join(",".join(line) + "\n" for line in lines)

        self.edit(name, change)

    def masks(self, change: Callable[[np.ndarray], None], run: Path | None = None) -> None:
        path = (run or self.run) / "predictions.npz"
        with np.load(path) as archive:
            shape = archive["shape"]
            masks = np.unpackbits(archive["packed"], axis=-1, count=shape[-1]).astype(bool)
        before = masks.copy()
        change(masks)
        assert (masks != before).any()
        np.savez_compressed(path, packed=np.packbits(masks, axis=-1), shape=shape)

    def seal(self, run: Path | None = None) -> None:
        """Write the checksums again, so that the contents alone give a change away."""
        checksums.write(run or self.run)

    def rekeyed(self, run: Path) -> Path:
        """Write digest, keys and checksums again, and move the run to the place of its new key."""
        content = json.loads((run / "run.json").read_text())
        stored = content["protocol"]
        stored["digest"] = protocols.recorded(stored["name"], stored["settings"]).digest_at(stored["revision"])
        table = keys.table(protocol=stored["digest"], manifest=content["dataset"]["manifest"])
        entry, device = content["architecture"], content["device"]
        content["comparability_key"] = table
        content["run_key"] = keys.run(
            table=table,
            architecture=entry["label"],
            source=entry["source_hash"],
            weights=entry["weights"],
            seed=content["seed"],
            device=device["kind"],
            precision=device["precision"],
            torch=content["environment"]["torch"],
            micro_batch=device["micro_batch"],
        )
        (run / "run.json").write_text(json.dumps(content, indent=2) + "\n")
        checksums.write(run)
        return run.rename(run.parent / content["run_key"][:KEY_DIGITS])

    def manifest(self) -> Path:
        return manifest_path(self.results, read(self.run).dataset.manifest)


Tampering = Callable[[Store], None]


def truth(store: Store) -> np.ndarray:
    """The true masks of the test split at the protocol's size."""
    found = read(store.run)
    settings = protocols.recorded("quick", found.protocol.settings)
    cached = datasets.load_data(registry.load("datasets", SMALL), settings, None, silent)
    return np.array(cached.splits["test"].masks)


def put_truth(store: Store, masks: np.ndarray) -> None:
    """Store other true masks (N, H, W) than the data has."""
    found = read(store.run)
    path = pictures_path(store.results, found.dataset.manifest, found.protocol.settings["image_size"])
    assert path.is_file()  # every run leaves it
    np.savez_compressed(path, truth_packed=np.packbits(masks, axis=-1), truth_shape=np.array(masks.shape))


def found(findings: list[verify.Finding], file: str, pattern: str) -> bool:
    """Whether a finding of a file of this name reads as the pattern says."""
    return any(finding.file.name == file and re.search(pattern, str(finding)) for finding in findings)


def count_changed(store: Store) -> None:
    store.cells("images.csv", 0, tp=1)


def file_removed(store: Store) -> None:
    (store.run / "logits.csv").unlink()


def named(value: object) -> str | None:
    """The id of a test: the name of its change."""
    return getattr(value, "__name__", None)


def require_found_though_sealed(store: Store, tamper: Tampering, file: str, pattern: str) -> None:
    """A change is found by the contents, although the checksums fit again."""
    tamper(store)
    store.seal()
    findings = verify.check(store.results)
    assert found(findings, file, pattern), findings
    assert not any("SHA256SUMS lists" in str(finding) for finding in findings), findings
    assert all("\n" not in str(finding) for finding in findings), findings
