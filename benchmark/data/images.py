"""Read image files into arrays, and resize them by the one resampling rule of the benchmark.

Pillow's bilinear filter is antialiased when it shrinks, and it computes in fixed-point integers, so it gives the same
bytes on every processor. Masks are binarised at native size and resized by exact area: a `> 0` after a smooth resize
would add 12 % of area (measured on the authors' published example), and Pillow's box filter takes or leaves whole
pixels.
"""

import hashlib
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import ExifTags, Image
from scipy import sparse

from benchmark.common import files
from benchmark.common.errors import UserError

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})

_FORMATS = ("BMP", "JPEG", "PNG", "TIFF", "WEBP")
"""The formats of these suffixes. Without this list, Pillow would also pass PostScript to an external program."""
_PIXELS = "7d35c1c106b3ed4c"
"""The SHA-256 of the test images of `require_same_pixels`, resized by Pillow 13; 10.1 to 12.2 give other bytes."""
_GREY_MODES = frozenset({"1", "L", "LA", "La"})
_SIXTEEN_BIT_MODES = frozenset({"I;16", "I;16B", "I;16L"})
NUMBER_MODES = _SIXTEEN_BIT_MODES | {"I", "F"}
"""Modes of Pillow whose pixels are numbers of more than 8 bits."""


def files_by_stem(folder: Path) -> dict[str, Path]:
    """The image files of a folder by their names without suffix, in the order of their names.

    Raises:
        UserError: two files share a name.
    """
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir(), key=lambda path: path.name):
        if path.suffix.lower() not in SUFFIXES or path.name.startswith("."):
            continue
        if path.stem in found:
            raise UserError(f"{found[path.stem]} and {path.name} share a name; keep one of them")
        found[path.stem] = path
    return found


def read_image(path: Path) -> NDArray[np.uint8]:
    """Decode an image to uint8: (H, W) if it is grey or has three equal channels, else (H, W, 3).

    16-bit greys are scaled to 8 bits, 16-bit colours keep their upper 8 bits, and an alpha channel is dropped.

    Raises:
        UserError: the file is not a readable image, or its pixels are ambiguous.
    """
    with opened(path) as (image, _):
        if image.mode in _GREY_MODES:
            return np.asarray(image.convert("L"))
        # Pillow before 10.3 opens 16-bit PNG as mode I.
        if image.mode in _SIXTEEN_BIT_MODES or (image.mode == "I" and image.format == "PNG"):
            return np.round(np.asarray(image, dtype=np.float64).clip(0, 65535) / 257).astype(np.uint8)
        if image.mode in ("F", "I"):
            raise UserError(f"{path} does not say which value is white (mode {image.mode}); save it with 8 or 16 bits")
        # A palette goes through RGBA: otherwise Pillow would warn of its transparency.
        pixels = np.asarray(image.convert("RGBA").convert("RGB") if image.mode == "P" else image.convert("RGB"))
    grey = np.array_equal(pixels[..., 0], pixels[..., 1]) and np.array_equal(pixels[..., 0], pixels[..., 2])
    return np.ascontiguousarray(pixels[..., 0]) if grey else pixels


def read_mask(path: Path) -> NDArray[np.bool_]:
    """Decode a mask to bool (H, W): foreground is every visible pixel above zero in any channel.

    Raises:
        UserError: the file is not a readable image, or its foreground is ambiguous.
    """
    with opened(path) as (image, stored):
        if image.format in ("JPEG", "MPO") or image.info.get("compression") == "jpeg":
            raise UserError(f"{path}: JPEG smears masks; threshold it and save it as PNG")
        require_plain_depth(path, image, stored)
        if image.mode in NUMBER_MODES:
            return numbers(path, image) > 0
        if image.mode in ("1", "L") and "transparency" not in image.info:  # as published: five times as fast
            return np.asarray(image.convert("L")) > 0
        pixels = np.asarray(image.convert("RGBA"))
    return np.asarray(((pixels[..., 0] | pixels[..., 1] | pixels[..., 2]) > 0) & (pixels[..., 3] > 0))


def require_plain_depth(path: Path, image: Any, stored: str) -> None:
    """Refuse a mask whose pixels Pillow would change.

    Raises:
        UserError: Pillow would cut 16-bit colours to 8 bits, or compare a transparent value of another depth with 8-bit
            pixels.
    """
    is_number = image.mode in NUMBER_MODES
    if (not is_number and ";16" in stored) or ("transparency" in image.info and (is_number or "L;" in stored)):
        raise UserError(f"{path}: colour or transparency in other than 8 bits; save it as an 8-bit grey PNG")


