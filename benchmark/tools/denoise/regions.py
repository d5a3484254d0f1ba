"""Regions of a mask: connected parts above the threshold, as boxes in seconds and Hz."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from benchmark.data.spectrogram import Transform

_SHORTEST = 0.01  # s
_SMALLEST = 5.0
"""Hz s that a region covers at least, e.g. 20 ms of 250 Hz."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Region:
    """A box around a region of a channel (from 0), in s and Hz."""

    channel: int
    begin: float
    end: float
    low: float
    high: float


@dataclass(kw_only=True, slots=True)
class _Box:
    """Frames and bins, each from first to one past the last; `size` counts the pixels inside."""

    begin: int
    end: int
    low: int
    high: int
    size: int

    def join(self, other: "_Box") -> None:
        self.begin, self.end = min(self.begin, other.begin), max(self.end, other.end)
        self.low, self.high = min(self.low, other.low), max(self.high, other.high)
        self.size += other.size


class Finder:
    """Finds the regions of one channel, section by section; a region may span many sections."""

    def __init__(self, transform: Transform, rate: int, channel: int) -> None:
        self._transform, self._rate, self._channel = transform, rate, channel
        self._closed: list[_Box] = []
        self._open: list[_Box | None] = [None] * transform.bins
        """The box that reaches the last column so far, by bin."""

    def add(self, start: int, marked: NDArray[np.bool_]) -> None:
        """Add the marks (K, n) of frames `start` and following."""
        if not marked.shape[1]:
            return
        labels, _ = ndimage.label(marked)
        sizes = np.bincount(labels.ravel())
        boxes = [
            _Box(begin=start + t.start, end=start + t.stop, low=k.start, high=k.stop, size=int(sizes[number]))
            for number, (k, t) in enumerate(ndimage.find_objects(labels), start=1)
        ]
        now = [boxes[label - 1] if label else None for label in labels[:, 0]]
        last = [boxes[label - 1] if label else None for label in labels[:, -1]]
        joined: dict[int, _Box] = {}  # id of a box that was taken up -> the box that took it
        for old, new in zip(self._open, now, strict=True):
            if old is not None and new is not None:
                old, new = _final(old, joined), _final(new, joined)
                if old is not new:
                    old.join(new)
                    joined[id(new)] = old
        self._open, before = [box and _final(box, joined) for box in last], self._open
        ended = {id(box): box for box in (*boxes, *(_final(box, joined) for box in before if box))}
        still = {id(box) for box in self._open if box}
        self._closed += [box for key, box in ended.items() if key not in joined and key not in still]

    def regions(self, seconds: float) -> list[Region]:
        """The regions that are not tiny, in the order of time, of a recording of that many seconds."""
        transform, rate = self._transform, self._rate
        hertz, second = rate / transform.fft_length, transform.hop / rate
        boxes = [*self._closed, *{id(box): box for box in self._open if box}.values()]
        found = [
            Region(
                channel=self._channel,
                begin=max(transform.centres(box.begin) / rate - second / 2, 0.0) if box.begin else 0.0,
                end=min(transform.centres(box.end - 1) / rate + second / 2, seconds),
                low=max(box.low - 0.5, 0) * hertz,
                high=min((box.high - 0.5) * hertz, rate / 2),
            )
            for box in boxes
            if (box.end - box.begin) * second >= _SHORTEST and box.size * hertz * second >= _SMALLEST
        ]
        return sorted((box for box in found if box.end > box.begin), key=lambda box: (box.begin, box.low))


def _final(box: _Box, joined: dict[int, _Box]) -> _Box:
    while id(box) in joined:
        box = joined[id(box)]
    return box


def covered(regions: Sequence[Region]) -> float:
    """The seconds in which there is a region, in whatever channel."""
    total = reached = 0.0
    for region in sorted(regions, key=lambda region: region.begin):
        total += max(region.end - max(region.begin, reached), 0.0)
        reached = max(reached, region.end)
    return total


def raven(regions: Sequence[Region]) -> str:
    """A selection table of Raven; channels count from 1."""
    head = ["Selection", "View", "Channel", "Begin Time (s)", "End Time (s)", "Low Freq (Hz)", "High Freq (Hz)"]
    lines = [
        [str(number), f"Spectrogram {box.channel + 1}", str(box.channel + 1)]
        + [f"{value:.6f}" for value in (box.begin, box.end)]
        + [f"{value:.1f}" for value in (box.low, box.high)]
        for number, box in enumerate(regions, start=1)
    ]
    return "".join("\t".join(line) + "\n" for line in [head, *lines])


def audacity(regions: Sequence[Region], channels: int) -> str:
    """A label track of Audacity; the second line of each label has its frequencies."""
    return "".join(
        f"{box.begin:.6f}\t{box.end:.6f}\t{f'channel {box.channel + 1}' if channels > 1 else 'song'}\n"
        f"\\\t{box.low:.1f}\t{box.high:.1f}\n"
        for box in regions
    )
