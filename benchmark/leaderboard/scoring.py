"""The stored counts of a run -> its scores, by slice of the test split."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from benchmark import metrics
from benchmark.record import Record, read_counts

_MOST = 10**12
"""Pixels of an image; their sums fit into 64 bits."""

Counts: TypeAlias = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Scored:
    """A run with its scores on the headline slice and on the others.

    Of every image of the test split, (N,): `ids`, `ious`, NaN where the mask is empty, and `gains`, SI-SDR in dB.
    """

    folder: Path
    record: Record
    scores: Mapping[str, float]
    slice_scores: Mapping[str, Mapping[str, float]]
    ids: tuple[str, ...] = ()
    ious: NDArray[np.float64] | None = None
    gains: NDArray[np.float64] | None = None


def score_all(runs: Sequence[tuple[Path, Record]], problems: list[str]) -> Iterator[Scored]:
    """Finished runs with their scores, the others without; what cannot be used is noted, a line each."""
    finished = [(path, record) for path, record in runs if record.status == "finished"]
    for (path, record), counts in zip(finished, _read_all([path for path, _ in finished]), strict=True):
        try:
            yield _score(path, record, complete(counts, record.dataset.test_slices))
        except ValueError as error:
            problems.append(f"{path / 'images.csv'} cannot be used: {error}")
    for path, record in runs:
        if record.status != "finished":
            yield Scored(path, record, {}, {})


def _read_all(paths: Sequence[Path]) -> list[Counts | Exception]:
    """All tables in one go; where that fails, one by one, to know which is broken."""
    try:
        return list(read_counts(paths))
    except (OSError, ValueError):
        return [read_one(path) for path in paths]


def read_one(path: Path) -> Counts | Exception:
    """The counts in a folder, or why they cannot be read."""
    try:
        return read_counts([path])[0]
    except (OSError, ValueError) as error:
        return error


def complete(counts: Counts | Exception, expected: Mapping[str, int]) -> Counts:
    """The counts, if they are of as many images by slice as the record says.

    Raises:
        ValueError: the table could not be read, lacks a column, or has other images than the record says.
    """
    if isinstance(counts, Exception):
        raise ValueError(counts) from counts  # noqa: TRY004 - the type says that reading failed
    missing = [name for name in ("id", "slice", *metrics.COUNT_COLUMNS) if name not in counts]
    if missing:
        raise ValueError(f"column {missing[0]} is missing")
    for name in metrics.COUNT_COLUMNS:
        if len(counts[name]) and not 0 <= counts[name].min() <= counts[name].max() <= _MOST:
            raise ValueError(f"column {name} holds what is no count of pixels")
    if not expected:
        raise ValueError("the record names no slice of the test")
    slices = dict(Counter(counts["slice"].tolist()))
    if slices != expected:
        raise ValueError(f"it holds {slices} images, the record says {expected}")
    return counts


def _score(folder: Path, record: Record, counts: Counts) -> Scored:
    heard = all(name in counts for name in metrics.SOUND_COLUMNS)
    columns = [*metrics.COUNT_COLUMNS, *(metrics.SOUND_COLUMNS if heard else ())]
    by_slice = {}
    for name in record.dataset.test_slices:
        inside = np.flatnonzero(counts["slice"] == name)
        by_slice[name] = {column: counts[column][inside] for column in columns}
    headline = record.headline_slice
    # All scores of the headline, and of the other slices the two that the tables show.
    scores = {name: score.compute(by_slice[headline]) for name, score in metrics.SCORES.items()}
    shown = {"iou": metrics.SCORES["iou"]}
    if heard:
        scores |= {name: score.compute(by_slice[headline]) for name, score in metrics.SOUND_SCORES.items()}
        shown |= {"sisdr_improvement": metrics.SOUND_SCORES["sisdr_improvement"]}
    others = {
        name: {score: shown[score].compute(part) for score in shown}
        for name, part in by_slice.items()
        if name != headline
    }
    ious = np.where(metrics.truth_is_empty(counts), np.nan, metrics.image_iou(counts))
    return Scored(
        folder,
        record,
        scores,
        others,
        tuple(counts["id"]),
        ious,
        metrics.improvement(counts, "sisdr") if heard else None,
    )
