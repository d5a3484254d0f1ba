"""Read masks that people drew or exported with any tool, and refuse those whose foreground would be guessed.

A mask has two values by a known convention: 0 and 1, 0 and 255 (65535 of 16 bits), black and one pure colour, or the
indices 0 and 1 of a palette that draws 0 black. Masks that were smoothed or compressed with loss have other values too;
they are thresholded, and how many pixels lie between is counted. Everything else needs `foreground`, the values that
are the bird. Values are grey levels, indices of a coloured palette, or colours written #rrggbb.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from benchmark.common.errors import UserError
from benchmark.data import images

_PAIRS = ({0, 1}, {0, 255}, {0, 65535})
_DARK, _BRIGHT, _HALF = 63, 192, 128
"""Grey levels: up to, and from where, a pixel is clearly one of the two; and the threshold."""
_MOST_BETWEEN = 0.1
"""Share of pixels: an image with more between the two is no mask."""
_FLAT, _NOISE, _FEW = 0.3, 2, 8
"""Classes make flat areas, smoothing and compression hardly do. Measured with values that differ from 0 and 255 by more
than `_NOISE`: at most 15 % of their pixels are like all their neighbours in masks of JPEG (quality 10 to 95), WebP and
resizing, at least 75 % in maps of classes and trimaps. Of up to `_FEW` values, small ones count too."""
_GREYISH = 16
"""Channels that differ by no more than this are one grey with noise of a compression."""
_SHOWN = 6
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Pixels:
    """The values of a mask (H, W): grey levels, indices of a palette whose 0 is black or not, or colours 0xRRGGBB."""

    kind: Literal["grey", "index", "unknown index", "colour"]
    values: NDArray[Any]


def parse(text: str) -> tuple[int, ...]:
    """The values in a text such as "11", "3+11" or "#ff0000"; none if it is empty.

    Raises:
        UserError: a part is neither a whole number nor a colour.
    """
    found = []
    for part in text.split("+") if text else ():
        if _COLOUR.fullmatch(part):
            found.append(int(part[1:], 16))
        elif part.isdecimal():
            found.append(int(part))
        else:
            raise UserError(f"foreground = '{text}': write the values of the bird, e.g. 11, 3+11 or #ff0000")
    return tuple(found)


def read(path: Path, foreground: tuple[int, ...] = ()) -> tuple[NDArray[np.bool_], int]:
    """Decode a mask to bool (H, W), and count the pixels that lay between background and foreground.

    `foreground` are the values that are the bird; (0,) inverts a mask of two values.

    Raises:
        UserError: the file is not a readable image, or its foreground is not known.
    """
    found = pixels(path)
    if foreground not in ((), (0,), (255,)):
        return np.isin(found.values, foreground), 0
    try:
        mask, between = _two_valued(path, found)
    except UserError:
        if not foreground:
            raise
        return np.isin(found.values, foreground), 0
    if foreground == (255,) and not between:
        return np.asarray(mask & (found.values >= _HALF)), 0
    return (~mask if foreground == (0,) else mask), between


def pixels(path: Path) -> Pixels:
    """The values of a mask as its file stores them; what is transparent counts as black.

    Raises:
        UserError: the file is not a readable image, or its values are ambiguous.
    """
    with images.opened(path) as (image, stored):
        images.require_plain_depth(path, image, stored)
        if image.mode in images.NUMBER_MODES:
            return Pixels(kind="grey", values=images.numbers(path, image))
        if image.mode in ("1", "L") and "transparency" not in image.info:
            return Pixels(kind="grey", values=np.asarray(image.convert("L")))
        if image.mode == "P" and "transparency" not in image.info:
            return _of_palette(image)
        rgba = np.asarray(image.convert("RGBA")).astype(np.int32)
    colours = (rgba[..., :3] * rgba[..., 3:] + 127) // 255  # over black
    if (colours.max(2) - colours.min(2)).max(initial=0) <= _GREYISH:
        return Pixels(kind="grey", values=colours[..., 1])
    return Pixels(kind="colour", values=_code(colours))


def _of_palette(image: Any) -> Pixels:
    palette = np.zeros((256, 3), np.int32)
    entries = np.asarray(image.getpalette("RGB") or [], np.int32).reshape(-1, 3)[:256]
    palette[: len(entries)] = entries
    indices = np.asarray(image)
    if palette[0].any():
        return Pixels(kind="unknown index", values=indices)
    used = palette[np.unique(indices)]
    grey = bool((used == used[:, :1]).all())
    return Pixels(kind="grey", values=palette[indices, 0]) if grey else Pixels(kind="index", values=indices)


def _two_valued(path: Path, found: Pixels) -> tuple[NDArray[np.bool_], int]:
    """The mask by a known convention, and the number of pixels between.

    Raises:
        UserError: there is none.
    """
    values = found.values
    present = np.unique(values)
    if found.kind == "unknown index":
        raise UserError(
            f"{path} has a palette that does not draw 0 black, so which index is the bird is not known: {_remedy(1)}"
        )
    if found.kind == "colour":
        others = [int(value) for value in present if value]
        if len(others) == 1 and set(others[0].to_bytes(3, "big")) <= {0, 255}:
            return values > 0, 0
        raise UserError(f"{path} is in colours ({_listed(present, '#{:06x}')}): {_remedy('#ff0000')}")
    if any(set(present.tolist()) <= pair for pair in _PAIRS):
        return values > 0, 0
    if found.kind == "grey" and _is_nearly_two_valued(values, present):
        return values >= _HALF, int(((values > _DARK) & (values < _BRIGHT)).sum())
    example = int(present[-1]) if len(present) <= 2 else "3+11"
    raise UserError(
        f"{path} does not have the values 0 and 1, or 0 and 255 (but {_listed(present)}): {_remedy(example)}"
    )


def _is_nearly_two_valued(values: NDArray[Any], present: NDArray[Any]) -> bool:
    """Whether a grey mask (H, W) has 0 and 255, smoothed or compressed with loss."""
    if not (0 <= present[0] <= _DARK and _BRIGHT <= present[-1] <= 255 and len(present) > 2):
        return False
    if ((values > _DARK) & (values < _BRIGHT)).mean() > _MOST_BETWEEN:
        return False
    noise = _NOISE if len(present) > _FEW else 0
    off = (values > noise) & (values < 255 - _NOISE)
    flat = ndimage.maximum_filter(values, 3) == ndimage.minimum_filter(values, 3)
    return not off.any() or float(flat[off].mean()) < _FLAT


def _remedy(example: object) -> str:
    return f"say which values are the bird, e.g. --dataset folder:foreground={example}"


def _listed(present: NDArray[Any], form: str = "{:g}") -> str:
    shown = ", ".join(form.format(value) for value in present[:_SHOWN].tolist())
    return f"{shown}, ... {form.format(present[-1])}, {len(present)} in all" if len(present) > _SHOWN else shown


def _code(colours: NDArray[np.int32]) -> NDArray[np.int32]:
    return np.asarray((colours[..., 0] << 16) | (colours[..., 1] << 8) | colours[..., 2])
