"""Decode a dataset once: every image is read, hashed and resized, and later runs map the result into memory.

An entry of the cache is a folder. It holds for each split `<split>.images.npy` uint8 (N, H, W) or (N, H, W, 3) and
`<split>.masks.npy` bool (N, H, W) at the protocol's size, and for the test split the native masks, packed to one bit
per pixel, and the sounds. `manifest.jsonl` has a line per sample with its groups and the SHA-256 of its decoded pixels
and sounds, `masks.json` the `MaskFacts` of each split. The SHA-256 of the manifest is part of a run's key: one changed
pixel, and the run belongs to another table.

`build` makes an entry, or continues an interrupted build. `cleanup` removes old entries.
"""

import hashlib
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark import protocols
from benchmark.common import code, files
from benchmark.common.errors import UserError, first_line
from benchmark.common.progress import Report
from benchmark.contract import Splits
from benchmark.data import build, cleanup, decode, images, manifest, masks, recordings, spectrogram, validate
from benchmark.data.cleanup import FACTS, MANIFEST
from benchmark.data.manifest import Row, read_rows
from benchmark.data.sample_keys import KeyedSample, keyed_samples
from benchmark.data.spectrogram import PUBLISHED, Transform
from benchmark.data.validate import SPLITS


@dataclass(frozen=True, kw_only=True, slots=True)
class MaskFacts:
    """What became of a split's masks: `vanished` of them have foreground in their file and none at the protocol's size.

    `smoothed` of them had pixels between background and foreground, `between` in all, which were thresholded.
    """

    vanished: int
    smoothed: int
    between: int


