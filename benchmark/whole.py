"""Folders that are whole or not there. Who writes one holds a lock on it, so that nobody else does."""

import os
import platform
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmark import disk
from benchmark.errors import UserError
from benchmark.files import made_if_needed, sync, sync_folder

_OLD = "-old"


@contextmanager
def folder(path: Path) -> Iterator[Path]:
    """A temporary folder that becomes `path` when the block ends well, and leaves nothing when it does not.

    A folder that was there is replaced: until the last moment it is there, and after an error it still is.

    Raises:
        UserError: the disk refuses.
    """
    try:
        with made_if_needed(path.parent):
            yield from _written(path)
    except OSError as error:
        raise disk.refused(path, error) from error


def _written(path: Path) -> Iterator[Path]:
    temporary = path.parent / f".tmp-{path.name}-{platform.node()}-{os.getpid()}"
    shutil.rmtree(temporary, ignore_errors=True)  # of a killed process that had our number
    temporary.mkdir()
    try:
        yield temporary
        for made in (path for path in temporary.rglob("*") if path.is_file()):
            sync(made)
        _replace(temporary, path)
        sync_folder(path.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _replace(temporary: Path, path: Path) -> None:
    if not path.exists():
        temporary.rename(path)
        return
    old = temporary.with_name(temporary.name + _OLD)
    shutil.rmtree(old, ignore_errors=True)
    path.rename(old)  # `clear` puts it back if a kill comes before the next line
    try:
        temporary.rename(path)
    except OSError as error:
        _put_back(old, path, error)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _put_back(old: Path, path: Path, error: OSError) -> None:
    try:
        old.rename(path)
    except OSError:
        lies = f"what was there lies in {old}, and the same command puts it back"
        raise UserError(f"{disk.refused(path, error)}; {lies}") from error


def clear(path: Path) -> None:
    """Remove what killed processes left beside `path`, and put back a folder that one was about to replace.

    Raises:
        UserError: the disk refuses.
    """
    try:
        for left in sorted(path.parent.glob(f".tmp-{path.name}-*")):
            if left.name.endswith(_OLD) and not path.exists():
                left.rename(path)
            else:
                shutil.rmtree(left, ignore_errors=True)
    except OSError as error:
        raise disk.refused(path, error) from error
