"""One run = one folder with one JSON and its counts; the results store.

    results/runs/<protocol>/<dataset>/<architecture>/<run key, 12 digits>/
        run.json            everything that says what was run, on what, and how long it took
        images.csv          integer counts per test image: every score is derived from them; sound scores in dB
        logits.csv          per test image, histograms of the logits over background and over foreground
        history.csv         loss and validation IoU per epoch
        candidates.csv      the same for every learning rate, where the protocol has several to choose from
        predictions.npz     the predicted masks, one bit per pixel
        plugin.py           the architecture's source
        examples/           pictures: the best, the median and the worst test image, the learning curve
        model.safetensors   the weights (not committed)
        SHA256SUMS          the checksums of all of these
        verification.json   if `bench verify --predict` did it again: what came of it; in no checksum
    results/manifests/<manifest digest, 12 digits>.jsonl
    results/transfers/                              see `benchmark.transfers`
    results/references/<the same>-<revision>.csv    per test image, what masks score that need no network
    results/pictures/<the same>-<height>x<width>.npz    the true masks of the test, and thumbnails of embedded data;
                                                        thumbnails of a user's data in private/ (not committed)

A run folder is written under a temporary name, synced and renamed: it is whole, or it is not there.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from benchmark import files, sums
from benchmark.errors import UserError
from benchmark.files import sync

SCHEMA: Literal[1] = 1
KEY_DIGITS = 12
MAIN_SLICE = "main"
RUNS = "runs/*/*/*/*/"
"""Where runs lie in a results folder."""

Status = Literal["finished", "diverged", "out-of-memory"]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
"""A SHA-256. Files are called after its first digits: nothing else may stand there."""
R = TypeVar("R")


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ProtocolRecord(_Part):
    """The protocol as it was resolved; `overrides` are the settings changed on the command line."""

    name: str
    title: str
    digest: Digest
    revision: int
    settings: dict[str, Any]
    overrides: dict[str, Any]


class Isolation(_Part):
    """Whether a source of dependence is disjoint between the splits, and how many groups each split has."""

    relation: Literal["disjoint", "shared"]
    counts: dict[str, int]


class SliceRecord(_Part):
    """A slice of the test split: groups by kind, and which kinds training or validation had met."""

    groups: dict[str, int]
    unseen: list[str]
    seen: list[str]


class RenderingRecord(_Part):
    """How sound became the images: Hz, frames per image, peak; see `benchmark.contract.Rendering`."""

    sample_rate: int | None
    frames: int | None
    highpass: float | None
    lowpass: float | None
    peak: float | None


class DatasetRecord(_Part):
    """The locked data: sizes per split, per test slice, and the leakage groups."""

    label: str
    title: str
    citation: str
    licence: str
    source_hash: str
    manifest: Digest
    images: dict[str, int]
    empty_masks: dict[str, int]
    test_slices: dict[str, int]
    groups: dict[str, Isolation]
    slices: dict[str, SliceRecord] = {}
    rendering: RenderingRecord | None = None


class ReportedRecord(_Part):
    """A published number, copied so that the leaderboard needs no plugin."""

    dataset: str
    split: str
    metric: str
    value: float
    source: str
    comparable: str


class ArchitectureRecord(_Part):
    """The entry; `weights` says what it started from, `gflops` is 2 x multiply-adds / 1e9 of one forward image."""

    name: str
    label: str
    parameters: dict[str, Any]
    title: str
    paper: str
    citation: str
    source_hash: str
    weights: str
    parameter_count: int
    gflops: float
    reported: list[ReportedRecord]
    weights_licence: str | None = None


class DeviceRecord(_Part):
    """Where and how it ran. `threads` are torch's on a CPU; `execution` is eager, graph or compiled."""

    kind: str
    type: str
    precision: str
    threads: int
    devices: int = 1
    execution: str = "eager"
    micro_batch: int | None = None
    deterministic: bool = False

    @property
    def arithmetic(self) -> str:
        """The precision; and the micro-batches, over which a batch norm averages."""
        return f"{self.precision}, micro-batches of {self.micro_batch}" if self.micro_batch else self.precision


class CandidateRecord(_Part):
    """The training at one learning rate: IoU of its selected epoch; None and 0 where it diverged."""

    learning_rate: float
    validation_iou: float | None
    best_epoch: int


class TrainingRecord(_Part):
    """The training; seconds and images/s exclude validation. `best_epoch` counts from 1; 0 means not trained.

    `continued_after` lists the epochs after which a killed training went on. Where the protocol has several learning
    rates, `learning_rate` is the chosen one (None where all diverged, or nothing was trained) and `candidates` are all,
    in the order of training; the epochs are those of the chosen one, seconds and `continued_after` go through all.
    """

    epochs: int
    best_epoch: int
    seconds: float
    images_per_second: float | None
    last_losses: list[float]
    continued_after: list[int] = []
    learning_rate: float | None = None
    candidates: list[CandidateRecord] = []


