"""Any folder of images and masks, grey or in colour.

Either each split has a folder, `train/images`, `train/masks`, `val/...`, `test/...`; or all files lie in `images/` and
`masks/`, and `train.txt`, `val.txt` and `test.txt` list their names (with or without suffix), one per line. Image and
mask share their name up to the suffix; foreground is every mask pixel above zero.

`group` is a regular expression that finds the recording in a name (`--dataset folder:group=^[^_]+`); with it the core
refuses a recording in two splits. Without it recordings are unknown, and the table says so.
"""

import re
from functools import partial
from pathlib import Path

from benchmark.contract import DatasetSpec, Example, Sample, Splits, UserError
from benchmark.data import images

SPLITS = ("train", "val", "test")


def load(*, root: Path, group: str = "") -> Splits:
    """The splits of a folder.

    Raises:
        UserError: the folder has neither layout, a listed name has no image, an image no mask, or a mask no image.
    """
    if all((root / split).is_dir() for split in SPLITS):
        pairs = {split: _pairs(root / split) for split in SPLITS}
    elif all((root / f"{split}.txt").is_file() for split in SPLITS):
        everything = _pairs(root)
        pairs = {split: _listed(root / f"{split}.txt", everything) for split in SPLITS}
    else:
        raise UserError(
            f"{root} has neither the folders train/, val/, test/ (each with images/ and masks/) nor images/, masks/ "
            "and the lists train.txt, val.txt, test.txt; make one of them"
        )
    pattern = _compile(group)
    return {split: [_sample(stem, *files, pattern) for stem, files in found.items()] for split, found in pairs.items()}


def read(image: Path, mask: Path) -> Example:
    """Decode one pair."""
    return Example(image=images.read_image(image), mask=images.read_mask(mask))


def _pairs(folder: Path) -> dict[str, tuple[Path, Path]]:
    found = {}
    for name in ("images", "masks"):
        if not (folder / name).is_dir():
            raise UserError(f"no folder {folder / name}")
        found[name] = images.files_by_stem(folder / name)
    for one, other in (("images", "masks"), ("masks", "images")):
        alone = [path for stem, path in found[one].items() if stem not in found[other]]
        if alone:
            raise UserError(f"{len(alone)} file(s) in {folder / one} have no partner in {other}/, e.g. {alone[0].name}")
    return {stem: (path, found["masks"][stem]) for stem, path in found["images"].items()}


def _listed(path: Path, pairs: dict[str, tuple[Path, Path]]) -> dict[str, tuple[Path, Path]]:
    chosen = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        name = line.strip()
        if not name:
            continue
        stem = name if name in pairs else Path(name).stem
        if stem not in pairs:
            raise UserError(f"{path} lists '{name}', which is not in images/")
        chosen[stem] = pairs[stem]
    return chosen


def _compile(group: str) -> re.Pattern[str] | None:
    try:
        return re.compile(group) if group else None
    except re.error as error:
        raise UserError(f"group = '{group}' is not a regular expression: {error}") from error


def _sample(stem: str, image: Path, mask: Path, pattern: re.Pattern[str] | None) -> Sample:
    match = pattern.search(stem) if pattern else None
    if pattern and match is None:
        raise UserError(f"'{stem}' does not match group = '{pattern.pattern}'; widen the expression")
    # Without an expression the recordings are unknown, and the sample has no group.
    return Sample(
        id=stem, groups={"recording": match[0]} if match else {}, read=partial(read, image, mask), files=(image, mask)
    )


DATASET = DatasetSpec(
    load=load,
    title="A folder of images and masks",
    paper="",
    citation="",
    licence="the user's",
    needs_root=True,
)