def numbers(path: Path, image: Any) -> NDArray[Any]:
    """The pixels (H, W) of an opened image whose mode is in `NUMBER_MODES`.

    Raises:
        UserError: a pixel is not a finite number.
    """
    values = np.asarray(image)
    if not np.isfinite(values).all():
        raise UserError(f"{path} has pixels that are not finite numbers; save it as an 8-bit grey PNG")
    return values


def resize_image(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Resize (H, W) or (H, W, 3) uint8 to `size` = (height, width) with the antialiased bilinear filter."""
    if image.shape[:2] == tuple(size):
        return image
    height, width = size
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR))


def resize_mask(mask: NDArray[np.bool_], size: tuple[int, int]) -> NDArray[np.bool_]:
    """Resize bool (H, W) to `size` = (height, width): a pixel is foreground if at least half of its area is.

    The area is exact, in integers: a source pixel that lies across a border counts on both sides with its share.
    """
    rows, columns = (_overlaps(length, count) for length, count in zip(mask.shape, size, strict=True))
    area = rows @ (columns @ mask.T.astype(np.int64)).T  # in units of 1 / (height width) of a source pixel
    return np.asarray(2 * area >= mask.size)


def _overlaps(length: int, count: int) -> Any:
    """How much of each of `length` pixels lies in each of `count` equal parts: sparse integers (count, length)."""
    borders = np.union1d(np.arange(length + 1) * count, np.arange(count + 1) * length)  # both grids in one unit
    pixel, part = borders[:-1] // count, borders[:-1] // length
    return sparse.csr_array((np.diff(borders), (part, pixel)), shape=(count, length))


def require_same_pixels() -> None:
    """Refuse a Pillow that resizes to other pixels: networks would see other images under the same manifest.

    Raises:
        UserError: the installed Pillow gives other pixels.
    """
    rows, columns = np.mgrid[:1024, :303]  # much higher than wide: Pillow 13 rounds such images differently
    picture = (rows**2 + 37 * columns + rows * columns % 89).astype(np.uint8)
    coloured = np.stack([picture, picture[::-1], picture[:, ::-1]], axis=2)
    results = [resize_image(picture, (32, 48)), resize_image(coloured, (128, 128)), to_grey(coloured)]
    digest = hashlib.sha256(b"".join(result.tobytes() for result in results)).hexdigest()
    if not digest.startswith(_PIXELS):
        raise UserError(
            f"Pillow {PIL.__version__} resizes images to other pixels than the Pillow of the committed results, so no "
            "results could be compared; install that one: pip install 'pillow>=13,<14'"
        )


def to_grey(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The luma (ITU-R BT.601) of an (H, W, 3) image; an (H, W) image stays as it is."""
    return image if image.ndim == 2 else np.asarray(Image.fromarray(image).convert("L"))


@contextmanager
def opened(path: Path) -> Iterator[tuple[Any, str]]:
    """The decoded image, and how its pixels are stored, in Pillow's words ("L;4", "RGB;16B")."""
    # Pillow reports damage in a dozen ways (OSError, SyntaxError, ValueError, EOFError, struct.error, warnings about
    # decompression bombs or truncated tags). For the user they are one case: the file cannot be read.
    try:
        files.check_regular(path, path.stat().st_mode)
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            warnings.simplefilter("error", UserWarning)
            with Image.open(path, formats=_FORMATS) as image:
                stored = _stored(image)
                _require_plain(path, image)
                image.load()
                yield image, stored
    except UserError:
        raise
    except Exception as error:
        raise UserError(
            f"{path} is not a readable image ({error or type(error).__name__}); restore or remove it"
        ) from error


def _stored(image: Any) -> str:
    """Pillow's raw mode: the only argument of its decoder, or the first of several."""
    arguments = image.tile[0][3] if image.tile else ""
    return str(arguments[0] if isinstance(arguments, tuple) else arguments)


def _require_plain(path: Path, image: Any) -> None:
    """Refuse images that viewers show differently from how they are stored: a mask drawn on them would not fit."""
    if image.mode == "LAB":  # Pillow's conversion to RGB depends on how it was built
        raise UserError(f"{path} is in CIELAB; save it as RGB or grey")
    frames = getattr(image, "n_frames", 1)
    if frames != 1:
        raise UserError(f"{path} holds {frames} images; save only one of them")
    turn = image.getexif().get(ExifTags.Base.Orientation, 1)
    if turn != 1:
        raise UserError(f"{path} must be turned according to its EXIF (orientation {turn}); save it upright")