class Record(_Part):
    """One run."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    schema_version: Literal[1] = Field(default=1, alias="schema")
    status: Status
    message: str = ""
    run_key: Digest
    comparability_key: Digest
    command: str
    finished: str
    seed: int
    protocol: ProtocolRecord
    dataset: DatasetRecord
    architecture: ArchitectureRecord
    device: DeviceRecord
    training: TrainingRecord
    inference_images_per_second: float | None
    peak_memory_bytes: int | None
    """Of the device, or resident memory of the process on a CPU; None where the process had run something before."""
    environment: dict[str, str]

    @property
    def headline_slice(self) -> str:
        """The slice of the test split that the scores are of: "main", or the first where none is called so."""
        return headline(list(self.dataset.test_slices))


def headline(slices: Sequence[str]) -> str:
    """The slice that the scores are of: "main", or the first where none is called so."""
    return MAIN_SLICE if MAIN_SLICE in slices else slices[0]


def key(parts: Mapping[str, Any]) -> str:
    """SHA-256 of the canonical JSON."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def folder(results: Path, protocol: str, dataset: str, architecture: str, run_key: str) -> Path:
    """Where a run lies. The names are plugin names or file stems."""
    return results / "runs" / protocol / dataset / architecture / run_key[:KEY_DIGITS]


def finished(path: Path) -> bool:
    """Whether a run folder holds a finished run."""
    try:
        return read(path).status == "finished" and (path / "images.csv").is_file()
    except (OSError, ValueError):
        return False


def read(path: Path) -> Record:
    """The record of a run folder.

    Raises:
        OSError, ValueError: it is missing, truncated, or of another schema.
    """
    return Record.model_validate_json((path / "run.json").read_bytes())


def read_all(results: Path) -> tuple[list[tuple[Path, Record]], list[str]]:
    """Every run of a results folder in the order of the paths, and a line on each one that cannot be read."""
    return read_each(folders(results, RUNS), "run.json", read, f"a record of schema {SCHEMA}")


def folders(results: Path, pattern: str) -> list[Path]:
    """The folders of a results folder that a pattern finds, in the order of the paths: those that are read and checked.

    Hidden ones, and those inside hidden ones, are under way or put aside, and are neither read nor checked.
    """
    found = {path for path in results.glob(pattern) if path.is_dir()}
    return sorted(path for path in found if not any(part.startswith(".") for part in path.relative_to(results).parts))


def read_each(
    paths: Iterable[Path], name: str, read_one: Callable[[Path], R], what: str
) -> tuple[list[tuple[Path, R]], list[str]]:
    """What is in the file of that name in each folder, in the order of the paths, and a line on each that fails.

    `what` it should be.
    """
    records, problems = [], []
    for path in paths:
        try:
            records.append((path, read_one(path)))
        except FileNotFoundError:
            problems.append(f"{path} has no {name}: remove the folder or restore the file")
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"]) or "file"
            problems.append(f"{path / name} is not {what} ({place}: {first['msg']})")
        except (OSError, ValueError) as error:
            problems.append(f"{path / name} cannot be read: {error}")
    return records, problems


def check_writable(results: Path) -> None:
    """Refuse a results folder before hours are spent on what cannot be stored.

    Raises:
        UserError: it, or the folder that it would be made in, is no folder or may not be written to.
    """
    existing = next(path for path in (results.absolute(), *results.absolute().parents) if path.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        raise UserError(
            f"cannot write results to {results}: {existing} is no folder that you may write to; use --results"
        )


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """A temporary folder that becomes `path` when the block ends well, and leaves nothing when it does not.

    The checksums of what it holds are written last.

    Raises:
        UserError: the disk refuses.
    """
    try:
        with _temporary_folder(path) as temporary:
            yield temporary
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}; nothing was stored") from error


@contextmanager
def _temporary_folder(path: Path) -> Iterator[Path]:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".tmp-{path.name}-{os.getpid()}"
    temporary.mkdir()
    try:
        yield temporary
        sums.write(temporary)
        for file in (file for file in temporary.rglob("*") if file.is_file()):
            sync(file)
        sync(temporary)
        _replace(temporary, path)
        sync(path.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_record(target: Path, record: Record) -> None:
    """Write run.json into a run folder under way."""
    (target / "run.json").write_text(record.model_dump_json(indent=2, by_alias=True) + "\n", encoding="utf-8")


def read_counts(paths: Sequence[Path]) -> list[dict[str, NDArray[Any]]]:
    """The columns of each run's images.csv: `id` and `slice` as strings, counts as integers, decibels as floats.

    Files with the same header are parsed in one go: a thousand small parses would cost seconds.

    Raises:
        OSError, ValueError: a file is missing or not such a table.
    """
    return files.read_tables([path / "images.csv" for path in paths])


def manifest_path(results: Path, digest: str) -> Path:
    """Where the manifest of that digest lies."""
    return results / "manifests" / f"{digest[:KEY_DIGITS]}.jsonl"


def pictures_path(results: Path, digest: str, size: Sequence[int], *, private: bool = False) -> Path:
    """Where true masks and thumbnails of the test images of that manifest lie, at (height, width)."""
    folder = results / "pictures" / "private" if private else results / "pictures"
    return folder / f"{digest[:KEY_DIGITS]}-{size[0]}x{size[1]}.npz"


def references_path(results: Path, digest: str, revision: int) -> Path:
    """Where the reference scores of the data of that manifest lie, as computed under that revision."""
    return results / "references" / f"{digest[:KEY_DIGITS]}-{revision}.csv"


def _replace(temporary: Path, path: Path) -> None:
    if not path.exists():
        temporary.rename(path)
        return
    old = path.parent / f".tmp-{path.name}-{os.getpid()}-old"
    path.rename(old)  # `unfinished` puts it back if a kill comes before the next line
    temporary.rename(path)
    shutil.rmtree(old)
