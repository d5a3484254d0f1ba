"""Every image is decoded, hashed and resized once; later runs map the result into memory and start at once.

A cache entry holds, per split, `<split>.images.npy` uint8 (N, H, W) or (N, H, W, 3) and `<split>.masks.npy` bool
(N, H, W) at the protocol's size, of the test split the native masks packed to one bit per pixel and the sounds, and
`manifest.jsonl`: one line per sample with its groups and the SHA-256 of its decoded pixels and sounds. The manifest's
own SHA-256 locks the split: one changed pixel, and a run belongs to another table.

A build that was interrupted, or that found bad samples, keeps what it decoded (`building`). Entries that a new one
supersedes, and those that were not used for 60 days, are removed when one is built (`tidying`).
"""

import hashlib
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark import protocols
from benchmark.common import files
from benchmark.common.errors import UserError, first_line
from benchmark.common.progress import Report
from benchmark.contract import Splits
from benchmark.data import arrays, build, cleanup, decode, images, recordings, spectrogram, validate
from benchmark.data import entry as storing
from benchmark.data.entry import MANIFEST
from benchmark.data.manifest import Row, read_rows
from benchmark.data.sample_keys import Listed, listed
from benchmark.data.validate import SPLITS


@dataclass(frozen=True, kw_only=True, slots=True)
class CachedSplit:
    """A decoded split: images uint8 (N, H, W[, 3]) and masks bool (N, H, W), memory-mapped, and its manifest rows."""

    name: str
    images: NDArray[np.uint8]
    masks: NDArray[np.bool_]
    rows: tuple[Row, ...]
    native: NDArray[np.uint8]
    """Native masks of the test split, packed and end to end; empty for the others."""
    sounds: NDArray[np.float32]
    """Of the test split, noisy and clean of each sample that has them, end to end; empty for the others."""

    @property
    def has_sounds(self) -> bool:
        """Whether every sample has its sounds: scores of a part would look like scores of the whole."""
        return all(row.sound is not None for row in self.rows)

    def native_sounds(self) -> "Iterator[tuple[NDArray[np.float32], NDArray[np.float32]] | None]":
        """The noisy and the clean sound of each sample, (samples,) each; None where they are not known."""
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
    splits: Splits, *, identity: Mapping[str, Any], size: tuple[int, int], grey: bool, report: Report
) -> Cached:
    """Decode a dataset, or map what was decoded before.

    `identity` names the dataset (label, source hash, folder); of what it does not tell apart, the cache keeps the last
    listing. `size` is (height, width); `grey` turns colour into luma.

    Raises:
        UserError: a split is missing or empty, ids repeat, images or masks cannot be read or do not fit each other, or
            the disk has no room.
    """
    listing = listed(validate.checked_listing(splits))
    entry = files.cache_folder() / _name(listing, {**identity, "size": list(size), "grey": grey})
    if (entry / MANIFEST).is_file():
        cleanup.remove_lock(entry)
        with suppress(FileNotFoundError):  # in this moment another process removed it
            return _open(entry)
    waiting = partial(report, "waiting", 0, 0, "another process is decoding this dataset")
    with files.locked(entry.with_suffix(".lock"), waiting):
        if not (entry / MANIFEST).is_file():
            build.build(entry, listing, size=size, grey=grey, report=report)
        try:
            return _open(entry)  # before the lock is released: nobody removes it
        except FileNotFoundError as error:
            raise _damaged(entry, error) from error


def _name(listing: Sequence[Listed], identity: Mapping[str, Any]) -> str:
    """Whatever can move a decoded pixel: the settings and the code that decodes; then the listing and its files."""
    modules = (images, recordings, spectrogram, decode, arrays, storing, sys.modules[__name__])
    code = [hashlib.sha256(Path(str(module.__file__)).read_bytes()).hexdigest() for module in modules]
    settings = hashlib.sha256(json.dumps([protocols.REVISION, identity, code], sort_keys=True).encode())
    samples = hashlib.sha256("".join(one.key for one in listing).encode())
    return settings.hexdigest()[: cleanup.SETTINGS_DIGITS] + samples.hexdigest()[: 24 - cleanup.SETTINGS_DIGITS]


def _open(entry: Path) -> Cached:
    """Map an entry, and note that it is used.

    Raises:
        FileNotFoundError: one of its files is not there.
        UserError: it is damaged otherwise.
    """
    cleanup.mark_used(entry)
    try:
        return _opened(entry)
    except FileNotFoundError:
        raise
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        raise _damaged(entry, error) from error


def _damaged(entry: Path, error: Exception) -> UserError:
    text = first_line(error) or type(error).__name__
    return UserError(f"{entry} in the cache is damaged ({text}); remove it, and it is made again")


def _opened(entry: Path) -> Cached:
    manifest = (entry / MANIFEST).read_text(encoding="utf-8")
    rows = read_rows(manifest)
    splits = {
        name: CachedSplit(
            name=name,
            # Copy on write: torch refuses read-only memory, and the file must never change. Objects cannot be mapped:
            # nothing is unpickled.
            images=np.lib.format.open_memmap(entry / f"{name}.images.npy", "c"),
            masks=np.lib.format.open_memmap(entry / f"{name}.masks.npy", "c"),
            rows=tuple(row for row in rows if row.split == name),
            native=_mapped(entry / f"{name}.native.bin", np.uint8),
            sounds=_mapped(entry / f"{name}.sounds.bin", np.float32),
        )
        for name in SPLITS
    }
    for split in splits.values():
        _check_lengths(split)
    return Cached(splits=splits, manifest=manifest, digest=hashlib.sha256(manifest.encode()).hexdigest())


def _check_lengths(split: CachedSplit) -> None:
    """NumPy sees that an array lacks its end; what lies end to end is counted."""
    masks = sum(-(-row.height * row.width // 8) for row in split.rows) if split.name == "test" else 0
    sounds = sum(2 * row.sound.samples for row in split.rows if row.sound)
    if len(split.images) != len(split.rows) or (split.native.size, split.sounds.size) != (masks, sounds):
        raise ValueError(f"the files of split '{split.name}' are not as long as the manifest says")


def _mapped(path: Path, dtype: Any) -> NDArray[Any]:
    """A file of numbers; an empty one cannot be mapped."""
    return np.memmap(path, dtype, "r") if path.stat().st_size else np.empty(0, dtype)
