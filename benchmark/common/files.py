"""Write files and folders atomically, lock them, and turn errors of the disk into one line for the user."""

import errno
import fcntl
import glob
import os
import platform
import shutil
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout
from platformdirs import user_cache_path

from benchmark.common.errors import UserError, first_line

_DAY = 24 * 60 * 60
_OLD = "-old"
_ELSEWHERE = "choose a folder that you may write to (--results, --out; BENCH_CACHE for decoded data)"
_REMEDIES = {
    errno.ENOSPC: "make room on that disk, then give the same command again: finished work is kept",
    errno.EROFS: _ELSEWHERE,
    errno.EACCES: f"change its permissions, or {_ELSEWHERE}",
}
"""The remedies for the errors that users meet: a full disk, a read-only disk, no permission."""


def cache_folder() -> Path:
    """`BENCH_CACHE`, or the user's cache folder; everything in it can be made again."""
    return Path(os.environ.get("BENCH_CACHE") or user_cache_path("birdmask-bench"))


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` write a temporary file, sync it, and rename it to `path`.

    Raises:
        UserError: the file cannot be written.
    """
    with atomic_file(path) as temporary:
        write(temporary)


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path. On success it is synced and renamed to `path`; on an error it is removed.

    Temporary files that killed processes left of the same file are removed.

    Raises:
        UserError: the file cannot be written.
    """
    with atomic_files([path]) as (temporary,):
        yield temporary


@contextmanager
def atomic_files(paths: Sequence[Path]) -> Iterator[list[Path]]:
    """Like `atomic_file` for several files of one folder: all are synced before the first one is renamed."""
    temporaries = [path.with_name(f".tmp-{path.name}-{platform.node()}-{os.getpid()}") for path in paths]
    folder = paths[0].parent
    try:
        with made_if_needed(folder):
            for path in paths:
                _remove_leftovers(path)
            for temporary in temporaries:
                # A killed process may have had our number; a link would be written through.
                temporary.unlink(missing_ok=True)
            try:
                yield temporaries
                for temporary in temporaries:
                    sync(temporary)
                for temporary, path in zip(temporaries, paths, strict=True):
                    temporary.replace(path)
                sync_folder(folder)
            finally:
                for temporary in temporaries:
                    with suppress(OSError):  # on a read-only disk nothing can be removed
                        temporary.unlink(missing_ok=True)
    except OSError as error:
        raise refused(paths[0], error) from error


@contextmanager
def made_if_needed(folder: Path) -> Iterator[None]:
    """Make a folder and its parents; if the block fails, remove those that were made and are empty."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        for path in missing:
            with suppress(OSError):
                path.rmdir()
        raise


def _remove_leftovers(path: Path) -> None:
    """Remove temporary files of ended processes of this machine, and those of other machines after a day.

    If another process has the number by now, the file stays until that process ends.
    """
    start = f".tmp-{path.name}-"
    for left in path.parent.glob(f"{glob.escape(start)}*"):
        machine, _, process = left.name.removeprefix(start).rpartition("-")
        with suppress(OSError):
            if not (_alive(process) if machine == platform.node() else time.time() - left.stat().st_mtime < _DAY):
                left.unlink()


def _alive(process: str) -> bool:
    """Whether a process of this machine with this number is running."""
    try:
        os.kill(int(process), 0)
    except (ProcessLookupError, OverflowError, ValueError):
        return False
    except PermissionError:  # a process of another user
        return True
    return True


def sync(path: Path) -> None:
    """Wait until a file or folder is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Wait until the renamed files of a folder are on the disk, on systems that can do it."""
    with suppress(OSError):
        sync(folder)


@contextmanager
def locked(path: Path, waiting: Callable[[], object]) -> Iterator[None]:
    """Hold a lock file until the block or the process ends; `waiting` is called once if another process holds it.

    Raises:
        UserError: the file cannot be written, or the disk has no locks.
    """
    lock = FileLock(path, fallback_to_soft=False)  # the system releases it; a soft lock would stay after a kill
    try:
        _acquire(lock, path.parent, waiting)
    except OSError as error:
        raise refused(path, error) from error
    try:
        yield
    finally:
        with suppress(OSError):
            path.unlink()  # while it is held: a process that waits for it notices, and makes a new one
        lock.release()


def is_locked(path: Path) -> bool:
    """Whether a process holds this lock file now; False if it is gone or cannot be read."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)  # for a moment; whoever wants it asks again
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _acquire(lock: FileLock, folder: Path, waiting: Callable[[], object]) -> None:
    patience = 0.1
    for tries_left in range(99, -1, -1):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=patience)
        except Timeout:
            waiting()
            patience = -1  # without end
        except FileNotFoundError:  # the process that held it has just removed the empty folder
            if not tries_left:
                raise
        else:
            return


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder. On success it is synced and renamed to `path`; on an error it is removed.

    A folder that exists is replaced at the last moment, and stays if there is an error.

    Raises:
        UserError: the folder cannot be written.
    """
    try:
        with made_if_needed(path.parent):
            yield from _written(path)
    except OSError as error:
        raise refused(path, error) from error


def _written(path: Path) -> Iterator[Path]:
    temporary = path.parent / f".tmp-{path.name}-{platform.node()}-{os.getpid()}"
    shutil.rmtree(temporary, ignore_errors=True)  # left by a killed process that had our number
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
    path.rename(old)  # `clear_leftovers` puts it back if a kill comes before the next line
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
        moved = f"the old folder is now {old}; the same command puts it back"
        raise UserError(f"{refused(path, error)}; {moved}") from error


def clear_leftovers(path: Path) -> None:
    """Remove temporary folders that killed processes left of `path`, and put back a folder that one was replacing.

    Raises:
        UserError: they cannot be removed or renamed.
    """
    try:
        for left in sorted(path.parent.glob(f".tmp-{path.name}-*")):
            if left.name.endswith(_OLD) and not path.exists():
                left.rename(path)
            else:
                shutil.rmtree(left, ignore_errors=True)
    except OSError as error:
        raise refused(path, error) from error


def refused(path: Path, error: Exception) -> UserError:
    """The error of a file or folder that could not be written."""
    return UserError(f"cannot write {path}: {_reason(error)}{_remedy(error)}")


def unreadable(path: Path, error: Exception) -> UserError:
    """The error of a file or folder that exists and could not be read."""
    return UserError(f"cannot read {path}: {_reason(error)}; restore it, or its permissions")


def unusable(error: OSError) -> UserError:
    """The error of a file or folder that could not be read or written."""
    return UserError(f"cannot use {error.filename or 'the disk'}: {_reason(error)}{_remedy(error)}")


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or first_line(error) or type(error).__name__


def _remedy(error: Exception) -> str:
    """The remedy, found by the error's text, because libraries quote the system's text in errors of their own."""
    text = str(error)
    found = (remedy for number, remedy in _REMEDIES.items() if os.strerror(number) in text)
    return f"; {remedy}" if (remedy := next(found, "")) else ""


def check_regular(path: Path, mode: int) -> None:
    """Require a regular file: opening a pipe would wait without end. `mode` is the mode of its `stat`.

    Raises:
        UserError: it is a folder, pipe, socket or device.
    """
    if not stat.S_ISREG(mode):
        raise UserError(f"{path} is not a regular file; remove it, or put the file itself in its place")


def check_writable(folder: Path, option: str) -> None:
    """Require a folder that can be written to, before hours of work; it need not exist yet.

    Raises:
        UserError: the folder, or the nearest parent that exists, is not a folder or not writable.
    """
    existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        raise UserError(f"cannot write to {folder}: {existing} is not a folder that you may write to; use {option}")
