"""Checks of counts: images.csv, logits.csv and predictions.npz against each other, the manifest and the true masks.

Legend: N images of the test split, H x W the protocol's size.
"""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark import scores
from benchmark.records import tables
from benchmark.records.store import IMAGES, LOGITS, PREDICTIONS
from benchmark.records.tables import Columns
from benchmark.records.verify.run_files import Fault, Folder, RunFolder


def check_slices(folder: Folder) -> Iterator[Fault]:
    """Every image is in the slice that the manifest gives it."""
    expected = np.array([row.slice for row in folder.tested])
    yield from _first(folder, IMAGES, folder.images["slice"] != expected, "its slice is not the manifest's")


def check_sums(folder: Folder) -> Iterator[Fault]:
    """The four counts of an image add up to its pixels, and two of them to the foreground in the manifest."""
    counts, rows = folder.images, folder.tested
    height, width = folder.settings.image_size
    wrong = _total(counts, "") != height * width
    yield from _first(folder, IMAGES, wrong, f"tp + fp + fn + tn is not {height} x {width}")
    pixels = np.array([row.height * row.width for row in rows])
    foreground = np.array([row.foreground for row in rows])
    for prefix in ("native_", "roundtrip_"):
        wrong = _total(counts, prefix) != pixels
        yield from _first(folder, IMAGES, wrong, f"the {prefix}counts do not add up to the pixels of its file")
        wrong = counts[f"{prefix}tp"] + counts[f"{prefix}fn"] != foreground
        yield from _first(folder, IMAGES, wrong, f"{prefix}tp + {prefix}fn is not the manifest's foreground")


def check_iou(folder: Folder) -> Iterator[Fault]:
    """The IoU of an image, where it is written down, is that of its counts."""
    if tables.IOU in folder.images:
        expected = 100 * scores.shown_iou(folder.images)
        close = np.isclose(folder.images[tables.IOU], expected, rtol=0, atol=1e-4, equal_nan=True)
        yield from _first(folder, IMAGES, ~close, "its iou is not that of its counts")


def check_sounds(run: RunFolder) -> Iterator[Fault]:
    """There are scores of sounds if and only if the manifest has sounds."""
    if (scores.SOUND_COLUMNS[0] in run.images) != all(row.sound is not None for row in run.tested):
        yield Fault(IMAGES, "either the scores or the manifest has sounds, but not both")


def check_logits(run: RunFolder) -> Iterator[Fault]:
    """The histograms count every pixel once, and the pixels above the threshold are the predicted ones.

    A logit in the bin of the threshold may be on either side of it (at a threshold of 0.5, a logit of exactly 0 is in
    the bin above and is not predicted), so the predicted pixels are the bins above, with or without that bin.
    """
    counts, histograms = run.images, run.logits.histograms  # (N,), (N, 2, bins)
    at_least, at_most = _above(histograms, run.settings.threshold)  # (N, 2) each
    for index, (name, predicted, missed) in enumerate((("background", "fp", "tn"), ("foreground", "tp", "fn"))):
        wrong = histograms[:, index].sum(-1) != counts[predicted] + counts[missed]
        yield from _first(run, LOGITS, wrong, f"the {name} bins do not add up to {predicted} + {missed}")
        wrong = (counts[predicted] < at_least[:, index]) | (counts[predicted] > at_most[:, index])
        text = f"the {name} bins above the threshold do not add up to {predicted} of {IMAGES}"
        yield from _first(run, LOGITS, wrong, text)


def check_predictions(run: RunFolder) -> Iterator[Fault]:
    """The stored masks have as many pixels as were counted."""
    wrong = run.predictions.sum((1, 2)) != run.images["tp"] + run.images["fp"]
    yield from _first(run, PREDICTIONS, wrong, f"its mask does not have the tp + fp pixels of {IMAGES}")


def check_truth(run: RunFolder) -> Iterator[Fault]:
    """If the true masks are stored: the counts at the protocol's size are those of the two masks."""
    if run.truth is not None:
        yield from against_truth(run, run.truth)


def against_truth(run: RunFolder, truth: NDArray[np.bool_]) -> Iterator[Fault]:
    """The stored counts at the protocol's size are those of the stored prediction and these masks (N, H, W)."""
    for name, values in recounted(run.predictions, truth).items():
        text = f"{name} is not that of the stored prediction and the true mask"
        yield from _first(run, IMAGES, values != run.images[name], text)


def recounted(prediction: NDArray[np.bool_], truth: NDArray[np.bool_]) -> Columns:
    """The counts at the protocol's size, (N,) by column, of masks (N, H, W)."""
    tolerance = scores.surface_tolerance((prediction.shape[1], prediction.shape[2]))
    rows: list[list[Any]] = [
        [*scores.confusion(one, other), *scores.surface(one, other, tolerance)]
        for one, other in zip(prediction, truth, strict=True)
    ]
    return dict(zip((*scores.CONFUSION, *scores.SURFACE), np.array(rows, dtype=np.int64).T, strict=True))


def _above(histograms: NDArray[np.int64], threshold: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """How many logits of histograms (..., bins) are above a threshold, at least and at most: (...) each."""
    logit = math.log(threshold / (1 - threshold))
    scale = scores.LOGIT_BINS / (2 * scores.LOGIT_RANGE)
    slack = 1e-4 if logit else 0.0  # rounding moves a logit over an edge; at 0 it moves only what is not predicted
    low, high = (
        min(max(math.floor((logit + sign * slack + scores.LOGIT_RANGE) * scale), 0), scores.LOGIT_BINS - 1)
        for sign in (-1, 1)
    )
    return histograms[..., high + 1 :].sum(-1), histograms[..., low:].sum(-1)


def _total(counts: Columns, prefix: str) -> NDArray[np.int64]:
    return sum((counts[f"{prefix}{name}"] for name in scores.CONFUSION), np.zeros(1, np.int64))


def _first(folder: Folder, file: str, wrong: NDArray[np.bool_], text: str) -> Iterator[Fault]:
    """A fault that names the first wrong image (N,), and how many there are."""
    numbers = np.flatnonzero(wrong)
    if len(numbers):
        more = f" (and {len(numbers) - 1} more)" if len(numbers) > 1 else ""
        yield Fault(file, f"image {folder.tested[numbers[0]].id}{more}: {text}")
