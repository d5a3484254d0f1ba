"""Network + split -> integer counts per image. The same for every architecture; it never trains.

Legend: N images of the split, n of a batch, H x W the protocol's size, h x w the size of a file.
"""

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from benchmark import metrics
from benchmark.data.batches import DeviceSplit
from benchmark.data.cache import CachedSplit
from benchmark.hardware import Hardware
from benchmark.progress import Report
from benchmark.protocol import Protocol

BATCH = 32
LOGIT_BINS = 64
LOGIT_RANGE = 8.0
"""The histograms' bins divide -8 ... 8 evenly; what lies outside is counted in the first or the last."""


class NotANumberError(Exception):
    """The network's logits are not numbers."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation:
    """Counts (N,) by column, logit histograms (N, 2, bins) over background and foreground, masks (N, H, W)."""

    counts: Mapping[str, NDArray[np.int64]]
    histograms: NDArray[np.int64]
    predictions: NDArray[np.bool_]
    images_per_second: float


def validation_iou(network: nn.Module, data: DeviceSplit, protocol: Protocol, hardware: Hardware) -> float:
    """Foreground IoU per image, mean over images with a mask; NaN logits count as background."""
    threshold = _logit(protocol.threshold)
    ious = []
    for indices, logits in _predict(network, data, hardware):
        tp, fp, fn, _ = metrics.confusion(logits > threshold, data.masks(indices))
        ious.append(tp / (tp + fp + fn).clamp(min=1))  # (n,); an empty union counts 0, as in the metrics
    return float(torch.cat(ious)[data.not_empty].mean())


def evaluate(
    network: nn.Module, data: DeviceSplit, split: CachedSplit, protocol: Protocol, hardware: Hardware, report: Report
) -> Evaluation:
    """Count every image of a split, at the protocol's size and at the size of its file.

    Raises:
        NotANumberError: a logit is NaN.
    """
    threshold = _logit(protocol.threshold)
    # 2 px at 512 x 512; under 1 px only exact coincidence would count.
    tolerance = max(1.0, 2 * math.sqrt(math.prod(protocol.image_size)) / 512)
    native = split.native_masks()
    columns: dict[str, list[Tensor]] = {name: [] for name in metrics.COUNT_COLUMNS}
    histograms, predictions = [], []
    clock = _Clock(hardware)
    clock.warm_up(network, data)
    for indices, logits in _predict(network, data, hardware, clock):  # (n,), (n, H, W)
        if bool(logits.isnan().any()):
            raise NotANumberError
        prediction, truth = logits > threshold, data.masks(indices)  # (n, H, W)
        _append(columns, metrics.CONFUSION, metrics.confusion(prediction, truth))
        _append(columns, metrics.SURFACE, metrics.surface(prediction, truth, tolerance))
        for logit, mask in zip(logits, truth, strict=True):
            _count_native(columns, logit, mask, torch.from_numpy(next(native)).to(data.device), threshold)
        histograms.append(_histograms(logits, truth))
        predictions.append(prediction.cpu().numpy())
        report("testing", int(indices[-1]) + 1, len(data), "")
    return Evaluation(
        counts={name: torch.cat(parts).cpu().numpy().astype(np.int64) for name, parts in columns.items()},
        histograms=torch.cat(histograms).cpu().numpy(),
        predictions=np.concatenate(predictions),
        images_per_second=len(data) / clock.seconds,
    )


class _Clock:
    """Time of the forward passes alone."""

    def __init__(self, hardware: Hardware) -> None:
        self._hardware = hardware
        self.seconds = 0.0

    def warm_up(self, network: nn.Module, data: DeviceSplit) -> None:
        next(_predict(network, data, self._hardware))

    def __enter__(self) -> None:
        self._hardware.synchronise()
        self._started = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self._hardware.synchronise()
        self.seconds += time.perf_counter() - self._started


@torch.inference_mode()
def _predict(
    network: nn.Module, data: DeviceSplit, hardware: Hardware, clock: _Clock | None = None
) -> Iterator[tuple[Tensor, Tensor]]:
    """Indices (n,) and logits (n, H, W) of each batch in manifest order."""
    network.eval()
    for indices in torch.arange(len(data), device=data.device).split(BATCH):
        images = data.images(indices)
        with clock or nullcontext(), hardware.autocast():
            logits = network(images)
        yield indices, logits[:, 0].float()


def _count_native(
    columns: dict[str, list[Tensor]], logit: Tensor, mask: Tensor, native: Tensor, threshold: float
) -> None:
    """Compare with the file's own mask: the enlarged logits, and the resized truth brought back."""
    enlarged, returned = (_enlarge(image, native) for image in (logit, mask.float()))
    _append(columns, [f"native_{name}" for name in metrics.CONFUSION], metrics.confusion(enlarged > threshold, native))
    _append(columns, [f"roundtrip_{name}" for name in metrics.CONFUSION], metrics.confusion(returned >= 0.5, native))


def _enlarge(image: Tensor, like: Tensor) -> Tensor:
    """(H, W) -> (h, w), bilinear."""
    return F.interpolate(image[None, None], size=like.shape, mode="bilinear", align_corners=False)[0, 0]


def _append(columns: dict[str, list[Tensor]], names: Any, values: Any) -> None:
    for name, value in zip(names, values, strict=True):
        columns[name].append(value.reshape(-1))


def _histograms(logits: Tensor, truth: Tensor) -> Tensor:
    """(n, H, W) logits and masks -> (n, 2, bins) counts over background and foreground."""
    count = len(logits)
    bins = ((logits + LOGIT_RANGE) * (LOGIT_BINS / (2 * LOGIT_RANGE))).clamp(0, LOGIT_BINS - 1).long()
    image = torch.arange(count, device=logits.device).view(-1, 1, 1)
    flat = ((image * 2 + truth.long()) * LOGIT_BINS + bins).flatten()
    return torch.bincount(flat, minlength=count * 2 * LOGIT_BINS).view(count, 2, LOGIT_BINS)


def _logit(probability: float) -> float:
    return math.log(probability / (1 - probability))
