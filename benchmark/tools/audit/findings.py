"""Find what is wrong with a dataset: leakage between splits, problems to fix, and notes.

Paths are relative to the dataset's top folder.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from os import sep
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np

from benchmark.data import layout
from benchmark.tools.audit import likeness
from benchmark.tools.audit.pairs import Split
from benchmark.tools.audit.sample import Seen

Severity: TypeAlias = Literal["leakage", "problem", "note"]
SEVERITIES: tuple[Severity, ...] = ("leakage", "problem", "note")
Samples: TypeAlias = Mapping[tuple[str, str], layout.MixedSample]

# Shares of pixels. The published images are mirrored exactly, the published masks in 99.4 % of their pixels.
_IMAGE_UNMIRRORED, _MASK_UNMIRRORED = 0.01, 0.02
_NAMED = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One fact about a dataset that its user should know, and the files that it concerns."""

    severity: Severity
    kind: str
    text: str
    paths: tuple[Path, ...] = ()


def find(root: Path, splits: Sequence[Split], seen: Sequence[Seen], samples: Samples | None) -> tuple[Finding, ...]:
    """All findings, the worst first."""
    found = chain(
        _shared_groups(root, seen, samples),
        _same_pixels(root, seen),
        _folders(root, splits),
        _names(root, splits),
        _table(root, splits, samples),
        _near_duplicates(root, seen, samples),
        _mirrors(seen),
        _inverted(splits, seen),
        *(_files(root, one) for one in seen),
        _pairs(root, splits, seen),
    )
    return ordered(found)


def ordered(found: Iterable[Finding]) -> tuple[Finding, ...]:
    """By severity, kind and text."""
    # A set, because two images of one name share a mask, and its findings come twice.
    return tuple(sorted(set(found), key=lambda one: (SEVERITIES.index(one.severity), one.kind, one.text)))


def groups(seen: Seen, samples: Samples | None) -> dict[str, str]:
    """The groups that must not be in two splits: an image's recording, or a mixture's song and background."""
    if samples is None:
        return {} if seen.task.own else {"recording": layout.recording(seen.task.stem)}
    sample = samples.get((seen.task.split, seen.task.stem))
    return {} if sample is None else {"song": sample.song, "background": sample.background}


def _shared_groups(root: Path, seen: Sequence[Seen], samples: Samples | None) -> Iterator[Finding]:
    members: dict[tuple[str, str], list[Seen]] = {}
    for one in _images(seen):
        for group in groups(one, samples).items():
            members.setdefault(group, []).append(one)
    for (kind, value), shared in members.items():
        if len({one.task.split for one in shared}) > 1:
            yield Finding(
                severity="leakage",
                kind=f"{kind} in two splits",
                text=f"{value}: {_listed(root, shared)}",
                paths=_paths(root, shared),
            )


def _same_pixels(root: Path, seen: Sequence[Seen]) -> Iterator[Finding]:
    for same in _by_digest(seen).values():
        if len(same) < 2:
            continue
        across = len({one.task.split for one in same}) > 1
        yield Finding(
            severity="leakage" if across else "note",
            kind=f"identical pixels in {'two splits' if across else 'one split'}",
            text=_listed(root, same),
            paths=_paths(root, same),
        )


def _near_duplicates(root: Path, seen: Sequence[Seen], samples: Samples | None) -> Iterator[Finding]:
    digests = list(_by_digest(seen).values())  # `_same_pixels` reports identical images: here each is compared once
    facts = [same[0].image for same in digests if same[0].image is not None]
    if len(facts) < 2:
        return
    hashes = np.array([fact.phash for fact in facts], np.uint64)
    for group in likeness.alike(hashes, np.stack([fact.outline for fact in facts])):
        alike = sorted(chain.from_iterable(digests[index] for index in group), key=_place)
        if samples is None and len({layout.recording(one.task.stem) for one in alike}) == 1:
            continue  # channels of one recording are alike; in two splits they are reported as leakage anyway
        if samples is not None and len({groups(one, samples).get("song") for one in alike}) == 1:
            continue  # mixtures of one song are alike
        across = len({one.task.split for one in alike}) > 1
        yield Finding(
            severity="note",
            kind=f"near-duplicates {'in two splits' if across else 'in one split'}",
            text=f"{'suspected leakage: ' if across else ''}{_listed(root, alike)}",
            paths=_paths(root, alike),
        )


def _folders(root: Path, splits: Sequence[Split]) -> Iterator[Finding]:
    """Missing folders; the test may lack its masks, as that of the published BirdSoundsDenoising does."""
    for split in splits:
        folder = split.folder.relative_to(root)
        if split.images is None:
            text = f"{folder}{sep} has no folder Images/"
            yield Finding(severity="problem", kind="missing folder", text=text, paths=(folder,))
        elif split.masks is None:
            text = f"{folder}{sep} has no folder Masks/ ({len(split.images)} images)"
            severity: Severity = "note" if split.name == "test" else "problem"
            kind = "no masks" if split.name == "test" else "missing folder"
            yield Finding(severity=severity, kind=kind, text=text, paths=(folder,))


def _names(root: Path, splits: Sequence[Split]) -> Iterator[Finding]:
    for files in (files for split in splits if split.pairs is None for files in (split.images, split.masks)):
        named: dict[str, list[Path]] = {}
        for path in files or ():
            named.setdefault(path.stem, []).append(path.relative_to(root))
        for paths in named.values():
            if len(paths) > 1:
                text = ", ".join(map(str, paths))
                yield Finding(severity="problem", kind="shared name", text=text, paths=tuple(paths))


