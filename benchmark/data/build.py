"""Build an entry of the cache: a file per decoded sample, and then, from all of them, the arrays of each split.

The files of the samples lie in `.unfinished-<settings>`, each named after its sample's key and written atomically. A
build that was killed, or that found bad samples, goes on with the files that are there. A repaired sample has a new
key, so only it is decoded again.
"""

import shutil
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from benchmark.common import files
from benchmark.common.errors import UserError
from benchmark.common.progress import Report
from benchmark.data import cleanup, decode, images
from benchmark.data.sample_keys import KeyedSample
from benchmark.data.validate import SPLITS

_NAMED = 20  # bad samples that a message names
_HOPELESS = 50  # bad samples without a single good one: the reader is at fault, or the folder
_PACE = 20.0  # seconds between two statements of the pace


def build(entry: Path, listing: Sequence[KeyedSample], *, size: tuple[int, int], grey: bool, report: Report) -> None:
    """Decode the samples that are missing, and make the entry of all of them. The caller holds the entry's lock.

    Raises:
        UserError: samples that cannot be used (all are named), or the disk refuses. Decoded samples stay.
    """
    images.require_same_pixels()
    folder = cleanup.unfinished(entry)
    files.clear_leftovers(entry)
    try:
        _check_space(folder, listing, size, grey)
        _decode(folder, listing, size, grey, report)
        with files.atomic_folder(entry) as target:
            _assemble(target, folder, listing, size, report)
    except OSError as error:
        raise files.refused(folder, error) from error


def _decode(folder: Path, listing: Sequence[KeyedSample], size: tuple[int, int], grey: bool, report: Report) -> None:
    """Give every sample its file.

    Raises:
        UserError: samples that cannot be used.
    """
    missing = [one for one in listing if not decode.file_of(folder, one).is_file()]
    bad: list[str] = []
    total = len(listing)
    done = total - len(missing)
    pace = _Pace(done, total)
    report("decoding", done, total, "")
    with closing(decode.decode_all(missing, folder, size=size, grey=grey)) as refusals:
        for number, refusal in enumerate(refusals, start=1):
            if refusal is None:
                done += 1
                report("decoding", done, total, pace.note(done, len(bad)))
                continue
            bad.append(refusal)
            if len(bad) == number == _HOPELESS:
                break
    if bad:
        raise UserError(_refusal(bad))


def _refusal(bad: Sequence[str]) -> str:
    """One line that names every bad sample, as far as anybody would read it."""
    if len(bad) == 1:
        return bad[0]
    more = f" and {len(bad) - _NAMED} more" if len(bad) > _NAMED else ""
    named = "; ".join(f"({number}) {reason}" for number, reason in enumerate(bad[:_NAMED], start=1))
    return f"{len(bad)} samples cannot be used (fix them, and only those are decoded again): {named}{more}"


class _Pace:
    """How fast this process decodes."""

    def __init__(self, done: int, total: int) -> None:
        self._first, self._total = done, total
        self._started = self._said = time.monotonic()
        self._note = ""

    def note(self, done: int, bad: int) -> str:
        """Images per second and time left, computed anew every twenty seconds; nothing before."""
        now = time.monotonic()
        if now - self._said >= _PACE:
            self._said = now
            rate = (done - self._first) / (now - self._started)
            left = (self._total - done) / rate / 60
            unusable = f", {bad} unusable" if bad else ""
            self._note = f"{done}/{self._total}, {rate:.3g} images/s, {left:.1f} min left{unusable}"
        return self._note


# ---------------------------------------------------------------- from samples to arrays


def _assemble(
    target: Path, folder: Path, listing: Sequence[KeyedSample], size: tuple[int, int], report: Report
) -> None:
    """Write the arrays of every split and the manifest; one sample at a time is in memory."""
    with (target / cleanup.MANIFEST).open("w", encoding="utf-8") as manifest:
        done = 0
        for split in SPLITS:
            paths = [decode.file_of(folder, one) for one in listing if one.split == split]
            for row in _write_split(target, split, paths, size):
                manifest.write(f"{row}\n")
                done += 1
                report("assembling", done, len(listing), "")


def _write_split(target: Path, split: str, paths: Sequence[Path], size: tuple[int, int]) -> Iterator[str]:
    """Write the four files of a split, sample by sample, and give the manifest's line of each.

    One image in colour makes the split colour: grey images are repeated in three channels.
    """
    colour = any(map(decode.is_colour, paths))
    shape = (len(paths), *size)
    with ExitStack() as stack:
        names = ("images.npy", "masks.npy", "native.bin", "sounds.bin")
        # By plain writes: through a memory map, a full disk would end the process without a word (SIGBUS).
        opened = [stack.enter_context((target / f"{split}.{name}").open("wb")) for name in names]
        _write_header(opened[0], np.uint8, (*shape, 3) if colour else shape)
        _write_header(opened[1], np.bool_, shape)
        for path in paths:
            sample = decode.read(path)
            image = sample.image
            if colour and image.ndim == 2:
                image = np.repeat(image[..., None], 3, axis=2)
            arrays: tuple[NDArray[Any], ...] = (image, sample.mask, sample.native, sample.sounds)
            for file, array in zip(opened, arrays, strict=True):
                file.write(array.tobytes())
            yield sample.row.line()


def _write_header(file: IO[bytes], dtype: type[np.generic], shape: tuple[int, ...]) -> None:
    descr = np.lib.format.dtype_to_descr(np.dtype(dtype))
    np.lib.format.write_array_header_1_0(file, {"descr": descr, "fortran_order": False, "shape": shape})


# ---------------------------------------------------------------- room on the disk


def _check_space(folder: Path, listing: Sequence[KeyedSample], size: tuple[int, int], grey: bool) -> None:
    """Refuse at once what would fail after hours. Few samples are not worth the look.

    Raises:
        UserError: the files of the samples and the arrays, which are there together at the end, do not fit.
    """
    if len(listing) <= decode.IN_PROCESS:
        return
    there = sum(path.stat().st_size for path in folder.rglob("*.npz"))
    wanted = max(0, 2 * _bytes(listing, size, grey) - there)
    existing = next(path for path in folder.parents if path.exists())
    free = shutil.disk_usage(existing).free
    if wanted > free:
        raise UserError(
            f"decoding needs {_gb(wanted)} in {folder.parent}, half of it only until it is done, and {_gb(free)} are "
            "free; make room, or name another folder with BENCH_CACHE"
        )


def _bytes(listing: Sequence[KeyedSample], size: tuple[int, int], grey: bool) -> int:
    """The size of the entry, if all samples of a split are as large as its first."""
    pixels, total = size[0] * size[1], 0
    for split, count in Counter(one.split for one in listing).items():
        each = 2 * pixels
        with suppress(UserError):  # an unusable sample is named later, with the others
            first = decode.decode(next(one for one in listing if one.split == split), size=size, grey=grey)
            each = first.image.nbytes + first.mask.nbytes + first.native.nbytes + first.sounds.nbytes
        total += count * each
    return total


def _gb(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.0f} MB"
