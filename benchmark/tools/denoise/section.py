"""Clean a part of a recording whose length may be anything."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from benchmark.data.spectrogram import Transform
from benchmark.tools.denoise.settings import Settings

if TYPE_CHECKING:
    from benchmark.tools.denoise.cleaner import Cleaner

SAMPLES = 250_000
"""Samples per section, unless the network hears so far that its windows would overlap too much."""


def seconds(cleaner: "Cleaner", rate: int) -> int:
    """The length of a section in s at that sample rate."""
    return max(1, min(30, SAMPLES // rate), math.ceil(4 * cleaner.window_seconds(rate)))


def margin(cleaner: "Cleaner", rate: int) -> int:
    """The seconds that the network needs to hear before and after a section."""
    return math.ceil(cleaner.window_seconds(rate)) + 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """A channel of a section: its cleaned sound (n,), and power before and weights of its frames (K, T)."""

    cleaned: NDArray[np.float32]
    before: NDArray[np.float32]
    weights: NDArray[np.float32]
    after: NDArray[np.float32] | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """Samples `begin` to `end` of a recording; the samples that were read start at `first`."""

    begin: int
    end: int
    first: int
    transform: Transform

    @property
    def frames(self) -> slice:
        """Frames of the recording that belong to this section; every frame belongs to one section only."""
        return slice(-(-self.begin // self.transform.hop), -(-self.end // self.transform.hop))

    def clean(
        self, cleaner: "Cleaner", samples: NDArray[np.float32], rate: int, settings: Settings, *, show: bool
    ) -> Part:
        """Clean one channel (n,); `show` asks for the power after as well."""
        # More frames on either side: the overlap at a border is then the same in both sections.
        hop, beyond = self.transform.hop, self.transform.window // self.transform.hop
        start = max(self.begin // hop - beyond, 0)
        stop = -(-self.end // hop) + beyond  # the last frames reach beyond the end of the recording, into silence
        length = self.transform.sample_count(stop - start)
        wave = samples[start * hop - self.first :][:length]
        wave = np.pad(wave, (0, length - len(wave)))
        weights = self._weights(cleaner, samples, rate, start, stop)
        weights = (weights >= cleaner.threshold).astype(np.float32) if settings.mask == "hard" else weights
        weights[self._frequencies(rate) > cleaner.band(rate)] = 1.0 if settings.above == "keep" else 0.0
        spectrum = self.transform.stft(wave)
        # Masking is linear: less strength is a share of the recording itself, to the last bit where nothing is removed.
        cleaned = settings.strength * self.transform.inverse(spectrum * weights)
        cleaned += np.float32(1 - settings.strength) * wave
        offset = self.begin - start * hop
        inside = slice(self.frames.start - start, self.frames.stop - start)
        return Part(
            cleaned=cleaned[offset : offset + self.end - self.begin],
            before=_power(spectrum[:, inside]),
            weights=weights[:, inside],
            after=_power(self.transform.stft(cleaned)[:, inside]) if show else None,
        )

    def _weights(
        self, cleaner: "Cleaner", samples: NDArray[np.float32], rate: int, start: int, stop: int
    ) -> NDArray[np.float32]:
        """The network's weights on frames `start` to `stop` and bins of the recording itself: (K, stop - start)."""
        times = self.transform.centres(np.arange(start, stop)) / rate  # s
        its = cleaner.transform
        first, last = ((time * cleaner.rate(rate) - its.window / 2) / its.hop for time in (times[0], times[-1]))
        needed = max(math.floor(first) - 1, 0), max(math.ceil(last) + 2, 1)
        grid = cleaner.grid(samples, rate, start=self.first // rate, frames=needed)
        return grid.at(self._frequencies(rate), times)

    def _frequencies(self, rate: int) -> NDArray[np.float64]:
        """Hz of the bins."""
        return np.arange(self.transform.bins) * rate / self.transform.fft_length


def _power(spectrum: NDArray[np.complex64]) -> NDArray[np.float32]:
    return np.asarray(spectrum.real**2 + spectrum.imag**2)
