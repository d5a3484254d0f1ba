"""Encode masks and thumbnails as text for the page: small, and the same bytes with every library version."""

import base64
import zlib
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from benchmark.records import verify
from benchmark.records.store import pictures_path

SIDE = 160
"""Longest side of a mask on the page, in pixels."""


def shrink(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Shrink a mask (H, W) whose longer side exceeds `SIDE`, by picking evenly spaced rows and columns."""
    height, width = mask.shape
    scale = min(1.0, SIDE / max(height, width))
    rows, columns = (
        ((np.arange(round(side * scale)) + 0.5) * side / round(side * scale)).astype(int) for side in (height, width)
    )
    return mask[np.ix_(rows, columns)]


def encode(mask: NDArray[np.bool_]) -> str:
    """Encode a mask as run lengths, row by row, background first, seven bits per byte, lowest first, in base64."""
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
    """The true masks and thumbnails of the test images of a table that the results store has."""

    def __init__(self, results: Path, manifest: str, size: Sequence[int], *, private: bool) -> None:
        paths = [pictures_path(results, manifest, size, private=own) for own in (False, True)]
        self.truth = _masks(paths[0], "truth_packed", "truth_shape")
        found = [_thumbnails(path) for path in paths[: 1 + private]]
        self._files = next((files for files in found if files), [])

    @property
    def has_thumbnails(self) -> bool:
        """Whether there are images to show, not only masks."""
        return bool(self._files)

    def thumbnail(self, index: int) -> str:
        """The WebP file of an image in base64."""
        return base64.b64encode(self._files[index]).decode()


def predictions(folder: Path) -> NDArray[np.bool_] | None:
    """The predicted masks of a run, (N, H, W)."""
    return _masks(folder / "predictions.npz", "packed", "shape")


# Missing and damaged files are left out; `bench verify` reports them.


def _masks(path: Path, packed: str, shape: str) -> NDArray[np.bool_] | None:
    try:
        return verify.unpacked(path, packed, shape, path.name)
    except verify.UnreadableError:
        return None


def _thumbnails(path: Path) -> list[bytes]:
    try:
        # Opened here because NumPy leaves a file open that is not an archive.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            content, ends = stored["thumbnails"].tobytes(), stored["ends"].tolist()
    except (OSError, ValueError, LookupError, EOFError, BadZipFile, zlib.error):
        return []
    return [content[start:end] for start, end in pairwise([0, *ends])]
