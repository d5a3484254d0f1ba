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
    lines = [f"{digest(folder / name)}  {name}\n" for name in names(folder) if name != NAME]
    (folder / NAME).write_text("".join(lines), encoding="utf-8")


def names(folder: Path) -> list[str]:
    """The files in a folder and its subfolders, sorted, by their paths from the folder; temporary ones are left out."""
    paths = (path for path in folder.rglob("*") if not path.name.startswith(".tmp-"))
    return sorted(path.relative_to(folder).as_posix() for path in paths if path.is_file())


def read(folder: Path) -> Mapping[str, str]:
    """Read SHA256SUMS: name -> SHA-256.

    Raises:
        OSError, ValueError: it is missing, or has a line that `sha256sum` does not write.
    """
    found: dict[str, str] = {}
    for number, line in enumerate((folder / NAME).read_text(encoding="utf-8").splitlines(), start=1):
        match = _LINE.fullmatch(line)
        if match is None or match[2] in found:
            raise ValueError(f"line {number} is not a checksum, two spaces and a name that stands nowhere else")
        found[match[2]] = match[1]
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