@dataclass(frozen=True, kw_only=True, slots=True)
class CachedSplit:
    """A decoded split: images uint8 (N, H, W[, 3]) and masks bool (N, H, W), memory-mapped, and its manifest rows."""

    name: str
    images: NDArray[np.uint8]
    masks: NDArray[np.bool_]
    rows: tuple[Row, ...]
    native: NDArray[np.uint8]
    """The native masks of the test split, packed and end to end; empty for the other splits."""
    sounds: NDArray[np.float32]
    """The noisy and the clean sound of each test sample that has them, end to end; empty for the other splits."""
    facts: MaskFacts
    transform: Transform = PUBLISHED
    """Of the sounds to images."""

    @property
    def has_sounds(self) -> bool:
        """Whether every sample has its sounds: scores of a part would look like scores of the whole."""
        return all(row.sound is not None for row in self.rows)

    def native_sounds(self) -> "Iterator[tuple[NDArray[np.float32], NDArray[np.float32]] | None]":
        """The noisy and the clean sound of each sample, (samples,) each; None for a sample without sounds."""
        start = 0
        for row in self.rows:
            if row.sound is None:
                yield None
                continue
            length = row.sound.samples
            yield self.sounds[start : start + length], self.sounds[start + length : start + 2 * length]
            start += 2 * length

    def native_masks(self) -> Iterator[NDArray[np.bool_]]:
        """The masks at the size of their files, one (height, width) after the other."""
        start = 0
        for row in self.rows:
            pixels = row.height * row.width
            end = start + -(-pixels // 8)
            yield np.unpackbits(self.native[start:end], count=pixels).reshape(row.height, row.width).astype(bool)
            start = end


@dataclass(frozen=True, kw_only=True, slots=True)
class Cached:
    """A decoded dataset; `digest` is the SHA-256 of the manifest's text."""

    splits: Mapping[str, CachedSplit]
    manifest: str
    digest: str

    @property
    def rows(self) -> list[Row]:
        """The rows of all splits."""
        return [row for split in self.splits.values() for row in split.rows]


def prepare(
    splits: Splits,
    *,
    identity: Mapping[str, Any],
    size: tuple[int, int],
    grey: bool,
    report: Report,
    transform: Transform = PUBLISHED,
) -> Cached:
    """Map the decoded dataset into memory, and decode it first if the cache does not have it.

    `identity` names the dataset (label, source hash, folder). The cache keeps the last listing of each identity with
    its settings. `size` is (height, width); `grey` turns colour into luma; `transform` made the images of sounds.

    Raises:
        UserError: a split is missing or empty, ids repeat, images or masks cannot be read or do not fit each other, or
            the disk has no room.
    """
    listing = keyed_samples(validate.checked_listing(splits))
    settings = _settings_digest({**identity, "size": list(size), "grey": grey, "transform": asdict(transform)})
    entry = files.cache_folder() / f"{settings}{_listing_digest(listing)}"
    lock = entry.with_name(f"{settings}.lock")
    # The lock file exists while a process builds, or after a kill; the next process that takes it clears up.
    if (entry / MANIFEST).is_file() and not lock.exists():
        with suppress(FileNotFoundError):  # another process has just removed the entry
            return _open(entry, transform)
    waiting = partial(report, "waiting", 0, 0, "another process is decoding this dataset")
    with files.locked(lock, waiting):
        if not (entry / MANIFEST).is_file():
            build.build(entry, listing, decode.Form(size=size, grey=grey, transform=transform), report)
        cleanup.clean(entry)
        try:
            return _open(entry, transform)  # under the lock: no other listing can replace the entry
        except FileNotFoundError as error:
            raise _damaged(entry, error) from error


def _settings_digest(identity: Mapping[str, Any]) -> str:
    """A digest of what decides how samples are decoded: the settings, and the code without its comments."""
    modules = (images, masks, recordings, spectrogram, decode, manifest, build, sys.modules[__name__])
    hashes = [code.digest(Path(str(module.__file__)).read_bytes()) for module in modules]
    text = json.dumps([protocols.REVISION, identity, hashes], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[: cleanup.SETTINGS_DIGITS]


def _listing_digest(listing: Sequence[KeyedSample]) -> str:
    """A digest of the samples and the states of their files."""
    return hashlib.sha256("".join(one.key for one in listing).encode()).hexdigest()[: cleanup.LISTING_DIGITS]


def _open(entry: Path, transform: Transform) -> Cached:
    """Map an entry, and note that it is used.

    Raises:
        FileNotFoundError: one of its files is missing.
        UserError: it is damaged otherwise.
    """
    cleanup.mark_used(entry)
    try:
        return _mapped_entry(entry, transform)
    except FileNotFoundError:
        raise
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        raise _damaged(entry, error) from error


def _damaged(entry: Path, error: Exception) -> UserError:
    text = first_line(error) or type(error).__name__
    return UserError(f"{entry} in the cache is damaged ({text}); remove it, and the next run makes it again")


def _mapped_entry(entry: Path, transform: Transform) -> Cached:
    text = (entry / MANIFEST).read_text(encoding="utf-8")
    rows = read_rows(text)
    facts = json.loads((entry / FACTS).read_text(encoding="utf-8"))
    splits = {
        name: CachedSplit(
            name=name,
            # Copy on write: torch refuses read-only memory, and the file must never change. Objects cannot be mapped:
            # nothing is unpickled.
            images=np.lib.format.open_memmap(entry / f"{name}.images.npy", "c"),
            masks=np.lib.format.open_memmap(entry / f"{name}.masks.npy", "c"),
            rows=tuple(row for row in rows if row.split == name),
            native=_mapped_numbers(entry / f"{name}.native.bin", np.uint8),
            sounds=_mapped_numbers(entry / f"{name}.sounds.bin", np.float32),
            facts=MaskFacts(**facts[name]),
            transform=transform,
        )
        for name in SPLITS
    }
    for split in splits.values():
        _check_lengths(split)
    return Cached(splits=splits, manifest=text, digest=hashlib.sha256(text.encode()).hexdigest())


def _check_lengths(split: CachedSplit) -> None:
    """NumPy notices that an array lacks its end; the files without a header are measured here."""
    masks = sum(-(-row.height * row.width // 8) for row in split.rows) if split.name == "test" else 0
    sounds = sum(2 * row.sound.samples for row in split.rows if row.sound)
    if len(split.images) != len(split.rows) or (split.native.size, split.sounds.size) != (masks, sounds):
        raise ValueError(f"the files of split '{split.name}' are not as long as the manifest says")


def _mapped_numbers(path: Path, dtype: Any) -> NDArray[Any]:
    """A file of numbers; an empty file cannot be mapped."""
    return np.memmap(path, dtype, "r") if path.stat().st_size else np.empty(0, dtype)
