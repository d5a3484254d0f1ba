"""Draw what cleaning did to a recording: before, mask, after; and save the mask as an image like the published ones."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from benchmark.common.errors import printable
from benchmark.data import spectrogram
from benchmark.data.spectrogram import BINS, HOP
from benchmark.records import pictures

_COLUMNS = 1_600
_MASK_COLUMNS = 30_000
"""A saved mask has a column per frame; of a longer recording, a column is the mean of several frames."""


class Overview:
    """Collects powers and weights (K, T) section by section, for a recording of `frames` frames at `rate` Hz."""

    def __init__(self, frames: int, rate: int) -> None:
        self._frames, self._rate = frames, rate
        self._before, self._after = _Reduced(frames, _COLUMNS), _Reduced(frames, _COLUMNS)
        self._mask = _Reduced(frames, _MASK_COLUMNS)

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
        pixels = spectrogram.two_sided(np.round(255 * mask).astype(np.uint8))
        Image.fromarray(pixels).save(mask_path, format="PNG")
        _draw(
            picture_path,
            title=title,
            seconds=self._frames * HOP / self._rate,
            kilohertz=self._rate / 2_000,
            before=self._before.means(),
            mask=_Reduced.of(mask, _COLUMNS),
            after=self._after.means(),
        )


def _draw(
    path: Path,
    *,
    title: str,
    seconds: float,
    kilohertz: float,
    before: NDArray[np.floating[Any]],
    mask: NDArray[np.floating[Any]],
    after: NDArray[np.floating[Any]],
) -> None:
    """Draw the spectrogram of a recording, the mask, and the cleaned spectrogram below each other.

    Powers and weights are (K, columns), from 0 Hz to `kilohertz`. Both spectrograms show the 80 dB below the loudest
    point of the recording.
    """
    figure = Figure(figsize=(9, 6.5), layout="constrained")
    figure.suptitle(printable(title), fontsize=11, parse_math=False)
    panels = figure.subplots(3, 1, sharex=True)
    extent = (0.0, seconds, 0.0, kilohertz)
    loudest = 10 * np.log10(before.max() + 1e-20)
    for axes, (name, values) in zip(panels, (("before", before), ("mask", mask), ("after", after)), strict=True):
        shown = values if name == "mask" else 10 * np.log10(values + 1e-20) - loudest
        limits = (0, 1) if name == "mask" else (-80, 0)
        colours = "gray" if name == "mask" else "magma"
        drawn = axes.imshow(
            shown, cmap=colours, vmin=limits[0], vmax=limits[1], origin="lower", aspect="auto", extent=extent
        )
        axes.set_ylabel("kHz")
        axes.set_title(name, fontsize=9, loc="left")
        figure.colorbar(drawn, ax=axes, pad=0.01, label="kept" if name == "mask" else "dB")
    panels[-1].set_xlabel("s")
    pictures.save(figure, path)


class _Reduced:
    """Means over the frames of each column, for at most `most` columns: (K, columns)."""

    def __init__(self, frames: int, most: int) -> None:
        self._each = max(1, -(-frames // most))
        columns = -(-frames // self._each)
        self._sums, self._counts = np.zeros((BINS, columns), np.float32), np.zeros(columns, np.float32)

    @classmethod
    def of(cls, values: NDArray[np.float32], most: int) -> NDArray[np.float32]:
        """The means of (K, T) values at once."""
        reduced = cls(values.shape[1], most)
        reduced.add(0, values)
        return reduced.means()

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
