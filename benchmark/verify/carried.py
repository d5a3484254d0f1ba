"""Checks of transfers: runs that were tested on other data."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from benchmark import protocol, record, sums, transfers
from benchmark.data import manifest
from benchmark.data.manifest import Row
from benchmark.errors import UserError
from benchmark.metrics import CONFUSION
from benchmark.transfers import TransferRecord
from benchmark.verify import tables
from benchmark.verify.subject import Fault, Finding

_AGAIN = "make it again with bench transfer --force"
_IMAGES = "images.csv"


def check_transfers(results: Path) -> list[Finding]:
    """What is wrong with the transfers of a results folder."""
    return [
        Finding(run=path, file=path / fault.file, text=fault.text, remedy=fault.remedy)
        for path in sorted(results.glob(f"{transfers.FOLDER}/*/*/"))
        if not path.name.startswith(".")
        for fault in _faults(results, path)
    ]


def _faults(results: Path, path: Path) -> Iterator[Fault]:
    yield from _check_checksums(path)
    try:
        found = transfers.read(path)
    except (OSError, ValidationError) as error:
        yield Fault(transfers.NAME, f"it is missing or no transfer of schema 1 ({type(error).__name__})", _AGAIN)
        return
    if path.resolve() != transfers.folder(results, found.run_key, found.tested_on.manifest).resolve():
        yield Fault(transfers.NAME, "the folder is not where the record belongs", _AGAIN)
    yield from _check_run(results, found)
    yield from _check_counts(results, path, found)


def _check_checksums(path: Path) -> Iterator[Fault]:
    try:
        listed = sums.read(path)
    except (OSError, ValueError):
        yield Fault(sums.NAME, "it is missing or broken", _AGAIN)
        return
    for name in sums.differing(path, listed):
        yield Fault(name, f"it is not the file that {sums.NAME} lists", _AGAIN)
    for name in sorted(set(sums.names(path)) ^ {*listed, sums.NAME}):
        yield Fault(name, f"it is missing, or {sums.NAME} does not list it", _AGAIN)


def _check_run(results: Path, found: TransferRecord) -> Iterator[Fault]:
    """The run is there, and is still the one whose weights were tested."""
    start = found.run_key[: record.KEY_DIGITS]
    for folder in results.glob(f"runs/*/*/*/{start}/"):
        try:
            run = record.read(folder)
        except (OSError, ValueError):
            break  # the checks of the run say so
        stored = (run.run_key, run.architecture.label, run.seed, run.architecture.source_hash)
        if stored != (found.run_key, found.architecture, found.seed, found.source_hash):
            yield Fault(transfers.NAME, f"it does not say what {folder / 'run.json'} says of the run", _AGAIN)
        if transfers.trained_on(run) != found.trained_on:
            yield Fault(transfers.NAME, f"trained_on is not what {folder / 'run.json'} says", _AGAIN)
        if (folder / sums.NAME).is_file() and sums.digest(folder / sums.NAME) != found.run_sums:
            yield Fault(transfers.NAME, "the run was made again since, or was changed", _AGAIN)
        return
    yield Fault(transfers.NAME, f"its run {start} is not there, or cannot be read", "restore the run, or remove this")


def _check_counts(results: Path, path: Path, found: TransferRecord) -> Iterator[Fault]:
    """Images and their counts are the manifest's, at the sizes of the protocol and of the files."""
    place = record.manifest_path(results, found.tested_on.manifest)
    if not place.is_file() or sums.digest(place) != found.tested_on.manifest:
        yield Fault(transfers.NAME, f"{place} is missing, or is not the manifest of the data", _AGAIN)
        return
    rows = [manifest.read_line(line) for line in place.read_text(encoding="utf-8").splitlines()]
    counted = manifest.counted(rows)
    if found.tested_on.model_dump(mode="json", include=set(counted)) != counted:
        yield Fault(transfers.NAME, "tested_on is not what the manifest's rows make", _AGAIN)
    try:
        settings = protocol.recorded(found.trained_on.protocol, found.settings)
        images = tables.read_images(path / _IMAGES)
    except (OSError, UserError, ValueError) as error:
        yield Fault(_IMAGES, f"it or the settings cannot be read ({error})", _AGAIN)
        return
    if settings.digest_at(found.revision) != found.protocol_digest:
        yield Fault(transfers.NAME, "protocol_digest is not that of settings and revision", _AGAIN)
    tested = [row for row in rows if row.split == "test"]
    if (images.ids, images.slices) != ([row.id for row in tested], [row.slice for row in tested]):
        yield Fault(_IMAGES, "its images are not the test split of the manifest", _AGAIN)
    elif not _adds_up(images, tested, settings.image_size):
        yield Fault(_IMAGES, "the counts of an image do not add up to its pixels, or to its foreground", _AGAIN)


def _adds_up(images: tables.Images, tested: list[Row], size: tuple[int, int]) -> bool:
    counts = images.counts
    pixels = np.array([row.height * row.width for row in tested])
    foreground = np.array([row.foreground for row in tested])
    totals = {"": np.full(len(tested), size[0] * size[1]), "native_": pixels, "roundtrip_": pixels}
    return all(
        np.array_equal(np.stack([counts[f"{prefix}{name}"] for name in CONFUSION]).sum(0), total)
        and (not prefix or np.array_equal(counts[f"{prefix}tp"] + counts[f"{prefix}fn"], foreground))
        for prefix, total in totals.items()
    )
