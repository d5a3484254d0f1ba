"""Predict the masks of image files with a trained network (`bench predict`)."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from benchmark.common import files
from benchmark.common.errors import UserError
from benchmark.data import images

if TYPE_CHECKING:
    from benchmark.records.trained import TrainedNetwork


def targets(inputs: Sequence[Path], out: Path, *, force: bool) -> dict[Path, Path]:
    """Map each image file below the inputs to the PNG file to write; folders keep their structure.

    Raises:
        UserError: an input does not exist, there are no images, two would become the same file, or a file would be
            overwritten: an image always, anything else unless `force`.
    """
    if out.exists() and not out.is_dir():
        raise UserError(f"--out {out} is a file, not a folder")
    found: dict[Path, Path] = {}
    owners: dict[Path, Path] = {}
    for given in inputs:
        for source in _images(given, out):
            below = source.relative_to(given) if given.is_dir() else Path(source.name)
            target = found[source] = out / below.with_suffix(".png")
            if (other := owners.setdefault(target, source)) != source:
                raise UserError(f"{other} and {source} would both become {target}; write them into different folders")
    if not found:
        raise UserError(f"no images in {', '.join(map(str, inputs))}; these are read: {_SUFFIXES}")
    originals = {source.resolve() for source in found}
    for target in owners:
        if target.resolve() in originals:
            raise UserError(f"{target} is one of the images; choose another --out")
        if target.exists() and not force:
            raise UserError(f"{target} exists; choose another --out, or give --force to replace it")
    return found


_SUFFIXES = " ".join(sorted(images.SUFFIXES))


def _images(given: Path, out: Path) -> list[Path]:
    if given.is_file():
        return [given]
    if not given.is_dir():
        raise UserError(f"{given} does not exist; give images, or folders of them")
    there = out.resolve()
    return sorted(
        path
        for path in given.rglob("*")
        if path.suffix.lower() in images.SUFFIXES
        and not path.name.startswith(".")
        and (given.resolve() == there or not path.resolve().is_relative_to(there))  # predicted earlier
    )


def predict(network: "TrainedNetwork", source: Path, target: Path, *, soft: bool) -> float:
    """Write the mask of an image at its size, 0 or 255; `soft`: the probability, 0 to 255. Returns the share of bird.

    Raises:
        UserError: the image cannot be read, the mask cannot be written, or the network gives no numbers.
    """
    logits = network.logits(images.read_image(source))
    if bool(logits.isnan().any()):
        raise UserError(f"{source}: the network gives logits that are not numbers")
    mask = network.mask_of(logits)
    pixels = np.rint(255 * logits.sigmoid().cpu().numpy()) if soft else 255 * mask
    picture = Image.fromarray(pixels.astype(np.uint8))
    files.write_atomically(target, partial(picture.save, format="PNG"))
    return float(mask.mean())
