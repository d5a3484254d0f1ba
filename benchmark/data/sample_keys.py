"""The samples of a dataset in the order of the cache, each with a key that changes with whatever it is decoded from.

Files are told apart by what the system notes of them, so that thousands are looked at within a second. It notes every
change of a file's content and name, also of one whose time of modification was put back, as archives and `cp -p` do.
Not seen is what leaves no note: a change of equal size on a file system without times of change (FAT, some network
and FUSE mounts) that puts the time of modification back, with the clock set back, or within one tick of the clock (some
milliseconds) of the change before.
"""

import hashlib
import json
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from benchmark.common import files
from benchmark.common.errors import UserError
from benchmark.contract import Sample, Splits
from benchmark.data.validate import SPLITS


@dataclass(frozen=True, kw_only=True, slots=True)
class Listed:
    """A sample and its place. Equal keys: the same sample, read from files of the same states (`_state`)."""

    split: str
    index: int
    sample: Sample
    key: str


def listed(splits: Splits) -> list[Listed]:
    """Every sample, split by split.

    Raises:
        UserError: a file that a sample is read from is not there, or no file.
    """
    # Thousands of files lie in a few folders: those are resolved once.
    resolved = lru_cache(maxsize=None)(os.path.realpath)
    return [
        Listed(split=split, index=index, sample=sample, key=_key(split, sample, resolved))
        for split in SPLITS
        for index, sample in enumerate(splits[split])
    ]


def _key(split: str, sample: Sample, resolved: Callable[[Path], str]) -> str:
    state = [_state(path, resolved) for path in sample.files]
    # Of the split because the test's samples are stored with more than those of the others.
    values = [split, sample.id, sample.slice, dict(sample.groups), dict(sample.strata), state]
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:32]


def _state(path: Path, resolved: Callable[[Path], str]) -> tuple[str, int, int, int]:
    """The file's own path, its size in bytes, when its content was changed and when anything of it was, both in ns.

    The first of these times can be set by anybody, the second cannot: it changes with a rename as well. The inode's
    number is left out: some mounts (FUSE) give new ones each time.
    """
    try:
        found = path.lstat()
        own = f"{resolved(path.parent)}{os.sep}{path.name}"
        if stat.S_ISLNK(found.st_mode):
            found = path.stat()
            own = os.path.realpath(path)
    except (OSError, ValueError) as error:  # a name with a zero byte is a ValueError
        raise UserError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}; restore it") from error
    files.check_regular(path, found.st_mode)
    return own, found.st_size, found.st_mtime_ns, found.st_ctime_ns
