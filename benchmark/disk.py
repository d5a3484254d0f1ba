"""What a disk refuses to take or to give, said in one line with what to do about it."""

import errno
import os
from pathlib import Path

from benchmark.errors import UserError, first_line

_ELSEWHERE = "choose a folder that you may write to (--results, --out; BENCH_CACHE for decoded data)"
_ROOM = "then the same command goes on; what was finished is kept"
_LOCKS = (
    "this file system has no file locks, so two processes could spoil each other's work: use another "
    "(--results, --out; BENCH_CACHE for decoded data), or have the network's locks switched on"
)
_REMEDIES = {
    errno.ENOSPC: f"make room on that disk, {_ROOM}",
    errno.EDQUOT: f"your quota is used up: make room, {_ROOM}",
    errno.EFBIG: "no file may be as large there: see 'ulimit -f', and what the file system allows",
    errno.EROFS: _ELSEWHERE,
    errno.EACCES: _ELSEWHERE,
    errno.EPERM: _ELSEWHERE,
    errno.EEXIST: f"a file is where a folder should be: {_ELSEWHERE}",
    errno.ENOTDIR: f"a file is where a folder should be: {_ELSEWHERE}",
    errno.EISDIR: "a folder is where the file should be: remove it",
    errno.EIO: "the disk fails: see the system's log (dmesg)",
    errno.ESTALE: "the network's disk was taken away: mount it again, then give the same command again",
    errno.EMFILE: "raise the limit of open files: ulimit -n",
    errno.ENFILE: "too many files are open on this machine: end what else runs",
    errno.ENAMETOOLONG: "choose shorter names",
    errno.ENOLCK: _LOCKS,
    errno.ENOSYS: _LOCKS,
    errno.EOPNOTSUPP: _LOCKS,
}


def refused(path: Path, error: Exception) -> UserError:
    """The error of a file or folder that could not be written."""
    reason = (error.strerror if isinstance(error, OSError) else None) or first_line(error) or type(error).__name__
    remedy = _REMEDIES.get(_number(error) or 0)
    return UserError(f"cannot write {path}: {reason}{f'; {remedy}' if remedy else ''}")


def unreadable(path: Path, error: Exception) -> UserError:
    """The error of a file or folder that is there and could not be read."""
    reason = (error.strerror if isinstance(error, OSError) else None) or first_line(error) or type(error).__name__
    return UserError(f"cannot read {path}: {reason}; restore it, or its permissions")


def is_refusal(error: OSError) -> bool:
    """Whether it is the machine that refuses, and no mistake of ours."""
    return error.errno in _REMEDIES


def check_writable(folder: Path, option: str) -> None:
    """Refuse a folder before hours are spent on what cannot be stored in it; it need not be there yet.

    Raises:
        UserError: it, or the folder that it would be made in, is no folder or may not be written to.
    """
    existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        raise UserError(f"cannot write to {folder}: {existing} is no folder that you may write to; use {option}")


def _number(error: Exception) -> int | None:
    """The system's number, also of an error that a library raised in its place with nothing but the text."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    text = str(error)
    return next((number for number in _REMEDIES if os.strerror(number) in text), None)
