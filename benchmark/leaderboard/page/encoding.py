"""Encode masks and thumbnails as text for the page: small, and the same bytes with every library version."""

import base64
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from benchmark.records import archives
from benchmark.records.store import PREDICTIONS, pictures_path

T = TypeVar("T")

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


def pictures(
    results: Path, manifest: str, size: Sequence[int], *, private: bool
) -> tuple[NDArray[np.bool_] | None, list[bytes]]:
    """The true masks (N, H, W) of the test images, and their thumbnails as WebP files, empty if there are none."""
    paths = [pictures_path(results, manifest, size, private=own) for own in (False, True)]
    thumbnails = [_if_readable(archives.read_thumbnails, path) for path in paths[: 1 + private]]
    return _if_readable(archives.read_truth, paths[0]), next((files for files in thumbnails if files), [])


def predictions(folder: Path) -> NDArray[np.bool_] | None:
    """The predicted masks of a run, (N, H, W)."""
    return _if_readable(archives.read_predictions, folder / PREDICTIONS)


def _if_readable(read: Callable[[Path], T], path: Path) -> T | None:
    """The content of a file; None if it is missing or damaged, which `bench verify` reports."""
    try:
        return read(path)
    except (OSError, ValueError):
        return None
