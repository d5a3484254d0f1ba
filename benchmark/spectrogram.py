"""Audio -> image and mask -> audio, as BirdSoundsDenoising was made (Zhang & Li, WACV 2023, arXiv 2210.10196).

The parameters were verified on the authors' public example XC41136: symmetric Hamming window of 128 samples, hop 64,
FFT length 1024, no padding; two-sided, rows from the lowest negative frequency up, the Nyquist bin last.

Legend: S samples, T frames = 1 + (S - 128) // 64, K = 513 bins of the one-sided spectrum, 1024 image rows.
Everything is computed in the precision of its input. Datasets render in float64: after rounding to 8 bits the same
bytes come out on every processor, which float32 does not give.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

WINDOW_LENGTH = 128
HOP = 64
FFT_LENGTH = 1024

Real = NDArray[np.floating[Any]]
Complex = NDArray[np.complexfloating[Any, Any]]

# Row r of the image shows the frequency (r - 511) / 1024 of the sample rate: row 511 is 0 Hz, row 1023 is Nyquist.
_ROW_TO_BIN = np.abs(np.arange(FFT_LENGTH) - (FFT_LENGTH // 2 - 1))


def stft(samples: Real) -> Complex:
    """One-sided short-time Fourier transform: (S,) -> (K, T).

    Raises:
        ValueError: fewer samples than one window.
    """
    if samples.ndim != 1 or len(samples) < WINDOW_LENGTH:
        raise ValueError(f"need one channel of at least {WINDOW_LENGTH} samples, got shape {samples.shape}")
    frames = np.lib.stride_tricks.sliding_window_view(samples, WINDOW_LENGTH)[::HOP]
    return np.fft.rfft(frames * _window(samples.dtype), FFT_LENGTH, axis=1).T


def render(spectrum: Complex) -> NDArray[np.uint8]:
    """Spectrogram image of a one-sided spectrum: (K, T) -> uint8 (1024, T), magnitude 1 and above is white."""
    levels = np.round(255 * np.minimum(np.abs(spectrum), 1)).astype(np.uint8)
    return two_sided(levels)


def two_sided(half: NDArray[Any]) -> NDArray[Any]:
    """Mirror rows of a one-sided array to the image's order: (K, T) -> (1024, T)."""
    return half[_ROW_TO_BIN]


def reconstruct(spectrum: Complex, mask: NDArray[np.bool_]) -> Real:
    """Audio of the masked spectrum: (K, T) and (1024, T) -> (128 + 64 (T - 1),).

    The real part is taken after the inverse transform (published masks are not perfectly symmetric), the first 128
    samples of each frame are overlap-added with the analysis window and divided by the summed squared window.
    """
    half = FFT_LENGTH // 2
    positive = mask[half - 1 :].astype(spectrum.real.dtype)  # (K, T): 0 Hz ... Nyquist
    negative = np.concatenate([positive[:1], mask[half - 2 :: -1], positive[-1:]])  # (K, T): the mirror bins
    # Real part of the inverse transform of an asymmetrically masked spectrum = transform under the mean of both sides.
    frames = np.fft.irfft((spectrum * ((positive + negative) / 2)).T, FFT_LENGTH, axis=1)[:, :WINDOW_LENGTH]  # (T, 128)
    window = _window(frames.dtype)
    total = _overlap_add(frames * window)
    weight = _overlap_add(np.broadcast_to(window**2, frames.shape))
    return total / weight


def mixture_mask(
    clean: Complex,
    noise: Complex,
    *,
    smoothing: float = 4.0,
    floor_db: float = -30.0,
    radius: int = 3,
    smallest: int = 200,
) -> NDArray[np.bool_]:
    """Where the clean sound exceeds the noise: two (K, T) spectra -> bool (1024, T), in blobs as the published masks.

    A bin is foreground where the clean power exceeds the noise power, both smoothed by a Gaussian of `smoothing` bins
    and frames, and lies above `floor_db` of the clean power's 99.5 % quantile. Closing and opening by a disk of
    `radius`, and removal of components and holes under `smallest` pixels of the two-sided image, take the specks away.
    """
    clean_power, noise_power = (
        ndimage.gaussian_filter(np.abs(spectrum) ** 2, smoothing, truncate=3.0) for spectrum in (clean, noise)
    )
    loud = clean_power > 10 ** (floor_db / 10) * np.quantile(clean_power, 0.995)
    mask = np.asarray((clean_power > noise_power) & loud)
    if not mask.any():
        return two_sided(mask)
    span = np.arange(-radius, radius + 1)
    disk = span[:, None] ** 2 + span[None, :] ** 2 <= radius**2
    padded = np.pad(mask, radius, mode="edge")  # else the image's border would count as background
    padded = ndimage.binary_opening(ndimage.binary_closing(padded, disk), disk)
    mask = padded[radius:-radius, radius:-radius]
    smallest_half = smallest // 2  # a component off 0 Hz stands twice in the two-sided image
    mask = _without_small(mask, smallest_half)
    mask = ~_without_small(~mask, smallest_half)
    return two_sided(mask)


def _window(dtype: np.dtype[Any]) -> Real:
    return np.hamming(WINDOW_LENGTH).astype(dtype)


def _overlap_add(frames: Real) -> Real:
    # The hop is half a window: every block of 64 samples is the second half of one frame plus the first of the next.
    first, second = frames[:, :HOP], frames[:, HOP:]
    blocks = np.zeros((len(frames) + 1, HOP), dtype=frames.dtype)
    blocks[:-1] += first
    blocks[1:] += second
    return blocks.ravel()


def _without_small(mask: NDArray[np.bool_], smallest: int) -> NDArray[np.bool_]:
    labels, count = ndimage.label(mask)
    if count == 0:
        return mask
    sizes = np.bincount(labels.ravel())
    keep = sizes >= smallest
    keep[0] = False
    return np.asarray(keep[labels])
