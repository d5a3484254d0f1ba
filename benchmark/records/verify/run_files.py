"""A run under examination: its files, each read when it is first asked for, and what is found wrong."""

import json
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Self, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from benchmark import protocols
from benchmark.common.errors import UserError, first_line, one_line
from benchmark.data import manifest
from benchmark.data.manifest import Row
from benchmark.protocols import Protocol
from benchmark.records import checksums, schema, store, tables
from benchmark.records.schema import Record

RESTORE = "restore the run's folder from where it came from, or run it again with --force"

Masks: TypeAlias = NDArray[np.bool_]
T = TypeVar("T")

DAMAGED = (
    *(ArithmeticError, AttributeError, EOFError, LookupError, MemoryError, OSError, RuntimeError, SyntaxError),
    *(TypeError, ValueError, struct.error, zipfile.BadZipFile, zlib.error),
)
"""What the readers of arrays, archives, tables and JSON raise where a file is not what it should be."""

_ROWS = TypeAdapter(list[Row])


class Fault(NamedTuple):
    """What is wrong with a file, and what to do: a name is of a file of the run's folder, a path of one beside."""

    file: str | Path
    text: str
    remedy: str = RESTORE


Check: TypeAlias = "Callable[[Subject], Iterator[Fault]]"


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """A fault of a run. As a text, one line that names the file and what to do."""

    run: Path
    file: Path
    text: str
    remedy: str

    def __str__(self) -> str:
        """`<file>: <what>; <what to do>`."""
        return one_line(f"{self.file}: {self.text}; {self.remedy}")

    @classmethod
    def of(cls, run: Path, fault: Fault) -> Self:
        """The fault of the run in that folder."""
        file = fault.file if isinstance(fault.file, Path) else run / fault.file
        return cls(run=run, file=file, text=fault.text, remedy=fault.remedy)


class UnreadableError(Exception):
    """A file is not there or not what it should be: what hangs on it cannot be checked."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.text)
        self.fault = fault


class Subject:
    """A run's folder. Every property raises `UnreadableError` where its file does not allow it."""

    def __init__(self, results: Path, path: Path) -> None:
        self.results, self.path = results, path

    @cached_property
    def record(self) -> Record:
        """run.json."""
        try:
            return store.read(self.path)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"]) or "file"
            text = f"it is not a record of schema {schema.SCHEMA} ({place}: {first['msg']})"
            raise UnreadableError(Fault("run.json", text)) from error
        except DAMAGED as error:
            raise UnreadableError(_unreadable("run.json", error)) from error

    @cached_property
    def settings(self) -> Protocol:
        """The protocol, from the settings of the record."""
        try:
            return protocols.recorded(self.record.protocol.name, self.record.protocol.settings)
        except UserError as error:
            raise UnreadableError(Fault("run.json", str(error))) from error

    @cached_property
    def rows(self) -> list[Row]:
        """The manifest's rows, once its digest is the record's."""
        return manifest_rows(self.results, self.record.dataset.manifest)

    @cached_property
    def tested(self) -> list[Row]:
        """The manifest's rows of the test split."""
        return [row for row in self.rows if row.split == "test"]

    @cached_property
    def images(self) -> tables.Images:
        """images.csv; one row per test image."""
        found = self._table("images.csv", tables.read_images)
        self._require_ids("images.csv", found.ids)
        return found

    @cached_property
    def logits(self) -> tables.Logits:
        """logits.csv; one row per test image."""
        found = self._table("logits.csv", tables.read_logits)
        self._require_ids("logits.csv", found.ids)
        return found

    @cached_property
    def history(self) -> tables.History:
        """history.csv."""
        return self._table("history.csv", tables.read_history)

    @cached_property
    def candidates(self) -> list[tuple[float, tables.History]]:
        """candidates.csv, of a run whose learning rate was chosen: rates with their curves."""
        return self._table("candidates.csv", tables.read_candidates)

    @cached_property
    def predictions(self) -> Masks:
        """The predicted masks at the protocol's size (N, H, W)."""
        return self._masks(self.path / "predictions.npz", "packed", "shape", "predictions.npz")

    @cached_property
    def truth(self) -> Masks | None:
        """The true masks at the protocol's size (N, H, W), where the results store has them."""
        path = store.pictures_path(self.results, self.record.dataset.manifest, self.settings.image_size)
        return self._masks(path, "truth_packed", "truth_shape", path) if path.is_file() else None

    def expects(self, name: str) -> bool:
        """Whether a run that ended as this one did leaves this file."""
        if name in ("run.json", "plugin.py"):
            return True
        if name == "history.csv":
            return self.record.status != "out-of-memory" or self.record.training.epochs > 0
        return self.record.status == "finished"

    def _table(self, name: str, read: Callable[[Path], T]) -> T:
        try:
            return read(self.path / name)
        except DAMAGED as error:
            raise UnreadableError(_unreadable(name, error)) from error

    def _require_ids(self, name: str, ids: list[str]) -> None:
        expected = [row.id for row in self.tested]
        if ids == expected:
            return
        if len(ids) != len(expected):
            text = f"it has {len(ids)} images, the manifest's test split has {len(expected)}"
        else:
            index = next(i for i, pair in enumerate(zip(ids, expected, strict=True)) if pair[0] != pair[1])
            text = f"line {index + 2} is of '{ids[index]}', the manifest has '{expected[index]}' there"
        raise UnreadableError(Fault(name, text))

    def _masks(self, path: Path, packed: str, shape: str, name: str | Path) -> Masks:
        found = unpacked(path, packed, shape, name)
        expected = (len(self.tested), *self.settings.image_size)
        if found.shape != expected:
            raise UnreadableError(Fault(name, f"its masks are {found.shape}, images and protocol make {expected}"))
        return found


