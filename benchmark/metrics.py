"""Masks -> integer counts per image -> scores. Pure functions.

The functions on masks use array operators only, so that they take NumPy arrays and torch tensors alike. Every score is
derived from stored counts: it can be added, or recomputed, years after the network ran.

Legend: N images, H x W pixels.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Counts: TypeAlias = Mapping[str, NDArray[Any]]
"""Column name -> (N,) in manifest order; `COUNT_COLUMNS` in integers, `SOUND_COLUMNS` in floats."""

CONFUSION = ("tp", "fp", "fn", "tn")
SURFACE = ("surface_predicted", "surface_predicted_near", "surface_truth", "surface_truth_near")
COUNT_COLUMNS = (
    *CONFUSION,  # at the protocol's size
    *(f"native_{name}" for name in CONFUSION),  # at the size of the file
    *(f"roundtrip_{name}" for name in CONFUSION),  # the truth resized to the protocol's size and back
    *SURFACE,
)
SOUND_COLUMNS = ("sisdr", "sisdr_noisy", "sdr", "sdr_noisy", "sdr_dvad")
"""Of images whose sounds are known, in dB (N,), NaN where undefined: the masked recording, and the noisy one."""

LOGIT_BINS = 64
LOGIT_RANGE = 8.0
"""The histograms' bins divide -8 ... 8 evenly; what lies outside is counted in the first or the last."""


# ---------------------------------------------------------------- masks -> counts


def confusion(prediction: Any, truth: Any) -> tuple[Any, Any, Any, Any]:
    """True positives, false positives, false negatives, true negatives: two bool (..., H, W) -> four (...)."""

    def count(mask: Any) -> Any:
        return mask.sum((-2, -1))

    return (
        count(prediction & truth),
        count(prediction & ~truth),
        count(~prediction & truth),
        count(~prediction & ~truth),
    )


def surface(prediction: Any, truth: Any, tolerance: float) -> tuple[Any, Any, Any, Any]:
    """Boundary pixels of each mask, and how many lie within `tolerance` pixels of the other's boundary.

    Two bool (..., H, W) -> predicted, predicted near truth, truth, truth near predicted, each (...). The normalised
    surface distance of Nikolov et al. 2018 (arXiv 1809.04430, section 4.3), on boundary pixels instead of surface
    elements. A boundary pixel is a foreground pixel with a background pixel, or the image's edge, among its four
    neighbours.
    """
    edge_predicted, edge_truth = boundary(prediction), boundary(truth)
    near_truth, near_predicted = dilate(edge_truth, tolerance), dilate(edge_predicted, tolerance)
    return (
        edge_predicted.sum((-2, -1)),
        (edge_predicted & near_truth).sum((-2, -1)),
        edge_truth.sum((-2, -1)),
        (edge_truth & near_predicted).sum((-2, -1)),
    )


def surface_tolerance(size: tuple[int, int]) -> float:
    """Pixels within which boundaries of images of (height, width) count as near: 2 at 512 x 512.

    Never under 1, where only exact coincidence would count.
    """
    return max(1.0, 2 * math.sqrt(math.prod(size)) / 512)


def boundary(mask: Any) -> Any:
    """Foreground pixels with a background pixel or the image's edge among their four neighbours."""
    inside = mask & False
    inside[..., 1:-1, 1:-1] = mask[..., :-2, 1:-1] & mask[..., 2:, 1:-1] & mask[..., 1:-1, :-2] & mask[..., 1:-1, 2:]
    return mask & ~inside


def dilate(mask: Any, radius: float) -> Any:
    """Every pixel within Euclidean distance `radius` of a foreground pixel: bool (..., H, W) -> the same."""
    height, width = mask.shape[-2:]
    result = mask & False
    reach = int(radius)
    for down in range(-reach, reach + 1):
        for right in range(-reach, reach + 1):
            if down**2 + right**2 > radius**2 or abs(down) >= height or abs(right) >= width:
                continue
            to_rows, from_rows = _shifted(down, height)
            to_columns, from_columns = _shifted(right, width)
            result[..., to_rows, to_columns] |= mask[..., from_rows, from_columns]
    return result


def _shifted(offset: int, length: int) -> tuple[slice, slice]:
    return slice(max(offset, 0), length + min(offset, 0)), slice(max(-offset, 0), length - max(offset, 0))


# ---------------------------------------------------------------- counts -> scores


@dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    """A number derived from the columns of a split: `compute` gives it in its unit, NaN where undefined."""

    name: str
    title: str
    definition: str
    compute: Callable[[Counts], float]
    unit: Literal["share", "count", "dB"] = "share"


def truth_is_empty(counts: Counts) -> NDArray[np.bool_]:
    """Whether an image's mask is empty at native size: (N,)."""
    return np.asarray(counts["native_tp"] + counts["native_fn"] == 0)


