"""Read the .npz archives of a results folder: predicted masks, true masks and thumbnails. Nothing is unpickled."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def read_predictions(path: Path) -> NDArray[np.bool_]:
    """The predicted masks of a run, (N, H, W).

    Raises:
        OSError, ValueError: the file is missing or damaged.
    """
    return _unpacked(*read_arrays(path, ("packed", "shape")))


def read_truth(path: Path) -> NDArray[np.bool_]:
    """The true masks of a test split, (N, H, W).

    Raises:
        OSError, ValueError: the file is missing or damaged.
    """
    return _unpacked(*read_arrays(path, ("truth_packed", "truth_shape")))


def read_thumbnails(path: Path) -> list[bytes]:
    """The thumbnails of a test split: a WebP file per image.

    Raises:
        OSError, ValueError: the file is missing or damaged, or holds no thumbnails.
    """
    joined, ends = read_arrays(path, ("thumbnails", "ends"))
    content = joined.tobytes()
    return [content[start:end] for start, end in pairwise([0, *ends.tolist()])]


def read_arrays(path: Path, names: Sequence[str]) -> list[NDArray[Any]]:
    """Arrays of an archive by their names.

    Raises:
        OSError, ValueError: the file is missing or damaged, or lacks one of them.
    """
    try:
        # Opened here: NumPy leaves a file open that turns out not to be an archive.
        with path.open("rb") as file:
            archive = np.load(file, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise ValueError("it is not an .npz archive")  # noqa: TRY004 - the file is wrong, not a type
            with archive:
                return [archive[name] for name in names]
    except (OSError, ValueError):
        raise
    except Exception as error:  # NumPy, zipfile and zlib raise a dozen kinds for a damaged archive
        raise ValueError(f"it is not an .npz archive with {' and '.join(names)} ({error})") from error


def _unpacked(packed: NDArray[Any], shape: NDArray[Any]) -> NDArray[np.bool_]:
    """Masks (N, H, W) of one bit per pixel, packed along the last axis."""
    if shape.shape != (3,) or shape.dtype.kind not in "iu":
        raise ValueError("the shape of its masks is not three whole numbers")
    count, height, width = shape.tolist()
    if packed.dtype != np.uint8 or packed.shape != (count, height, -(-width // 8)):
        raise ValueError("its masks do not have the shape that it says")
    return np.unpackbits(packed, axis=-1, count=width).view(np.bool_)  # a view: thousands of masks are many bytes