def manifest_rows(results: Path, digest: str) -> list[Row]:
    """The rows of the manifest of that digest.

    Raises:
        UnreadableError: it is missing, or not that manifest.
    """
    path = store.manifest_path(results, digest)
    if not path.is_file():
        remedy = "restore it from where the run came from; any run on the same data writes it too"
        raise UnreadableError(Fault(path, "the manifest of the run's data is missing", remedy))
    if checksums.digest(path) != digest:
        remedy = "restore it from where the run came from"
        raise UnreadableError(Fault(path, "its SHA-256 is not the manifest digest in run.json", remedy))
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        rows = _ROWS.validate_python([asdict(manifest.read_line(line)) for line in lines])
        if not any(row.split == "test" for row in rows):
            raise ValueError("it has no test split")
    except DAMAGED as error:
        raise UnreadableError(_unreadable(path, error)) from error
    return rows


def unpacked(path: Path, packed: str, shape: str, name: str | Path) -> Masks:
    """The masks (N, H, W) of an archive, packed along their last axis.

    Raises:
        UnreadableError: it is missing or not such an archive; the fault is of the file `name`.
    """
    try:
        # Opened here: NumPy leaves open what turns out to be no archive.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            count, height, width = (int(size) for size in archive[shape])
            bits: NDArray[Any] = archive[packed]
        if bits.dtype != np.uint8 or bits.shape != (count, height, -(-width // 8)):
            raise ValueError(f"'{packed}' is not what '{shape}' says")
        return np.unpackbits(bits, axis=-1, count=width).view(np.bool_)  # the same bytes: thousands of masks are many
    except DAMAGED as error:
        raise UnreadableError(_unreadable(name, error)) from error


def fails_on(name: str | Path, error: Exception) -> Fault:
    """Of a value in a file that a check fails on."""
    return Fault(name, f"it, or a file beside it, cannot be ({type(error).__name__}: {first_line(error)})")


def _unreadable(name: str | Path, error: Exception) -> Fault:
    if isinstance(error, FileNotFoundError):
        return Fault(name, "it is missing")
    if isinstance(error, json.JSONDecodeError):
        return Fault(name, f"line {error.lineno} is no JSON")
    return Fault(name, f"it cannot be read ({first_line(error) or type(error).__name__})")
