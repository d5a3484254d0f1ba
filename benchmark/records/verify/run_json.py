"""Checks of run.json: checksums, place, protocol, keys, data and verification."""

import os
from collections.abc import Iterator
from pathlib import Path

from benchmark import protocols
from benchmark.data import manifest
from benchmark.records import checksums, keys, store
from benchmark.records.verify.badges import VERIFICATION, read_verification
from benchmark.records.verify.run_files import Fault, Folder, RunFolder, reading

UNCOMMITTED = (store.WEIGHTS, "private/")
"""Files of a run that may be missing: their names begin so."""


def check_checksums(folder: Folder) -> Iterator[Fault]:
    """Every file has the checksum that SHA256SUMS lists; only files that are not committed may be missing."""
    with reading(checksums.NAME):
        listed = checksums.read(folder.path)
        there = set(checksums.names(folder.path))
        changed = list(checksums.changed(folder.path, listed))
    for name in changed:
        yield Fault(name, f"it is not the file that {checksums.NAME} lists")
    for name in listed:
        if name not in there and not name.startswith(UNCOMMITTED):
            yield Fault(name, f"it is missing; {checksums.NAME} lists it")
    for name in sorted(there - set(listed) - {checksums.NAME, VERIFICATION}):
        yield Fault(name, f"{checksums.NAME} does not list it", "remove it")


def check_place(run: RunFolder) -> Iterator[Fault]:
    """The folder is where the record says."""
    found = run.record
    dataset = found.dataset.label.partition(":")[0]
    expected = store.folder(run.results, found.protocol.name, dataset, found.architecture.name, found.run_key)
    yield from misplaced(run.path, expected, store.RECORD)


def misplaced(path: Path, expected: Path, record: str) -> Iterator[Fault]:
    """A fault if a folder is not where its record says."""
    # As texts: a record may hold a name that no file can have.
    if os.path.abspath(path) != os.path.abspath(expected):  # noqa: PTH100
        there = os.path.exists(expected)  # noqa: PTH110
        remedy = f"remove it; it belongs at {expected}, where another folder is" if there else f"move it to {expected}"
        yield Fault(record, "the folder is not where its record belongs", remedy)


def check_protocol(run: RunFolder) -> Iterator[Fault]:
    """The digest is that of the settings and the revision."""
    stored = run.record.protocol
    if not 1 <= stored.revision <= protocols.REVISION:
        yield Fault(store.RECORD, f"protocol.revision is {stored.revision}, there are 1 to {protocols.REVISION}")
    if run.settings.digest_at(stored.revision) != stored.digest:
        yield Fault(store.RECORD, "protocol.digest is not that of protocol.settings and protocol.revision")


def check_keys(run: RunFolder) -> Iterator[Fault]:
    """The comparability key and the run key are those of the fields of the record."""
    found = run.record
    table = keys.table(protocol=found.protocol.digest, manifest=found.dataset.manifest)
    if found.comparability_key != table:
        yield Fault(store.RECORD, "comparability_key is not that of protocol.digest and dataset.manifest")
    weights = found.architecture.weights
    made = keys.run(
        table=found.comparability_key,
        architecture=found.architecture.label,
        source=found.architecture.source_hash,
        weights="random" if weights == "no parameters" else weights,  # the key knows what was asked for
        seed=found.seed,
        device=found.device.kind,
        precision=found.device.precision,
        torch=found.environment.get("torch", ""),
        micro_batch=found.device.micro_batch,
    )
    if found.run_key != made:
        yield Fault(
            store.RECORD,
            "run_key is not that of label, source hash, weights, seed, device, precision, micro-batch and torch in it",
        )


def check_data(run: RunFolder) -> Iterator[Fault]:
    """Sizes, slices and groups in the record are those of the manifest."""
    counted = manifest.summary(run.rows)
    stored = run.dataset.model_dump(mode="json", include=set(counted))
    for name, value in counted.items():
        if stored[name] != value:
            yield Fault(store.RECORD, f"dataset.{name} is not that of the manifest")


def check_verification(run: RunFolder) -> Iterator[Fault]:
    """verification.json, if there is one, is of these files and says that the weights gave the counts."""
    path, sums = run.path / VERIFICATION, run.path / checksums.NAME
    if not path.exists():
        return
    remedy = f"evaluate the weights again with bench verify --predict {run.path}, or remove the file"
    try:
        found = read_verification(run.path)
    except (OSError, ValueError):
        yield Fault(VERIFICATION, "it is not a verification of schema 1", remedy)
        return
    if sums.is_file() and found.sums != checksums.digest(sums):
        yield Fault(VERIFICATION, f"it is of other files than {checksums.NAME} lists", remedy)
    elif not found.is_good:
        yield Fault(VERIFICATION, f"the weights did not give the run's counts: {found.message}", remedy)