def _table(root: Path, splits: Sequence[Split], samples: Samples | None) -> Iterator[Finding]:
    """Samples that are in samples.csv and not on disk, and the other way round."""
    if samples is None:
        return
    stems = {(split.name, path.stem): path.relative_to(root) for split in splits for path in split.images or ()}
    for split, stem in samples.keys() - stems.keys():
        text = f"{layout.SAMPLES} lists '{stem}' of {split}, which has no image"
        yield Finding(severity="problem", kind="samples.csv", text=text, paths=(Path(layout.SAMPLES),))
    for (split, stem), image in stems.items():
        for names in (layout.RAW, layout.CLEAN):
            parent = root / image.parent.parent
            sound = (layout.folder(parent, names) or parent / names[0]) / f"{stem}.wav"
            if not sound.is_file():
                text = f"{sound.relative_to(root)} of {split} is missing"
                yield Finding(severity="problem", kind="missing sound", text=text, paths=(image,))
    for key in stems.keys() - samples.keys():
        text = f"{stems[key]} is not in {layout.SAMPLES}"
        yield Finding(severity="problem", kind="samples.csv", text=text, paths=(stems[key],))


def _files(root: Path, seen: Seen) -> Iterator[Finding]:
    """Findings about a single file."""
    for path, error, kind in ((seen.task.image, seen.image_error, "image"), (seen.task.mask, seen.mask_error, "mask")):
        if path is not None and error:
            text = error.replace(f"{root}{sep}", "")
            yield Finding(severity="problem", kind=f"unreadable {kind}", text=text, paths=(path.relative_to(root),))
    image, mask = seen.image, seen.mask
    if image is not None and image.unmirrored is not None and image.unmirrored > _IMAGE_UNMIRRORED:
        yield _about(root, seen.task.image, "note", "asymmetric image", f"{image.unmirrored:.1%} of pixels differ")
    if mask is None:
        return
    if mask.unmirrored is not None and mask.unmirrored > _MASK_UNMIRRORED:
        yield _about(root, seen.task.mask, "note", "asymmetric mask", f"{mask.unmirrored:.1%} of pixels differ")
    if mask.refusal:
        yield _about(root, seen.task.mask, "problem", "mask not two-valued", mask.refusal)
    if mask.between:
        detail = f"{mask.between} pixels lie between background and foreground"
        yield _about(root, seen.task.mask, "note", "smoothed mask", detail)
    if mask.foreground in (0.0, 1.0) and not mask.refusal:
        yield _about(root, seen.task.mask, "note", "full mask" if mask.foreground else "empty mask", "")


def _pairs(root: Path, splits: Sequence[Split], seen: Sequence[Seen]) -> Iterator[Finding]:
    """Findings about an image and its mask together."""
    stems = {split.name: {path.stem for path in split.images} for split in splits if split.images is not None}
    with_masks = {split.name for split in splits if split.masks is not None}
    for one in seen:
        task = one.task
        if task.image is None and task.stem not in stems.get(task.split, {task.stem}):
            yield _about(root, task.mask, "problem", "mask without image", "")
        if task.mask is None and task.split in with_masks:
            yield _about(root, task.image, "problem", "image without mask", "")
        if one.image is not None and one.mask is not None and one.image.size != one.mask.size:
            (width, height), (mask_width, mask_height) = one.image.size, one.mask.size
            detail = f"{height} x {width}, but its mask is {mask_height} x {mask_width} (height x width)"
            yield _about(root, task.image, "problem", "different sizes", detail)


def _mirrors(seen: Sequence[Seen]) -> Iterator[Finding]:
    skipped = sum(one.image is not None and one.image.unmirrored is None and not one.task.own for one in seen)
    if skipped:
        text = f"{skipped} image(s) are not 1024 rows high, so their symmetry was not checked"
        yield Finding(severity="note", kind="symmetry not checked", text=text)


def _inverted(splits: Sequence[Split], seen: Sequence[Seen]) -> Iterator[Finding]:
    """Splits in which most masks are mostly foreground."""
    for split in splits:
        shares = [one.mask.foreground for one in seen if one.task.split == split.name and one.mask is not None]
        many = sum(share > 0.5 for share in shares)
        if many > len(shares) / 2:
            text = (
                f"{many} of {len(shares)} masks of {split.name} are more than half foreground: are they inverted? "
                "Then: bench run --dataset folder:foreground=0"
            )
            yield Finding(severity="problem", kind="mostly foreground", text=text)


def _about(root: Path, path: Path | None, severity: Severity, kind: str, detail: str) -> Finding:
    assert path is not None
    relative = path.relative_to(root)
    return Finding(
        severity=severity, kind=kind, text=f"{relative}: {detail}" if detail else str(relative), paths=(relative,)
    )


def _images(seen: Sequence[Seen]) -> list[Seen]:
    return [one for one in seen if one.task.image is not None]


def _by_digest(seen: Sequence[Seen]) -> dict[str, list[Seen]]:
    found: dict[str, list[Seen]] = {}
    for one in seen:
        if one.image is not None:
            found.setdefault(one.image.digest, []).append(one)
    return found


def _place(seen: Seen) -> tuple[str, str]:
    return seen.task.split, seen.task.stem


def _paths(root: Path, seen: Sequence[Seen]) -> tuple[Path, ...]:
    return tuple(one.task.image.relative_to(root) for one in seen if one.task.image is not None)


def _listed(root: Path, seen: Sequence[Seen]) -> str:
    """The first image of every split, then others: `Train/Images/a.png, Valid/Images/b.png and 3 more`."""
    firsts = {one.task.split: one for one in reversed(seen)}
    named = [one for one in seen if firsts[one.task.split] is one]
    named += [one for one in seen if firsts[one.task.split] is not one][: max(0, _NAMED - len(named))]
    text = ", ".join(map(str, _paths(root, named)))
    return f"{text} and {len(seen) - len(named)} more" if len(seen) > len(named) else text
