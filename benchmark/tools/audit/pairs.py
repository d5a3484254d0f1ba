"""Find the images of a dataset and the mask of each, however its folders are spelled."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.common.errors import UserError
from benchmark.data import images, layout, own_folders
from benchmark.data.own_folders import Pairs

PICTURES = 24  # per split, for the contact sheet


@dataclass(frozen=True, kw_only=True, slots=True)
class Split:
    """The files of a split in the order of their names; `images` or `masks` is None if the folder is missing."""

    name: str
    folder: Path
    images: tuple[Path, ...] | None
    masks: tuple[Path, ...] | None
    pairs: Pairs | None = None
    """Of a folder that a user made: its pairs by name, in any layout that the dataset `folder` reads."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """An image and its mask, or only one of them; `picture` asks for thumbnails."""

    split: str
    stem: str
    image: Path | None
    mask: Path | None
    picture: bool
    own: bool = False
    """Whether it lies in a folder that a user made: its name says nothing of recordings."""


def find(root: Path) -> list[Split]:
    """The splits of the dataset.

    Raises:
        UserError: it has no folder of a split, or no image in them, or a folder cannot be listed.
    """
    if not root.is_dir():
        raise UserError(f"{root} is not a folder; give the dataset's top folder, which holds Train/, Valid/ or Test/")
    if own := _own(root):
        return own
    folders = {split: layout.folder(root, spellings) for split, spellings in layout.SPLITS.items()}
    splits = [_split(name, folder) for name, folder in folders.items() if folder is not None]
    if not splits:
        raise UserError(own_folders.unsplit(root))
    if not any(split.images for split in splits):
        places = ", ".join(f"{split.folder.name}/{layout.IMAGES[0]}" for split in splits)
        raise UserError(f"{root} holds no image; put the images into {places}")
    return splits


def tasks(split: Split) -> list[Task]:
    """Every image with the mask of its name, then the masks without an image."""
    pictured = _evenly(split.images or (), PICTURES)
    if split.pairs is not None:
        return [
            Task(split=split.name, stem=name, image=image, mask=mask, picture=image in pictured, own=True)
            for name, (image, mask) in split.pairs.items()
        ]
    masks: dict[str, Path] = {}
    for path in split.masks or ():
        masks.setdefault(path.stem, path)
    found = [
        Task(split=split.name, stem=path.stem, image=path, mask=masks.get(path.stem), picture=path in pictured)
        for path in split.images or ()
    ]
    used = {task.mask for task in found}
    alone = [path for path in split.masks or () if path not in used]
    return found + [Task(split=split.name, stem=path.stem, image=None, mask=path, picture=False) for path in alone]


def _own(root: Path) -> list[Split]:
    """The splits as the dataset `folder` reads them; none if it does not, or if a name has a xeno-canto number."""
    try:
        found = own_folders.by_split(root) or {}
    except UserError:  # what is wrong becomes a finding
        return []
    names = [Path(name).name for part in found.values() for name in part]
    if (root / layout.SAMPLES).exists() or any(map(layout.has_number, names)):
        return []
    return [
        Split(
            name=split,
            folder=root / split,
            images=tuple(image for image, _ in part.values()),
            masks=tuple(mask for _, mask in part.values()),
            pairs=part,
        )
        for split, part in found.items()
    ]


def _split(name: str, folder: Path) -> Split:
    return Split(
        name=name,
        folder=folder,
        images=_files(layout.folder(folder, layout.IMAGES)),
        masks=_files(layout.folder(folder, layout.MASKS)),
    )


def _files(folder: Path | None) -> tuple[Path, ...] | None:
    # images.files_by_stem refuses two files of one name, which here are a finding.
    if folder is None:
        return None
    try:
        paths = sorted(folder.iterdir())
    except OSError as error:
        raise UserError(f"{folder} cannot be listed ({error.strerror}); make it readable") from error
    return tuple(path for path in paths if path.suffix.lower() in images.SUFFIXES and not path.name.startswith("."))


def _evenly(paths: Sequence[Path], count: int) -> set[Path]:
    """At most `count` of the paths, spread evenly from the first to the last."""
    if len(paths) <= count:
        return set(paths)
    return {paths[round(number * (len(paths) - 1) / (count - 1))] for number in range(count)}
