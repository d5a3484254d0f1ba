"""Checks of transfers: runs that were tested on other data."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from benchmark import protocols
from benchmark.common.errors import UserError
from benchmark.data import manifest
from benchmark.data.manifest import Row
from benchmark.records import checksums, store, tables, transfers
from benchmark.records.schema import Record
from benchmark.records.transfers import TransferRecord
from benchmark.records.verify.run_files import DAMAGED, Fault, Finding, UnreadableError, fails_on, manifest_rows
from benchmark.scores import CONFUSION

_AGAIN = "make it again with bench transfer --force"
_IMAGES = "images.csv"


def check_transfers(results: Path) -> list[Finding]:
    """What is wrong with the transfers of a results folder."""
    return [
        Finding.of(path, fault)
        for path in store.folders(results, transfers.PLACES)
        for fault in dict.fromkeys(_faults(results, path))
    ]


def _faults(results: Path, path: Path) -> Iterator[Fault]:
    try:
        yield from _check_checksums(path)
        found = _read(path)
        if path.resolve() != transfers.folder(results, found.run_key, found.tested_on.manifest).resolve():
            yield Fault(transfers.NAME, "the folder is not where the record belongs", _AGAIN)
        tested = _tested_rows(results, found)
        yield from _check_run(results, found, tested)
        yield from _check_counts(path, found, tested)
    except UnreadableError as error:
        yield error.fault
    except DAMAGED as error:
        yield fails_on(transfers.NAME, error)


def _read(path: Path) -> TransferRecord:
    try:
        return transfers.read(path)
    except DAMAGED as error:
        text = f"it is missing or no transfer of schema 1 ({type(error).__name__})"
        raise UnreadableError(Fault(transfers.NAME, text, _AGAIN)) from error


def _tested_rows(results: Path, found: TransferRecord) -> list[Row]:
    """The manifest's rows of the data that the run was tested on."""
    try:
        return manifest_rows(results, found.tested_on.manifest)
    except UnreadableError as error:
        text = f"{error.fault.file} is missing, or is not the manifest of the data"
        raise UnreadableError(Fault(transfers.NAME, text, _AGAIN)) from error


def _check_checksums(path: Path) -> Iterator[Fault]:
    try:
        listed = checksums.read(path)
    except (OSError, ValueError):
        yield Fault(checksums.NAME, "it is missing or broken", _AGAIN)
        return
    for name in checksums.differing(path, listed):
        yield Fault(name, f"it is not the file that {checksums.NAME} lists", _AGAIN)
    for name in sorted(set(checksums.names(path)) ^ {*listed, checksums.NAME}):
        yield Fault(name, f"it is missing, or {checksums.NAME} does not list it", _AGAIN)


def _check_run(results: Path, found: TransferRecord, rows: Sequence[Row]) -> Iterator[Fault]:
    """The run is there, and is still the one whose weights were tested."""
    start = found.run_key[: store.KEY_DIGITS]
    folder = next((folder for folder in store.folders(results, store.RUNS) if folder.name == start), None)
    try:
        run = store.read(folder) if folder else None
    except DAMAGED:
        run = None  # the checks of the run say so
    if folder is None or run is None:
        remedy = "restore the run, or remove this"
        yield Fault(transfers.NAME, f"its run {start} is not there, or cannot be read", remedy)
        return
    stored = (run.run_key, run.architecture.label, run.seed, run.architecture.source_hash)
    if stored != (found.run_key, found.architecture, found.seed, found.source_hash):
        yield Fault(transfers.NAME, f"it does not say what {folder / 'run.json'} says of the run", _AGAIN)
    if transfers.trained_on(run) != found.trained_on:
        yield Fault(transfers.NAME, f"trained_on is not what {folder / 'run.json'} says", _AGAIN)
    if (folder / checksums.NAME).is_file() and checksums.digest(folder / checksums.NAME) != found.run_sums:
        yield Fault(transfers.NAME, "the run was made again since, or was changed", _AGAIN)
    yield from _check_settings(run, found)
    yield from _check_leakage(results, run, found, rows)


def _check_settings(run: Record, found: TransferRecord) -> Iterator[Fault]:
    """Only the dataset is another than the run's."""
    try:
        own = protocols.recorded(run.protocol.name, run.protocol.settings)
        here = protocols.recorded(run.protocol.name, found.settings)
    except UserError:
        return  # said elsewhere
    for name in here.changes_from(own.override({"dataset": found.tested_on.label})):
        yield Fault(transfers.NAME, f"setting {name} is not that of the run, or of tested_on", _AGAIN)


def _check_leakage(results: Path, run: Record, found: TransferRecord, rows: Sequence[Row]) -> Iterator[Fault]:
    """What the run had met of this test is what both manifests make."""
    trained = [row for row in manifest_rows(results, run.dataset.manifest) if row.split != "test"]
    met = manifest.met(trained, [row for row in rows if row.split == "test"])
    if found.leakage != {kind: len(groups) for kind, groups in met.items()}:
        yield Fault(transfers.NAME, "leakage is not what the run's manifest and that of these data share", _AGAIN)


def _check_counts(path: Path, found: TransferRecord, rows: Sequence[Row]) -> Iterator[Fault]:
    """Images and their counts are the manifest's, at the sizes of the protocol and of the files."""
    counted = manifest.counted(rows)
    if found.tested_on.model_dump(mode="json", include=set(counted)) != counted:
        yield Fault(transfers.NAME, "tested_on is not what the manifest's rows make", _AGAIN)
    try:
        settings = protocols.recorded(found.trained_on.protocol, found.settings)
        images = tables.read_images(path / _IMAGES)
    except (UserError, *DAMAGED) as error:
        yield Fault(_IMAGES, f"it or the settings cannot be read ({error})", _AGAIN)
        return
    if not 1 <= found.revision <= protocols.REVISION or settings.digest_at(found.revision) != found.protocol_digest:
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
