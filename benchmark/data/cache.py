"""Every image is decoded, hashed and resized once; later runs map the result into memory and start at once.

A cache entry holds, per split, `<split>.images.npy` uint8 (N, H, W) or (N, H, W, 3) and `<split>.masks.npy` bool
(N, H, W) at the protocol's size, of the test split the native masks packed to one bit per pixel and the sounds, and
`manifest.jsonl`: one line per sample with its groups and the SHA-256 of its decoded pixels and sounds. The manifest's
own SHA-256 locks the split: one changed pixel, and a run belongs to another table.

Workers import this module, so it stays free of torch.
"""

import hashlib
import json
import os
import pickle
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from platformdirs import user_cache_path

from benchmark import files, images, protocol, recordings, spectrogram, workers
from benchmark.contract import Example, Sample, Splits
from benchmark.data import validity
from benchmark.data.manifest import Row, SoundRow, read_line
from benchmark.data.validity import SPLITS
from benchmark.errors import UserError, first_line
from benchmark.progress import Report

_IN_PROCESS = 16  # up to so many samples, starting workers would take longer than decoding


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


def default_folder() -> Path:
    """`BENCH_CACHE`, or the user's cache folder."""
    return Path(os.environ.get("BENCH_CACHE") or user_cache_path("birdmask-bench"))


def prepare(
    splits: Splits, *, identity: Mapping[str, Any], size: tuple[int, int], grey: bool, report: Report
) -> Cached:
    """Decode a dataset, or map what was decoded before.

    `identity` names the dataset (label, source hash); `size` is (height, width); `grey` turns colour into luma.

    Raises:
        UserError: a split is missing or empty, ids repeat, an image or mask cannot be read or does not fit the other.
    """
    splits = validity.checked_listing(splits)
    key = _key(splits, {**identity, "size": list(size), "grey": grey})
    entry = default_folder() / key
    if not (entry / "manifest.jsonl").is_file():
        waiting = partial(report, "waiting", 0, 0, "another process is decoding this dataset")
        with files.locked(entry.with_suffix(".lock"), waiting):
            if not (entry / "manifest.jsonl").is_file():
                _build(entry, splits, size=size, grey=grey, report=report)
    return _open(entry)


def _key(splits: Splits, identity: Mapping[str, Any]) -> str:
    digest = hashlib.sha256()
    # Whatever can move a decoded pixel: the settings, the code that decodes, the listing, the files' state.
    modules = (images, recordings, spectrogram, sys.modules[__name__])
    code = [hashlib.sha256(Path(str(module.__file__)).read_bytes()).hexdigest() for module in modules]
    digest.update(json.dumps([protocol.REVISION, identity, code], sort_keys=True).encode())
    for split in SPLITS:
        for sample in splits[split]:
            state = [_state(sample, path) for path in sample.files]
            listed = [split, sample.id, sample.slice, dict(sample.groups), dict(sample.strata), state]
            digest.update(json.dumps(listed, sort_keys=True).encode())
    return digest.hexdigest()[:24]


def _state(sample: Sample, path: Path) -> tuple[str, int, int]:
    try:
        found = path.stat()
        return str(path.resolve()), found.st_size, found.st_mtime_ns
    except (OSError, ValueError) as error:  # a name with a zero byte is a ValueError
        raise UserError(f"sample '{sample.id}': {path} cannot be read: {error}") from error


def _build(entry: Path, splits: Splits, *, size: tuple[int, int], grey: bool, report: Report) -> None:
    temporary = entry.with_name(f".tmp-{entry.name}")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    total, done = sum(len(splits[name]) for name in SPLITS), 0
    try:
        with (temporary / "manifest.jsonl").open("w", encoding="utf-8") as manifest, _Mapper(total) as mapped:
            for split in SPLITS:
                samples = splits[split]
                decode = partial(_decode, split=split, size=size, grey=grey, keep_native=split == "test")
                with _SplitWriter(temporary, split, len(samples), size) as writer:
                    for index, decoded in enumerate(mapped(decode, samples)):
                        writer.put(index, decoded)
                        manifest.write(decoded.row.line() + "\n")
                        done += 1
                        report("decoding", done, total, "")
        temporary.rename(entry)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


class _Mapper:
    """`map` over worker processes, or in this one where the work is small."""

    def __init__(self, total: int) -> None:
        self._pool: ProcessPoolExecutor | None = None
        if total > _IN_PROCESS:
            self._pool = workers.pool()

    def __enter__(self) -> "Callable[[Callable[[Sample], _Decoded], Sequence[Sample]], Iterator[_Decoded]]":
        return self._map

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def _map(self, decode: "Callable[[Sample], _Decoded]", samples: Sequence[Sample]) -> "Iterator[_Decoded]":
        if self._pool is None:
            return map(decode, samples)
        try:
            pickle.dumps(samples[0].read)
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise UserError(
                f"read() of sample '{samples[0].id}' cannot be sent to workers ({error}); "
                "make it a module-level function or a functools.partial of one"
            ) from error
        return self._pool.map(decode, samples, chunksize=4)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Decoded:
    row: Row
    image: NDArray[np.uint8]
    mask: NDArray[np.bool_]
    native: NDArray[np.uint8]
    sounds: NDArray[np.float32]


