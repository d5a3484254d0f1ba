"""Finished runs on data that they were not trained on: what is stored of that, and how it is read. Needs no torch.

    results/transfers/<run key, 12 digits>/<manifest digest of the other data, 12 digits>/
        transfer.json     what was tested, on what, how
        images.csv        as in a run: integer counts per test image, sound scores in dB
        SHA256SUMS        the checksums of both

The manifest of the other data lies in results/manifests, as a run's does.
"""

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from benchmark.records.schema import DatasetRecord, DeviceRecord, Digest, Record
from benchmark.records.store import KEY_DIGITS, Places, present, read_each, require_counts

NAME = "transfer.json"
FOLDER = "transfers"
PLACES: Places = (FOLDER, 2)

_RECORD = "a transfer of schema 1"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class TrainedOn(_Part):
    """What the run was trained under: its protocol with the digest, its data with the digest of their manifest."""

    protocol: str
    protocol_digest: str
    dataset: str
    manifest: str


class TransferRecord(_Part):
    """One run on the test split of other data.

    `settings` are the run's own protocol settings with the other dataset, under `protocol_digest`: transfers compare
    where that digest and the other data's manifest are the same. `leakage` counts, by kind, the groups of this test
    that the run was trained or validated on; it is empty unless that was allowed.
    """

    schema_version: Literal[1] = Field(default=1, alias="schema")
    run_key: Digest
    run_sums: str
    """SHA-256 of the run's SHA256SUMS: of which training of the run the weights were."""
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
    """Where the transfer of a run to data of that manifest lies."""
    return results / FOLDER / run_key[:KEY_DIGITS] / manifest[:KEY_DIGITS]


def trained_on(found: Record) -> TrainedOn:
    """What a run was trained under."""
    return TrainedOn(
        protocol=found.protocol.name,
        protocol_digest=found.protocol.digest,
        dataset=found.dataset.label,
        manifest=found.dataset.manifest,
    )


def write(target: Path, made: TransferRecord) -> None:
    """Write transfer.json into a folder under way."""
    (target / NAME).write_text(made.model_dump_json(indent=2, by_alias=True) + "\n", encoding="utf-8")


def read(path: Path) -> TransferRecord:
    """The record of a transfer's folder.

    Raises:
        OSError, ValueError: it is missing, truncated, or of another schema.
    """
    return TransferRecord.model_validate_json((path / NAME).read_bytes())


def finished(path: Path, run_sums: str) -> bool:
    """Whether a folder holds a transfer of the run as it is now; not so where nothing is there.

    Raises:
        UserError: what is there cannot be read.
    """
    found = present(path, NAME, read, _RECORD)
    if found is None or found.run_sums != run_sums:
        return False
    require_counts(path)
    return True


def read_all(results: Path) -> tuple[list[tuple[Path, TransferRecord]], list[str]]:
    """Every transfer of a results folder in the order of the paths, and a line on each one that cannot be read.

    Their counts are read as a run's are, by `store.read_counts`.
    """
    return read_each(results, PLACES, NAME, read, _RECORD)
