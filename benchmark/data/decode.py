"""Decode samples into files of the cache, on all processors, with few samples in memory at a time.

Workers import this module, so it stays free of torch.
"""

import hashlib
import zipfile
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.common import files, workers
from benchmark.common.errors import UserError, first_line
from benchmark.contract import Example, Sample
from benchmark.data import images, validate
from benchmark.data.manifest import Row, SoundRow
from benchmark.data.sample_keys import KeyedSample
from benchmark.data.spectrogram import PUBLISHED, Transform

_ARRAYS = ("image", "mask", "native", "sounds")


@dataclass(frozen=True, kw_only=True, slots=True)
class Form:
    """What samples are decoded to: height and width, grey or colour; `transform` made the images of sounds."""

    size: tuple[int, int]
    grey: bool
    transform: Transform = PUBLISHED


def decode_all(samples: Sequence[KeyedSample], folder: Path, form: Form) -> Generator[str | None, None, None]:
    """Write the file of each sample into `folder`; for each, in order, yield None or why it cannot be used.

    Raises:
        UserError: a sample cannot be sent to workers, a worker was killed, or the disk refuses.
    """
    work = partial(_write, folder=folder, form=form)
    done = 0
    try:
        for refusal in workers.ordered(work, samples):
            yield refusal
            done += 1
    except workers.UnsendableError as error:
        number, reason = error.args
        raise UserError(
            f"read() of sample '{samples[number].sample.id}' cannot be sent to workers ({reason}); "
            "make it a module-level function or a functools.partial of one"
        ) from error
    except BrokenProcessPool as error:
        raise UserError(
            f"a worker ended abruptly near sample '{samples[done].sample.id}' (no memory left, or killed); "
            "the same command continues with the samples that were decoded"
        ) from error


def file_of(folder: Path, keyed: KeyedSample) -> Path:
    """The file of a sample: in one of 256 folders, because writing into a folder of thousands is slow."""
    return folder / keyed.key[:2] / f"{keyed.key}.npz"


def _write(keyed: KeyedSample, *, folder: Path, form: Form) -> str | None:
    """Decode a sample into its file; return None, or why it cannot be used."""
    try:
        decoded = decode(keyed, form)
    except UserError as error:
        return str(error)

    def save(path: Path) -> None:
        with path.open("wb") as file:
            np.savez(file, **decoded)

    files.write_atomically(file_of(folder, keyed), save)
    return None


def is_colour(path: Path) -> bool:
    """Whether the image in the file of a sample has three channels.

    Raises:
        UserError: the file is damaged.
    """
    with _opened(path) as sample:
        return bool(sample["colour"])


def read(path: Path) -> tuple[str, list[NDArray[Any]], int]:
    """The manifest line of the sample in a file, its image, mask, native mask and sounds, and its `Example.between`.

    Raises:
        UserError: the file is damaged.
    """
    with _opened(path) as sample:
        return str(sample["row"]), [sample[name] for name in _ARRAYS], int(sample["between"])


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as sample:
            yield sample
    except (zipfile.BadZipFile, EOFError, KeyError, ValueError) as error:
        raise UserError(
            f"{path} in the cache is damaged ({first_line(error)}); remove it, and only that sample is decoded again"
        ) from error


def decode(keyed: KeyedSample, form: Form) -> dict[str, Any]:
    """Read, check, hash and resize a sample: the content of its file.

    `row` is its line of the manifest, `colour` says whether `image` uint8 (H, W) or (H, W, 3) is of colour, `between`
    is that of the example, `mask` is bool (H, W). A test sample also has the `native` mask, packed, and the noisy and
    clean `sounds` end to end; others have them empty.

    Raises:
        UserError: it cannot be used.
    """
    sample = keyed.sample
    example = _read(sample)
    validate.check_example(sample, example, form.transform)
    keep_native = keyed.split == "test"
    sounds, sound = _sounds(example, form.transform) if keep_native else (np.empty(0, np.float32), None)
    row = Row(
        split=keyed.split,
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
    image = images.resize_image(images.to_grey(example.image) if form.grey else example.image, form.size)
    return {
        "row": row.line(),
        "colour": image.ndim == 3,
        "between": example.between,
        "image": image,
        "mask": images.resize_mask(example.mask, form.size),
        "native": np.packbits(example.mask) if keep_native else np.empty(0, np.uint8),
        "sounds": sounds,
    }


def _read(sample: Sample) -> Example:
    try:
        return sample.read()
    except (KeyboardInterrupt, UserError):
        raise
    except BaseException as error:  # the plugin's; SystemExit too
        what = f"{type(error).__name__}: {first_line(error)}"
        raise UserError(f"sample '{sample.id}' cannot be read: {what}") from error


def _sounds(example: Example, transform: Transform) -> tuple[NDArray[np.float32], SoundRow | None]:
    """The noisy and clean sound end to end, as long as the image's frames, and their part of the manifest row."""
    audio = example.audio
    if audio is None:
        return np.empty(0, np.float32), None
    length = transform.sample_count(example.mask.shape[1])
    sounds = np.concatenate([wave[:length].astype(np.float32) for wave in (audio.noisy, audio.clean)])
    return sounds, SoundRow(sample_rate=audio.sample_rate, samples=length, sha256=_pixel_digest(sounds))


def _pixel_digest(pixels: NDArray[Any]) -> str:
    found = hashlib.sha256(f"{pixels.dtype} {pixels.shape} ".encode())
    found.update(np.ascontiguousarray(pixels).tobytes())
    return found.hexdigest()
