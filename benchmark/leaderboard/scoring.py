"""Compute the scores of runs from their stored counts, for each slice of the test split."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from benchmark.records.schema import Record
from benchmark.records.store import read_counts
from benchmark.records.verify import Extent
from benchmark.scores import (
    CONFUSION,
    COUNT_COLUMNS,
    SCORES,
    SOUND_COLUMNS,
    SOUND_SCORES,
    Score,
    image_iou,
    improvement,
    truth_is_empty,
)

_MOST = 10**12
"""Largest count of pixels in an image; sums of such counts fit into 64 bits."""

Counts: TypeAlias = Mapping[str, NDArray[Any]]

_AT_ONCE = 500
"""Tables parsed together: parsing one by one costs seconds, parsing thousands at once gigabytes."""


@dataclass(frozen=True, slots=True)
class Scored:
    """A run with its scores on the headline slice and on the other slices.

    `ids`, `ious` (NaN where the mask is empty) and `gains` (SI-SDR in dB) are those of all test images, (N,). `extent`
    is what a verification of the run must cover; None for a run without counts.
    """

    folder: Path
    record: Record
    scores: Mapping[str, float]
    slice_scores: Mapping[str, Mapping[str, float]]
    ids: tuple[str, ...] = ()
    ious: NDArray[np.float64] | None = None
    gains: NDArray[np.float64] | None = None
    extent: Extent | None = None


def score_all(runs: Sequence[tuple[Path, Record]], problems: list[str]) -> Iterator[Scored]:
    """Score the finished runs; failed runs get no scores. Runs that cannot be used are added to `problems`."""
    finished = [(path, record) for path, record in runs if record.status == "finished"]
    known: dict[tuple[str, ...], tuple[str, ...]] = {}
    for start in range(0, len(finished), _AT_ONCE):
        part = finished[start : start + _AT_ONCE]
        alike: dict[tuple[Any, ...], list[tuple[Path, Record, Counts]]] = {}
        for (path, record), counts in zip(part, _read_all([path for path, _ in part]), strict=True):
            try:
                counts = complete(counts, record.dataset.test_slices)
            except ValueError as error:
                problems.append(f"{path / 'images.csv'} cannot be used: {error}")
            else:
                layout = (*record.dataset.test_slices, _heard(counts), tuple(counts["slice"].tolist()))
                alike.setdefault(layout, []).append((path, record, counts))
        for runs_alike in alike.values():
            for run in _score(runs_alike):
                yield replace(run, ids=known.setdefault(run.ids, run.ids))
    for path, record in runs:
        if record.status != "finished":
            yield Scored(path, record, {}, {})


def _read_all(paths: Sequence[Path]) -> list[Counts | Exception]:
    """Read all tables at once; if that fails, one by one, to find the broken one."""
    try:
        return list(read_counts(paths))
    except (OSError, ValueError):
        return [read_one(path) for path in paths]


def read_one(path: Path) -> Counts | Exception:
    """The counts in a folder, or the error of reading them."""
    try:
        return read_counts([path])[0]
    except (OSError, ValueError) as error:
        return error


def complete(counts: Counts | Exception, expected: Mapping[str, int]) -> Counts:
    """Check that the counts cover as many images by slice as the record says.

    Raises:
        ValueError: the table could not be read, lacks a column, or has other images than the record says.
    """
    if isinstance(counts, Exception):
        raise ValueError(counts) from counts  # noqa: TRY004 - the type says that reading failed
    missing = [name for name in ("id", "slice", *COUNT_COLUMNS) if name not in counts]
    if missing:
        raise ValueError(f"column {missing[0]} is missing")
    pixels = np.stack([counts[name] for name in COUNT_COLUMNS])
    wrong = (pixels < 0) | (pixels > _MOST)
    if wrong.any():
        column = COUNT_COLUMNS[int(wrong.any(axis=1).argmax())]
        raise ValueError(f"column {column} has a value that is not a count of pixels")
    if not expected:
        raise ValueError("the record names no test slice")
    slices = dict(Counter(counts["slice"].tolist()))
    if slices != expected:
        raise ValueError(f"it has {slices} images, the record says {expected}")
    return counts


def _heard(counts: Counts) -> bool:
    return all(name in counts for name in SOUND_COLUMNS)


def _score(runs: Sequence[tuple[Path, Record, Counts]]) -> Iterator[Scored]:
    """Score runs that have the same number of images in the same slices, all at once."""
    _, first, layout = runs[0]
    heard = _heard(layout)
    columns = [*COUNT_COLUMNS, *(SOUND_COLUMNS if heard else ())]
    stacked = {column: np.stack([counts[column] for *_, counts in runs]) for column in columns}
    by_slice = {}
    for name in first.dataset.test_slices:
        inside = np.flatnonzero(layout["slice"] == name)
        by_slice[name] = {column: values[:, inside] for column, values in stacked.items()}
    # All scores on the headline slice; on the others only those that the tables show.
    shown = {"iou": SCORES["iou"]}
    every = dict(SCORES)
    if heard:
        every |= SOUND_SCORES
        shown |= {"sisdr_improvement": SOUND_SCORES["sisdr_improvement"]}
    headline = first.headline_slice
    scores = _by_run(every, by_slice[headline])
    others = {name: _by_run(shown, part) for name, part in by_slice.items() if name != headline}
    ious = np.where(truth_is_empty(stacked), np.nan, image_iou(stacked))
    gains = improvement(stacked, "sisdr") if heard else None
    largest = np.sum([stacked[f"native_{name}"] for name in CONFUSION], axis=0).max(axis=1)  # (R,)
    for index, (folder, record, counts) in enumerate(runs):
        yield Scored(
            folder,
            record,
            scores[index],
            {name: found[index] for name, found in others.items()},
            tuple(counts["id"]),
            ious[index],
            None if gains is None else gains[index],
            Extent(ious.shape[1], int(largest[index]), heard),
        )


def _by_run(scores: Mapping[str, Score], columns: Counts) -> list[dict[str, float]]:
    """The scores of each run of columns (R, N)."""
    found = [score.over(columns).tolist() for score in scores.values()]
    return [dict(zip(scores, values, strict=True)) for values in zip(*found, strict=True)]
