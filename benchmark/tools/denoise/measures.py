"""What is measured of a recording while it is cleaned, section by section."""

import math

import numpy as np
from numpy.typing import NDArray

from benchmark.data.spectrogram import Transform

_FULL = 0.999
"""Samples from here to 1 may be clipped, if their neighbours are too."""
_FAINTEST = 1e-9
"""Power of a frame; white noise of -100 dB of full scale has more."""
_LEAKAGE = 1e-4
"""Share of its power that a tone has in other frequencies, by the side lobes of the window."""
_LEAST_SONG = 1e-3
"""Ratio of song to noise, -30 dB: less is the error of the estimate."""


class Measures:
    """Sums over all channels of a recording at `rate` Hz; the network knows the frequencies `lowest` to `band` Hz."""

    def __init__(self, transform: Transform, rate: int, lowest: float, band: float) -> None:
        frequencies = np.arange(transform.bins) * rate / transform.fft_length
        self.known = (frequencies >= lowest) & (frequencies <= band)
        count = int(self.known.sum())
        self._upper = frequencies > band
        self._above = 0.0
        self._inside, self._outside, self._weights = (np.zeros(count) for _ in range(3))
        self._frames = 0
        self._energy = self._energy_after = 0.0
        self.peak = 0.0
        self.clipped = 0
        """Samples of the source that are clipped: at least three in a row at full scale."""
        self.over = 0
        """Samples of the result beyond full scale."""

    def add_sound(self, before: NDArray[np.float32], after: NDArray[np.float32]) -> None:
        """Add samples (n, C)."""
        size = np.abs(before)
        self.peak = max(self.peak, float(size.max(initial=0)))
        full = (size >= _FULL) & (size <= 1)
        self.clipped += int((full[:-2] & full[1:-1] & full[2:]).sum())
        self.over += int((np.abs(after) > 1).sum())
        self._energy += float((before.astype(np.float64) ** 2).sum())
        self._energy_after += float((after.astype(np.float64) ** 2).sum())

    def add_spectrum(self, power: NDArray[np.float32], weights: NDArray[np.float32]) -> None:
        """Add power before and weights (K, T) of frames of a channel."""
        self._above += float(power[self._upper].sum(dtype=np.float64))
        power, weights = power[self.known], weights[self.known]
        inside = (power * weights).sum(axis=1, dtype=np.float64)
        self._inside += inside
        self._outside += power.sum(axis=1, dtype=np.float64) - inside
        self._weights += weights.sum(axis=1, dtype=np.float64)
        self._frames += power.shape[1]

    @property
    def kept(self) -> float:
        """Mean weight of the frequencies that the network knows."""
        total = self._frames * len(self._weights)
        return float(self._weights.sum() / total) if total else 0.0

    @property
    def removed(self) -> float:
        """Share of the energy that was removed, of all channels and frequencies."""
        return min(max(1 - self._energy_after / self._energy, 0.0), 1.0) if self._energy else 0.0

    @property
    def audible(self) -> bool:
        """Whether the band that the network knows holds more than the leakage of what lies above it."""
        known = float(self._inside.sum() + self._outside.sum())
        return known > _FAINTEST * max(self._frames, 1) and known > _LEAKAGE * self._above

    @property
    def snr(self) -> float | None:
        """Estimated ratio of song to noise in dB before cleaning; None if there is (nearly) nothing of one of them.

        At each frequency the noise outside of the mask is taken to go on at the same level inside of it.
        """
        outside = np.maximum(self._frames - self._weights, 0)
        level = np.divide(self._outside, outside, out=np.zeros_like(outside), where=outside > 1e-3 * self._frames)
        level = np.maximum(level, 0)
        song = float(np.maximum(self._inside - level * self._weights, 0).sum())
        noise = float(level.sum() * self._frames)
        return 10 * math.log10(song / noise) if noise > 0 and song > _LEAST_SONG * noise else None
