"""Give each sample of a dataset a key that changes whenever its files or its metadata change.

The key looks at the sizes and times of files and not at their content, so thousands take a second. The system notes
every change of a file's content and name, even if an archive or `cp -p` puts the time of modification back. One case
goes unnoticed: a change of equal size on a file system without times of change (FAT, some network and FUSE mounts) that
puts the time of modification back, is made with the clock set back, or comes within some milliseconds of the change
before.
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
class KeyedSample:
    """A sample and its split. Two equal keys mean the same sample, read from files in the same state (`_state`)."""

    split: str
    sample: Sample
    key: str


def keyed_samples(splits: Splits) -> list[KeyedSample]:
    """Every sample, split by split.

    Raises:
        UserError: a file that a sample is read from is missing or not a file.
    """
    # Thousands of files lie in a few folders, which are resolved once.
    resolved = lru_cache(maxsize=None)(os.path.realpath)
    return [
        KeyedSample(split=split, sample=sample, key=_key(split, sample, resolved))
        for split in SPLITS
        for sample in splits[split]
    ]


def _key(split: str, sample: Sample, resolved: Callable[[Path], str]) -> str:
    state = [_state(path, resolved) for path in sample.files]
    # The split is part of the key because test samples are stored with more than others.
    values = [split, sample.id, sample.slice, dict(sample.groups), dict(sample.strata), state]
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:32]


def _state(path: Path, resolved: Callable[[Path], str]) -> tuple[str, int, int, int]:
    """The file's real path, its size in bytes, and the times of its last modification and last change, in ns.

    A program can set the time of modification, but not the time of change; a rename changes it too. The inode
    number is left out, because some mounts (FUSE) give new ones each time.
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
