"""Checks of what was counted: images.csv, logits.csv and predictions.npz against each other and the manifest.

Legend: N images of the test split, H x W the protocol's size.
"""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark import scores
from benchmark.records.verify.run_files import Fault, Subject
from benchmark.scores import separation

_IMAGES, _LOGITS, _PREDICTIONS = "images.csv", "logits.csv", "predictions.npz"
_LIMITS = {**separation.LIMITS, "sdr_dvad": separation.DVAD_LIMIT}
_ROUNDING = 1e-4
"""dB are stored with four decimals."""


def check_slices(subject: Subject) -> Iterator[Fault]:
    """Every image stands in the slice that the manifest gives it."""
    expected = np.array([row.slice for row in subject.tested])
    wrong = np.array(subject.images.slices) != expected
    yield from _first(subject, _IMAGES, wrong, "its slice is not the manifest's")


def check_sums(subject: Subject) -> Iterator[Fault]:
    """The four counts of an image add up to its pixels, the foreground to the manifest's."""
    counts, rows = subject.images.counts, subject.tested
    height, width = subject.settings.image_size
    yield from _first(
        subject, _IMAGES, _total(counts, "") != height * width, f"tp + fp + fn + tn is not {height} x {width}"
    )
    pixels = np.array([row.height * row.width for row in rows])
    foreground = np.array([row.foreground for row in rows])
    for prefix in ("native_", "roundtrip_"):
        yield from _first(
            subject, _IMAGES, _total(counts, prefix) != pixels, f"the {prefix}counts do not add up to its file's pixels"
        )
        found = counts[f"{prefix}tp"] + counts[f"{prefix}fn"]
        yield from _first(
            subject, _IMAGES, found != foreground, f"{prefix}tp + {prefix}fn is not the manifest's foreground"
        )


def check_surface(subject: Subject) -> Iterator[Fault]:
    """Boundary pixels that are near are boundary pixels, and these belong to their masks."""
    counts = subject.images.counts
    masks = {"predicted": counts["tp"] + counts["fp"], "truth": counts["tp"] + counts["fn"]}
    for name, mask in masks.items():
        edge, near = counts[f"surface_{name}"], counts[f"surface_{name}_near"]
        yield from _first(subject, _IMAGES, near > edge, f"surface_{name}_near is above surface_{name}")
        yield from _first(subject, _IMAGES, edge > mask, f"surface_{name} is above the pixels of its mask")


def check_sounds(subject: Subject) -> Iterator[Fault]:
    """Sound scores are there where the manifest has sounds, and within their limits."""
    sounds = subject.images.sounds
    if bool(sounds) != all(row.sound is not None for row in subject.tested):
        yield Fault(_IMAGES, "it has sound scores and the manifest no sounds, or the other way round")
        return
    for name, values in sounds.items():
        limit = _LIMITS[name.removesuffix("_noisy")]
        yield from _first(subject, _IMAGES, abs(values) > limit + _ROUNDING, f"{name} is beyond +-{limit:g} dB")
    for name in ("sisdr", "sdr") if sounds else ():
        undefined = np.isnan(sounds[name]) != np.isnan(sounds[f"{name}_noisy"])
        yield from _first(subject, _IMAGES, undefined, f"one of {name} and {name}_noisy is undefined")


def check_logits(subject: Subject) -> Iterator[Fault]:
    """The histograms count every pixel once, and what lies above the threshold was predicted.

    A logit that lies in the threshold's own bin may be on either side of it (at a threshold of 0.5, an exact 0 is in
    the bin above, and is not predicted), so the predicted pixels are between the bins above and these with that one.
    """
    counts, histograms = subject.images.counts, subject.logits.histograms  # (N,), (N, 2, bins)
    at_least, at_most = _above(histograms, subject.settings.threshold)  # (N, 2) each
    for index, (name, predicted, missed) in enumerate((("background", "fp", "tn"), ("foreground", "tp", "fn"))):
        total = histograms[:, index].sum(-1)
        yield from _first(
            subject,
            _LOGITS,
            total != counts[predicted] + counts[missed],
            f"the {name} bins do not add up to {predicted} + {missed}",
        )
        outside = (counts[predicted] < at_least[:, index]) | (counts[predicted] > at_most[:, index])
        yield from _first(
            subject, _LOGITS, outside, f"the {name} bins above the threshold are not the {predicted} of images.csv"
        )


def check_predictions(subject: Subject) -> Iterator[Fault]:
    """The stored masks have as many pixels as were counted."""
    counts = subject.images.counts
    wrong = subject.predictions.sum((1, 2)) != counts["tp"] + counts["fp"]
    yield from _first(subject, _PREDICTIONS, wrong, "its mask has not the tp + fp pixels of images.csv")


def check_truth(subject: Subject) -> Iterator[Fault]:
    """Where the true masks are stored: the counts at the protocol's size are those of the two masks."""
    if subject.truth is not None:
        yield from against_truth(subject, subject.truth)


def against_truth(subject: Subject, truth: NDArray[np.bool_]) -> Iterator[Fault]:
    """The stored counts at the protocol's size are those of the stored prediction and these masks (N, H, W)."""
    found = recounted(subject.predictions, truth)
    for name, values in found.items():
        wrong = values != subject.images.counts[name]
        yield from _first(subject, _IMAGES, wrong, f"{name} is not that of the stored prediction and the true mask")


def recounted(prediction: NDArray[np.bool_], truth: NDArray[np.bool_]) -> dict[str, NDArray[np.int64]]:
    """The counts at the protocol's size, (N,) by column, of masks (N, H, W)."""
    size = (prediction.shape[1], prediction.shape[2])
    columns: dict[str, list[Any]] = {name: [] for name in (*scores.CONFUSION, *scores.SURFACE)}
    for one, other in zip(prediction, truth, strict=True):
        values = [
            *scores.confusion(one, other),
            *scores.surface(one, other, scores.surface_tolerance(size)),
        ]
        for name, value in zip(columns, values, strict=True):
            columns[name].append(value)
    return {name: np.array(values, dtype=np.int64) for name, values in columns.items()}


def _above(histograms: NDArray[np.int64], threshold: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """How many logits of histograms (..., bins) lie above a threshold, at least and at most: (...) each."""
    logit = math.log(threshold / (1 - threshold))
    scale = scores.LOGIT_BINS / (2 * scores.LOGIT_RANGE)
    slack = 1e-4 if logit else 0.0  # rounding moves a logit over an edge; at 0 it moves only what is not predicted
    low, high = (
        min(max(math.floor((logit + sign * slack + scores.LOGIT_RANGE) * scale), 0), scores.LOGIT_BINS - 1)
        for sign in (-1, 1)
    )
    return histograms[..., high + 1 :].sum(-1), histograms[..., low:].sum(-1)


def _total(counts: dict[str, NDArray[np.int64]], prefix: str) -> NDArray[np.int64]:
    return sum((counts[f"{prefix}{name}"] for name in scores.CONFUSION), np.zeros(1, np.int64))


def _first(subject: Subject, file: str, wrong: NDArray[np.bool_], text: str) -> Iterator[Fault]:
    """A fault that names the first wrong image (N,), and how many there are."""
    numbers = np.flatnonzero(wrong)
    if len(numbers):
        more = f" (and {len(numbers) - 1} more)" if len(numbers) > 1 else ""
        yield Fault(file, f"image {subject.tested[numbers[0]].id}{more}: {text}")
