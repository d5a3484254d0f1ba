"""Read every file of a dataset once, and summarise its splits."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmark.common import workers
from benchmark.common.errors import UserError
from benchmark.common.progress import Report
from benchmark.data import layout
from benchmark.tools.audit import findings, pairs
from benchmark.tools.audit.findings import Finding
from benchmark.tools.audit.pairs import Split, Task
from benchmark.tools.audit.sample import Seen, look

_IN_PROCESS = 16  # samples: with fewer, starting workers takes longer than decoding


@dataclass(frozen=True, kw_only=True, slots=True)
class Balance:
    """The share of foreground over the masks of a split, in [0, 1]."""

    mean: float
    low: float
    """5 % of the masks have less."""
    median: float
    high: float
    """5 % of the masks have more."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """A sample's thumbnails: image uint8 (96, 192[, 3]), and how much of each pixel is foreground (255: all of it).

    None if a file is missing or cannot be read. Paths are relative to the dataset's top folder.
    """

    name: str
    paths: tuple[Path, ...]
    image: NDArray[np.uint8] | None
    mask: NDArray[np.uint8] | None


@dataclass(frozen=True, kw_only=True, slots=True)
class SplitAudit:
    """The summary of a split. `groups` counts recordings, or songs and backgrounds of mixtures.

    `sizes` are (width, height) in pixels of the smallest, the median and the largest image by area, None if no image
    can be read. `balance` is None if no mask can be read; `foreground` is the share of every readable mask.
    """

    name: str
    folder: str
    images: int
    masks: int
    groups: Mapping[str, int]
    sizes: tuple[tuple[int, int], tuple[int, int], tuple[int, int]] | None
    empty_masks: int
    balance: Balance | None
    foreground: tuple[float, ...]
    pictures: tuple[Picture, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Audit:
    """The summary of a dataset, and the findings, the worst first."""

    root: Path
    splits: tuple[SplitAudit, ...]
    findings: tuple[Finding, ...]

    @property
    def leaks(self) -> bool:
        """Whether two splits share something that they must not share."""
        return any(finding.severity == "leakage" for finding in self.findings)

    @property
    def sound(self) -> bool:
        """Whether neither leakage nor a problem was found."""
        return all(finding.severity == "note" for finding in self.findings)


def scan(root: Path, report: Report) -> Audit:
    """Decode every image and mask below `root`. A bad file is a finding, never an error.

    Raises:
        UserError: `root` is not a folder, or has no folder of a split, or no image.
    """
    splits = pairs.find(root)
    samples, unreadable = _samples(root)
    seen = _look([task for split in splits for task in pairs.tasks(split)], report)
    found = findings.ordered((*findings.find(root, splits, seen, samples), *unreadable))
    by_split = {split.name: [one for one in seen if one.task.split == split.name] for split in splits}
    return Audit(
        root=root,
        splits=tuple(_summary(root, split, by_split[split.name], samples) for split in splits),
        findings=found,
    )


def _samples(root: Path) -> tuple[findings.Samples | None, list[Finding]]:
    """The table of mixtures, or None; if it cannot be read, a finding, and file names tell recordings apart."""
    try:
        return layout.read_samples(root), []
    except UserError as error:
        text = str(error).replace(f"{root}{os.sep}", "")
        return None, [Finding(severity="problem", kind="samples.csv", text=text, paths=(Path(layout.SAMPLES),))]


def _look(tasks: Sequence[Task], report: Report) -> list[Seen]:
    """The facts of every task, in order: from worker processes, or from this process if the work is small."""
    report("auditing", 0, len(tasks), "")
    found = []
    for one in map(look, tasks) if len(tasks) <= _IN_PROCESS else workers.ordered(look, tasks):
        found.append(one)
        report("auditing", len(found), len(tasks), "")
    return found


def _summary(root: Path, split: Split, seen: Sequence[Seen], samples: findings.Samples | None) -> SplitAudit:
    members: dict[str, set[str]] = {}
    for one in seen:
        if one.task.image is not None:
            for kind, value in findings.groups(one, samples).items():
                members.setdefault(kind, set()).add(value)
    shares = {one.task.mask: one.mask.foreground for one in seen if one.mask is not None}  # each mask once
    foreground = tuple(shares.values())
    sizes = sorted(
        (one.image.size for one in seen if one.image is not None), key=lambda size: (size[0] * size[1], size)
    )
    return SplitAudit(
        name=split.name,
        folder=split.folder.name,
        images=len(split.images or ()),
        masks=len(split.masks or ()),
        groups={kind: len(values) for kind, values in members.items()},
        sizes=(sizes[0], sizes[(len(sizes) - 1) // 2], sizes[-1]) if sizes else None,
        empty_masks=foreground.count(0.0),
        balance=_balance(foreground),
        foreground=foreground,
        pictures=tuple(_picture(root, one) for one in seen if one.task.picture),
    )


def _balance(foreground: Sequence[float]) -> Balance | None:
    if not foreground:
        return None
    low, median, high = np.percentile(foreground, (5, 50, 95)).tolist()
    return Balance(mean=float(np.mean(foreground)), low=low, median=median, high=high)


def _picture(root: Path, seen: Seen) -> Picture:
    paths = (path for path in (seen.task.image, seen.task.mask) if path is not None)
    return Picture(
        name=seen.task.stem,
        paths=tuple(path.relative_to(root) for path in paths),
        image=None if seen.image is None else seen.image.thumbnail,
        mask=None if seen.mask is None else seen.mask.thumbnail,
    )
