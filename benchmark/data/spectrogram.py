"""Turn sound into images, and masked images into sound.

`PUBLISHED` does it like BirdSoundsDenoising (Zhang & Li, arXiv 2210.10196); it was verified on the authors' public
example XC41136: symmetric Hamming window of 128 samples, hop 64, FFT length 1024, no padding; two-sided, rows from the
lowest negative frequency up, the Nyquist bin last. The functions of this module are its methods. Other datasets may
choose another `Transform`.

Legend: S samples, W window, T frames = 1 + (S - W) // hop, K = FFT length / 2 + 1 bins of the one-sided spectrum, R
image rows (1024 if published); `...` are leading axes (none, channels, a batch). Everything is computed in the
precision of its input. Datasets render in float64: rounded to 8 bits, that gives the same bytes on every processor;
float32 does not.

`stft` and `reconstruct` take NumPy arrays and torch tensors, so the code that wrote the dataset also scores masks on
the device that predicted them. Any sample rate is possible: the image's rows are fractions of it.
"""

import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from benchmark.contract import Rendering

_BLOCK = 8192
"""Frames of a long recording that are transformed at a time: 70 MB of spectrum in float64."""
DARKEST, BRIGHTEST = -20.0, 60.0
"""dB relative to the median magnitude of an image, if its scale is decibel."""
_DYNAMICS = 1e-5
"""The median counts as at least this share of the largest magnitude: digital silence has none."""
FAINTEST, LOUDEST = -23.0, 37.0
"""dB relative to the steady noise at a frequency, if the scale is contrast."""
_QUIETEST = 1e-8
"""Steady noise counts as at least this share of the mean power: digital silence has none."""

