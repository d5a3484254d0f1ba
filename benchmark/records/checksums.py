"""Write, read and check SHA256SUMS: the checksums of the files of a folder, in the format of `sha256sum`.

sha256sum --check --ignore-missing SHA256SUMS     # checks them without this program
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

NAME = "SHA256SUMS"

_LINE = re.compile(r"([0-9a-f]{64})  (\S.*)")


def write(folder: Path) -> None:
    """Write SHA256SUMS of every file that is now in a folder."""
    found = {name: digest(folder / name) for name in names(folder) if name != NAME}
    (folder / NAME).write_text(_text(found), encoding="utf-8")


def _text(found: Mapping[str, str]) -> str:
    return "".join(f"{found[name]}  {name}\n" for name in sorted(found))


def names(folder: Path) -> list[str]:
    """The files in a folder and its subfolders, sorted, by their paths from the folder; temporary ones are left out."""
    paths = (path for path in folder.rglob("*") if not path.name.startswith(".tmp-"))
    return sorted(path.relative_to(folder).as_posix() for path in paths if path.is_file())


def read(folder: Path) -> Mapping[str, str]:
    """Read SHA256SUMS: name -> SHA-256.

    Raises:
        OSError, ValueError: it is missing, has a line that `sha256sum` does not write, or names a file outside of the
            folder.
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
        raise ValueError("its lines are not sorted by name, or do not end in a line feed each")
    return found


def changed(folder: Path, listed: Mapping[str, str]) -> Iterator[str]:
    """The names of files that have another checksum than is listed.

    Raises:
        OSError: a file cannot be read.
    """
    for name in names(folder):
        if name in listed and digest(folder / name) != listed[name]:
            yield name


def digest(path: Path) -> str:
    """SHA-256 of a file.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
