"""Any folder of images and masks, grey or in colour.

Either each split has a folder, `train/images`, `train/masks`, `val/...`, `test/...` (also `images/train`, `valid/`,
`validation/`, `imgs/`, `labels/`, or `x.jpg` beside `x_mask.png`); or all files lie in `images/` and `masks/`, and
`train.txt`, `val.txt` and `test.txt` list their names (with or without suffix), one per line. Image and mask share
their name up to the suffix. `bench data split` makes the splits of a folder that has none.

A mask has two values; of a map of classes, `foreground` says which are the bird (`--dataset folder:foreground=3+11`),
and `foreground=0` takes inverted masks. See `benchmark/data/masks.py`.

`group` is a regular expression that finds the recording in a name (`--dataset folder:group=^[^_]+`); with it the core
refuses a recording in two splits. Without it recordings are unknown, and the table says so. `name` is what tables call
the data, by default the folder's name.
"""

import re
from dataclasses import replace
from functools import partial
from pathlib import Path

from benchmark.contract import DatasetSpec, Example, Sample, Splits, UserError
from benchmark.data import images, masks, own_folders
from benchmark.data.own_folders import SPLITS, Pairs


def load(*, root: Path, group: str = "", foreground: str = "", name: str = "") -> Splits:
    """The splits of a folder.

    Raises:
        UserError: the folder has no layout that is known, a listed name has no image, an image no mask, or a mask no
            image.
    """
    del name
    values = masks.parse(foreground)
    pattern = _compile(group)
    return {
        split: [_sample(stem, *files, pattern, values) for stem, files in found.items()]
        for split, found in _pairs(root).items()
    }


def read(image: Path, mask: Path, foreground: tuple[int, ...] = ()) -> Example:
    """Decode one pair."""
    pixels, between = masks.read(mask, foreground)
    return Example(image=images.read_image(image), mask=pixels, between=between)


def resolve(*, root: Path, name: str = "", **_: object) -> DatasetSpec:
    """The dataset with its own name in the title."""
    return replace(DATASET, title=f"{name or root.resolve().name} (a folder of images and masks)")


def _pairs(root: Path) -> dict[str, Pairs]:
    found = own_folders.by_split(root)
    if found is None:
        raise UserError(own_folders.unsplit(root))
    for split, names in SPLITS.items():
        if split not in found:
            have = ", ".join(found)
            raise UserError(
                f"{root} has a folder of {have}, but none of {split} ({', '.join(f'{name}/' for name in names)}); move "
                f"some of the recordings there, or put all images together and split them: bench data split"
            )
    return found


def _compile(group: str) -> re.Pattern[str] | None:
    try:
        return re.compile(group) if group else None
    except re.error as error:
        raise UserError(f"group = '{group}' is not a regular expression: {error}") from error


def _sample(stem: str, image: Path, mask: Path, pattern: re.Pattern[str] | None, foreground: tuple[int, ...]) -> Sample:
    match = pattern.search(stem) if pattern else None
    if pattern and match is None:
        raise UserError(f"'{stem}' does not match group = '{pattern.pattern}'; widen the expression")
    # Without an expression the recordings are unknown, and the sample has no group.
    return Sample(
        id=stem,
        groups={"recording": match[0]} if match else {},
        read=partial(read, image, mask, foreground),
        files=(image, mask),
    )


DATASET = DatasetSpec(
    load=load,
    title="A folder of images and masks",
    paper="",
    citation="",
    licence="the user's",
    needs_root=True,
    resolve=resolve,
)
