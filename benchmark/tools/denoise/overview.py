"""What cleaning did to a recording, to look at: before, mask, after; and the mask as a published one looks."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmark.data import spectrogram
from benchmark.data.spectrogram import BINS, HOP
from benchmark.records import pictures

_COLUMNS = 1_600
_MASK_COLUMNS = 30_000
"""A mask has a column per frame; of a longer recording, a column is the mean of as few frames as will do."""


class Overview:
    """Collects frames of powers and weights (K, T) section by section; T_all frames at `rate` Hz."""

    def __init__(self, frames: int, rate: int) -> None:
        self._frames, self._rate = frames, rate
        self._before, self._after = _Reduced(frames, _COLUMNS), _Reduced(frames, _COLUMNS)
        self._mask = _Reduced(frames, _MASK_COLUMNS)

    def add(
        self, frames: slice, before: NDArray[np.float32], mask: NDArray[np.float32], after: NDArray[np.float32]
    ) -> None:
        """Take the frames of a section."""
        for reduced, values in ((self._before, before), (self._mask, mask), (self._after, after)):
            reduced.add(frames.start, values)

    @property
    def kept(self) -> float:
        """Mean weight."""
        return float(self._mask.means().mean())

    def save(self, mask_path: Path, picture_path: Path, *, title: str) -> None:
        """Write the mask alone, a column per frame, and the picture of before, mask and after, as PNG."""
        mask = self._mask.means()
        pixels = spectrogram.two_sided(np.round(255 * mask).astype(np.uint8))
        Image.fromarray(pixels).save(mask_path, format="PNG")
        pictures.draw_cleaning(
            picture_path,
            title=title,
            seconds=self._frames * HOP / self._rate,
            kilohertz=self._rate / 2_000,
            before=self._before.means(),
            mask=_Reduced.of(mask, _COLUMNS),
            after=self._after.means(),
        )


class _Reduced:
    """Means over equally many frames, at most so many columns: (K, columns)."""

    def __init__(self, frames: int, most: int) -> None:
        self._each = max(1, -(-frames // most))
        columns = -(-frames // self._each)
        self._sums, self._counts = np.zeros((BINS, columns), np.float32), np.zeros(columns, np.float32)

    @classmethod
    def of(cls, values: NDArray[np.float32], most: int) -> NDArray[np.float32]:
        """The same of values that are all at hand."""
        reduced = cls(values.shape[1], most)
        reduced.add(0, values)
        return reduced.means()

    def add(self, start: int, values: NDArray[np.float32]) -> None:
        """Add (K, n) values of the frames from `start` on; what lies beyond the last column is left out."""
        column = np.arange(start, start + values.shape[1]) // self._each
        values, column = values[:, column < len(self._counts)], column[column < len(self._counts)]
        if not len(column):
            return
        firsts = np.flatnonzero(np.diff(column, prepend=-1))
        self._sums[:, column[firsts]] += np.add.reduceat(values, firsts, axis=1)
        np.add.at(self._counts, column, 1)

    def means(self) -> NDArray[np.float32]:
        """(K, columns)."""
        return np.asarray(self._sums / np.maximum(self._counts, 1))
