"""The folder of a run or of a transfer while it is checked: each file is read once, when it is first needed."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from benchmark import protocols
from benchmark.common.errors import UserError, first_line, one_line
from benchmark.data.manifest import Row
from benchmark.protocols import Protocol
from benchmark.records import archives, store, tables, transfers
from benchmark.records.schema import DatasetRecord, Record
from benchmark.records.transfers import TransferRecord

SHARED_REMEDY = "restore it from where the run came from; any run on the same data also writes it"

Masks: TypeAlias = NDArray[np.bool_]


class Fault(NamedTuple):
    """An error in a file, and its remedy; "" stands for the usual remedy of the folder.

    `file` is a name in the folder, or the path of a file elsewhere.
    """

    file: str | Path
    text: str
    remedy: str = ""


class UnreadableError(Exception):
    """A file is missing or damaged, so nothing that depends on it can be checked."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.text)
        self.fault = fault


@contextmanager
def reading(file: str | Path) -> Iterator[None]:
    """Raise UnreadableError for a file that is missing or damaged. The block reads that file and does nothing else.

    A file outside of the folder belongs to all runs on the same data, and has a remedy of its own.
    """
    remedy = SHARED_REMEDY if isinstance(file, Path) else ""
    try:
        yield
    except FileNotFoundError as error:
        raise UnreadableError(Fault(file, "it is missing", remedy)) from error
    except ValidationError as error:
        text = f"it does not follow its schema ({store.first_problem(error)})"
        raise UnreadableError(Fault(file, text, remedy)) from error
    except (OSError, ValueError) as error:
        text = first_line(error) or type(error).__name__
        raise UnreadableError(Fault(file, f"it cannot be read ({text})", remedy)) from error


class Folder(ABC):
    """A folder with images.csv. Its properties raise UnreadableError if a file that they need is damaged."""

    remedy: ClassVar[str]

    def __init__(self, results: Path, path: Path) -> None:
        self.results, self.path = results, path

    @property
    @abstractmethod
    def dataset(self) -> DatasetRecord:
        """The dataset that was tested on."""

    @property
    @abstractmethod
    def settings(self) -> Protocol:
        """The protocol, from the settings of the record."""

    @cached_property
    def rows(self) -> list[Row]:
        """The rows of the manifest, if its SHA-256 is the digest in the record."""
        path = store.manifest_path(self.results, self.dataset.manifest)
        with reading(path):
            found = store.read_manifest(self.results, self.dataset.manifest)
            if not any(row.split == "test" for row in found):
                raise ValueError("it has no test split")
        return found

    @cached_property
    def tested(self) -> list[Row]:
        """The rows of the test split."""
        return [row for row in self.rows if row.split == "test"]

    @cached_property
    def images(self) -> tables.Columns:
        """images.csv; one row per test image."""
        with reading(store.IMAGES):
            (found,) = store.read_counts([self.path])
        self._require_ids(store.IMAGES, found["id"].tolist())
        return found

    def _require_ids(self, name: str, ids: list[str]) -> None:
        expected = [row.id for row in self.tested]
        if ids == expected:
            return
        if len(ids) != len(expected):
            text = f"it has {len(ids)} images, the manifest's test split has {len(expected)}"
        else:
            index = next(i for i, pair in enumerate(zip(ids, expected, strict=True)) if pair[0] != pair[1])
            text = f"line {index + 2} is of image '{ids[index]}', the manifest has '{expected[index]}' there"
        raise UnreadableError(Fault(name, text))

    def _recorded(self, name: str, file: str, settings: Mapping[str, Any]) -> Protocol:
        try:
            return protocols.recorded(name, settings)
        except UserError as error:
            raise UnreadableError(Fault(file, str(error))) from error


class RunFolder(Folder):
    """The folder of a run."""

    remedy = "restore the run's folder from where it came from, or run it again with --force"

    @cached_property
    def record(self) -> Record:
        """run.json."""
        with reading(store.RECORD):
            return store.read(self.path)

    @property
    def is_finished(self) -> bool:
        """Whether the record is readable and says that the run finished."""
        try:
            return self.record.status == "finished"
        except UnreadableError:
            return False

    @property
    def dataset(self) -> DatasetRecord:
        """The dataset of the run."""
        return self.record.dataset

    @cached_property
    def settings(self) -> Protocol:
        """The protocol of the run."""
        return self._recorded(self.record.protocol.name, store.RECORD, self.record.protocol.settings)

    @cached_property
    def logits(self) -> tables.Logits:
        """logits.csv; one row per test image."""
        with reading(store.LOGITS):
            found = tables.read_logits(self.path / store.LOGITS)
        self._require_ids(store.LOGITS, found.ids)
        return found

    @cached_property
    def predictions(self) -> Masks:
        """The predicted masks at the protocol's size, (N, H, W)."""
        with reading(store.PREDICTIONS):
            found = archives.read_predictions(self.path / store.PREDICTIONS)
        return self._of_size(found, store.PREDICTIONS)

    @cached_property
    def truth(self) -> Masks | None:
        """The true masks at the protocol's size, (N, H, W); None if the results folder does not have them."""
        path = store.pictures_path(self.results, self.dataset.manifest, self.settings.image_size)
        if not path.is_file():
            return None
        with reading(path):
            found = archives.read_truth(path)
        return self._of_size(found, path)

    def _of_size(self, found: Masks, name: str | Path) -> Masks:
        expected = (len(self.tested), *self.settings.image_size)
        if found.shape != expected:
            raise UnreadableError(Fault(name, f"its masks are {found.shape}, images and protocol give {expected}"))
        return found


class TransferFolder(Folder):
    """The folder of a transfer."""

    remedy = "test the run again with bench transfer --force"

    @cached_property
    def record(self) -> TransferRecord:
        """transfer.json."""
        with reading(transfers.NAME):
            return transfers.read(self.path)

    @property
    def dataset(self) -> DatasetRecord:
        """The dataset that the run was tested on."""
        return self.record.tested_on

    @cached_property
    def settings(self) -> Protocol:
        """The protocol of the run with the other dataset."""
        return self._recorded(self.record.trained_on.protocol, transfers.NAME, self.record.settings)


F = TypeVar("F", bound=Folder)
Check: TypeAlias = Callable[[F], Iterator[Fault]]
"""Yields what is wrong with a folder."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """A fault of a run or a transfer. As a text, one line that names the file and what to do."""

    run: Path
    file: Path
    text: str
    remedy: str

    def __str__(self) -> str:
        """`<file>: <what>; <what to do>`."""
        return one_line(f"{self.file}: {self.text}; {self.remedy}")

    @classmethod
    def of(cls, folder: Folder, fault: Fault) -> Self:
        """The finding of a fault in that folder."""
        return cls(
            run=folder.path, file=folder.path / fault.file, text=fault.text, remedy=fault.remedy or folder.remedy
        )
