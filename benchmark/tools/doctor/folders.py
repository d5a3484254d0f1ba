"""Examine the folders that runs write to: permission, file locks, free space."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from benchmark.common import files
from benchmark.common.errors import UserError
from benchmark.tools.doctor.finding import GIB, Finding

_LEAST = 2 * GIB


def both(results: Path) -> Iterator[Finding]:
    """The cache and the results folder."""
    yield _folder("cache folder", files.cache_folder(), "the variable BENCH_CACHE")
    yield _folder("results folder", results, "--results")


def _folder(name: str, path: Path, option: str) -> Finding:
    """Try a lock file in the folder, or in its nearest parent that exists, and remove it again."""
    try:
        files.check_writable(path, option)
        existing = next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.exists())
        with files.locked(existing / f".tmp-doctor-{os.getpid()}", lambda: None):
            free = shutil.disk_usage(existing).free
    except UserError as error:
        found, _, remedy = str(error).partition("; ")
        return Finding(name=name, status="problem", found=found, remedy=remedy or f"choose another with {option}")
    found = f"{path}: writable, with file locks, {free / GIB:.1f} GiB free"
    if free < _LEAST:
        remedy = f"free some space, or choose a folder on another disk with {option}"
        return Finding(name=name, status="warning", found=found, remedy=remedy)
    return Finding(name=name, found=found)