def per_image(numerator: NDArray[Any], denominator: NDArray[Any]) -> NDArray[np.float64]:
    """Element-wise ratio, 0 where the denominator is 0.

    Within images whose truth is not empty that happens where nothing was predicted (precision), or where the resize
    deleted the truth and nothing was predicted (IoU): nothing was found, so the score is 0.
    """
    return np.asarray(np.divide(numerator, denominator, out=np.zeros(len(numerator)), where=denominator > 0))


def image_iou(counts: Counts) -> NDArray[np.float64]:
    """Foreground IoU of every image: (N,). The reference paper's set formula (section 5.2), per image."""
    return per_image(counts["tp"], counts["tp"] + counts["fp"] + counts["fn"])


def _mean(values: NDArray[Any]) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _ratio(numerator: Any, denominator: Any) -> float:
    return float(numerator / denominator) if denominator else float("nan")


def _over_images(prefix: str, numerator: str, denominator: str) -> Callable[[Counts], float]:
    """Mean over images with non-empty truth of a ratio of sums, e.g. "tp" over "tp fp fn"; letters may repeat."""

    def compute(counts: Counts) -> float:
        kept = ~truth_is_empty(counts)
        return _mean(per_image(_sum(counts, numerator, prefix), _sum(counts, denominator, prefix))[kept])

    return compute


def _sum(counts: Counts, names: str, prefix: str = "") -> NDArray[np.int64]:
    first, *others = (counts[prefix + name] for name in names.split())
    return reduce(np.add, others, first)


def _pooled(numerator: str, denominator: str) -> Callable[[Counts], float]:
    def compute(counts: Counts) -> float:
        above, below = (sum(int(counts[name].sum()) for name in names.split()) for names in (numerator, denominator))
        return _ratio(above, below)

    return compute


def _over_batches(size: int, *ratios: tuple[str, str]) -> Callable[[Counts], float]:
    """Counts summed within consecutive batches, the ratios averaged in each batch, then over batches."""

    def compute(counts: Counts) -> float:
        starts = np.arange(0, len(counts["tp"]), size)
        if not len(starts):
            return float("nan")
        summed = {name: np.add.reduceat(counts[name], starts) for name in CONFUSION}
        total, counted = np.zeros(len(starts)), np.zeros(len(starts))
        for numerator, denominator in ratios:
            below = _sum(summed, denominator)
            total += per_image(_sum(summed, numerator), below)
            counted += below > 0
        # A class that is nowhere in a batch, neither true nor predicted, says nothing of it.
        return _mean((total / np.maximum(counted, 1))[counted > 0])

    return compute


def _miou_pooled(counts: Counts) -> float:
    return float(np.mean([_pooled("tp", "tp fp fn")(counts), _pooled("tn", "tn fp fn")(counts)]))


def _iou_empty1(counts: Counts) -> float:
    predicted = counts["tp"] + counts["fp"] > 0
    return _mean(np.where(truth_is_empty(counts), ~predicted, image_iou(counts)))


def _empty_images(counts: Counts) -> float:
    return float((truth_is_empty(counts) & (counts["fp"] > 0)).sum())


def _empty_pixels(counts: Counts) -> float:
    return float(counts["fp"][truth_is_empty(counts)].sum())


def _surface_distance(counts: Counts) -> float:
    kept = ~truth_is_empty(counts)
    near = counts["surface_predicted_near"] + counts["surface_truth_near"]
    return _mean(per_image(near[kept], (counts["surface_predicted"] + counts["surface_truth"])[kept]))


