"""Where everything lies below the results folder, and how it is found and read.

    results/runs/<protocol>/<dataset>/<architecture>/<run key, 12 digits>/
        run.json            what was run, on what, and how long it took
        images.csv          per test image: integer counts, from which every score is computed, sound scores in dB, IoU
        logits.csv          per test image: histograms of the logits over background and over foreground
        history.csv         per epoch: loss and validation IoU
        candidates.csv      the same for every learning rate, where the protocol has several to choose from
        predictions.npz     the predicted masks, one bit per pixel
        plugin.py           the architecture's source
        plugin/<name>.py    other modules of the plugin, by their dotted names
        examples/           pictures: the best, the median and the worst test image, the learning curve
        model.safetensors   the weights (not committed)
        SHA256SUMS          the checksums of all of these
        verification.json   the result of `bench verify --predict`, if it was run (not in SHA256SUMS)
    results/manifests/<manifest digest, 12 digits>.jsonl
    results/transfers/                              see `benchmark.records.transfers`
    results/references/<the same>-<revision>.csv    per test image: scores of masks and denoisers that need no training
    results/pictures/<the same>-<height>x<width>.npz    the true masks of the test; thumbnails of embedded data, and in
                                                        private/ (not committed) of a user's data

A run folder is written under a temporary name, synced and renamed: it is complete, or it does not exist.
"""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias, TypeVar

from pydantic import ValidationError

from benchmark.common import files
from benchmark.common.errors import UserError
from benchmark.data import manifest
from benchmark.data.manifest import Row
from benchmark.records import tables
from benchmark.records.schema import SCHEMA, Record

RECORD = "run.json"
IMAGES = "images.csv"
LOGITS = "logits.csv"
HISTORY = "history.csv"
CANDIDATES = "candidates.csv"
PREDICTIONS = "predictions.npz"
PLUGIN = "plugin.py"
WEIGHTS = "model.safetensors"
MODULES = "plugin"
"""The folder of a run with the other modules of its plugin."""
KEY_DIGITS = 12

Places: TypeAlias = tuple[str, int]
"""A folder of the results folder, and how many levels below it the folders of interest lie."""
RUNS: Places = ("runs", 4)

R = TypeVar("R")

_SCHEMA_NAME = f"a record of schema {SCHEMA}"
INSTEAD = "restore it, or replace what is there with --force"


def folder(results: Path, protocol: str, dataset: str, architecture: str, run_key: str) -> Path:
    """The folder of a run. The names are plugin names or file stems."""
    return results / "runs" / protocol / dataset / architecture / run_key[:KEY_DIGITS]


def finished(path: Path) -> bool:
    """Whether a run folder holds a finished run; False if it does not exist or is empty.

    Raises:
        UserError: its record cannot be read; it may be worth more than a new run.
    """
    found = read_if_present(path, RECORD, read, _SCHEMA_NAME)
    if found is None or found.status != "finished":
        return False
    require_counts(path)
    return True


def read_if_present(path: Path, name: str, read_one: Callable[[Path], R], what: str) -> R | None:
    """Read the file of that name in a folder; None if the folder does not exist or is empty.

    `what` says in messages what the file should be.

    Raises:
        UserError: the folder holds something else, or the file cannot be read.
    """
    try:
        return read_one(path)
    except (OSError, ValueError) as error:
        gone = isinstance(error, FileNotFoundError | NotADirectoryError)
        if gone and not (path.is_dir() and any(path.iterdir())):
            return None
        raise UserError(f"{_problem(path, name, what, error)}; {INSTEAD}") from error


def require_counts(path: Path) -> None:
    """Refuse a finished run or transfer that lacks its counts.

    Raises:
        UserError: images.csv is missing.
    """
    if not (path / IMAGES).is_file():
        raise UserError(f"{path} has no {IMAGES}; {INSTEAD}")


def read(path: Path) -> Record:
    """Read the record of a run folder.

    Raises:
        OSError, ValueError: it is missing, truncated, or of another schema.
    """
    return Record.model_validate_json((path / RECORD).read_bytes())


