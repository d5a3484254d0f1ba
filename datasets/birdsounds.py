"""BirdSoundsDenoising. Zhang & Li, WACV 2023, https://arxiv.org/abs/2210.10196, https://doi.org/10.5281/zenodo.7191406.

It reads the published layout (`Train|Valid|Test` with `Images`, `Masks`) and the layout of the 1500-image subset
(`train|valid|test` with `images`, `masks`). Image and mask share their name; masks are 8-bit {0, 255}, foreground is
above zero. `XC41136_left.png` and `XC41136_right.png` are channels of one xeno-canto recording: the number is the
leakage group.

The public `Test/` has no masks (issue 2 of the authors' repository, unanswered), and is refused with that reason.
`split=public-1500` is a locked split of the labelled public images, 1000/200/300 of them (see `public_1500`).

Datasets of `bench data mix` have the same layout and a table of samples: songs and backgrounds are leakage groups,
every sample has its noisy and its clean sound, and the SNR is a stratum. `train`, `val`, `test` and `slices` limit the
number of images of each split, and of each further test slice; 0 takes all.
"""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from benchmark.contract import DatasetSpec, Example, Rendering, Sample, Splits, UserError
from benchmark.data import images, layout, mixtures

PUBLIC = "public-1500"
PUBLIC_COUNTS = {"train": 1000, "val": 200, "test": 300}


def load(*, root: Path, split: str = "folders", train: int = 0, val: int = 0, test: int = 0, slices: int = 0) -> Splits:
    """The three splits in the order of their names.

    Raises:
        UserError: a split or its masks are missing, an image has no mask, or no name is a xeno-canto number.
    """
    if split not in ("folders", PUBLIC):
        raise UserError(f"split = '{split}': write split=folders (as the folders are) or split={PUBLIC}")
    table = layout.read_samples(root)
    if split == PUBLIC and table is not None:
        raise UserError(f"{root} was made by bench data mix, which split it by recording; leave split={PUBLIC} out")
    names = layout.SPLITS if split == "folders" else ("train", "val")
    found: Splits = mixtures.samples(root, table) if table else {name: _split(root, name) for name in names}
    if table is None and not any(layout.has_number(sample.id) for part in found.values() for sample in part):
        raise UserError(
            f"no image below {root} is called like XC41136.png: this is not BirdSoundsDenoising; "
            "for images of your own use --dataset folder"
        )
    if split == PUBLIC:
        found = public_1500(found["train"], found["val"])
    wanted = {"train": train, "val": val, "test": test}
    return {name: mixtures.first_of(part, wanted[name], slices) for name, part in found.items()}


def read(image: Path, mask: Path) -> Example:
    """Decode one pair."""
    return Example(image=images.read_image(image), mask=images.read_mask(mask))


def resolve(*, root: Path, **_: object) -> DatasetSpec:
    """The published dataset, or mixtures of other recordings if the folder has a table of samples."""
    table = layout.read_samples(root)
    if not table:
        return DATASET
    return replace(
        DATASET,
        title="Mixtures of song and background (bench data mix)",
        paper="",
        citation="",
        licence="the recordings' own",
        rendering=mixtures.rendering(root, table),
    )


def public_1500(train: Sequence[Sample], valid: Sequence[Sample]) -> Splits:
    """Choose 1000/200/300 of the labelled images, as a pure function of the names that anyone can repeat.

    Recordings are ordered by the SHA-256 of "public-1500 " and their number (XC41136). The first 300 recordings of
    `Valid` give one image each, the first by name, to the test; the next give all their images to the validation until
    it has 200. Recordings of `Train` that are in neither give their images to the training until it has 1000.

    Raises:
        UserError: there are not enough images or recordings.
    """
    by_recording = _by_recording(valid)
    order = sorted(by_recording, key=_lot)
    chosen: dict[str, list[Sample]] = {"train": [], "val": [], "test": []}
    tested, rest = order[: PUBLIC_COUNTS["test"]], order[PUBLIC_COUNTS["test"] :]
    chosen["test"] = [by_recording[name][0] for name in tested]
    validated = _until(by_recording, rest, PUBLIC_COUNTS["val"])
    chosen["val"] = validated
    taken = {*tested, *(sample.groups["recording"] for sample in validated)}
    pool = _by_recording(train)
    chosen["train"] = _until(pool, sorted(set(pool) - taken, key=_lot), PUBLIC_COUNTS["train"])
    for name, count in PUBLIC_COUNTS.items():
        if len(chosen[name]) < count:
            raise UserError(
                f"split={PUBLIC} wants {count} images to {name} and finds {len(chosen[name])} in recordings apart from "
                "the other splits; it needs the whole public Train/ and Valid/ (10,000 and 1,400 images)"
            )
    return {name: sorted(part, key=lambda sample: sample.id) for name, part in chosen.items()}


def _by_recording(samples: Sequence[Sample]) -> dict[str, list[Sample]]:
    found: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        found[sample.groups["recording"]].append(sample)
    return found


def _until(members: dict[str, list[Sample]], order: Sequence[str], count: int) -> list[Sample]:
    return [sample for name in order for sample in members[name]][:count]


def _lot(recording: str) -> str:
    return hashlib.sha256(f"{PUBLIC} {recording}".encode()).hexdigest()


def _split(root: Path, split: str) -> list[Sample]:
    spellings = layout.SPLITS[split]
    folder = layout.folder(root, spellings)
    if folder is None:
        raise UserError(
            f"{root} has no folder {spellings[0]}/ or {spellings[1]}/; point --data at the dataset's top folder"
        )
    image_folder, mask_folder = layout.folder(folder, layout.IMAGES), layout.folder(folder, layout.MASKS)
    if image_folder is None:
        raise UserError(f"{folder} has no folder Images/ or images/")
    if mask_folder is None:
        raise UserError(f"{folder} has no masks{_no_test_masks(folder) if split == 'test' else ''}")
    found, masks = images.files_by_stem(image_folder), images.files_by_stem(mask_folder)
    without = [path.name for stem, path in found.items() if stem not in masks]
    if without:
        raise UserError(
            f"{len(without)} image(s) of {image_folder} have no mask in {mask_folder.name}/, e.g. {without[0]}"
        )
    return [_sample(stem, path, masks[stem]) for stem, path in found.items()]


def _no_test_masks(folder: Path) -> str:
    return (
        f": the public test split has none, they were never published. Take --dataset birdsounds:split={PUBLIC}, which "
        f"is cut from the labelled images, or lay pairs of your own into {folder.name}/Images and {folder.name}/Masks"
    )


def _sample(stem: str, image: Path, mask: Path) -> Sample:
    return Sample(
        id=stem, groups={"recording": layout.recording(stem)}, read=partial(read, image, mask), files=(image, mask)
    )


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
    rendering=Rendering(),  # each recording as it was, at its own rate and in its whole length
    resolve=resolve,
)
