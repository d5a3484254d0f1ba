"""A sample -> what the cache stores of it; many of them on all processors, in order, and with few held in memory.

Workers import this module, so it stays free of torch.
"""

import hashlib
from collections.abc import Generator, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.common import workers
from benchmark.common.errors import UserError, first_line
from benchmark.contract import Example, Sample
from benchmark.data import images, spectrogram, validate
from benchmark.data.manifest import Row, SoundRow
from benchmark.data.sample_keys import Listed

IN_PROCESS = 16  # up to so many samples, starting workers would take longer than decoding


@dataclass(frozen=True, kw_only=True, slots=True)
class Decoded:
    """Image uint8 (H, W) or (H, W, 3) and mask bool (H, W) at the protocol's size, and the line of the manifest.

    Of the test also the native mask, packed, and noisy and clean sound end to end; empty for the others.
    """

    row: Row
    image: NDArray[np.uint8]
    mask: NDArray[np.bool_]
    native: NDArray[np.uint8]
    sounds: NDArray[np.float32]
    sha256: str
    """Of all that is stored of the sample."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Unusable:
    """Why a sample cannot be stored, in one line that names it."""

    reason: str


def decode_all(
    samples: Sequence[Listed], *, size: tuple[int, int], grey: bool
) -> Generator[Decoded | Unusable, None, None]:
    """What `decode` gives for each sample, in order: by worker processes, or by this one where the work is small.

    Raises:
        UserError: a sample cannot be sent to workers, or a worker was killed.
    """
    work = partial(decode, size=size, grey=grey)
    if len(samples) <= IN_PROCESS:
        yield from map(work, samples)
        return
    done = 0
    try:
        for decoded in workers.ordered(work, samples):
            yield decoded
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
            "the same command goes on with what was decoded"
        ) from error


def decode(listed: Listed, *, size: tuple[int, int], grey: bool) -> Decoded | Unusable:
    """Read, check, hash and resize; a sample that cannot be used is a result as well."""
    sample = listed.sample
    try:
        example = _read(sample)
        validate.check_example(sample, example)
    except UserError as error:
        return Unusable(reason=str(error))
    keep_native = listed.split == "test"
    sounds, sound = _sounds(example) if keep_native else (np.empty(0, np.float32), None)
    row = Row(
        split=listed.split,
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
    image = images.resize_image(images.to_grey(example.image) if grey else example.image, size)
    mask = images.resize_mask(example.mask, size)
    native = np.packbits(example.mask) if keep_native else np.empty(0, np.uint8)
    return Decoded(
        row=row, image=image, mask=mask, native=native, sounds=sounds, sha256=digest(image, mask, native, sounds)
    )


def digest(*arrays: NDArray[Any]) -> str:
    """The SHA-256 of what is stored of a sample: image, mask, native mask and sounds."""
    found = hashlib.sha256()
    for array in arrays:
        found.update(f"{array.dtype} {array.shape} ".encode())
        found.update(np.ascontiguousarray(array).data)
    return found.hexdigest()


def _read(sample: Sample) -> Example:
    try:
        return sample.read()
    except (KeyboardInterrupt, UserError):
        raise
    except BaseException as error:  # the plugin's; SystemExit too
        what = f"{type(error).__name__}: {first_line(error)}"
        raise UserError(f"sample '{sample.id}' cannot be read: {what}") from error


def _sounds(example: Example) -> tuple[NDArray[np.float32], SoundRow | None]:
    """Noisy and clean sound end to end, as far as the image's frames reach, and their line of the manifest."""
    audio = example.audio
    if audio is None:
        return np.empty(0, np.float32), None
    length = spectrogram.sample_count(example.mask.shape[1])
    sounds = np.concatenate([wave[:length].astype(np.float32) for wave in (audio.noisy, audio.clean)])
    return sounds, SoundRow(sample_rate=audio.sample_rate, samples=length, sha256=_pixel_digest(sounds))


def _pixel_digest(pixels: NDArray[Any]) -> str:
    found = hashlib.sha256(f"{pixels.dtype} {pixels.shape} ".encode())
    found.update(np.ascontiguousarray(pixels).tobytes())
    return found.hexdigest()
