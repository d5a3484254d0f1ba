"""Find the images of a dataset and the mask of each, however its folders are spelled."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.common.errors import UserError
from benchmark.data import images, layout

PICTURES = 24  # per split, for the contact sheet


@dataclass(frozen=True, kw_only=True, slots=True)
class Split:
    """The files of a split in the order of their names; `images` or `masks` is None if the folder is missing."""

    name: str
    folder: Path
    images: tuple[Path, ...] | None
    masks: tuple[Path, ...] | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """An image and its mask, or only one of them; `picture` asks for thumbnails."""

    split: str
    stem: str
    image: Path | None
    mask: Path | None
    picture: bool


def find(root: Path) -> list[Split]:
    """The splits of the dataset.

    Raises:
        UserError: it has no folder of a split, or no image in them, or a folder cannot be listed.
    """
    if not root.is_dir():
        raise UserError(f"{root} is not a folder; give the dataset's top folder, which holds Train/, Valid/ or Test/")
    folders = {split: layout.folder(root, spellings) for split, spellings in layout.SPLITS.items()}
    splits = [_split(name, folder) for name, folder in folders.items() if folder is not None]
    if not splits:
        raise UserError(f"{root} has no folder Train/, Valid/ or Test/; give the dataset's top folder")
    if not any(split.images for split in splits):
        places = ", ".join(f"{split.folder.name}/{layout.IMAGES[0]}" for split in splits)
        raise UserError(f"{root} holds no image; put the images into {places}")
    return splits


def tasks(split: Split) -> list[Task]:
    """Every image with the mask of its name, then the masks without an image."""
    pictured = _evenly(split.images or (), PICTURES)
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
