"""The tables of a run folder, read strictly: what is not exactly as it is written is an error.

Legend: N images of the test split.
"""

import csv
import io
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.scores import COUNT_COLUMNS, LOGIT_BINS, SOUND_COLUMNS, separation

CANDIDATES = ("learning_rate", "epoch", "loss", "validation_iou", "seconds")
HISTORY = ("epoch", "loss", "validation_iou", "seconds")
LOGITS = tuple(f"{name}_{number}" for name in ("background", "foreground") for number in range(LOGIT_BINS))

_DIGITS = 15  # more do not fit into what a count may be


@dataclass(frozen=True, kw_only=True, slots=True)
class Images:
    """images.csv: counts (N,) integers and sound scores (N,) in dB by column, none where sounds are not known."""

    ids: list[str]
    slices: list[str]
    counts: dict[str, NDArray[np.int64]]
    sounds: dict[str, NDArray[np.float64]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Logits:
    """logits.csv: histograms (N, 2, bins) over background and foreground."""

    ids: list[str]
    histograms: NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, slots=True)
class History:
    """history.csv, (epochs,) each; a loss that was not finite is kept so."""

    epochs: list[int]
    losses: list[float]
    ious: list[float]
    seconds: list[float]


@dataclass(frozen=True, kw_only=True, slots=True)
class References:
    """What masks score that need no network, and the denoisers that were installed: (N,) in dB by column."""

    ids: list[str]
    slices: list[str]
    sounds: dict[str, NDArray[np.float64]]


def read_images(path: Path) -> Images:
    """Read images.csv.

    Raises:
        OSError, ValueError: it is missing or not such a table.
    """
    columns = _columns(path)
    plain = ["id", "slice", *COUNT_COLUMNS]
    if list(columns) not in (plain, [*plain, *SOUND_COLUMNS]):
        raise ValueError("its columns are not those of a run's images.csv")
    return Images(
        ids=columns["id"],
        slices=columns["slice"],
        counts={name: _integers(columns[name], name) for name in COUNT_COLUMNS},
        sounds={name: _decibels(columns[name], name) for name in SOUND_COLUMNS if name in columns},
    )


def read_logits(path: Path) -> Logits:
    """Read logits.csv.

    Raises:
        OSError, ValueError: it is missing or not such a table.
    """
    header, rows = _rows(path)
    if header != ["id", *LOGITS]:
        raise ValueError("its columns are not those of a run's logits.csv")
    values = [value for row in rows for value in row[1:]]
    histograms = _integers(values, "a bin").reshape(len(rows), 2, LOGIT_BINS)
    return Logits(ids=[row[0] for row in rows], histograms=histograms)


def read_history(path: Path) -> History:
    """Read history.csv.

    Raises:
        OSError, ValueError: it is missing or not such a table.
    """
    columns = _columns(path)
    if tuple(columns) != HISTORY:
        raise ValueError("its columns are not those of a run's history.csv")
    return _history(columns)


def read_candidates(path: Path) -> list[tuple[float, History]]:
    """Read candidates.csv: each learning rate with its curve, in the order of training.

    Raises:
        OSError, ValueError: it is missing or not such a table.
    """
    header, rows = _rows(path)
    if tuple(header) != CANDIDATES:
        raise ValueError("its columns are not those of a run's candidates.csv")
    found = []
    for rate, group in itertools.groupby(rows, key=lambda row: row[0]):
        values = list(zip(*group, strict=True))
        found.append((float(rate), _history({name: list(values[n]) for n, name in enumerate(CANDIDATES)})))
    return found


def read_references(path: Path) -> References:
    """Read the reference scores of data.

    Raises:
        OSError, ValueError: it is missing or not such a table.
    """
    columns = _columns(path)
    scores = separation.reference_columns([name for name in separation.OPTIONAL if f"{name}_sisdr" in columns])
    if list(columns) != ["id", "slice", *scores]:
        raise ValueError("its columns are not those of reference scores")
    return References(
        ids=columns["id"],
        slices=columns["slice"],
        sounds={name: _decibels(columns[name], name) for name in scores},
    )


