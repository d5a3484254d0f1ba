"""Draw a recording before and after cleaning, and its mask; save the mask as an image like the published ones."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from benchmark.common.errors import printable
from benchmark.data.spectrogram import Transform
from benchmark.records import pictures

_COLUMNS = 1_600
_MASK_COLUMNS = 30_000
"""A saved mask has a column per frame; of a longer recording, a column is the mean of several frames."""


class Overview:
    """Collects powers and weights (K, T) section by section, for a recording of `frames` frames at `rate` Hz."""

    def __init__(self, frames: int, rate: int, transform: Transform) -> None:
        self._frames, self._rate, self._transform = frames, rate, transform
        self._before, self._after = (_Reduced(transform.bins, frames, _COLUMNS) for _ in range(2))
        self._mask = _Reduced(transform.bins, frames, _MASK_COLUMNS)

    def add(
        self, frames: slice, before: NDArray[np.float32], mask: NDArray[np.float32], after: NDArray[np.float32]
    ) -> None:
        """Add the frames of a section."""
        for reduced, values in ((self._before, before), (self._mask, mask), (self._after, after)):
            reduced.add(frames.start, values)

    @property
    def kept(self) -> float:
        """Mean weight."""
        return float(self._mask.means().mean())

    def save(self, mask_path: Path, picture_path: Path, *, title: str) -> None:
        """Write the mask alone, and the picture of before, mask and after, as PNG."""
        mask = self._mask.means()
        pixels = self._transform.unfold(np.round(255 * mask).astype(np.uint8))
        Image.fromarray(pixels).save(mask_path, format="PNG")
        before, after = (10 * np.log10(reduced.means() + 1e-20) for reduced in (self._before, self._after))
        figure = Figure(figsize=(9, 6.5), layout="constrained")
        figure.suptitle(printable(title), fontsize=11, parse_math=False)
        panels = figure.subplots(3, 1, sharex=True)
        loudest = before.max()
        narrow = _Reduced(len(mask), mask.shape[1], _COLUMNS)
        narrow.add(0, mask)
        self._draw(panels[0], "before", before - loudest, "dB")
        self._draw(panels[1], "mask", narrow.means(), "kept")
        self._draw(panels[2], "after", after - loudest, "dB")
        panels[-1].set_xlabel("s")
        pictures.save(figure, picture_path)

    def _draw(self, axes: Axes, title: str, values: NDArray[np.floating[Any]], unit: str) -> None:
        """Draw (K, columns) values from 0 Hz up: decibels down to -80, or shares from 0 to 1."""
        low, high, colours = (-80, 0, "magma") if unit == "dB" else (0, 1, "gray")
        extent = (0.0, self._frames * self._transform.hop / self._rate, 0.0, self._rate / 2_000)
        drawn = axes.imshow(values, cmap=colours, vmin=low, vmax=high, origin="lower", aspect="auto", extent=extent)
        axes.set_ylabel("kHz")
        axes.set_title(title, fontsize=9, loc="left")
        axes.figure.colorbar(drawn, ax=axes, pad=0.01, label=unit)


class _Reduced:
    """Means over the frames of each column, for at most `most` columns: (K, columns)."""

    def __init__(self, bins: int, frames: int, most: int) -> None:
        self._each = max(1, -(-frames // most))
        columns = -(-frames // self._each)
        self._sums, self._counts = np.zeros((bins, columns), np.float32), np.zeros(columns, np.float32)

    def add(self, start: int, values: NDArray[np.float32]) -> None:
        """Add (K, n) values of the frames from `start` on; frames beyond the last column are left out."""
        column = np.arange(start, start + values.shape[1]) // self._each
        values, column = values[:, column < len(self._counts)], column[column < len(self._counts)]
        if not len(column):
            return
        firsts = np.flatnonzero(np.diff(column, prepend=-1))
        self._sums[:, column[firsts]] += np.add.reduceat(values, firsts, axis=1)
        np.add.at(self._counts, column, 1)

    def means(self) -> NDArray[np.float32]:
        """The means so far: (K, columns)."""
        return np.asarray(self._sums / np.maximum(self._counts, 1))
