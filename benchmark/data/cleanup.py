"""Remove old entries of the cache, and what killed builds left.

An entry is removed by one rename. A process that has it mapped can still use it: the system keeps the pages of a
removed file (a network disk does so for processes of the same machine only). A process that is about to open it finds
no manifest and builds it again. Files that cannot be removed stay until the next time.
"""

import os
import re
import shutil
import time
from contextlib import suppress
from pathlib import Path

MANIFEST = "manifest.jsonl"
FACTS = "masks.json"
UNFINISHED = ".unfinished-"
SETTINGS_DIGITS, LISTING_DIGITS = 12, 12
"""An entry's name is a digest of how samples are decoded, and a digest of which samples."""

_ENTRY = re.compile(rf"[0-9a-f]{{{SETTINGS_DIGITS + LISTING_DIGITS}}}")
_LEFTOVER = re.compile(
    rf"{re.escape(UNFINISHED)}[0-9a-f]{{{SETTINGS_DIGITS}}}|[0-9a-f]{{{SETTINGS_DIGITS}}}\.lock"
    rf"|\.tmp-{_ENTRY.pattern}-.*"
)
_DAY = 24 * 3600.0
_UNUSED = 60 * _DAY  # seconds until an unused entry is removed
_FORGOTTEN = 7 * _DAY  # seconds until an abandoned build is removed


def unfinished(entry: Path) -> Path:
    """The folder of decoded samples from which the entry is built; other listings of the same settings share it."""
    return entry.with_name(f"{UNFINISHED}{entry.name[:SETTINGS_DIGITS]}")


def mark_used(entry: Path) -> None:
    """Set the time at which the entry was last used, if the disk allows it."""
    with suppress(OSError):
        os.utime(entry / MANIFEST)


def clean(entry: Path) -> None:
    """Remove what is no longer needed. `entry` is complete, and the caller holds its lock.

    That is the samples it was built from, other listings of the same settings, entries that were not used for 60 days,
    and leftovers of builds that nobody continued for 7 days. Other files in the folder are left alone.
    """
    for path in sorted(entry.parent.iterdir()):
        with suppress(OSError):
            if path != entry and _is_old(path, entry):
                _remove(path)


def _is_old(path: Path, entry: Path) -> bool:
    settings = entry.name[:SETTINGS_DIGITS]
    if path == unfinished(entry) or path.name.startswith(f".tmp-{settings}"):
        return True
    if _ENTRY.fullmatch(path.name):
        return path.name.startswith(settings) or _idle(path) > _UNUSED
    return bool(_LEFTOVER.fullmatch(path.name)) and _idle(path) > _FORGOTTEN


def _idle(path: Path) -> float:
    """Seconds since an entry was used, or a leftover written to."""
    times = [one.stat().st_mtime for one in (path, *path.glob("*"))]
    return time.time() - max(times)


def _remove(path: Path) -> None:
    if _ENTRY.fullmatch(path.name):
        path = path.rename(path.with_name(f".tmp-{path.name}-removed"))
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink()