class _SplitWriter:
    """Writes decoded samples into memory-mapped arrays; the images become (N, H, W, 3) with the first in colour."""

    def __init__(self, folder: Path, split: str, count: int, size: tuple[int, int]) -> None:
        self._image_path = folder / f"{split}.images.npy"
        self._images = np.lib.format.open_memmap(self._image_path, "w+", np.uint8, (count, *size))
        self._masks = np.lib.format.open_memmap(folder / f"{split}.masks.npy", "w+", np.bool_, (count, *size))
        self._native = (folder / f"{split}.native.bin").open("wb")
        self._sounds = (folder / f"{split}.sounds.bin").open("wb")

    def put(self, index: int, decoded: _Decoded) -> None:
        image = decoded.image
        if image.ndim == 3 and self._images.ndim == 3:
            self._to_colour(index)
        if image.ndim == 2 and self._images.ndim == 4:
            image = np.repeat(image[..., None], 3, axis=2)
        self._images[index] = image
        self._masks[index] = decoded.mask
        self._native.write(decoded.native.tobytes())
        self._sounds.write(decoded.sounds.tobytes())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._images.flush()
        self._masks.flush()
        self._native.close()
        self._sounds.close()

    def _to_colour(self, done: int) -> None:
        path = self._image_path.with_suffix(".colour")
        colour = np.lib.format.open_memmap(path, "w+", np.uint8, (*self._images.shape, 3))
        for index in range(done):
            colour[index] = self._images[index][..., None]
        path.replace(self._image_path)
        self._images = colour


def _decode(sample: Sample, *, split: str, size: tuple[int, int], grey: bool, keep_native: bool) -> _Decoded:
    try:
        example = sample.read()
    except (KeyboardInterrupt, UserError):
        raise
    except BaseException as error:  # the plugin's; SystemExit too
        what = f"{type(error).__name__}: {first_line(error)}"
        raise UserError(f"sample '{sample.id}' cannot be read: {what}") from error
    validity.check_example(sample, example)
    sounds, sound = _sounds(example) if keep_native else (np.empty(0, np.float32), None)
    row = Row(
        split=split,
        id=sample.id,
        slice=sample.slice,
        groups=dict(sample.groups),
        strata=dict(sample.strata),
        height=example.mask.shape[0],
        width=example.mask.shape[1],
        foreground=int(example.mask.sum()),
        image_sha256=_pixel_digest(example.image),
        mask_sha256=_pixel_digest(example.mask),
        sound=sound,
    )
    image = images.to_grey(example.image) if grey else example.image
    return _Decoded(
        row=row,
        image=images.resize_image(image, size),
        mask=images.resize_mask(example.mask, size),
        native=np.packbits(example.mask) if keep_native else np.empty(0, np.uint8),
        sounds=sounds,
    )


def _sounds(example: Example) -> tuple[NDArray[np.float32], SoundRow | None]:
    """Noisy and clean sound end to end, as far as the image's frames reach, and their line of the manifest."""
    audio = example.audio
    if audio is None:
        return np.empty(0, np.float32), None
    length = spectrogram.sample_count(example.mask.shape[1])
    sounds = np.concatenate([wave[:length].astype(np.float32) for wave in (audio.noisy, audio.clean)])
    return sounds, SoundRow(sample_rate=audio.sample_rate, samples=length, sha256=_pixel_digest(sounds))


def _pixel_digest(pixels: NDArray[Any]) -> str:
    digest = hashlib.sha256(f"{pixels.dtype} {pixels.shape} ".encode())
    digest.update(np.ascontiguousarray(pixels).tobytes())
    return digest.hexdigest()


def _open(entry: Path) -> Cached:
    try:
        return _opened(entry)
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        text = next(iter(str(error).splitlines()), type(error).__name__)
        raise UserError(f"{entry} in the cache is damaged ({text}); remove it, and it is made again") from error


def _opened(entry: Path) -> Cached:
    manifest = (entry / "manifest.jsonl").read_text(encoding="utf-8")
    rows = [read_line(line) for line in manifest.splitlines()]
    splits = {
        name: CachedSplit(
            name=name,
            # Copy on write: torch refuses read-only memory, and the file must never change. Objects cannot be mapped:
            # nothing is unpickled.
            images=np.lib.format.open_memmap(entry / f"{name}.images.npy", "c"),
            masks=np.lib.format.open_memmap(entry / f"{name}.masks.npy", "c"),
            rows=tuple(row for row in rows if row.split == name),
            native=np.fromfile(entry / f"{name}.native.bin", dtype=np.uint8),
            sounds=_mapped(entry / f"{name}.sounds.bin"),
        )
        for name in SPLITS
    }
    return Cached(splits=splits, manifest=manifest, digest=hashlib.sha256(manifest.encode()).hexdigest())


def _mapped(path: Path) -> NDArray[np.float32]:
    """A file of float32; an empty one cannot be mapped."""
    return np.memmap(path, np.float32, "r") if path.stat().st_size else np.empty(0, np.float32)
