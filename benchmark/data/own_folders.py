"""Find images and their masks in folders that people made themselves, in the usual layouts and spellings.

Images and masks lie in two folders (`images/`, `masks/`, also with folders below them), or side by side (`x.jpg`,
`x_mask.png`). Splits are folders that hold both (`train/images`), or lie in both (`images/train`), or lists of names
(`train.txt`, `val.txt`, `test.txt`).
"""

import codecs
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeAlias

from benchmark.common.errors import UserError
from benchmark.data import images, walk

SPLITS = {"train": ("train", "training"), "val": ("val", "valid", "validation"), "test": ("test", "testing")}
IMAGES = ("images", "imgs", "image", "img")
MASKS = ("masks", "labels", "annotations", "mask", "label", "segmentations")
SUFFIX = "_mask"

Pairs: TypeAlias = dict[str, tuple[Path, Path]]
"""Name of a sample, with folders (`site/a`) and without suffix -> its image and its mask."""


def subfolder(parent: Path, names: Sequence[str]) -> Path | None:
    """The folder of one of these names, in any case."""
    found = {path.name.lower(): path for path in sorted(parent.iterdir()) if path.is_dir()} if parent.is_dir() else {}
    return next((found[name] for name in names if name in found), None)


def by_split(root: Path, suffix: str = SUFFIX) -> dict[str, Pairs] | None:
    """The pairs of each split that has a folder, or of the lists of all three; None if there are neither.

    Raises:
        UserError: an image has no mask, or a mask no image; a split has two folders; a list names what is not there.
    """
    lists = {split: root / f"{split}.txt" for split in SPLITS}
    if all(path.is_file() for path in lists.values()):
        everything = pairs(root, suffix)
        return {split: _listed(path, everything) for split, path in lists.items()}
    parts = {split: subfolder(root, names) for split, names in SPLITS.items()}
    for names in SPLITS.values():
        several = [name for name in names if subfolder(root, [name])]
        if len(several) > 1:
            raise UserError(f"{root} has both {several[0]}/ and {several[1]}/; keep one of them")
    if any(parts.values()):
        return {split: pairs(folder, suffix) for split, folder in parts.items() if folder}
    image_folder, mask_folder = subfolder(root, IMAGES), subfolder(root, MASKS)
    if image_folder is None or mask_folder is None:
        return None
    found = {}
    for split, names in SPLITS.items():
        originals, masks = subfolder(image_folder, names), subfolder(mask_folder, names)
        if originals and masks:
            found[split] = _matched(originals, masks, suffix)
    return found or None


def _listed(path: Path, pairs: Pairs) -> Pairs:
    chosen = {}
    for line in _text(path).splitlines():
        name = line.strip()
        if not name:
            continue
        spellings = (name, Path(name).with_suffix("").as_posix(), Path(name).stem)
        stem = next((spelling for spelling in spellings if spelling in pairs), None)
        if stem is None:
            raise UserError(f"{path} lists '{name}', which is not in images/")
        chosen[stem] = pairs[stem]
    return chosen


