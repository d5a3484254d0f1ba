"""Scores of masks, computed from the counts of `counts`."""

from collections.abc import Mapping
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.scores.counts import CONFUSION
from benchmark.scores.score import Counts, Over, Score, Unit, mean, ratio


def truth_is_empty(counts: Counts) -> NDArray[np.bool_]:
    """Whether an image's mask is empty at native size: (..., N)."""
    return np.asarray(counts["native_tp"] + counts["native_fn"] == 0)


def per_image(numerator: NDArray[Any], denominator: NDArray[Any]) -> NDArray[np.float64]:
    """Element-wise ratio, 0 where the denominator is 0.

    In images whose truth is not empty this happens if nothing was predicted (precision), or if the resize deleted the
    truth and nothing was predicted (IoU). Nothing was found, so the score is 0.
    """
    return np.asarray(np.divide(numerator, denominator, out=np.zeros(numerator.shape), where=denominator > 0))


def image_iou(counts: Counts) -> NDArray[np.float64]:
    """Foreground IoU of every image, (..., N), by the set formula of the reference paper (section 5.2)."""
    return per_image(counts["tp"], counts["tp"] + counts["fp"] + counts["fn"])


def shown_iou(counts: Counts) -> NDArray[np.float64]:
    """The same, NaN where the mask is empty: their mean is the IoU of the table."""
    return np.where(truth_is_empty(counts), np.nan, image_iou(counts))


def _over_images(prefix: str, numerator: str, denominator: str) -> Over:
    """Mean over images with non-empty truth of a ratio of sums, e.g. "tp" over "tp fp fn"; letters may repeat."""

    def over(counts: Counts) -> NDArray[np.float64]:
        found = per_image(_sum(counts, numerator, prefix), _sum(counts, denominator, prefix))
        return mean(found, ~truth_is_empty(counts))

    return over


def _sum(counts: Counts, names: str, prefix: str = "") -> NDArray[np.int64]:
    first, *others = (counts[prefix + name] for name in names.split())
    return reduce(np.add, others, first)


def _pooled(numerator: str, denominator: str) -> Over:
    def over(counts: Counts) -> NDArray[np.float64]:
        return ratio(_sum(counts, numerator).sum(-1), _sum(counts, denominator).sum(-1))

    return over


def _over_batches(size: int, *ratios: tuple[str, str]) -> Over:
    """Sum counts within consecutive batches, average the ratios in each batch, then average over batches.

    A class that is neither true nor predicted in a batch counts 0, as in the notebooks that print these scores.
    """

    def over(counts: Counts) -> NDArray[np.float64]:
        starts = np.arange(0, counts["tp"].shape[-1], size)
        if not len(starts):
            return np.full(counts["tp"].shape[:-1], np.nan)
        summed = {name: np.add.reduceat(counts[name], starts, axis=-1) for name in CONFUSION}
        found = [per_image(_sum(summed, numerator), _sum(summed, denominator)) for numerator, denominator in ratios]
        return mean(np.mean(found, axis=0))

    return over


def _miou_pooled(counts: Counts) -> NDArray[np.float64]:
    found = [_pooled(right, f"{right} fp fn")(counts) for right in ("tp", "tn")]
    return np.asarray(np.where(np.isnan(found).all(0), np.nan, np.nan_to_num(found).mean(0)))


def _iou_empty1(counts: Counts) -> NDArray[np.float64]:
    predicted = counts["tp"] + counts["fp"] > 0
    return mean(np.where(truth_is_empty(counts), ~predicted, image_iou(counts)))


def _empty_images(counts: Counts) -> NDArray[np.float64]:
    return np.asarray((truth_is_empty(counts) & (counts["fp"] > 0)).sum(-1), dtype=np.float64)


def _empty_pixels(counts: Counts) -> NDArray[np.float64]:
    return np.asarray(np.where(truth_is_empty(counts), counts["fp"], 0).sum(-1), dtype=np.float64)


