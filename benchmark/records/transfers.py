"""Transfers, that is runs tested on a dataset that they were not trained on: schema, place and reading. No torch.

    results/transfers/<run key, 12 digits>/<manifest digest of the other data, 12 digits>/
        transfer.json     which run was tested, on which dataset, and how
        images.csv        as in a run: integer counts per test image, sound scores in dB
        SHA256SUMS        the checksums of both

The manifest of the other data is in results/manifests, like that of a run.
"""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from benchmark.records.schema import DatasetRecord, DeviceRecord, Digest, Part, Record
from benchmark.records.store import KEY_DIGITS, Places, read_each, read_if_present, require_counts

NAME = "transfer.json"
FOLDER = "transfers"
PLACES: Places = (FOLDER, 2)

_SCHEMA_NAME = "a transfer of schema 1"


class TrainedOn(Part):
    """The protocol and the dataset that the run was trained with, and their digests."""

    protocol: str
    protocol_digest: str
    dataset: str
    manifest: str


class TransferRecord(Part):
    """A run tested on the test split of another dataset.

    `settings` are the run's protocol settings with the other dataset, and `protocol_digest` is their digest. Transfers
    compare if that digest and the manifest of the other data are equal. `leakage` counts by kind the groups of this
    test that the run was trained or validated on; it is empty unless the user allowed leakage.
    """

    schema_version: Literal[1] = Field(default=1, alias="schema")
    run_key: Digest
    run_sums: str
    """SHA-256 of the run's SHA256SUMS, which tells one training of the run from the next."""
    architecture: str
    """The label."""
    seed: int
    source_hash: str
    trained_on: TrainedOn
    tested_on: DatasetRecord
    protocol_digest: str
    revision: int
    settings: dict[str, Any]
    leakage: dict[str, int]
    command: str
    finished: str
    device: DeviceRecord
    images_per_second: float | None
    environment: dict[str, str]


def folder(results: Path, run_key: str, manifest: str) -> Path:
    """The folder of the transfer of a run to data of that manifest."""
    return results / FOLDER / run_key[:KEY_DIGITS] / manifest[:KEY_DIGITS]


def trained_on(found: Record) -> TrainedOn:
    """The protocol and the dataset of a run."""
    return TrainedOn(
        protocol=found.protocol.name,
        protocol_digest=found.protocol.digest,
        dataset=found.dataset.label,
        manifest=found.dataset.manifest,
    )


def write(target: Path, made: TransferRecord) -> None:
    """Write transfer.json into a folder that is being written."""
    (target / NAME).write_text(made.model_dump_json(indent=2, by_alias=True) + "\n", encoding="utf-8")


def read(path: Path) -> TransferRecord:
    """Read the record of a transfer.

    Raises:
        OSError, ValueError: it is missing, truncated, or of another schema.
    """
    return TransferRecord.model_validate_json((path / NAME).read_bytes())


def finished(path: Path, run_sums: str) -> bool:
    """Whether a folder holds a transfer of this training of the run; False if it does not exist or is empty.

    Raises:
        UserError: the record cannot be read.
    """
    found = read_if_present(path, NAME, read, _SCHEMA_NAME)
    if found is None or found.run_sums != run_sums:
        return False
    require_counts(path)
    return True


def read_all(results: Path) -> tuple[list[tuple[Path, TransferRecord]], list[str]]:
    """Read every transfer of a results folder, sorted by path; also a message for each one that cannot be read."""
    return read_each(results, PLACES, NAME, read, _SCHEMA_NAME)