Real = NDArray[np.floating[Any]]
Complex = NDArray[np.complexfloating[Any, Any]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Transform:
    """A short-time Fourier transform and the image of its magnitudes.

    The window is a multiple of the hop. `sides` 2: R = FFT length rows, row r shows the frequency (r + 1 - R / 2) / R
    of the sample rate, so 0 Hz is in the middle. `sides` 1: R = FFT length / 2 rows, 0 Hz in the last, the highest in
    the first; Nyquist has no row. `scale` linear: magnitudes from 1 on are white; decibel: -20 to 60 dB relative to
    the median magnitude, so loudness does not matter; contrast: -23 to 37 dB relative to the steady noise at the row's
    frequency, so neither loudness nor the colour of the noise matters.
    """

    window: int = 128
    hop: int = 64
    fft_length: int = 1024
    sides: int = 2
    scale: str = "linear"

    @classmethod
    def of(cls, rendering: Rendering | None) -> "Transform":
        """The transform of a dataset; the published one if the dataset names none."""
        if rendering is None:
            return PUBLISHED
        return cls(**{name: getattr(rendering, name) for name in cls.__slots__})

    def at(self, factor: float) -> "Transform":
        """About the same window in seconds at `factor` times the sample rate: lengths change by a power of two."""
        power = max(round(math.log2(factor)), -math.floor(math.log2(self.hop)))
        window, hop, length = (int(each * 2.0**power) for each in (self.window, self.hop, self.fft_length))
        return replace(self, window=window, hop=hop, fft_length=length)

    @property
    def bins(self) -> int:
        """K."""
        return self.fft_length // 2 + 1

    @property
    def rows(self) -> int:
        """R."""
        return self.fft_length * self.sides // 2

    def frame_count(self, samples: int) -> int:
        """The frames T of a recording of S samples; the rest at its end belongs to no frame."""
        return max(0, 1 + (samples - self.window) // self.hop)

    def sample_count(self, frames: int) -> int:
        """The samples that T frames span."""
        return self.window + self.hop * (frames - 1)

    def centres(self, frames: Any) -> Any:
        """Numbers of frames -> the samples at their centres."""
        return frames * self.hop + self.window / 2

    # ------------------------------------------------------------ transform and back, NumPy or torch

    def stft(self, samples: Any) -> Any:
        """One-sided short-time Fourier transform: (..., S) -> complex (..., K, T).

        Raises:
            ValueError: fewer samples than one window.
        """
        if samples.ndim < 1 or samples.shape[-1] < self.window:
            raise ValueError(f"need at least {self.window} samples, got shape {tuple(samples.shape)}")
        frames, parts = self.frame_count(samples.shape[-1]), self.window // self.hop
        # A frame is a block of `hop` samples and the following ones.
        blocks = samples[..., : self.hop * (frames + parts - 1)]
        blocks = blocks.reshape(*samples.shape[:-1], frames + parts - 1, self.hop)
        cut = library(samples).concatenate([blocks[..., part : part + frames, :] for part in range(parts)], -1)
        spectrum = library(samples).fft.rfft(cut * self._weights(samples), self.fft_length, -1).swapaxes(-1, -2)
        if library(samples) is np and samples.dtype == np.float32:  # NumPy 1 transforms in float64 whatever it is given
            spectrum = spectrum.astype(np.complex64, copy=False)
        return spectrum

    def reconstruct(self, spectrum: Any, mask: Any) -> Any:
        """The sound of a masked spectrum: (..., K, T) and (..., R, T) -> (..., W + hop (T - 1)).

        The mask holds bools, or weights from 0 to 1 (a soft mask). After the inverse transform the real part is taken,
        because published masks are not perfectly symmetric. The first W samples of each frame are overlap-added with
        the analysis window and divided by the summed squared window.
        """
        return self.inverse(spectrum * self.fold(_like(mask, spectrum.real)))

    def inverse(self, spectrum: Any) -> Any:
        """The sound of a spectrum: (..., K, T) -> (..., W + hop (T - 1)), see `reconstruct`."""
        # (..., T, W)
        frames = library(spectrum).fft.irfft(spectrum.swapaxes(-1, -2), self.fft_length, -1)[..., : self.window]
        if library(spectrum) is np:
            frames = frames.astype(spectrum.real.dtype, copy=False)
        window = self._weights(frames)
        return self._overlap_add(frames * window) / self._overlap_add(frames * 0 + window**2)

    def fold(self, mask: Any) -> Any:
        """The weights of the bins under a mask: (..., R, T) -> (..., K, T), 0 Hz to Nyquist; the mean of two sides."""
        half = self.fft_length // 2
        if self.sides == 1:
            # Nyquist has the weight of its neighbour.
            return mask[..., np.maximum(half - 1 - np.arange(self.bins), 0), :]
        # The real part after an asymmetric mask equals the result of the mean of the mask's two sides.
        weight = mask[..., half - 1 :, :]
        # Row R - 2 - k mirrors row k; 0 Hz and Nyquist are their own mirrors. By index: torch has no negative steps.
        mirrored = weight.clone() if hasattr(weight, "clone") else weight.copy()
        mirrored[..., 1:-1, :] = mask[..., np.arange(half - 2, -1, -1), :]
        return (weight + mirrored) / 2

    def unfold(self, half: Any) -> Any:
        """The rows of an image: (..., K, T) -> (..., R, T)."""
        middle = self.fft_length // 2 - 1
        bins = middle - np.arange(self.rows) if self.sides == 1 else np.abs(np.arange(self.rows) - middle)
        return half[..., bins, :]

    def _overlap_add(self, frames: Any) -> Any:
        # (..., T, W) -> (..., W + hop (T - 1)): every block of `hop` samples is a part of several frames.
        parts = self.window // self.hop
        total: Any = 0
        for part in range(parts):
            found = [frames[..., self.hop * part : self.hop * (part + 1)]]
            silence = frames[..., :1, : self.hop] * 0
            total = total + library(frames).concatenate([silence] * part + found + [silence] * (parts - 1 - part), -2)
        return total.reshape(*frames.shape[:-2], -1)

    def _weights(self, other: Any) -> Any:
        return _like(np.hamming(self.window), other)

    # ------------------------------------------------------------ images and masks

    def render(self, spectrum: Complex) -> NDArray[np.uint8]:
        """The image of a one-sided spectrum: (K, T) -> uint8 (R, T)."""
        size = np.abs(spectrum)
        if self.scale == "decibel":
            usual = max(float(np.median(size)), _DYNAMICS * float(size.max()))
            level = 20 * np.log10(np.maximum(size, 1e-30) / max(usual, 1e-20))
            size = np.maximum(level - DARKEST, 0) / (BRIGHTEST - DARKEST)
        elif self.scale == "contrast":
            size = contrast(spectrum)
        return np.asarray(self.unfold(np.round(255 * np.minimum(size, 1)).astype(np.uint8)))

    def image(self, samples: Real) -> NDArray[np.uint8]:
        """The image of a recording of any length: (S,) -> uint8 (R, T).

        Raises:
            ValueError: fewer samples than one window.
        """
        if len(samples) < self.window or self.scale != "linear":  # the other scales depend on the whole
            return self.render(self.stft(samples))
        result = np.empty((self.rows, self.frame_count(len(samples))), np.uint8)
        for frames, part in self._blocks(samples):
            result[:, frames] = self.render(self.stft(part))
        return result

    def apply(self, samples: Real, mask: NDArray[Any]) -> Real:
        """Apply a mask to a recording of any length, like `reconstruct`: (S,) and (R, T) -> (W + hop (T - 1),).

        Raises:
            ValueError: fewer samples than one window, or a mask of another number of frames.
        """
        if len(samples) < self.window:
            self.stft(samples)
        if mask.shape != (self.rows, self.frame_count(len(samples))):
            expected = (self.rows, self.frame_count(len(samples)))
            raise ValueError(f"the mask of {len(samples)} samples must be {expected}, not {mask.shape}")
        result = np.empty(self.sample_count(mask.shape[1]), samples.dtype)
        for frames, part in self._blocks(samples):
            # The block has frames more on either side, because neighbours overlap; the completed samples are kept.
            clean = self.reconstruct(self.stft(part), mask[:, frames])
            begin = frames.start and self.window - self.hop
            result[self.hop * frames.start + begin : self.hop * frames.start + len(clean)] = clean[begin:]
        return result

    def _blocks(self, samples: Real) -> Iterator[tuple[slice, Real]]:
        """Frames and their samples, block by block; a block repeats the last frames of the one before."""
        total, shared = self.frame_count(len(samples)), self.window // self.hop - 1
        for start in range(0, max(total - shared, 1), _BLOCK):
            stop = min(start + _BLOCK + shared, total)
            yield slice(start, stop), samples[self.hop * start : self.hop * start + self.sample_count(stop - start)]

    def mixture_mask(
        self,
        clean: Complex,
        noise: Complex,
        *,
        smoothing: float = 4.0,
        floor_db: float = -30.0,
        radius: float = 3,
        smallest: float = 200,
        own_db: float | None = None,
    ) -> NDArray[np.bool_]:
        """Mark a region around each call, as people draw them: two (K, T) spectra -> bool (R, T).

        A bin is foreground if the clean power exceeds the noise power, both smoothed by a Gaussian of `smoothing`, and
        is above `floor_db` of the clean power's 99.5 % quantile. With `own_db` it is also that far above the steady
        noise of the clean recording itself (an insect, hiss), estimated at each frequency by `steady_noise`. Closing
        and opening by a disk of `radius`, and removal of components and holes under `smallest` pixels of the two-sided
        image, clear the specks. Lengths are in bins and frames of the published transform, at the sample rate of the
        spectra. The result is not an ideal binary mask: many bins inside are louder in the noise, and many outside are
        louder in the song.
        """
        finer = self.fft_length / PUBLISHED.fft_length, PUBLISHED.hop / self.hop  # bins, frames
        clean_power, noise_power = (
            ndimage.gaussian_filter(np.abs(spectrum) ** 2, [smoothing * each for each in finer], truncate=3.0)
            for spectrum in (clean, noise)
        )
        loud = clean_power > 10 ** (floor_db / 10) * np.quantile(clean_power, 0.995)
        mask = np.asarray((clean_power > noise_power) & loud)
        if own_db is not None:
            own = ndimage.gaussian_filter1d(steady_noise(np.abs(clean) ** 2), smoothing * finer[0], axis=0)
            mask &= clean_power > 10 ** (own_db / 10) * own
        if not mask.any():
            return np.asarray(self.unfold(mask))
        high, wide = (radius * each for each in finer)
        rows, columns = (np.arange(-math.floor(length), math.floor(length) + 1) for length in (high, wide))
        disk = (rows[:, None] * wide) ** 2 + (columns[None, :] * high) ** 2 <= (high * wide) ** 2
        around = ((len(rows) // 2,) * 2, (len(columns) // 2,) * 2)
        padded = np.pad(mask, around, mode="edge")  # otherwise the image's border would count as background
        padded = ndimage.binary_opening(ndimage.binary_closing(padded, disk), disk)
        mask = padded[around[0][0] : len(padded) - around[0][0], around[1][0] : padded.shape[1] - around[1][0]]
        # The two-sided image shows a component away from 0 Hz twice.
        smallest_half = smallest * finer[0] * finer[1] // 2
        mask = _without_small(mask, smallest_half)
        mask = ~_without_small(~mask, smallest_half)
        return np.asarray(self.unfold(mask))


PUBLISHED = Transform()
WINDOW_LENGTH, HOP = PUBLISHED.window, PUBLISHED.hop
frame_count = PUBLISHED.frame_count
sample_count = PUBLISHED.sample_count
stft = PUBLISHED.stft
reconstruct = PUBLISHED.reconstruct
two_sided = PUBLISHED.unfold
render = PUBLISHED.render
image = PUBLISHED.image
apply = PUBLISHED.apply
mixture_mask = PUBLISHED.mixture_mask


QUIET = 0.2
"""Share of the frames that are taken to be noise alone at each frequency; all others may hold song."""


def steady_noise(power: Any) -> Any:
    """The mean power of steady noise at each frequency, from a low quantile over time: (..., K, T) -> (..., K, 1).

    Stahl, Fischer & Bippus (ICASSP 2000) take the median, but birds may sing longer than half the time. The power of
    steady Gaussian noise is exponentially distributed: its mean is its quantile q divided by -ln(1 - q).
    """
    ordered = library(power).sort(power, -1)
    ordered = getattr(ordered, "values", ordered)  # torch returns values and indices
    return ordered[..., int(QUIET * (power.shape[-1] - 1)), None] / -math.log(1 - QUIET)


def contrast(spectrum: Any) -> Any:
    """How far each bin is above the steady noise at its frequency, from 0 to 1: (..., K, T) -> (..., K, T)."""
    power = abs(spectrum) ** 2
    least = _QUIETEST * power.mean((-2, -1))[..., None, None] + 1e-30
    maximum = library(power).maximum
    level = 10 * library(power).log10(maximum(power, least * 1e-10) / maximum(steady_noise(power), least))
    return ((level - FAINTEST) / (LOUDEST - FAINTEST)).clip(0, 1)


def library(array: Any) -> Any:
    """torch for a tensor, NumPy for an array. A tensor exists only if torch was imported already."""
    torch = sys.modules.get("torch")
    return torch if torch is not None and isinstance(array, torch.Tensor) else np


def _like(values: Any, other: Any) -> Any:
    """Convert values to the number format and the device of another array."""
    if library(other) is np:
        return np.asarray(values).astype(other.dtype)
    return library(other).as_tensor(values, dtype=other.dtype, device=other.device)


def _without_small(mask: NDArray[np.bool_], smallest: float) -> NDArray[np.bool_]:
    labels, count = ndimage.label(mask)
    if count == 0:
        return mask
    sizes = np.bincount(labels.ravel())
    keep = sizes >= smallest
    keep[0] = False
    return np.asarray(keep[labels])
