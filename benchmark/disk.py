"""What a disk refuses to take or to give, or holds in place of a file, said in one line with what to do about it."""

import errno
import os
import stat
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
    errno.EACCES: f"change its permissions, or {_ELSEWHERE}",
    errno.EPERM: f"change its permissions, or {_ELSEWHERE}",
    errno.ENOENT: "it is not there (any more): restore it, or give the same command again",
    errno.ELOOP: "the link leads to itself: remove it",
    errno.ENOTCONN: "the mounted folder was taken away: mount it again, then give the same command again",
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
_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def refused(path: Path, error: Exception) -> UserError:
    """The error of a file or folder that could not be written."""
    return UserError(f"cannot write {path}: {_said(error)}")


def unusable(error: OSError) -> UserError:
    """An error of the machine at a place where it is not known what it kept from being read or written."""
    return UserError(f"cannot use {error.filename or 'the disk'}: {_said(error)}")


def _said(error: Exception) -> str:
    """Reason and remedy."""
    remedy = _REMEDIES.get(_number(error) or 0)
    return f"{_reason(error)}{f'; {remedy}' if remedy else ''}"


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or first_line(error) or type(error).__name__


def check_regular(path: Path, mode: int) -> None:
    """Refuse, by the mode that `stat` gives, what is there under a name of a file and none: to open a pipe is to wait.

    Raises:
        UserError: a folder, a pipe, a socket or a device.
    """
    if not stat.S_ISREG(mode):
        kind = next((kind for is_kind, kind in _KINDS if is_kind(mode)), "something else")
        raise UserError(f"{path} is {kind}, not a file; remove it, or put the file itself in its place")


def unreadable(path: Path, error: Exception) -> UserError:
    """The error of a file or folder that is there and could not be read."""
    return UserError(f"cannot read {path}: {_reason(error)}; restore it, or its permissions")


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
