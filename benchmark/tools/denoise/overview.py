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
    """Collects powers and weights (K, T) section by section, for a recording of `frames` frames at `rate` Hz.

    Of a recording of more than a minute, the minute with the loudest song (the most power under the mask) is drawn too.
    """

    def __init__(self, frames: int, rate: int, transform: Transform) -> None:
        self._frames, self._rate, self._transform = frames, rate, transform
        self._mask = _Reduced(transform.bins, frames, _MASK_COLUMNS)
        self._whole = _View(transform.bins, 0, frames)
        self._minute = max(60 * rate // transform.hop, 1)
        self._now: _View | None = None
        self._loudest: _View | None = None

    def add(
        self, frames: slice, before: NDArray[np.float32], mask: NDArray[np.float32], after: NDArray[np.float32]
    ) -> None:
        """Add the frames of a section."""
        self._mask.add(frames.start, mask)
        self._whole.add(frames.start, before, mask, after)
        if self._frames <= self._minute:
            return
        for start in range(frames.start // self._minute * self._minute, frames.start + mask.shape[1], self._minute):
            if self._now is None or self._now.start != start:
                self._end_minute()
                self._now = _View(self._transform.bins, start, min(self._minute, max(self._frames - start, 1)))
            part = slice(max(start - frames.start, 0), max(start + self._minute - frames.start, 0))
            self._now.add(frames.start + part.start, before[:, part], mask[:, part], after[:, part])

    def _end_minute(self) -> None:
        if self._now and (self._loudest is None or self._now.song > self._loudest.song):
            self._loudest = self._now
        self._now = None

    def save(self, mask_path: Path, picture_path: Path, *, title: str, channels: int) -> None:
        """Write the mask alone, and the picture of before, mask and after, as PNG."""
        self._end_minute()
        pixels = self._transform.unfold(np.round(255 * self._mask.means()).astype(np.uint8))
        Image.fromarray(pixels).save(mask_path, format="PNG")
        views = [self._whole, *([self._loudest] if self._loudest else [])]
        figure = Figure(figsize=(9, 6.5 * len(views)), layout="constrained")
        shown = f"{title} (channel 1 of {channels})" if channels > 1 else title
        figure.suptitle(printable(shown), fontsize=11, parse_math=False)
        loudest = max(10 * float(np.log10(self._whole.before.means().max() + 1e-20)), -200)
        for number, view in enumerate(views):
            begin, end = (frame * self._transform.hop / self._rate for frame in (view.start, view.start + view.frames))
            place = f", {begin:.0f} to {end:.0f} s: the minute with the loudest song" if number else ""
            panels = [figure.add_subplot(3 * len(views), 1, 3 * number + row) for row in (1, 2, 3)]
            for axes, name, values, unit in (
                (panels[0], "before", view.before, "dB"),
                (panels[1], "mask", view.mask, "kept"),
                (panels[2], "after", view.after, "dB"),
            ):
                shares = values.means()
                levels = 10 * np.log10(shares + 1e-20) - loudest if unit == "dB" else shares
                self._draw(axes, name + place, levels, unit, (begin, end))
            panels[-1].set_xlabel("s")
        pictures.save(figure, picture_path)

    def _draw(
        self, axes: Axes, title: str, values: NDArray[np.floating[Any]], unit: str, seconds: tuple[float, float]
    ) -> None:
        """Draw (K, columns) values from 0 Hz up: decibels down to -80, or shares from 0 to 1."""
        low, high, colours = (-80, 0, "magma") if unit == "dB" else (0, 1, "gray")
        extent = (*seconds, 0.0, self._rate / 2_000)
        drawn = axes.imshow(values, cmap=colours, vmin=low, vmax=high, origin="lower", aspect="auto", extent=extent)
        axes.set_ylabel("kHz")
        axes.set_title(title, fontsize=9, loc="left")
        axes.figure.colorbar(drawn, ax=axes, pad=0.01, label=unit)


class _View:
    """Power before, weights and power after of `frames` frames from `start` on; `song` is the power under the mask."""

    def __init__(self, bins: int, start: int, frames: int) -> None:
        self.start, self.frames, self.song = start, frames, 0.0
        self.before, self.mask, self.after = (_Reduced(bins, frames, _COLUMNS) for _ in range(3))

    def add(
        self, start: int, before: NDArray[np.float32], mask: NDArray[np.float32], after: NDArray[np.float32]
    ) -> None:
        for reduced, values in ((self.before, before), (self.mask, mask), (self.after, after)):
            reduced.add(start - self.start, values)
        self.song += float(np.einsum("kt,kt->", before, mask))


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
