"""The results store: one run = one folder with one JSON and its counts.

    results/runs/<protocol>/<dataset>/<architecture>/<run key, 12 digits>/
        run.json            everything that says what was run, on what, and how long it took
        images.csv          integer counts per test image: every score is derived from them; sound scores in dB
        logits.csv          per test image, histograms of the logits over background and over foreground
        history.csv         loss and validation IoU per epoch
        candidates.csv      the same for every learning rate, where the protocol has several to choose from
        predictions.npz     the predicted masks, one bit per pixel
        plugin.py           the architecture's source
        plugin/<name>.py    the modules that it has of its own, by their dotted names
        examples/           pictures: the best, the median and the worst test image, the learning curve
        model.safetensors   the weights (not committed)
        SHA256SUMS          the checksums of all of these
        verification.json   if `bench verify --predict` did it again: what came of it; in no checksum
    results/manifests/<manifest digest, 12 digits>.jsonl
    results/transfers/                              see `benchmark.records.transfers`
    results/references/<the same>-<revision>.csv    per test image, what masks and denoisers score
    results/pictures/<the same>-<height>x<width>.npz    the true masks of the test, and thumbnails of embedded data;
                                                        thumbnails of a user's data in private/ (not committed)

A run folder is written under a temporary name, synced and renamed: it is whole, or it is not there.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn, TypeAlias, TypeVar

from numpy.typing import NDArray
from pydantic import ValidationError

from benchmark.common import files
from benchmark.common.errors import UserError
from benchmark.records import checksums, tables
from benchmark.records.schema import SCHEMA, Record

KEY_DIGITS = 12
MODULES = "plugin"
"""The folder of a run with the modules that its plugin has of its own."""

Places: TypeAlias = tuple[str, int | None]
"""A folder of a results folder, and how many levels below it something lies; None: at any."""
RUNS: Places = ("runs", 4)

R = TypeVar("R")

_RECORD = f"a record of schema {SCHEMA}"
INSTEAD = "restore it, or replace what is there with --force"


def _refuse(error: UserError) -> NoReturn:
    raise error


def folder(results: Path, protocol: str, dataset: str, architecture: str, run_key: str) -> Path:
    """Where a run lies. The names are plugin names or file stems."""
    return results / "runs" / protocol / dataset / architecture / run_key[:KEY_DIGITS]


def finished(path: Path) -> bool:
    """Whether a run folder holds a finished run; not so where nothing is there.

    Raises:
        UserError: what is there cannot be read: it may be worth more than a new run.
    """
    found = present(path, "run.json", read, _RECORD)
    if found is None or found.status != "finished":
        return False
    require_counts(path)
    return True


def present(path: Path, name: str, read_one: Callable[[Path], R], what: str) -> R | None:
    """What is in the file of that name in a folder; None where there is no such folder, or nothing in it.

    Raises:
        UserError: what is there cannot be read.
    """
    try:
        return read_one(path)
    except (OSError, ValueError) as error:
        gone = isinstance(error, FileNotFoundError | NotADirectoryError)
        if gone and not (path.is_dir() and any(path.iterdir())):
            return None
        raise UserError(f"{_problem(path, name, what, error)}; {INSTEAD}") from error


def require_counts(path: Path) -> None:
    """Refuse a finished record without its counts.

    Raises:
        UserError: they are gone.
    """
    if not (path / "images.csv").is_file():
        raise UserError(f"{path} has no images.csv; {INSTEAD}")


def read(path: Path) -> Record:
    """The record of a run folder.

    Raises:
        OSError, ValueError: it is missing, truncated, or of another schema.
    """
    return Record.model_validate_json((path / "run.json").read_bytes())


def read_all(results: Path) -> tuple[list[tuple[Path, Record]], list[str]]:
    """Every run of a results folder in the order of the paths, and a line on each one that cannot be read."""
    return read_each(results, RUNS, "run.json", read, _RECORD)


def folders(results: Path, places: Places, failed: Callable[[UserError], object] = _refuse) -> list[Path]:
    """The folders in those places of a results folder, in the order of the paths: those that are read and checked.

    Hidden ones, and those inside hidden ones, are under way or put aside, and are neither read nor checked. Links are
    followed down to a level that is named.

    Raises:
        UserError: a folder on the way cannot be read; unless `failed` takes the error, and the others are found.
    """
    name, depth = places
    return sorted(_below(results / name, depth, failed))


def _below(folder: Path, depth: int | None, failed: Callable[[UserError], object]) -> Iterator[Path]:
    for path in _folders_in(folder, failed, links=depth is not None):
        if depth is None or depth == 1:
            yield path
        if depth != 1:
            yield from _below(path, None if depth is None else depth - 1, failed)


def _folders_in(folder: Path, failed: Callable[[UserError], object], *, links: bool) -> Iterator[Path]:
    try:
        entries = list(os.scandir(folder))
    except FileNotFoundError:  # nothing is stored yet, or it has just gone
        return
    except OSError as error:
        failed(files.unreadable(folder, error))
        return
    for entry in entries:
        try:
            if not entry.name.startswith(".") and entry.is_dir(follow_symlinks=links):
                yield folder / entry.name
        except OSError as error:
            failed(files.unreadable(folder / entry.name, error))


def read_each(
    results: Path, places: Places, name: str, read_one: Callable[[Path], R], what: str
) -> tuple[list[tuple[Path, R]], list[str]]:
    """What is in the file of that name in each folder of those places, and a line on each that cannot be read.

    In the order of the paths. `what` it should be.
    """
    records: list[tuple[Path, R]] = []
    problems: list[str] = []
    for path in folders(results, places, lambda error: problems.append(str(error))):
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
    """Why the file of that name in a folder cannot be used; `what` it should be."""
    if isinstance(error, FileNotFoundError):
        return f"{path} has no {name}"
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "file"
        return f"{path / name} is not {what} ({place}: {first['msg']})"
    return f"{path / name} cannot be read: {error}"


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """A temporary folder that becomes `path` when the block ends well, and leaves nothing when it does not.

    The checksums of what it holds are written last. Who writes holds a lock: see `benchmark.records.claim`.

    Raises:
        UserError: the disk refuses.
    """
    with files.atomic_folder(path) as temporary:
        yield temporary
        checksums.write(temporary)


def write_record(target: Path, record: Record) -> None:
    """Write run.json into a run folder under way."""
    (target / "run.json").write_text(record.model_dump_json(indent=2, by_alias=True) + "\n", encoding="utf-8")


def read_counts(paths: Sequence[Path]) -> list[dict[str, NDArray[Any]]]:
    """The columns of each run's images.csv: `id` and `slice` as strings, counts as integers, decibels as floats.

    Files with the same header are parsed in one go: a thousand small parses would cost seconds.

    Raises:
        OSError, ValueError: a file is missing or not such a table.
    """
    return tables.read_tables([path / "images.csv" for path in paths])


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
