"""Read every file of a dataset once, and say what it holds."""

import os
from collections.abc import Iterator, Mapping, Sequence
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

_IN_PROCESS = 16  # up to so many samples, starting workers would take longer than decoding


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
    """A sample's thumbnails: image uint8 (96, 192), and how much of each pixel is foreground, 255 for all.

    None where there is no such file or it cannot be read. Paths are relative to the dataset's top folder.
    """

    name: str
    paths: tuple[Path, ...]
    image: NDArray[np.uint8] | None
    mask: NDArray[np.uint8] | None


@dataclass(frozen=True, kw_only=True, slots=True)
class SplitAudit:
    """What a split holds. Counts are of files; `groups` counts recordings, or songs and backgrounds of mixtures.

    `sizes` are (width, height) in pixels of the smallest, the median and the largest image by area, None where no
    image can be read; `balance` is None where no mask can; `foreground` is the share of every readable mask.
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
    """What a dataset holds, and what is wrong with it, the worst first."""

    root: Path
    splits: tuple[SplitAudit, ...]
    findings: tuple[Finding, ...]

    @property
    def leaks(self) -> bool:
        """Whether anything is in two splits that must not be."""
        return any(finding.severity == "leakage" for finding in self.findings)


def scan(root: Path, report: Report) -> Audit:
    """Decode every image and mask below `root`. A bad file is a finding, never an error.

    Raises:
        UserError: `root` is no folder, holds no folder of a split, or not one image.
    """
    splits = pairs.find(root)
    samples, unreadable = _samples(root)
    seen = list(_look([task for split in splits for task in pairs.tasks(split)], report))
    found = findings.ordered((*findings.find(root, splits, seen, samples), *unreadable))
    by_split = {split.name: [one for one in seen if one.task.split == split.name] for split in splits}
    return Audit(
        root=root,
        splits=tuple(_summary(root, split, by_split[split.name], samples) for split in splits),
        findings=found,
    )


def _samples(root: Path) -> tuple[findings.Samples | None, list[Finding]]:
    """The table of mixtures if there is one; where it cannot be read, recordings are told apart by their names."""
    try:
        return layout.read_samples(root), []
    except UserError as error:
        text = str(error).replace(f"{root}{os.sep}", "")
        return None, [Finding(severity="problem", kind="samples.csv", text=text, paths=(Path(layout.SAMPLES),))]


def _look(tasks: Sequence[Task], report: Report) -> Iterator[Seen]:
    """Every task's summary, in order: from worker processes, or from this one where the work is small."""
    report("auditing", 0, len(tasks), "")
    if len(tasks) <= _IN_PROCESS:
        yield from _reported(map(look, tasks), len(tasks), report)
        return
    with workers.pool() as pool:
        yield from _reported(pool.map(look, tasks, chunksize=4), len(tasks), report)


def _reported(seen: Iterator[Seen], total: int, report: Report) -> Iterator[Seen]:
    for number, one in enumerate(seen, start=1):
        report("auditing", number, total, "")
        yield one


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
