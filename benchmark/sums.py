"""SHA256SUMS: the checksums of a folder's files, as `sha256sum` writes and checks them.

sha256sum --check --ignore-missing SHA256SUMS     # anybody can, without this program
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

NAME = "SHA256SUMS"

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
        if ".." in PurePosixPath(match[2]).parts or PurePosixPath(match[2]).is_absolute():
            raise ValueError(f"line {number} names a file outside of the folder")
        found[match[2]] = match[1]
    if text != _text(found):
        raise ValueError("its lines are not in the order of the names, each with its own end")
    return found


def differing(folder: Path, listed: Mapping[str, str]) -> Iterator[str]:
    """Those of the listed files that are there and are no longer what they were."""
    for name, sum_ in listed.items():
        path = folder / name
        if path.is_file() and digest(path) != sum_:
            yield name


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