def _text(path: Path) -> str:
    """The text of a list in UTF-8, or in UTF-16 with its mark."""
    content = path.read_bytes()
    marked = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return content.decode("utf-16" if marked else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not text in UTF-8 ({error.reason}); save it in UTF-8") from error


def pairs(folder: Path, suffix: str = SUFFIX) -> Pairs:
    """The pairs of a folder, in the order of their names.

    Raises:
        UserError: there are no two folders and no pairs side by side, an image has no mask, or a mask no image.
    """
    found = find_pairs(folder, suffix)
    if found is None:
        missing = folder / ("masks" if subfolder(folder, IMAGES) else "images")
        raise UserError(f"no folder {missing}, and no pairs such as x.jpg, x{suffix}.png; {content(folder)}")
    return found


def find_pairs(folder: Path, suffix: str = SUFFIX) -> Pairs | None:
    """The same; None if there are neither two folders nor pairs side by side.

    Raises:
        UserError: an image has no mask, or a mask no image.
    """
    image_folder, mask_folder = subfolder(folder, IMAGES), subfolder(folder, MASKS)
    if image_folder and mask_folder:
        return _matched(image_folder, mask_folder, suffix)
    return None if image_folder or mask_folder else _side_by_side(folder, suffix) or None


def unsplit(root: Path) -> str:
    """Says what a folder without splits holds, and what to do.

    Raises:
        UserError: an image has no mask, or a mask no image.
    """
    found = find_pairs(root)
    if found is None:
        return (
            f"{root} has neither the folders train/, val/, test/ (each with images/ and masks/) nor images/ and "
            f"masks/, nor pairs such as x.jpg, x{SUFFIX}.png; {content(root)}"
        )
    return (
        f"{root} has {len(found)} images with masks, but no splits: bench data split {root} --out {root}-split (with "
        "--group REGEX, which finds the recording in a name); or write names into train.txt, val.txt and test.txt"
    )


def content(folder: Path) -> str:
    """What a folder holds, in words."""
    inside = sorted(folder.iterdir()) if folder.is_dir() else []
    folders = [f"{path.name}/" for path in inside if path.is_dir()]
    files = [path for path in inside if path.is_file()]
    formats = sorted({path.suffix.lower() or path.name for path in files})
    parts = [", ".join(folders[:6])] if folders else []
    parts += [f"{len(files)} file(s) ({', '.join(formats[:6])})"] if files else []
    return f"{folder} holds {' and '.join(parts) or 'nothing'}"


def _side_by_side(folder: Path, suffix: str) -> Pairs:
    """`x.jpg` with `x_mask.png`; empty if there is no mask."""
    files = {path.with_suffix("").name: path for path in _images(folder, nested=False)}
    masks = {name: path for name, path in files.items() if suffix and name.endswith(suffix)}
    if not masks:
        return {}
    originals = {name: path for name, path in files.items() if name not in masks}
    return _joined(originals, {name.removesuffix(suffix): path for name, path in masks.items()}, folder, folder)


def _matched(image_folder: Path, mask_folder: Path, suffix: str) -> Pairs:
    """Two folders; a mask is called like its image, or has the suffix besides."""
    originals, masks = _named(image_folder), _named(mask_folder)
    if suffix:
        keys = {_key(name) for name in originals}
        masks = {name if _key(name) in keys else name.removesuffix(suffix): path for name, path in masks.items()}
    return _joined(originals, masks, image_folder, mask_folder)


def _joined(originals: dict[str, Path], masks: dict[str, Path], image_folder: Path, mask_folder: Path) -> Pairs:
    by_key = {_key(name): path for name, path in masks.items()}
    keys = {_key(name) for name in originals}
    sides = (
        ([path for name, path in originals.items() if _key(name) not in by_key], image_folder, mask_folder),
        ([path for name, path in masks.items() if _key(name) not in keys], mask_folder, image_folder),
    )
    for alone, folder, other in sides:
        if alone:
            raise UserError(
                f"{len(alone)} file(s) in {folder} have no partner in {other.name}/, e.g. {alone[0].name}"
                f"{_unread((image_folder, mask_folder))}"
            )
    return {name: (path, by_key[_key(name)]) for name, path in originals.items()}


def _unread(folders: Iterable[Path]) -> str:
    """Names the files whose format is not read, if there are some: their partners are missed."""
    others = [path for folder in folders for path in walk.files(folder) if path.suffix.lower() not in images.SUFFIXES]
    if not others:
        return ""
    known = ", ".join(sorted(suffix[1:] for suffix in images.SUFFIXES))
    return f"; {len(others)} file(s) are of other formats than {known}, e.g. {others[0].name}: save them as PNG"


def _named(folder: Path) -> dict[str, Path]:
    """The images below a folder by their place in it, without suffix.

    Raises:
        UserError: two files share a name.
    """
    found: dict[str, Path] = {}
    for path in _images(folder):
        name = path.relative_to(folder).with_suffix("").as_posix()
        if name in found:
            raise UserError(f"{found[name]} and {path.name} share a name; keep one of them")
        found[name] = path
    return found


def _images(folder: Path, *, nested: bool = True) -> list[Path]:
    return [path for path in walk.files(folder, nested=nested) if path.suffix.lower() in images.SUFFIXES]


def _key(name: str) -> str:
    """The name in one of its spellings in Unicode: systems write é as one sign or as two."""
    return unicodedata.normalize("NFC", name)
