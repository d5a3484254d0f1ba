"""BirdSoundsDenoising. Zhang & Li, WACV 2023, https://arxiv.org/abs/2210.10196, https://doi.org/10.5281/zenodo.7191406.

Reads the published layout (`Train|Valid|Test` with `Images`, `Masks`) and that of the 1500-image subset
(`train|valid|test` with `images`, `masks`). Image and mask share their name; masks are 8-bit {0, 255}, foreground is
above zero. `XC41136_left.png` and `XC41136_right.png` are channels of one xeno-canto recording: the number is the
leakage group.

The public `Test/` holds no masks (issue 2 of the authors' repository, unanswered): such a split is refused by name.
"""

import re
from functools import partial
from pathlib import Path

from benchmark import images
from benchmark.contract import DatasetSpec, Example, Sample, Splits, UserError

_FOLDERS = {"train": ("Train", "train"), "val": ("Valid", "valid", "Val", "val"), "test": ("Test", "test")}
_RECORDING = re.compile(r"XC\d+", re.IGNORECASE)
_CHANNEL = re.compile(r"_(left|right)$")


def load(*, root: Path) -> Splits:
    """The three splits in the order of their names.

    Raises:
        UserError: a split or its masks are missing, an image has no mask, or no name is a xeno-canto number.
    """
    splits = {split: _split(root, split, spellings) for split, spellings in _FOLDERS.items()}
    if not any(_RECORDING.match(sample.id) for samples in splits.values() for sample in samples):
        raise UserError(
            f"no image below {root} is called like XC41136.png: this is not BirdSoundsDenoising; "
            "for images of your own use --dataset folder"
        )
    return splits


def read(image: Path, mask: Path) -> Example:
    """Decode one pair."""
    return Example(image=images.read_image(image), mask=images.read_mask(mask))


def _split(root: Path, split: str, spellings: tuple[str, ...]) -> list[Sample]:
    folder = _first(root, spellings)
    if folder is None:
        raise UserError(
            f"{root} has no folder {spellings[0]}/ or {spellings[1]}/; point --data at the dataset's top folder"
        )
    image_folder, mask_folder = _first(folder, ("Images", "images")), _first(folder, ("Masks", "masks"))
    if image_folder is None:
        raise UserError(f"{folder} has no folder Images/ or images/")
    if mask_folder is None:
        raise UserError(
            f"{folder} has no masks{' (the public test split has none)' if split == 'test' else ''}: hold out labelled "
            f"recordings: move some pairs of Valid/ into {folder.name}/Images and {folder.name}/Masks"
        )
    found, masks = images.files_by_stem(image_folder), images.files_by_stem(mask_folder)
    without = [path.name for stem, path in found.items() if stem not in masks]
    if without:
        raise UserError(
            f"{len(without)} image(s) of {image_folder} have no mask in {mask_folder.name}/, e.g. {without[0]}"
        )
    return [_sample(stem, path, masks[stem]) for stem, path in found.items()]


def _sample(stem: str, image: Path, mask: Path) -> Sample:
    match = _RECORDING.match(stem)
    return Sample(
        id=stem,
        groups={"recording": match[0].upper() if match else _CHANNEL.sub("", stem)},
        read=partial(read, image, mask),
        files=(image, mask),
    )


def _first(folder: Path, names: tuple[str, ...]) -> Path | None:
    return next((folder / name for name in names if (folder / name).is_dir()), None)


DATASET = DatasetSpec(
    load=load,
    title="BirdSoundsDenoising",
    paper="https://arxiv.org/abs/2210.10196",
    citation=(
        "@inproceedings{zhang2023birdsoundsdenoising, title={BirdSoundsDenoising: Deep Visual Audio Denoising for Bird "
        "Sounds}, author={Zhang, Youshan and Li, Jialu}, booktitle={WACV}, pages={2248--2257}, year={2023}}"
    ),
    licence="see https://doi.org/10.5281/zenodo.7191406",
    needs_root=True,
)
