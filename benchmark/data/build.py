"""Build an entry of the cache: first a file per decoded sample, then the arrays of each split.

The files of the samples lie in `.unfinished-<settings>`, each named after its sample's key and written atomically. A
build that was killed, or that found bad samples, continues from these files. A repaired sample has a new key, so it
alone is decoded again.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import IO

import numpy as np

from benchmark.common import files
from benchmark.common.errors import UserError
from benchmark.common.progress import Report
from benchmark.data import cleanup, decode, images
from benchmark.data.sample_keys import KeyedSample
from benchmark.data.validate import SPLITS

_NAMED = 20  # reasons that a message names
_ALIKE = 3  # samples that it names where one reason is that of several
_HOPELESS = 50  # bad samples without a good one; then the reader or the folder is at fault


def build(entry: Path, listing: Sequence[KeyedSample], form: decode.Form, report: Report) -> None:
    """Decode the samples that are missing, and make the entry of all of them. The caller holds the entry's lock.

    Raises:
        UserError: samples that cannot be used (all are named), or the disk refuses. Decoded samples stay.
    """
    images.require_same_pixels()
    folder = cleanup.unfinished(entry)
    files.clear_leftovers(entry)
    try:
        _decode(folder, listing, form, report)
        with files.atomic_folder(entry) as target:
            _assemble(target, folder, listing, form.size, report)
    except OSError as error:
        raise files.refused(folder, error) from error


def _decode(folder: Path, listing: Sequence[KeyedSample], form: decode.Form, report: Report) -> None:
    """Decode every sample that has no file yet."""
    missing = [one for one in listing if not decode.file_of(folder, one).is_file()]
    bad: list[tuple[KeyedSample, str]] = []
    total = len(listing)
    done = total - len(missing)
    report("decoding", done, total, "")
    with closing(decode.decode_all(missing, folder, form)) as refusals:
        for number, (keyed, refusal) in enumerate(zip(missing, refusals, strict=False), start=1):
            if refusal is None:
                done += 1
                report("decoding", done, total, f"{len(bad)} unusable" if bad else "")
                continue
            bad.append((keyed, refusal))
            if len(bad) == number == _HOPELESS:
                break
    if bad:
        raise UserError(_refusal(bad))


def _refusal(bad: Sequence[tuple[KeyedSample, str]]) -> str:
    """One line that names the bad samples: each reason once, with a count and three samples, and twenty reasons."""
    if len(bad) == 1:
        return bad[0][1]
    alike: dict[str, list[tuple[str, str]]] = {}
    for keyed, reason in bad:
        alike.setdefault(_kind(keyed, reason), []).append((keyed.sample.id, reason))
    reasons = [reason for found in alike.values() for reason in _once(found)]
    more = f" and {len(reasons) - _NAMED} more" if len(reasons) > _NAMED else ""
    named = "; ".join(f"({number}) {reason}" for number, reason in enumerate(reasons[:_NAMED], start=1))
    return f"{len(bad)} samples cannot be used (fix them, and only those are decoded again): {named}{more}"


def _kind(keyed: KeyedSample, reason: str) -> str:
    """The reason without what is particular to the sample: the names of its files, brackets, numbers."""
    for path in keyed.sample.files:
        reason = reason.replace(str(path), "")
    return re.sub(r" \([^()]*\)|\d+", "", reason)


def _once(alike: Sequence[tuple[str, str]]) -> list[str]:
    """The reason of several samples, said once; up to three are said one by one."""
    if len(alike) <= _ALIKE:
        return [reason for _, reason in alike]
    names = ", ".join(name for name, _ in alike[1:_ALIKE])
    return [f"{alike[0][1]} - and so {names} and {len(alike) - _ALIKE} more"]


# ---------------------------------------------------------------- from samples to arrays


def _assemble(
    target: Path, folder: Path, listing: Sequence[KeyedSample], size: tuple[int, int], report: Report
) -> None:
    """Write the arrays of every split, the manifest, and what became of masks; one sample at a time is in memory."""
    facts = {}
    with (target / cleanup.MANIFEST).open("w", encoding="utf-8") as manifest:
        done = 0
        for split in SPLITS:
            paths = [decode.file_of(folder, one) for one in listing if one.split == split]
            facts[split] = found = Counter[str](vanished=0, smoothed=0, between=0)
            for row in _write_split(target, split, paths, size, found):
                manifest.write(f"{row}\n")
                done += 1
                report("assembling", done, len(listing), "")
    (target / cleanup.FACTS).write_text(json.dumps(facts), encoding="utf-8")


def _write_split(
    target: Path, split: str, paths: Sequence[Path], size: tuple[int, int], facts: Counter[str]
) -> Iterator[str]:
    """Write the four files of a split, sample by sample, and give the manifest's line of each; count its `MaskFacts`.

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
            line, (image, *others), between = decode.read(path)
            facts["vanished"] += json.loads(line)["foreground"] > 0 and not others[0].any()
            facts["smoothed"] += between > 0
            facts["between"] += between
            if colour and image.ndim == 2:
                image = np.repeat(image[..., None], 3, axis=2)
            for file, array in zip(opened, (image, *others), strict=True):
                file.write(array.tobytes())
            yield line


def _write_header(file: IO[bytes], dtype: type[np.generic], shape: tuple[int, ...]) -> None:
    descr = np.lib.format.dtype_to_descr(np.dtype(dtype))
    np.lib.format.write_array_header_1_0(file, {"descr": descr, "fortran_order": False, "shape": shape})
