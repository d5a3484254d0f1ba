"""Read and write the CSV tables of a results folder: one reader per kind of file.

Legend: N images of the test split.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from benchmark.scores import COUNT_COLUMNS, LOGIT_BINS, SOUND_COLUMNS, separation

HISTORY = ("epoch", "loss", "validation_iou", "seconds")
LOGITS = tuple(f"{name}_{number}" for name in ("background", "foreground") for number in range(LOGIT_BINS))
IMAGES = ("id", "slice", *COUNT_COLUMNS)
IOU = "iou"
"""For readers of images.csv: the IoU of the image in per cent, nan for an empty mask. Runs of before lack it."""

MOST_PIXELS = 10**12
"""The most pixels an image may have: sums over a test split still fit into 64 bits."""

Columns: TypeAlias = dict[str, NDArray[Any]]
"""Column name -> values (N,): `id` and `slice` are strings, counts int64, scores of sounds (dB) and IoU float64."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Logits:
    """logits.csv: histograms (N, 2, bins) of the logits over background and foreground."""

    ids: list[str]
    histograms: NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, slots=True)
class History:
    """history.csv: a list entry per epoch. A loss may be infinite or NaN."""

    epochs: list[int]
    losses: list[float]
    ious: list[float]
    seconds: list[float]


def read_images(paths: Sequence[Path]) -> list[Columns]:
    """Read several images.csv. All files with the same header are parsed together, which is faster.

    Raises:
        OSError, ValueError: a file is missing, has other columns than it should, or holds an impossible number.
    """
    texts = [path.read_text(encoding="utf-8") for path in paths]
    headers = [text.partition("\n")[0] for text in texts]
    found: list[Columns] = [{} for _ in paths]
    for header in dict.fromkeys(headers):
        _require_columns(header.removesuffix(f",{IOU}"), IMAGES, [*IMAGES, *SOUND_COLUMNS])
        members = [index for index, other in enumerate(headers) if other == header]
        for index, columns in zip(members, _parsed(header, [texts[index] for index in members]), strict=True):
            found[index] = columns
    return found


def read_references(path: Path) -> Columns:
    """Read the reference scores of a test split.

    Raises:
        OSError, ValueError: the file is missing or not such a table.
    """
    text = path.read_text(encoding="utf-8")
    header = text.partition("\n")[0]
    names = [column.removesuffix("_sisdr") for column in header.split(",") if column.endswith("_sisdr")]
    _require_columns(header, ["id", "slice", *(f"{name}_{score}" for name in names for score in separation.LIMITS)])
    return _parsed(header, [text])[0]


def read_logits(path: Path) -> Logits:
    """Read logits.csv.

    Raises:
        OSError, ValueError: the file is missing or not such a table.
    """
    rows = _rows(path, ("id", *LOGITS))
    values = [value for row in rows for value in row[1:]]
    if not all(value.isascii() and value.isdigit() and int(value) <= MOST_PIXELS for value in values):
        raise ValueError("a bin does not hold a count of pixels")
    histograms = np.array(list(map(int, values)), dtype=np.int64).reshape(len(rows), 2, LOGIT_BINS)
    return Logits(ids=[row[0] for row in rows], histograms=histograms)


def read_history(path: Path) -> History:
    """Read history.csv.

    Raises:
        OSError, ValueError: the file is missing or not such a table.
    """
    rows = _rows(path, HISTORY)
    return History(
        epochs=[int(row[0]) for row in rows],
        losses=[float(row[1]) for row in rows],
        ious=[float(row[2]) for row in rows],
        seconds=[float(row[3]) for row in rows],
    )


def write_csv(path: Path, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Write a table as CSV with Unix line ends."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def _rows(path: Path, header: Sequence[str]) -> list[list[str]]:
    """The rows of a table that has these columns and no others."""
    with path.open(encoding="utf-8", newline="") as file:
        try:
            first, *rows = csv.reader(file, strict=True)
        except csv.Error as error:
            raise ValueError(f"it is not CSV: {error}") from error
    _require_columns(",".join(first), header)
    for number, row in enumerate(rows, start=2):
        if len(row) != len(header):
            raise ValueError(f"line {number} has {len(row)} fields, the header has {len(header)}")
    return rows


def _require_columns(header: str, *allowed: Sequence[str]) -> None:
    names = header.split(",")
    if names not in map(list, allowed):
        missing = [name for name in allowed[0] if name not in names]
        raise ValueError(f"column {missing[0]} is missing" if missing else "its columns are not those of this file")


def _parsed(header: str, texts: Sequence[str]) -> list[Columns]:
    """The columns of several tables with the same header, whose names are known."""
    import pandas as pd

    kinds = {name: _kind(name) for name in header.split(",")}
    floats = [name for name, kind in kinds.items() if kind is np.float64]
    bodies = [text.partition("\n")[2] for text in texts]
    together = "".join(bodies)
    ends = np.cumsum([body.count("\n") for body in bodies])
    table = pd.read_csv(
        io.StringIO(f"{header}\n{together}"),
        dtype=kinds,
        usecols=list(kinds),
        keep_default_na=False,
        na_values={name: ["nan"] for name in floats},
    )
    if len(table) != ends[-1]:
        raise ValueError("it has a quoted line break, an empty line, or no line end at its end")
    if '"' not in together and together.count(",") != header.count(",") * len(table):
        raise ValueError("a line has more fields than the header")  # pandas ignores them
    columns = {str(name): table[name].to_numpy() for name in table}
    _require_numbers(columns)
    starts = [0, *ends[:-1]]
    return [
        {name: values[start:end] for name, values in columns.items()} for start, end in zip(starts, ends, strict=True)
    ]


def _kind(column: str) -> Any:
    if column == "id":
        return object
    if column == "slice":
        return "category"  # few different strings: each is stored once
    return np.int64 if column in COUNT_COLUMNS else np.float64


def _require_numbers(columns: Mapping[str, NDArray[Any]]) -> None:
    for name, values in columns.items():
        if values.dtype == np.int64 and not ((values >= 0) & (values <= MOST_PIXELS)).all():
            raise ValueError(f"column {name} does not hold counts of pixels")
        if values.dtype == np.float64 and np.isinf(values).any():
            raise ValueError(f"column {name} holds an infinite value")
