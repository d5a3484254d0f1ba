"""What goes from the cache: what killed builds left, what a new entry supersedes, and what nobody has used for long.

Entries go under their lock, and at once, by a rename. Who has one mapped goes on with it: the system keeps the pages of
a removed file (a network's disk does so for processes of the same machine only). Who is about to open one finds that it
is gone, and builds it again. What the disk does not let go stays until the next time.
"""

import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import Timeout

from benchmark.common import files
from benchmark.data import entry as storing

UNFINISHED = ".unfinished-"
SETTINGS_DIGITS = 12
"""So many digits of an entry's name say how samples are decoded, the others which."""

_REMOVED = ".tmp-"
_NAME = re.compile(r"[0-9a-f]{24}")
"""Of an entry; what else lies there is not ours."""
_FORGOTTEN = 7 * 24 * 3600.0  # seconds after which nobody is expected to go on with a build
_UNUSED = 60 * 24 * 3600.0  # seconds after which nobody is expected to want an entry again


def mark_used(entry: Path) -> None:
    """Note that the entry is in use, where the disk takes the note."""
    with suppress(OSError):
        os.utime(entry / storing.MANIFEST)


def remove_lock(entry: Path) -> None:
    """Of an entry that is finished: that of a process that was killed when it had built it."""
    if entry.with_suffix(".lock").exists():
        with unlocked(entry):
            pass  # a lock that is free needs no file


def tidy(entry: Path) -> None:
    """With `entry` complete, and its lock held: remove what it supersedes, what is unused, and locks of dead processes.

    Superseded are other listings of the same folder, decoded alike.
    """
    for path in sorted(entry.parent.glob("*")):
        if path.stem == entry.name or not _NAME.fullmatch(path.stem):
            continue
        with suppress(OSError):
            if path.suffix == ".lock":
                remove_lock(path.with_suffix(""))
            elif _is_finished(path):
                _remove_if_superseded(path, entry)


def _is_finished(path: Path) -> bool:
    return (path / storing.MANIFEST).is_file() or (path / storing.JOURNAL).is_file()


def _remove_if_superseded(path: Path, entry: Path) -> None:
    alike = path.name[:SETTINGS_DIGITS] == entry.name[:SETTINGS_DIGITS]
    if not alike and time.time() - _touched(path) <= _UNUSED:
        return
    with unlocked(path) as free:
        if free:
            removed = path.with_name(f"{_REMOVED}{path.name}")
            shutil.rmtree(removed, ignore_errors=True)  # of a killed process
            path.rename(removed)
            shutil.rmtree(removed, ignore_errors=True)


def remove_leftovers(cache: Path, folder: Path) -> None:
    """What killed processes left, and builds, other than that in `folder`, that nobody went on with for a week."""
    for left in (*cache.glob(f"{_REMOVED}*"), *cache.glob(f"{UNFINISHED}*")):
        if left == folder or not left.is_dir():
            continue
        with unlocked(left) as free:
            if free and (left.name.startswith(_REMOVED) or time.time() - _touched(left) > _FORGOTTEN):
                shutil.rmtree(left, ignore_errors=True)


def _touched(folder: Path) -> float:
    """When the folder was last built or used, in seconds since 1970."""
    paths = (folder, folder / storing.JOURNAL, folder / storing.MANIFEST)
    return max((path.stat().st_mtime for path in paths if path.exists()), default=0.0)


@contextmanager
def unlocked(path: Path) -> Iterator[bool]:
    """Whether nobody is at work on an entry, finished or not; its lock is held meanwhile, and does not stay behind."""
    name = path.name.removeprefix(UNFINISHED).removeprefix(_REMOVED)
    lock = files.lock_file(path.with_name(f"{name}.lock"))
    try:
        lock.acquire(timeout=0)
    except (Timeout, OSError):
        yield False
        return
    try:
        yield True
    finally:
        with suppress(OSError):
            Path(lock.lock_file).unlink()  # while it is held: who waits for it notices, and makes a new one
        lock.release()
