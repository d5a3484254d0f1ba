"""SHA256SUMS: the checksums of a folder's files, as `sha256sum` writes and checks them.

sha256sum --check --ignore-missing SHA256SUMS     # anybody can, without this program
"""

import hashlib
import os
import re
import stat
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

NAME = "SHA256SUMS"

_AT_ONCE = 1 << 17
"""Bytes read at once: most files here are smaller, and hashlib's own buffer costs them more than the hash."""

_LINE = re.compile(r"([0-9a-f]{64})  (\S.*)")


def write(folder: Path) -> None:
    """List every file of a folder that is there now, by its path from the folder, in the order of the names."""
    (folder / NAME).write_text(listing(folder), encoding="utf-8")


def listing(folder: Path) -> str:
    """The text of that file."""
    return _text({name: digest(folder / name) for name in names(folder) if name != NAME})


def _text(found: Mapping[str, str]) -> str:
    return "".join(f"{found[name]}  {name}\n" for name in sorted(found))


def names(folder: Path) -> list[str]:
    """The files of a folder and of the folders in it, by their paths from it, sorted; none that is under way."""
    paths = (path for path in folder.rglob("*") if not path.name.startswith(".tmp-"))
    return sorted(path.relative_to(folder).as_posix() for path in paths if path.is_file())


def read(folder: Path) -> Mapping[str, str]:
    """Name -> SHA-256.

    Raises:
        OSError, ValueError: it is missing, or a line is none of `sha256sum`'s, or names a file outside of the folder.
    """
    found: dict[str, str] = {}
    text = (folder / NAME).read_bytes().decode("utf-8")
    for number, line in enumerate(text.splitlines(), start=1):
        match = _LINE.fullmatch(line)
        if match is None or match[2] in found:
            raise ValueError(f"line {number} is not a checksum, two spaces and a name that stands nowhere else")
        if ".." in match[2].split("/") or match[2].startswith("/"):
            raise ValueError(f"line {number} names a file outside of the folder")
        found[match[2]] = match[1]
    if text != _text(found):
        raise ValueError("its lines are not in the order of the names, each with its own end")
    return found


def differing(folder: Path, listed: Mapping[str, str]) -> Iterator[str]:
    """Those of the listed files that are there and are no longer what they were.

    Raises:
        OSError: one is there and cannot be read.
    """
    for name, sum_ in listed.items():
        path = os.path.join(folder, name)  # noqa: PTH118 - a hundred thousand files: pathlib takes as long as the hash
        if _is_file(path) and digest(path) != sum_:
            yield name


def intact(folder: Path, *, needed: Collection[str] = (), apart: Collection[str] = ()) -> bool:
    """Whether the listed files that are there are what they were, but for those `apart`, and `needed` are listed."""
    try:
        listed = read(folder)
        checked = {name: sum_ for name, sum_ in listed.items() if name not in apart}
        return listed.keys() >= set(needed) and not any(True for _ in differing(folder, checked))
    except (OSError, ValueError):
        return False


def intact_each(folders: Sequence[Path], *, needed: Collection[str] = (), apart: Collection[str] = ()) -> list[bool]:
    """The same of several folders: what a worker is given."""
    return [intact(folder, needed=needed, apart=apart) for folder in folders]


def digest(path: Path | str) -> str:
    """SHA-256 of a file.

    Raises:
        OSError: it cannot be read.
    """
    found = hashlib.sha256()
    descriptor = os.open(path, os.O_RDONLY)
    try:
        while part := os.read(descriptor, _AT_ONCE):
            found.update(part)
    finally:
        os.close(descriptor)
    return found.hexdigest()


def _is_file(path: str) -> bool:
    try:
        return stat.S_ISREG(os.stat(path).st_mode)  # noqa: PTH116 - as above
    except (FileNotFoundError, NotADirectoryError):
        return False
