"""Apply a network to a sound: where the bird is, in Hz and seconds.

Legend: S samples at the network's rate, F frames of one of its images, G frames of the whole sound, K bins.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from benchmark.data import images, recordings
from benchmark.data.spectrogram import Transform
from benchmark.tools.denoise.trained import Trained
from benchmark.training import hardware
from benchmark.training.batches import Normalisation
from benchmark.training.hardware import Hardware

_BATCH = 8
_SILENCE = 1e-5
"""Peak of -100 dB of full scale. A quieter window counts as silent and is not scaled up for the network."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Grid:
    """Weights from 0 to 1, (K, G), of a spectrogram that starts at frame `first` of the sound at `rate` Hz."""

    weights: NDArray[np.float32]
    first: int
    rate: int
    transform: Transform

    def at(self, frequencies: NDArray[np.float64], times: NDArray[np.float64]) -> NDArray[np.float32]:
        """Interpolate the weights at frequencies in Hz (k,) and times in s (t,), repeating the border: (k, t)."""
        bins = frequencies * self.transform.fft_length / self.rate
        frames = (times * self.rate - self.transform.centres(self.first)) / self.transform.hop
        return _between(_between(self.weights, bins).T, frames).T


class Cleaner:
    """A trained network, and the rendering of its data."""

    def __init__(self, trained: Trained, device: str) -> None:
        self.rendering = trained.rendering
        self.transform = Transform.of(self.rendering)
        self.threshold = trained.protocol.threshold
        self._image_size = trained.protocol.image_size
        self._hardware: Hardware = hardware.resolve(device, "auto")
        self._network = trained.load().to(self._hardware.device).eval()
        self._normalise = Normalisation(trained.protocol, self._hardware.device)

    @property
    def frames(self) -> int:
        """Columns of an image, F."""
        assert self.rendering.frames is not None  # every record has it
        return self.rendering.frames

    def rate(self, recorded: int) -> int:
        """The rate in Hz that a recording of rate `recorded` is resampled to."""
        return self.rendering.sample_rate or recorded

    def window_seconds(self, recorded: int) -> float:
        """Duration of an image in s."""
        return self.transform.sample_count(self.frames) / self.rate(recorded)

    def finest(self, recorded: int) -> Transform:
        """The transform that a recording of rate `recorded` is masked with: at its own rate, so nothing is lost."""
        return self.transform.at(recorded / self.rate(recorded))

    def band(self, recorded: int) -> float:
        """Hz above which the network has never met a sound."""
        return min(self.rendering.lowpass or math.inf, self.rate(recorded) / 2)

    def highest(self, recorded: int) -> float:
        """Hz up to which the network was trained, whether or not a recording of rate `recorded` reaches there."""
        return min(self.rendering.lowpass or math.inf, self.rate(recorded) / 2)

    @property
    def lowest(self) -> float:
        """Hz below which the network has never met a sound."""
        return self.rendering.highpass or 0.0

    def grid(self, samples: NDArray[np.float32], recorded: int, *, start: int, frames: tuple[int, int]) -> Grid:
        """Weights for the frames `frames` (first, one past the last) of a recording.

        `samples` (n,) are those of the recording, at rate `recorded`, from second `start` on. They reach one window
        beyond the frames, unless the recording ends before.
        """
        rate = self.rate(recorded)
        wave = recordings.resample(samples.astype(np.float64), recorded, rate)
        wave = recordings.high_pass(wave, rate, self.rendering.highpass or 0)
        wave = recordings.low_pass(wave, rate, self.rendering.lowpass or math.inf).astype(np.float64)
        first, last = frames
        step = max(self.frames // 2, 1)  # neighbouring windows share half their frames
        # Frames are counted from the start of the recording, so cut the samples to begin with a frame.
        wave = wave[-start * rate % self.transform.hop :]
        offset = -(-start * rate // self.transform.hop)
        numbers = range(max(0, (first - self.frames) // step + 1), max(last - 1, 0) // step + 1)
        # Continue a sound that ends within a window as its mirror image: silence would be a signal.
        reach = (numbers[-1] * step - offset) * self.transform.hop + self.transform.sample_count(self.frames)
        wave = np.pad(wave, (0, max(0, reach - len(wave))), mode="symmetric")
        total, weight = np.zeros((self.transform.bins, last - first), np.float32), np.zeros(last - first, np.float32)
        # A window is trusted most in its middle.
        trust = np.minimum(np.arange(self.frames) + 1, np.arange(self.frames)[::-1] + 1).astype(np.float32)
        for number, found in zip(numbers, self._windows(wave, [n * step - offset for n in numbers]), strict=True):
            begin = number * step - first  # of the window, counted in the frames asked for
            here = slice(max(begin, 0), min(begin + self.frames, last - first))
            there = slice(here.start - begin, here.stop - begin)
            total[:, here] += found[:, there] * trust[there]
            weight[here] += trust[there]
        total /= np.maximum(weight, 1e-6)
        return Grid(weights=total, first=first, rate=rate, transform=self.transform)

    def _windows(self, wave: recordings.Real, starts: list[int]) -> list[NDArray[np.float32]]:
        """One-sided weights (K, F) of the windows that start at these frames of the wave."""
        length = self.transform.sample_count(self.frames)
        cut = [wave[self.transform.hop * start : self.transform.hop * start + length] for start in starts]
        found = [np.zeros((self.transform.bins, self.frames), np.float32) for _ in cut]
        audible = [index for index, window in enumerate(cut) if np.abs(window).max() >= _SILENCE]
        for begin in range(0, len(audible), _BATCH):
            batch = audible[begin : begin + _BATCH]
            pictures = [self._image(cut[index]) for index in batch]
            for index, kept in zip(batch, self._predict(np.stack(pictures)), strict=True):
                found[index] = kept
        return found

    def _image(self, window: recordings.Real) -> NDArray[np.uint8]:
        if self.rendering.peak is not None:
            window = window * (self.rendering.peak / np.abs(window).max())
        return images.resize_image(self.transform.image(window), self._image_size)

    @torch.inference_mode()
    def _predict(self, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(n, H, W) images -> one-sided weights (n, K, F)."""
        pixels = self._normalise(torch.from_numpy(pictures).to(self._hardware.device))
        with self._hardware.autocast():
            logits = self._network(pixels)
        size = (self.transform.rows, self.frames)
        weights = F.interpolate(logits.float(), size=size, mode="bilinear", align_corners=False)[:, 0].sigmoid()
        return np.asarray(self.transform.fold(weights).cpu().numpy())


def _between(values: NDArray[np.float32], at: NDArray[np.float64]) -> NDArray[np.float32]:
    """Interpolate rows of (n, m) linearly at positions (k,): (k, m)."""
    at = at.clip(0, len(values) - 1)
    low = np.minimum(at.astype(np.int64), max(len(values) - 2, 0))
    part = (at - low)[:, None].astype(np.float32)
    return np.asarray(values[low] * (1 - part) + values[np.minimum(low + 1, len(values) - 1)] * part)
