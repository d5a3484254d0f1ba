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
from benchmark.data import images
from benchmark.tools.audit.pairs import Task

THUMBNAIL = (96, 192)  # height, width

_Facts = TypeVar("_Facts")


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageFacts:
    """Size (width, height) in pixels, and SHA-256 of shape and pixels."""

    size: tuple[int, int]
    digest: str
    thumbnail: NDArray[np.uint8] | None


@dataclass(frozen=True, kw_only=True, slots=True)
class MaskFacts:
    """Size (width, height) in pixels, share of foreground, and whether the file holds two colours at most.

    The thumbnail says how much of each of its pixels is foreground: 255 is all of it.
    """

    size: tuple[int, int]
    foreground: float
    two_valued: bool
    thumbnail: NDArray[np.uint8] | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """The facts of a task's files, or why a file cannot be read."""

    task: Task
    image: ImageFacts | None
    mask: MaskFacts | None
    image_error: str
    mask_error: str


def examine(task: Task) -> Facts:
    """Decode the files of a task. A file that cannot be read is noted, not raised."""
    image, image_error = _try(_image, task.image, task.picture)
    mask, mask_error = _try(_mask, task.mask, task.picture)
    return Facts(task=task, image=image, mask=mask, image_error=image_error, mask_error=mask_error)


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
    return ImageFacts(
        size=(width, height),
        digest=hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).hexdigest(),
        thumbnail=images.resize_image(grey, THUMBNAIL) if picture else None,
    )


def _mask(path: Path, picture: bool) -> MaskFacts:
    mask = images.read_mask(path)
    height, width = mask.shape
    return MaskFacts(
        size=(width, height),
        foreground=float(mask.mean()),
        two_valued=_is_two_valued(path),
        thumbnail=images.resize_image(mask * np.uint8(255), THUMBNAIL) if picture else None,
    )


def _is_two_valued(path: Path) -> bool:
    """Whether the file holds at most two colours before it is thresholded."""
    with Image.open(path) as image:
        countable = image.convert("I") if image.mode.startswith("I;16") else image
        return countable.getcolors(2) is not None
