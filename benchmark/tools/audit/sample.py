"""Decode an image and its mask, and reduce them to a few kilobytes of facts; worker processes do this."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmark.common.errors import UserError
from benchmark.data import images, layout, masks
from benchmark.tools.audit import likeness
from benchmark.tools.audit.pairs import Task

THUMBNAIL = (96, 192)  # height, width
_ROWS = 1024  # only images as high as the published ones are mirrored

_Facts = TypeVar("_Facts")


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageFacts:
    """Size (width, height) in pixels, SHA-256 of shape and pixels, and the hash and outline that `likeness` compares.

    `unmirrored` is the share of pixels that differ from their mirror image, None for images of another height.
    """

    size: tuple[int, int]
    digest: str
    phash: int
    outline: NDArray[np.float16]
    unmirrored: float | None
    thumbnail: NDArray[np.uint8] | None


@dataclass(frozen=True, kw_only=True, slots=True)
class MaskFacts:
    """Size (width, height) in pixels, share of foreground, and share of unmirrored pixels, None at another height.

    The thumbnail says how much of each of its pixels is foreground: 255 is all of it.
    """

    size: tuple[int, int]
    foreground: float
    refusal: str
    """Why its foreground is not known; empty if it is."""
    between: int
    """Pixels that are neither background nor foreground, and were thresholded."""
    unmirrored: float | None
    thumbnail: NDArray[np.uint8] | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """The facts of a task's files, or why a file cannot be read."""

    task: Task
    image: ImageFacts | None
    mask: MaskFacts | None
    image_error: str
    mask_error: str


def look(task: Task) -> Seen:
    """Decode the files of a task. A file that cannot be read is noted, not raised."""
    image, image_error = _try(_image, task.image, task.picture)
    mask, mask_error = _try(_mask, task.mask, task.picture)
    return Seen(task=task, image=image, mask=mask, image_error=image_error, mask_error=mask_error)


def _try(facts: Callable[[Path, bool], _Facts], path: Path | None, picture: bool) -> tuple[_Facts | None, str]:
    if path is None:
        return None, ""
    try:
        return facts(path, picture), ""
    except UserError as error:
        return None, str(error)


def _image(path: Path, picture: bool) -> ImageFacts:
    pixels = images.read_image(path)
    grey = images.to_grey(pixels)
    height, width = grey.shape
    # The last row of the image is the Nyquist frequency, which has no mirror image: row k is row 1022-k.
    folded = grey[: _ROWS - 1]
    return ImageFacts(
        size=(width, height),
        digest=hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).hexdigest(),
        phash=likeness.phash(grey),
        outline=likeness.outline(grey),
        unmirrored=float((folded != folded[::-1]).mean()) if height == _ROWS else None,
        thumbnail=images.resize_image(pixels, THUMBNAIL) if picture else None,
    )


def _mask(path: Path, picture: bool) -> MaskFacts:
    mask, between, refusal = _judged(path)
    height, width = mask.shape
    return MaskFacts(
        size=(width, height),
        foreground=float(mask.mean()),
        refusal=refusal,
        between=between,
        unmirrored=float((mask != mask[::-1]).mean()) if height == _ROWS else None,
        thumbnail=images.resize_image(mask * np.uint8(255), THUMBNAIL) if picture else None,
    )


def _judged(path: Path) -> tuple[NDArray[np.bool_], int, str]:
    """The mask as `bench run` reads it, its pixels between, and why it is refused.

    Masks of xeno-canto numbers are read as those of BirdSoundsDenoising: foreground is above zero.
    """
    if layout.has_number(path.stem):
        return images.read_mask(path), 0, "" if _is_two_valued(path) else "it has more than two colours"
    try:
        return *masks.read(path), ""
    except UserError as error:
        return images.read_mask(path), 0, str(error).removeprefix(str(path)).strip()


def _is_two_valued(path: Path) -> bool:
    """Whether the file holds at most two colours before it is thresholded."""
    with Image.open(path) as image:
        countable = image.convert("I") if image.mode.startswith("I;16") else image
        return countable.getcolors(2) is not None
