"""Network + split -> integer counts per image. The same for every architecture; it never trains.

Legend: N images of the split, n of a batch, H x W the protocol's size, h x w the size of a file.
"""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import zip_longest
from typing import Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from benchmark.common.progress import Report
from benchmark.data.cache import CachedSplit
from benchmark.data.spectrogram import Transform
from benchmark.protocols import Protocol
from benchmark.scores import (
    CONFUSION,
    COUNT_COLUMNS,
    LOGIT_BINS,
    LOGIT_RANGE,
    SURFACE,
    confusion,
    separation,
    surface,
    surface_tolerance,
)
from benchmark.scores.denoisers import Denoiser
from benchmark.training.batches import DeviceSplit
from benchmark.training.hardware import Hardware, is_out_of_memory

BATCH = 32
SOUND_BATCH = 8
"""Recordings that are scored at a time: 4 s at 32 kHz take 40 MB each."""


OnlyClass: TypeAlias = Literal["foreground", "background"]


class NotANumberError(Exception):
    """The network's logits are not numbers."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation:
    """Counts (N,) by column, logit histograms (N, 2, bins) over background and foreground, masks (N, H, W).

    `sounds` has scores in dB (N,) by column; it is empty if the dataset has no clean sounds.
    """

    counts: Mapping[str, NDArray[np.int64]]
    sounds: Mapping[str, NDArray[np.float64]]
    histograms: NDArray[np.int64]
    predictions: NDArray[np.bool_]
    images_per_second: float


def validation_iou(network: nn.Module, data: DeviceSplit, protocol: Protocol, hardware: Hardware) -> float:
    """Mean foreground IoU of the images with a mask; NaN logits count as background."""
    threshold = _logit(protocol.threshold)
    ious = []
    for _, logits, truth in _predict(network, data, hardware):
        tp, fp, fn, _ = confusion(logits > threshold, truth)
        ious.append(tp / (tp + fp + fn).clamp(min=1))  # (n,); an empty union counts 0, as in the metrics
    return float(torch.cat(ious)[data.not_empty].mean())


def only_class(network: nn.Module, data: DeviceSplit, protocol: Protocol, hardware: Hardware) -> OnlyClass | None:
    """The class as which every pixel of a split is predicted; None as soon as both are. NaN counts as background."""
    threshold = _logit(protocol.threshold)
    found: set[OnlyClass] = set()
    for _, logits, _ in _predict(network, data, hardware):
        prediction = logits > threshold
        found |= {"foreground"} if bool(prediction.any()) else set()
        found |= {"background"} if not bool(prediction.all()) else set()
        if len(found) > 1:
            return None
    return found.pop() if found else None


def evaluate(
    network: nn.Module, data: DeviceSplit, split: CachedSplit, protocol: Protocol, hardware: Hardware, report: Report
) -> Evaluation:
    """Count every image of a split, at the protocol's size and at the size of its file.

    Raises:
        NotANumberError: a logit is NaN.
    """
    threshold = _logit(protocol.threshold)
    tolerance = surface_tolerance(protocol.image_size)
    native = split.native_masks()
    # One table for all images: a small tensor per image would lie between the large ones that are freed, and the
    # process would grow by gigabytes.
    table = torch.zeros(len(COUNT_COLUMNS), len(data), dtype=torch.int64, device=data.device)
    columns = dict(zip(COUNT_COLUMNS, table, strict=True))  # name -> (N,)
    histograms, predictions = [], []
    sounds, scorer = split.native_sounds(), _SoundScorer(data.device, split.transform)
    clock = _Clock(hardware)
    clock.warm_up(network, data)
    for indices, logits, truth in _predict(network, data, hardware, clock):  # (n,), (n, H, W), (n, H, W)
        if bool(logits.isnan().any()):
            raise NotANumberError
        prediction = logits > threshold  # (n, H, W)
        here = slice(int(indices[0]), int(indices[-1]) + 1)
        _put(columns, here, CONFUSION, confusion(prediction, truth))
        _put(columns, here, SURFACE, surface(prediction, truth, tolerance))
        for index, logit, mask in zip(range(here.start, here.stop), logits, truth, strict=True):
            whole = torch.from_numpy(next(native)).to(data.device)
            found = _count_native(columns, index, logit, mask, whole, threshold)
            if split.has_sounds:
                scorer.add(next(sounds), found)
        histograms.append(_histograms(logits, truth))
        predictions.append(prediction.cpu().numpy())
        report("testing", int(indices[-1]) + 1, len(data), "")
    return Evaluation(
        counts=dict(zip(COUNT_COLUMNS, table.cpu().numpy(), strict=True)),
        sounds=scorer.finish(),
        histograms=torch.cat(histograms).cpu().numpy(),
        predictions=np.concatenate(predictions),
        images_per_second=len(data) / clock.seconds,
    )


class _Clock:
    """Measures the forward passes alone."""

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
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Indices (n,), logits (n, H, W) and masks (n, H, W) of each batch in manifest order."""
    network.eval()
    batches = torch.arange(len(data), device=data.index_device).split(BATCH)
    for indices, following in zip_longest(batches, batches[1:]):
        pixels, truth = data.pixels(indices)
        images = data.normalise(pixels)
        with clock or nullcontext(), hardware.autocast():
            logits = _forward(network, images)
        if following is not None:
            data.prefetch(following)
        yield indices, logits[:, 0].float(), truth


