"""Compute the scores of runs from their stored counts, by slice of the test split."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.records.schema import Record
from benchmark.records.store import IMAGES, read_counts
from benchmark.records.tables import Columns
from benchmark.scores import (
    COUNT_COLUMNS,
    SCORES,
    SOUND_COLUMNS,
    SOUND_SCORES,
    Score,
    improvement,
    shown_iou,
    truth_is_empty,
)

_AT_ONCE = 500
"""Files parsed together: a parse for each takes seconds, and all counts of thousands of runs take gigabytes."""


@dataclass(frozen=True, slots=True)
class Scored:
    """A run with its scores on the headline slice and on the other slices.

    Per image of the test split, (N,): `ids`, `ious` (NaN for an empty mask) and `gains` of SI-SDR in dB. `vanished`
    of its masks are empty only at the protocol's size.
    """

    folder: Path
    record: Record
    scores: Mapping[str, float]
    slice_scores: Mapping[str, Mapping[str, float]]
    ids: tuple[str, ...] = ()
    ious: NDArray[np.float64] | None = None
    gains: NDArray[np.float64] | None = None
    vanished: int = 0


def score_all(runs: Sequence[tuple[Path, Record]], problems: list[str]) -> Iterator[Scored]:
    """Finished runs with their scores, the others without. Adds a line to `problems` for each run without counts."""
    finished = [(path, record) for path, record in runs if record.status == "finished"]
    known: dict[tuple[str, ...], tuple[str, ...]] = {}
    for start in range(0, len(finished), _AT_ONCE):
        part = finished[start : start + _AT_ONCE]
        by_layout: dict[tuple[Any, ...], list[tuple[Path, Record, Columns]]] = {}
        for (path, record), counts in zip(part, _read_all([path for path, _ in part]), strict=True):
            try:
                counts = complete(counts, record.dataset.test_slices)
            except ValueError as error:
                problems.append(f"{path / IMAGES} cannot be used: {error}")
            else:
                layout = (*record.dataset.test_slices, SOUND_COLUMNS[0] in counts, tuple(counts["slice"].tolist()))
                by_layout.setdefault(layout, []).append((path, record, counts))
        for group in by_layout.values():
            for run in _score(group):
                yield replace(run, ids=known.setdefault(run.ids, run.ids))
    for path, record in runs:
        if record.status != "finished":
            yield Scored(path, record, {}, {})


def _read_all(paths: Sequence[Path]) -> list[Columns | Exception]:
    """Read all files together; if that fails, one by one, to find the damaged one."""
    try:
        return list(read_counts(paths))
    except (OSError, ValueError):
        return [read_one(path) for path in paths]


def read_one(path: Path) -> Columns | Exception:
    """The counts in a folder, or the reason why they cannot be read."""
    try:
        return read_counts([path])[0]
    except (OSError, ValueError) as error:
        return error


def complete(counts: Columns | Exception, expected: Mapping[str, int]) -> Columns:
    """The counts, if each slice has as many images as the record says.

    Raises:
        ValueError: the file could not be read, or has other slices than the record says.
    """
    if isinstance(counts, Exception):
        raise ValueError(counts) from counts  # noqa: TRY004 - the type says that reading failed
    slices = dict(Counter(counts["slice"].tolist()))
    if slices != expected:
        raise ValueError(f"it has {slices} images, the record says {expected}")
    return counts


def _score(runs: Sequence[tuple[Path, Record, Columns]]) -> Iterator[Scored]:
    """Score runs on equally many images in the same slices, all of them at once."""
    _, first, layout = runs[0]
    with_sounds = SOUND_COLUMNS[0] in layout
    columns = [*COUNT_COLUMNS, *(SOUND_COLUMNS if with_sounds else ())]
    stacked = {column: np.stack([counts[column] for *_, counts in runs]) for column in columns}
    by_slice = {}
    for name in first.dataset.test_slices:
        inside = np.flatnonzero(layout["slice"] == name)
        by_slice[name] = {column: values[:, inside] for column, values in stacked.items()}
    # All scores on the headline slice; on the others only those that the tables show.
    shown = {"iou": SCORES["iou"]}
    every = dict(SCORES)
    if with_sounds:
        every |= SOUND_SCORES
        shown |= {"sisdr_improvement": SOUND_SCORES["sisdr_improvement"]}
    headline = first.headline_slice
    scores = _by_run(every, by_slice[headline])
    others = {name: _by_run(shown, part) for name, part in by_slice.items() if name != headline}
    ious = shown_iou(stacked)
    gains = improvement(stacked, "sisdr") if with_sounds else None
    vanished = (~truth_is_empty(stacked) & (stacked["tp"] + stacked["fn"] == 0)).sum(-1)
    for index, (folder, record, counts) in enumerate(runs):
        yield Scored(
            folder,
            record,
            scores[index],
            {name: found[index] for name, found in others.items()},
            tuple(counts["id"]),
            ious[index],
            None if gains is None else gains[index],
            int(vanished[index]),
        )


def _by_run(scores: Mapping[str, Score], columns: Columns) -> list[dict[str, float]]:
    """The scores of each run of columns (R, N)."""
    found = [score.over(columns).tolist() for score in scores.values()]
    return [dict(zip(scores, values, strict=True)) for values in zip(*found, strict=True)]
