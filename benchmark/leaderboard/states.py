"""Sizes and times of files: what they were when something was made of them, and what they are now.

No file is read. What cannot be looked at has a state as well. Imports nothing that takes a while.
"""

import hashlib
import os
import stat
from collections.abc import Iterable
from typing import TypeAlias

State: TypeAlias = tuple[str, int, int, int, int]
"""Path, size in bytes, when the content and when anything was changed last (nanoseconds), number on its disk.

Nobody can set the time at which anything was changed: content exchanged under its size and its time shows there.
Of a folder that it is there, and zeros: what is in it has states. -1 stands for what cannot be known.
"""

_UNKNOWN = (-1, -1, -1, -1)


def below(folder: str) -> list[State]:
    """The folder and everything in it and in the folders in it, but for what is hidden: under way or put aside.

    Links are followed, but not back into a folder that the way leads through.
    """
    own = of(folder)
    found = [own]
    if own[1:] != _UNKNOWN:
        there = os.stat(folder)  # noqa: PTH116 - a hundred thousand paths: texts take a fraction of objects' time
        _add(found, folder, (), True, frozenset([(there.st_dev, there.st_ino)]))
    return found


def files_below(folder: str, suffixes: tuple[str, ...]) -> list[State]:
    """The files that end so, as `below` finds them, without the folders: compiled modules may come and go."""
    found: list[State] = []
    _add(found, folder, suffixes, False, frozenset())
    return found


def of(path: str) -> State:
    """The state of one file or folder."""
    try:
        return _state(path, os.stat(path))  # noqa: PTH116 - as above
    except OSError:
        return (path, *_UNKNOWN)


def newest(states: Iterable[State]) -> int:
    """When the last of them was changed, in nanoseconds."""
    return max((max(content, anything) for _, _, content, anything, _ in states), default=0)


def digest(states: Iterable[State]) -> str:
    """SHA-256 of the states, in whatever order they come."""
    return hashlib.sha256(repr(sorted(states)).encode()).hexdigest()  # a name that is no UTF-8 is spelled out


def _add(
    found: list[State], folder: str, suffixes: tuple[str, ...], with_folders: bool, above: frozenset[tuple[int, int]]
) -> None:
    try:
        with os.scandir(folder) as listed:
            entries = list(listed)
    except OSError:
        found.append((folder + os.sep, *_UNKNOWN))
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        try:
            there = entry.stat()
        except OSError:
            found.append((entry.path, *_UNKNOWN))
            continue
        if stat.S_ISDIR(there.st_mode):
            own = (there.st_dev, there.st_ino)
            if with_folders:
                found.append(_state(entry.path, there))
            if own not in above:
                _add(found, entry.path, suffixes, with_folders, above | {own})
        elif not suffixes or entry.name.endswith(suffixes):
            found.append(_state(entry.path, there))


def _state(path: str, there: os.stat_result) -> State:
    if stat.S_ISDIR(there.st_mode):
        return path, 0, 0, 0, 0
    return path, there.st_size, there.st_mtime_ns, there.st_ctime_ns, there.st_ino
