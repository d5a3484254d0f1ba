"""Scores of masks, from the counts of `masks`."""

from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.metrics.masks import CONFUSION
from benchmark.metrics.score import Counts, Score


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
