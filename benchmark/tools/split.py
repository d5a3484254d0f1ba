"""Split a folder of images and masks into train, val and test, by groups that stay together."""

import hashlib
import os
import random
import re
import shutil
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmark.common import files
from benchmark.common.errors import UserError
from benchmark.data import own_folders
from benchmark.data.own_folders import Pairs
from benchmark.data.validate import SPLITS


def split(
    root: Path, out: Path, *, group: str, mask_suffix: str, shares: Sequence[int], seed: int
) -> dict[str, list[str]]:
    """Write `out/train/images`, `out/train/masks`, ... and return the names of each split. Nothing is moved.

    Images whose files are the same stay together, whatever their names.

    Raises:
        UserError: the folder has no images with masks or has splits, `out` exists, the shares are not three positive
            numbers, a name does not match `group`, or there are fewer than three groups.
    """
    if out.exists():
        raise UserError(f"{out} exists; give another --out, or remove it")
    if min(shares) < 1:
        raise UserError(f"--shares {' '.join(map(str, shares))}: each split needs a share of at least 1")
    if own_folders.by_split(root, mask_suffix):
        raise UserError(f"{root} has splits already: bench run --dataset folder --data {root}")
    pairs = own_folders.pairs(root, mask_suffix)
    if not pairs:
        raise UserError(f"{root} holds no images that are read; {own_folders.content(root)}")
    chosen = draw(_groups(pairs, group), shares, seed)
    with files.atomic_folder(out) as target:
        for name, inside in chosen.items():
            for sample in inside:
                for kind, path in zip(("images", "masks"), pairs[sample], strict=True):
                    _place(path, target / name / kind / f"{sample}{path.suffix}")
    return chosen


def draw(groups: Mapping[str, Sequence[str]], shares: Sequence[int], seed: int) -> dict[str, list[str]]:
    """Deal groups to the splits in an order drawn from the seed: each to the split that lacks most of its share.

    The largest groups are dealt first, so that small ones even the shares out.

    Raises:
        UserError: there are fewer groups than splits.
    """
    if len(groups) < len(SPLITS):
        raise UserError(
            f"{len(groups)} group(s) cannot be in {len(SPLITS)} splits; narrow --group, or add other recordings"
        )
    order = sorted(groups)
    random.Random(seed).shuffle(order)
    order.sort(key=lambda name: -len(groups[name]))
    total = sum(map(len, groups.values()))
    wanted = {name: share * total / sum(shares) for name, share in zip(SPLITS, shares, strict=True)}
    chosen: dict[str, list[str]] = {name: [] for name in SPLITS}
    for place, label in enumerate(order):
        empty = [name for name in SPLITS if not chosen[name]]
        # The last groups go to splits that would stay empty.
        able = empty if len(order) - place <= len(empty) else SPLITS
        lacking = max(able, key=lambda name: wanted[name] - len(chosen[name]))
        chosen[lacking] += groups[label]
    return {name: sorted(inside) for name, inside in chosen.items()}


def _groups(pairs: Pairs, group: str) -> dict[str, list[str]]:
    """The names of each group; groups that share a file are one."""
    try:
        pattern = re.compile(group) if group else None
    except re.error as error:
        raise UserError(f"--group '{group}' is not a regular expression: {error}") from error
    found: dict[str, list[str]] = defaultdict(list)
    for name in pairs:
        match = pattern.search(name) if pattern else None
        if pattern and match is None:
            raise UserError(f"'{name}' does not match --group '{group}'; widen the expression")
        found[match[0] if match else name].append(name)
    first: dict[str, str] = {}
    merged: dict[str, list[str]] = {}
    joined: dict[str, str] = {}
    for label, names in found.items():
        hashes = [_digest(pairs[name][0]) for name in names]
        homes = {_home(first[one], joined) for one in hashes if one in first}
        home = min(homes, default=label)
        merged.setdefault(home, []).extend(names)
        for other in homes - {home}:
            merged[home] += merged.pop(other)
            joined[other] = home
        first.update(dict.fromkeys(hashes, home))
    return merged


def _home(label: str, joined: Mapping[str, str]) -> str:
    while label in joined:
        label = joined[label]
    return label


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error


def _place(source: Path, target: Path) -> None:
    """A hard link, or a copy where the disk has none."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source.resolve(), target)
    except OSError:
        shutil.copyfile(source, target)