def _forward(network: nn.Module, images: Tensor) -> Tensor:
    """Logits of a batch; in halves if it does not fit into memory."""
    try:
        logits: Tensor = network(images)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error) or len(images) == 1:
            raise
    else:
        return logits
    return torch.cat([_forward(network, half) for half in images.chunk(2)])


def _count_native(
    columns: Mapping[str, Tensor], index: int, logit: Tensor, mask: Tensor, native: Tensor, threshold: float
) -> Tensor:
    """Compare the enlarged logits, and the truth resized there and back, with the mask at the file's size.

    Returns the predicted mask (h, w).
    """
    enlarged, returned = (_enlarge(image, native) for image in (logit, mask.float()))
    found = enlarged > threshold
    _put(columns, index, [f"native_{name}" for name in CONFUSION], confusion(found, native))
    whole = confusion(returned >= 0.5, native)
    _put(columns, index, [f"roundtrip_{name}" for name in CONFUSION], whole)
    return found


def references(
    split: CachedSplit, denoisers: Mapping[str, Denoiser], device: torch.device, report: Report
) -> dict[str, NDArray[np.float64]]:
    """The scores of masks that need no network, and of denoisers, in dB: (N,) by `<reference>_<score>`.

    References and scores are those of `separation`, in its order. They depend on the data alone, so they are computed
    once for all runs.
    """
    columns: dict[str, list[float]] = {}
    pairs = zip(split.rows, split.native_masks(), split.native_sounds(), strict=True)
    for number, (row, mask, sounds) in enumerate(pairs, start=1):
        noisy, clean = (torch.from_numpy(np.array(wave)).to(device) for wave in sounds or ())
        spectra = split.transform.stft(noisy), split.transform.stft(clean)
        rate = row.sound.sample_rate if row.sound else 0
        masks = separation.reference_masks(*spectra, torch.from_numpy(mask).to(device), rate, split.transform)
        estimates = {name: split.transform.reconstruct(spectra[0], reference) for name, reference in masks.items()}
        for name, denoise in denoisers.items():
            estimates[name] = torch.from_numpy(denoise(noisy.cpu().numpy(), rate)).to(noisy)
        for name in separation.REFERENCES:
            if name in estimates:
                for score, value in separation.scores(estimates[name], noisy, clean).items():
                    columns.setdefault(f"{name}_{score}", []).append(float(value))
        report("references", number, len(split.rows), "")
    return {name: np.asarray(values) for name, values in columns.items()}


class _SoundScorer:
    """Scores recordings under their predicted masks, several of the same size at a time."""

    def __init__(self, device: torch.device, transform: Transform) -> None:
        self._device, self._transform = device, transform
        self._waiting: list[tuple[Tensor, Tensor, Tensor]] = []  # noisy (S,), clean (S,), mask (R, T)
        self._columns: dict[str, list[Tensor]] = {}

    def add(self, sounds: tuple[NDArray[np.float32], NDArray[np.float32]] | None, mask: Tensor) -> None:
        """Add an image's sounds and its predicted mask."""
        noisy, clean = (torch.from_numpy(np.array(wave)).to(self._device) for wave in sounds or ())
        if self._waiting and (len(self._waiting) == SOUND_BATCH or self._waiting[0][0].shape != noisy.shape):
            self._score()
        self._waiting.append((noisy, clean, mask))

    def finish(self) -> dict[str, NDArray[np.float64]]:
        """The scores of all images (N,) by column, in their order; empty if there were no sounds."""
        if self._waiting:
            self._score()
        return {name: torch.cat(parts).double().cpu().numpy() for name, parts in self._columns.items()}

    def _score(self) -> None:
        noisy, clean, masks = (torch.stack(parts) for parts in zip(*self._waiting, strict=True))
        self._waiting.clear()
        estimate = self._transform.reconstruct(self._transform.stft(noisy), masks)  # (n, S)
        scores = {
            **separation.scores(estimate, noisy, clean),
            "sisdr_noisy": separation.si_sdr(noisy, clean),
            "sdr_noisy": separation.sdr(noisy, clean),
            "sdr_dvad": separation.sdr_dvad(estimate, noisy),
        }
        for name, values in scores.items():
            self._columns.setdefault(name, []).append(values)


def _enlarge(image: Tensor, like: Tensor) -> Tensor:
    """(H, W) -> (h, w), bilinear."""
    return F.interpolate(image[None, None], size=like.shape, mode="bilinear", align_corners=False)[0, 0]


def _put(columns: Mapping[str, Tensor], where: int | slice, names: Sequence[str], values: Sequence[Tensor]) -> None:
    for name, value in zip(names, values, strict=True):
        columns[name][where] = value


def _histograms(logits: Tensor, truth: Tensor) -> Tensor:
    """(n, H, W) logits and masks -> (n, 2, bins) counts over background and foreground."""
    count = len(logits)
    bins = ((logits + LOGIT_RANGE) * (LOGIT_BINS / (2 * LOGIT_RANGE))).clamp(0, LOGIT_BINS - 1).long()
    image = torch.arange(count, device=logits.device).view(-1, 1, 1)
    flat = ((image * 2 + truth.long()) * LOGIT_BINS + bins).flatten()
    return torch.bincount(flat, minlength=count * 2 * LOGIT_BINS).view(count, 2, LOGIT_BINS)


def _logit(probability: float) -> float:
    return math.log(probability / (1 - probability))
