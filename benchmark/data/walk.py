"""The files below a folder that a person put there."""

import os
from collections.abc import Iterator
from pathlib import Path

_LITTER = ("$RECYCLE.BIN", "System Volume Information", "@eaDir", "__MACOSX", "Thumbs.db")


def files(folder: Path, *, nested: bool = True) -> Iterator[Path]:
    """The files in the order of their names; links are followed (a loop ends), what systems leave is passed over."""
    seen = set()
    for place, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if nested and not _is_litter(name))
        yield from (Path(place, name) for name in sorted(names) if not _is_litter(name))


def _is_litter(name: str) -> bool:
    return name.startswith(".") or name in _LITTER