_SCORES = (
    Score(
        name="iou",
        title="IoU",
        definition="foreground IoU per image, mean over images whose mask is not empty",
        compute=_over_images("", "tp", "tp fp fn"),
    ),
    Score(
        name="iou_pooled",
        title="IoU pooled",
        definition="foreground IoU of the counts summed over the split",
        compute=_pooled("tp", "tp fp fn"),
    ),
    Score(
        name="iou_batch16",
        title="IoU per batch of 16",
        definition="foreground IoU per batch of 16 in manifest order, averaged (as the 1500-image notebooks print it)",
        compute=_over_batches(16, ("tp", "tp fp fn")),
    ),
    Score(
        name="miou_pooled",
        title="mIoU pooled",
        definition="mean of foreground and background IoU of the summed counts",
        compute=_miou_pooled,
    ),
    Score(
        name="miou_batch8",
        title="mIoU per batch of 8",
        definition="mean of foreground and background IoU per batch of 8, averaged (as ViTVS prints it)",
        compute=_over_batches(8, ("tp", "tp fp fn"), ("tn", "tn fp fn")),
    ),
    Score(
        name="iou_empty1",
        title="IoU, empty = 1",
        definition="IoU per image over all images; where the mask is empty 1 if the prediction is empty too, else 0",
        compute=_iou_empty1,
    ),
    Score(
        name="iou_native",
        title="IoU native",
        definition="IoU at the size of the file (logits bilinearly enlarged, then thresholded), images as in IoU",
        compute=_over_images("native_", "tp", "tp fp fn"),
    ),
    Score(
        name="iou_roundtrip",
        title="IoU of the resized truth",
        definition="IoU at the size of the file of the truth itself after resizing to the protocol's size and back",
        compute=_over_images("roundtrip_", "tp", "tp fp fn"),
    ),
    Score(
        name="dice",
        title="Dice",
        definition="Dice coefficient (F1) per image, mean over images whose mask is not empty",
        compute=_over_images("", "tp tp", "tp tp fp fn"),
    ),
    Score(
        name="dice_pooled",
        title="Dice pooled",
        definition="Dice coefficient (F1) of the counts summed over the split",
        compute=_pooled("tp tp", "tp tp fp fn"),
    ),
    Score(
        name="precision",
        title="Precision",
        definition="precision per image (0 where nothing is predicted), mean over images whose mask is not empty",
        compute=_over_images("", "tp", "tp fp"),
    ),
    Score(
        name="recall",
        title="Recall",
        definition="recall per image, mean over images whose mask is not empty",
        compute=_over_images("", "tp", "tp fn"),
    ),
    Score(
        name="precision_pooled",
        title="Precision pooled",
        definition="precision of the summed counts",
        compute=_pooled("tp", "tp fp"),
    ),
    Score(
        name="recall_pooled",
        title="Recall pooled",
        definition="recall of the summed counts",
        compute=_pooled("tp", "tp fn"),
    ),
    Score(
        name="surface_distance",
        title="Boundary",
        definition="share of boundary pixels within 2 px at 512 x 512 (at least 1 px) of the other, images as in IoU",
        compute=_surface_distance,
    ),
    Score(
        name="empty_false_alarm_images",
        title="False alarms",
        definition="images with an empty mask in which something was predicted",
        compute=_empty_images,
        unit="count",
    ),
    Score(
        name="empty_false_alarm_pixels",
        title="False alarm pixels",
        definition="pixels predicted in images with an empty mask",
        compute=_empty_pixels,
        unit="count",
    ),
)

SCORES: Mapping[str, Score] = {score.name: score for score in _SCORES}
"""Every score of masks by name, in the order of the tables."""


# ---------------------------------------------------------------- sounds


def improvement(columns: Counts, name: str) -> NDArray[np.float64]:
    """By how many dB the masked recording is better than the noisy one: (N,)."""
    return np.asarray(columns[name] - columns[f"{name}_noisy"])


def _over_sounds(values: Callable[[Counts], NDArray[Any]], average: Callable[..., Any] = np.mean) -> Any:
    """Average over the images whose song is not silent."""

    def compute(columns: Counts) -> float:
        known = values(columns)
        known = known[np.isfinite(known)]
        return float(average(known)) if len(known) else float("nan")

    return compute


_SOUND_SCORES = (
    Score(
        name="sisdr_improvement",
        title="SI-SDR gain",
        definition="SI-SDR (Le Roux et al. 2019) of the recording under the predicted mask against the clean song, "
        "minus that of the noisy recording, mean over images with song",
        compute=_over_sounds(lambda columns: improvement(columns, "sisdr")),
        unit="dB",
    ),
    Score(
        name="sisdr",
        title="SI-SDR",
        definition="SI-SDR under the predicted mask, clipped to +-30 dB, mean over images with song",
        compute=_over_sounds(lambda columns: columns["sisdr"]),
        unit="dB",
    ),
    Score(
        name="sisdr_median",
        title="SI-SDR median",
        definition="the median of the same",
        compute=_over_sounds(lambda columns: columns["sisdr"], np.median),
        unit="dB",
    ),
    Score(
        name="sisdr_clipped",
        title="SI-SDR clipped",
        definition="share of the images at which SI-SDR stands at +-30 dB",
        compute=_over_sounds(lambda columns: np.where(np.isfinite(columns["sisdr"]), _clipped(columns), np.nan)),
    ),
    Score(
        name="sdr_improvement",
        title="SDR gain",
        definition="SDR = 10 log10(|s|^2 / |s - s'|^2) under the predicted mask, minus that of the noisy recording",
        compute=_over_sounds(lambda columns: improvement(columns, "sdr")),
        unit="dB",
    ),
    Score(
        name="sdr",
        title="SDR",
        definition="SDR under the predicted mask, mean over images with song; a silent output scores 0 dB",
        compute=_over_sounds(lambda columns: columns["sdr"]),
        unit="dB",
    ),
    Score(
        name="sdr_dvad",
        title="SDR of DVAD",
        definition="10 ln(|y| / |y - x|) of the noisy y and the masked x, as Zhang & Li 2023 print it: how little was "
        "removed, no measure of quality; for the ledger only",
        compute=_over_sounds(lambda columns: columns["sdr_dvad"]),
        unit="dB",
    ),
)


def _clipped(columns: Counts) -> NDArray[np.bool_]:
    return np.asarray(np.abs(columns["sisdr"]) >= 30.0)


SOUND_SCORES: Mapping[str, Score] = {score.name: score for score in _SOUND_SCORES}
"""Every score of sounds by name, for datasets that know the clean song."""