def _history(columns: dict[str, list[str]]) -> History:
    seconds = [float(text) for text in columns["seconds"]]
    if not all(0 <= value < math.inf for value in seconds):
        raise ValueError("its seconds are no durations")
    return History(
        epochs=_integers(columns["epoch"], "epoch").tolist(),
        losses=[float(text) for text in columns["loss"]],
        ious=[float(text) for text in columns["validation_iou"]],
        seconds=seconds,
    )


def _rows(path: Path) -> tuple[list[str], list[list[str]]]:
    with path.open(encoding="utf-8", newline="") as file:
        try:
            header, *rows = csv.reader(file, strict=True)
        except csv.Error as error:
            raise ValueError(f"it is not CSV: {error}") from error
    for number, row in enumerate(rows, start=2):
        if len(row) != len(header):
            raise ValueError(f"line {number} has {len(row)} fields, the header has {len(header)}")
    return header, rows


def _columns(path: Path) -> dict[str, list[str]]:
    header, rows = _rows(path)
    return {name: [row[index] for row in rows] for index, name in enumerate(header)}


def _integers(texts: list[str], what: str) -> NDArray[np.int64]:
    for text in texts:
        if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS):
            raise ValueError(f"{what} is '{text}', which is no count")
    return np.array([int(text) for text in texts], dtype=np.int64)


def _decibels(texts: list[str], what: str) -> NDArray[np.float64]:
    values: list[Any] = [float(text) for text in texts]
    if any(math.isinf(value) for value in values):
        raise ValueError(f"{what} is infinite")
    return np.array(values, dtype=np.float64)


def write_csv(path: Path, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Write a table as CSV with Unix line ends."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def read_tables(paths: Sequence[Path]) -> list[dict[str, NDArray[Any]]]:
    """The columns of tables as `read_counts` gives them, `id` among them.

    Raises:
        OSError, ValueError: a file is missing or not such a table.
    """
    import pandas as pd

    texts = [path.read_text(encoding="utf-8") for path in paths]
    heads = [text.partition("\n")[0] for text in texts]
    result: list[dict[str, NDArray[Any]]] = [{} for _ in paths]
    for head in dict.fromkeys(heads):
        members = [index for index, other in enumerate(heads) if other == head]
        bodies = [texts[index].partition("\n")[2] for index in members]
        kinds = {name: _kind(name) for name in head.split(",")}
        text = io.StringIO(head + "\n" + "".join(bodies))
        floats = [name for name, kind in kinds.items() if kind is np.float64]
        unknown = {name: ["nan"] for name in floats}
        table = pd.read_csv(text, dtype=kinds, usecols=list(kinds), keep_default_na=False, na_values=unknown)
        ends = np.cumsum([body.count("\n") for body in bodies])
        if len(table) != ends[-1]:
            raise ValueError("the table has quoted line breaks or lacks its last line end")
        columns = {name: table[name].to_numpy() for name in table}
        for index, start, end in zip(members, [0, *ends[:-1]], ends, strict=True):
            result[index] = {str(name): column[start:end] for name, column in columns.items()}
    return result


def read_ids(path: Path) -> list[str]:
    """The ids of such a table, in its order.

    Raises:
        OSError, KeyError: it is missing, or has no such column.
    """
    with path.open(encoding="utf-8", newline="") as file:
        return [line["id"] for line in csv.DictReader(file)]


def _kind(column: str) -> Any:
    if column == "slice":
        return "category"
    if column == "id":
        return object
    return np.float64 if any(word in column for word in _DECIBELS) else np.int64


_DECIBELS = ("sdr", "song_kept", "noise_left")
"""Columns with these in their names are in dB, all others are counts."""