def read_all(results: Path) -> tuple[list[tuple[Path, Record]], list[str]]:
    """Read every run of a results folder, sorted by path; also a message for each run that cannot be read."""
    return read_each(results, RUNS, RECORD, read, _SCHEMA_NAME)


def folders(results: Path, places: Places) -> list[Path]:
    """The folders at a place of a results folder, sorted by path; hidden ones are unfinished or set aside.

    Raises:
        UserError: a folder on the way cannot be read.
    """
    name, depth = places
    found = [results / name]
    for _ in range(depth):
        found = [inside for folder in found for inside in _folders_in(folder)]
    return sorted(found)


def _folders_in(folder: Path) -> list[Path]:
    try:
        return [path for path in folder.iterdir() if not path.name.startswith(".") and path.is_dir()]
    except FileNotFoundError:  # nothing is stored yet, or it has just gone
        return []
    except OSError as error:
        raise files.unreadable(folder, error) from error


def read_each(
    results: Path, places: Places, name: str, read_one: Callable[[Path], R], what: str
) -> tuple[list[tuple[Path, R]], list[str]]:
    """Read the file of that name in each folder of a place, sorted by path; also a message for each failure.

    `what` says in messages what the file should be.

    Raises:
        UserError: a folder on the way cannot be read.
    """
    records: list[tuple[Path, R]] = []
    problems: list[str] = []
    for path in folders(results, places):
        try:
            records.append((path, read_one(path)))
        except FileNotFoundError as error:
            problems.append(f"{_problem(path, name, what, error)}: remove the folder or restore the file")
        except OSError as error:
            problems.append(str(files.unreadable(path / name, error)))
        except ValueError as error:
            problems.append(_problem(path, name, what, error))
    return records, problems


def _problem(path: Path, name: str, what: str, error: OSError | ValueError) -> str:
    """The message for a file that cannot be used."""
    if isinstance(error, FileNotFoundError):
        return f"{path} has no {name}"
    if isinstance(error, ValidationError):
        return f"{path / name} is not {what} ({first_problem(error)})"
    return f"{path / name} cannot be read: {error}"


def first_problem(error: ValidationError) -> str:
    """The first thing that is wrong with a record: `<where>: <what>`."""
    first = error.errors()[0]
    return f"{'.'.join(str(part) for part in first['loc']) or 'file'}: {first['msg']}"


def write_record(target: Path, record: Record) -> None:
    """Write run.json into a run folder that is being written."""
    (target / RECORD).write_text(record.model_dump_json(indent=2, by_alias=True) + "\n", encoding="utf-8")


def read_counts(paths: Sequence[Path]) -> list[tables.Columns]:
    """Read images.csv of several folders, see `tables.read_images`.

    Raises:
        OSError, ValueError: a file is missing or not such a table.
    """
    return tables.read_images([path / IMAGES for path in paths])


def manifest_path(results: Path, digest: str) -> Path:
    """The path of the manifest of that digest."""
    return results / "manifests" / f"{digest[:KEY_DIGITS]}.jsonl"


def read_manifest(results: Path, digest: str) -> list[Row]:
    """Read the manifest of that digest, once its SHA-256 is that digest.

    Raises:
        OSError, ValueError: it is missing, or is another file.
    """
    content = manifest_path(results, digest).read_bytes()
    if hashlib.sha256(content).hexdigest() != digest:
        raise ValueError("its SHA-256 is not the manifest digest of the record")
    return manifest.read_rows(content.decode("utf-8"))


def pictures_path(results: Path, digest: str, size: Sequence[int], *, private: bool = False) -> Path:
    """The path of the true masks and thumbnails of the test images of that manifest, at (height, width)."""
    folder = results / "pictures" / "private" if private else results / "pictures"
    return folder / f"{digest[:KEY_DIGITS]}-{size[0]}x{size[1]}.npz"


def references_path(results: Path, digest: str, revision: int) -> Path:
    """The path of the reference scores of the data of that manifest, as computed under that revision."""
    return results / "references" / f"{digest[:KEY_DIGITS]}-{revision}.csv"