def _surface_distance(counts: Counts) -> NDArray[np.float64]:
    near = counts["surface_predicted_near"] + counts["surface_truth_near"]
    return mean(per_image(near, counts["surface_predicted"] + counts["surface_truth"]), ~truth_is_empty(counts))


_IOU = "tp", "tp fp fn"
_DICE = "tp tp", "tp tp fp fn"
_BACKGROUND_IOU = "tn", "tn fp fn"
_DEFINITIONS = {
    "iou": "foreground IoU per image, mean over images whose mask is not empty",
    "iou_pooled": "foreground IoU of the counts summed over the split",
    "iou_batch16": "foreground IoU per batch of 16 in manifest order, averaged; 0 where a batch has no foreground and "
    "none is predicted (as the 1500-image notebooks print it)",
    "miou_pooled": "mean of foreground and background IoU of the summed counts; a class that does not occur counts 0",
    "miou_batch8": "mean of foreground and background IoU per batch of 8, averaged; a class that does not occur in a "
    "batch counts 0 (as ViTVS prints it)",
    "iou_empty1": "IoU per image over all images; where the mask is empty 1 if the prediction is empty too, else 0",
    "iou_native": "IoU at the size of the file (logits bilinearly enlarged, then thresholded), images as in IoU",
    "iou_roundtrip": "the best IoU that the image size allows: that of the truth itself, resized to the protocol's "
    "size and back to the size of the file",
    "dice": "Dice coefficient (F1) per image, mean over images whose mask is not empty",
    "dice_pooled": "Dice coefficient (F1) of the counts summed over the split",
    "precision": "precision per image (0 where nothing is predicted), mean over images whose mask is not empty",
    "recall": "recall per image, mean over images whose mask is not empty",
    "precision_pooled": "precision of the summed counts",
    "recall_pooled": "recall of the summed counts",
    "surface_distance": "share of boundary pixels within 2 px at 512 x 512 (at least 1 px) of the other boundary, "
    "images as in IoU",
    "empty_false_alarm_images": "images with an empty mask in which something was predicted",
    "empty_false_alarm_pixels": "pixels predicted in images with an empty mask",
}


def _score(name: str, title: str, over: Over, unit: Unit = "share") -> Score:
    return Score(name=name, title=title, definition=_DEFINITIONS[name], over=over, unit=unit)


_SCORES = (
    _score("iou", "IoU", _over_images("", *_IOU)),
    _score("iou_pooled", "IoU pooled", _pooled(*_IOU)),
    _score("iou_batch16", "IoU per batch of 16", _over_batches(16, _IOU)),
    _score("miou_pooled", "mIoU pooled", _miou_pooled),
    _score("miou_batch8", "mIoU per batch of 8", _over_batches(8, _IOU, _BACKGROUND_IOU)),
    _score("iou_empty1", "IoU, empty = 1", _iou_empty1),
    _score("iou_native", "IoU native", _over_images("native_", *_IOU)),
    _score("iou_roundtrip", "IoU ceiling", _over_images("roundtrip_", *_IOU)),
    _score("dice", "Dice", _over_images("", *_DICE)),
    _score("dice_pooled", "Dice pooled", _pooled(*_DICE)),
    _score("precision", "Precision", _over_images("", "tp", "tp fp")),
    _score("recall", "Recall", _over_images("", "tp", "tp fn")),
    _score("precision_pooled", "Precision pooled", _pooled("tp", "tp fp")),
    _score("recall_pooled", "Recall pooled", _pooled("tp", "tp fn")),
    _score("surface_distance", "Boundary", _surface_distance),
    _score("empty_false_alarm_images", "False alarms", _empty_images, unit="count"),
    _score("empty_false_alarm_pixels", "False alarm pixels", _empty_pixels, unit="count"),
)

SCORES: Mapping[str, Score] = {score.name: score for score in _SCORES}
"""Every score of masks by name, in the order of the tables."""
