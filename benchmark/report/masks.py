"""Masks and thumbnails as text that stands in a page: small, and the same bytes with every library version."""

import base64
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmark.record import pictures_path

SIDE = 160
"""Longest side of a mask on the page, in pixels."""


def shrunk(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(H, W) -> the same, or every so many rows and columns of it where a side is longer than `SIDE`."""
    height, width = mask.shape
    scale = min(1.0, SIDE / max(height, width))
    rows, columns = (
        ((np.arange(round(side * scale)) + 0.5) * side / round(side * scale)).astype(int) for side in (height, width)
    )
    return mask[np.ix_(rows, columns)]


def encoded(mask: NDArray[np.bool_]) -> str:
    """The lengths of its runs row by row, background first, seven bits to a byte, lowest first; in base64."""
    flat = np.concatenate([[False], mask.ravel()])
    edges = np.flatnonzero(np.diff(flat)) if len(flat) > 1 else np.array([], dtype=int)
    lengths = np.diff(np.concatenate([[0], edges, [mask.size]]))
    found = bytearray()
    for length in lengths.tolist():
        while length > 127:
            found.append(length & 127 | 128)
            length >>= 7
        found.append(length)
    return base64.b64encode(bytes(found)).decode()


class Pictures:
    """True masks and thumbnails of the test images of one table, as far as the results store has them."""

    def __init__(self, results: Path, manifest: str, size: Sequence[int], *, private: bool) -> None:
        self.truth = _unpacked(_arrays(pictures_path(results, manifest, size)), "truth_")
        stores = [_arrays(pictures_path(results, manifest, size, private=own)) for own in (False, True)[: 1 + private]]
        store = next((found for found in stores if "thumbnails" in found), {})
        self._bytes, self._ends = store.get("thumbnails"), store.get("ends")

    @property
    def has_thumbnails(self) -> bool:
        """Whether the images may be shown, not the masks alone."""
        return self._bytes is not None

    def thumbnail(self, index: int) -> str:
        """A WebP file in base64."""
        assert self._bytes is not None
        assert self._ends is not None
        start = int(self._ends[index - 1]) if index else 0
        return base64.b64encode(self._bytes[start : int(self._ends[index])].tobytes()).decode()


def predictions(folder: Path) -> NDArray[np.bool_] | None:
    """The predicted masks of a run, (N, H, W)."""
    return _unpacked(_arrays(folder / "predictions.npz"), "")


def _arrays(path: Path) -> Mapping[str, NDArray[np.uint8]]:
    """Of a file that is damaged, nothing: `bench verify` says what is wrong with it."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error):
        return {}


def _unpacked(stored: Mapping[str, NDArray[np.uint8]], prefix: str) -> NDArray[np.bool_] | None:
    if f"{prefix}packed" not in stored:
        return None
    count, height, width = (int(side) for side in stored[f"{prefix}shape"])
    bits = np.unpackbits(stored[f"{prefix}packed"], axis=-1, count=width)
    return bits.reshape(count, height, width).view(bool)
