"""Turn sound into images, and masked images into sound, like BirdSoundsDenoising (Zhang & Li, arXiv 2210.10196).

The parameters were verified on the authors' public example XC41136: symmetric Hamming window of 128 samples, hop 64,
FFT length 1024, no padding; two-sided, rows from the lowest negative frequency up, the Nyquist bin last.

Legend: S samples, T frames = 1 + (S - 128) // 64, K = 513 bins of the one-sided spectrum, 1024 image rows; `...` are
leading axes (none, channels, a batch). Everything is computed in the precision of its input. Datasets render in
float64: rounded to 8 bits, that gives the same bytes on every processor; float32 does not.

`stft` and `reconstruct` take NumPy arrays and torch tensors, so the code that wrote the dataset also scores masks on
the device that predicted them. Any sample rate is possible: the image's rows are fractions of it.
"""

import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

WINDOW_LENGTH = 128
HOP = 64
FFT_LENGTH = 1024
BINS = FFT_LENGTH // 2 + 1
ROWS = FFT_LENGTH
_BLOCK = 8192
"""Frames of a long recording that are transformed at a time: 70 MB of spectrum in float64."""

Real = NDArray[np.floating[Any]]
Complex = NDArray[np.complexfloating[Any, Any]]

# Row r of the image shows the frequency (r - 511) / 1024 of the sample rate: row 511 is 0 Hz, row 1023 is Nyquist.
_ROW_TO_BIN = np.abs(np.arange(FFT_LENGTH) - (FFT_LENGTH // 2 - 1))


def frame_count(samples: int) -> int:
    """The frames T of a recording of S samples; the rest at its end belongs to no frame."""
    return max(0, 1 + (samples - WINDOW_LENGTH) // HOP)


def sample_count(frames: int) -> int:
    """The samples that T frames span."""
    return WINDOW_LENGTH + HOP * (frames - 1)


# ---------------------------------------------------------------- transform and back, NumPy or torch


def stft(samples: Any) -> Any:
    """One-sided short-time Fourier transform: (..., S) -> complex (..., K, T).

    Raises:
        ValueError: fewer samples than one window.
    """
    if samples.ndim < 1 or samples.shape[-1] < WINDOW_LENGTH:
        raise ValueError(f"need at least {WINDOW_LENGTH} samples, got shape {tuple(samples.shape)}")
    frames = frame_count(samples.shape[-1])
    # The hop is half a window: a frame is one block of 64 samples and the next.
    blocks = samples[..., : HOP * (frames + 1)].reshape(*samples.shape[:-1], frames + 1, HOP)
    both = library(samples).concatenate([blocks[..., :-1, :], blocks[..., 1:, :]], -1)  # (..., T, 128)
    spectrum = library(samples).fft.rfft(both * _window(samples), FFT_LENGTH, -1).swapaxes(-1, -2)
    if library(samples) is np and samples.dtype == np.float32:  # NumPy 1 transforms in float64 whatever it is given
        spectrum = spectrum.astype(np.complex64, copy=False)
    return spectrum


def reconstruct(spectrum: Any, mask: Any) -> Any:
    """The sound of a masked spectrum: (..., K, T) and (..., 1024, T) -> (..., 128 + 64 (T - 1)).

    The mask holds bools, or weights from 0 to 1 (a soft mask). After the inverse transform the real part is taken,
    because published masks are not perfectly symmetric. The first 128 samples of each frame are overlap-added with the
    analysis window and divided by the summed squared window.
    """
    half = FFT_LENGTH // 2
    # The real part after an asymmetric mask equals the result of the mean of the mask's two sides.
    weight = _like(mask[..., half - 1 :, :], spectrum.real)  # (..., K, T): 0 Hz ... Nyquist
    # Row 1022 - k mirrors row k; 0 Hz and Nyquist are their own mirrors. By index: torch has no negative steps.
    mirrored = weight.clone() if hasattr(weight, "clone") else weight.copy()
    mirrored[..., 1:-1, :] = _like(mask[..., _MIRROR, :], spectrum.real)
    masked = (spectrum * ((weight + mirrored) / 2)).swapaxes(-1, -2)
    frames = library(spectrum).fft.irfft(masked, FFT_LENGTH, -1)[..., :WINDOW_LENGTH]  # (..., T, 128)
    if library(spectrum) is np:
        frames = frames.astype(spectrum.real.dtype, copy=False)
    window = _window(frames)
    return _overlap_add(frames * window) / _overlap_add(frames * 0 + window**2)


_MIRROR = np.arange(FFT_LENGTH // 2 - 2, -1, -1)


def _overlap_add(frames: Any) -> Any:
    # (..., T, 128) -> (..., 64 (T + 1)): every block of 64 samples is the second half of one frame and the first of
    # the next.
    silence = frames[..., :1, :HOP] * 0
    first = library(frames).concatenate([frames[..., :HOP], silence], -2)
    second = library(frames).concatenate([silence, frames[..., HOP:]], -2)
    return (first + second).reshape(*frames.shape[:-2], -1)


def library(array: Any) -> Any:
    """torch for a tensor, NumPy for an array. A tensor exists only if torch was imported already."""
    torch = sys.modules.get("torch")
    return torch if torch is not None and isinstance(array, torch.Tensor) else np


def _like(values: Any, other: Any) -> Any:
    """Convert values to the number format and the device of another array."""
    if library(other) is np:
        return np.asarray(values).astype(other.dtype)
    return library(other).as_tensor(values, dtype=other.dtype, device=other.device)


def _window(other: Any) -> Any:
    return _like(np.hamming(WINDOW_LENGTH), other)


# ---------------------------------------------------------------- images and masks


def render(spectrum: Complex) -> NDArray[np.uint8]:
    """The image of a one-sided spectrum: (K, T) -> uint8 (1024, T); magnitudes from 1 on are white."""
    levels = np.round(255 * np.minimum(np.abs(spectrum), 1)).astype(np.uint8)
    return np.asarray(two_sided(levels))


def two_sided(half: Any) -> Any:
    """Mirror rows of a one-sided array to the image's order: (..., K, T) -> (..., 1024, T)."""
    return half[..., _ROW_TO_BIN, :]


def image(samples: Real) -> NDArray[np.uint8]:
    """The image of a recording of any length: (S,) -> uint8 (1024, T).

    Raises:
        ValueError: fewer samples than one window.
    """
    if len(samples) < WINDOW_LENGTH:
        stft(samples)
    result = np.empty((ROWS, frame_count(len(samples))), np.uint8)
    for frames, part in _blocks(samples):
        result[:, frames] = render(stft(part))
    return result


def apply(samples: Real, mask: NDArray[Any]) -> Real:
    """Apply a mask to a recording of any length, like `reconstruct`: (S,) and (1024, T) -> (128 + 64 (T - 1),).

    Raises:
        ValueError: fewer samples than one window, or a mask of another number of frames.
    """
    if len(samples) < WINDOW_LENGTH:
        stft(samples)
    if mask.shape != (ROWS, frame_count(len(samples))):
        expected = (ROWS, frame_count(len(samples)))
        raise ValueError(f"the mask of {len(samples)} samples must be {expected}, not {mask.shape}")
    result = np.empty(sample_count(mask.shape[1]), samples.dtype)
    for frames, part in _blocks(samples):
        # The block has one frame more on either side, because neighbours overlap; the completed samples are kept.
        clean = reconstruct(stft(part), mask[:, frames])
        begin = frames.start and HOP
        result[HOP * frames.start + begin : HOP * frames.start + len(clean)] = clean[begin:]
    return result


def _blocks(samples: Real) -> Iterator[tuple[slice, Real]]:
    """Frames and their samples, block by block; a block repeats the last frame of the one before."""
    total = frame_count(len(samples))
    for start in range(0, max(total - 1, 1), _BLOCK):
        stop = min(start + _BLOCK + 1, total)
        yield slice(start, stop), samples[HOP * start : HOP * start + sample_count(stop - start)]


def mixture_mask(
    clean: Complex,
    noise: Complex,
    *,
    smoothing: float = 4.0,
    floor_db: float = -30.0,
    radius: int = 3,
    smallest: int = 200,
) -> NDArray[np.bool_]:
    """Mark a region around each call, as people draw them: two (K, T) spectra -> bool (1024, T).

    A bin is foreground if the clean power exceeds the noise power, both smoothed by a Gaussian of `smoothing` bins and
    frames, and is above `floor_db` of the clean power's 99.5 % quantile. Closing and opening by a disk of `radius`, and
    removal of components and holes under `smallest` pixels of the two-sided image, clear the specks. The result is not
    an ideal binary mask: many bins inside are louder in the noise, and many outside are louder in the song.
    """
    clean_power, noise_power = (
        ndimage.gaussian_filter(np.abs(spectrum) ** 2, smoothing, truncate=3.0) for spectrum in (clean, noise)
    )
    loud = clean_power > 10 ** (floor_db / 10) * np.quantile(clean_power, 0.995)
    mask = np.asarray((clean_power > noise_power) & loud)
    if not mask.any():
        return np.asarray(two_sided(mask))
    span = np.arange(-radius, radius + 1)
    disk = span[:, None] ** 2 + span[None, :] ** 2 <= radius**2
    padded = np.pad(mask, radius, mode="edge")  # otherwise the image's border would count as background
    padded = ndimage.binary_opening(ndimage.binary_closing(padded, disk), disk)
    mask = padded[radius : padded.shape[0] - radius, radius : padded.shape[1] - radius]
    smallest_half = smallest // 2  # the two-sided image shows a component away from 0 Hz twice
    mask = _without_small(mask, smallest_half)
    mask = ~_without_small(~mask, smallest_half)
    return np.asarray(two_sided(mask))


def _without_small(mask: NDArray[np.bool_], smallest: int) -> NDArray[np.bool_]:
    labels, count = ndimage.label(mask)
    if count == 0:
        return mask
    sizes = np.bincount(labels.ravel())
    keep = sizes >= smallest
    keep[0] = False
    return np.asarray(keep[labels])
