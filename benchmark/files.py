"""Files that are whole or not there, and tables of numbers in them."""

import csv
import glob
import io
import os
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray
from platformdirs import user_cache_path

from benchmark import disk

_DAY = 24 * 60 * 60


def cache_folder() -> Path:
    """`BENCH_CACHE`, or the user's cache folder: what lies there can be made again."""
    return Path(os.environ.get("BENCH_CACHE") or user_cache_path("birdmask-bench"))


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` make a file beside `path`, sync it, and rename it.

    Raises:
        UserError: the disk refuses.
    """
    with beside(path) as temporary:
        write(temporary)


@contextmanager
def beside(path: Path) -> Iterator[Path]:
    """Where to write a file that becomes `path`, synced, when the block ends well, and else leaves nothing.

    What killed processes left of the same file is removed.

    Raises:
        UserError: the disk refuses.
    """
    with beside_each([path]) as (temporary,):
        yield temporary


@contextmanager
def beside_each(paths: Sequence[Path]) -> Iterator[list[Path]]:
    """The same for files of one folder that belong together: all are on the disk before the first one is renamed."""
    temporaries = [path.with_name(f".tmp-{path.name}-{platform.node()}-{os.getpid()}") for path in paths]
    folder = paths[0].parent
    try:
        with made_if_needed(folder):
            for path in paths:
                _remove_leftovers(path)
            for temporary in temporaries:
                temporary.unlink(
                    missing_ok=True
                )  # a killed process that had our number; a link would be written through
            try:
                yield temporaries
                for temporary in temporaries:
                    sync(temporary)
                for temporary, path in zip(temporaries, paths, strict=True):
                    temporary.replace(path)
                sync_folder(folder)
            finally:
                for temporary in temporaries:
                    with suppress(OSError):  # where nothing can be written, nothing can be removed
                        temporary.unlink(missing_ok=True)
    except OSError as error:
        raise disk.refused(paths[0], error) from error


@contextmanager
def made_if_needed(folder: Path) -> Iterator[None]:
    """A folder with its parents; those that were made for a block that fails go again, as far as they are empty."""
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
    """Those of processes of this machine that are no more, and those of other machines that are older than a day.

    A number that belongs to another process by now keeps its leftover until that one ends as well.
    """
    start = f".tmp-{path.name}-"
    for left in path.parent.glob(f"{glob.escape(start)}*"):
        machine, _, process = left.name.removeprefix(start).rpartition("-")
        with suppress(OSError):
            if not (_alive(process) if machine == platform.node() else time.time() - left.stat().st_mtime < _DAY):
                left.unlink()


def _alive(process: str) -> bool:
    """Whether a process of this machine, by its number, is still there to finish its file."""
    try:
        os.kill(int(process), 0)
    except (ProcessLookupError, OverflowError, ValueError):
        return False
    except PermissionError:  # another user's
        return True
    return True


def sync(path: Path) -> None:
    """Have what was written on the disk before going on."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Have the names of what was renamed on the disk: the files are whole already, and not every system can do it."""
    with suppress(OSError):
        sync(folder)


def lock_file(path: Path) -> FileLock:
    """A lock that the system ends with its process; where the file system has none, taking it is an OSError."""
    return FileLock(path, fallback_to_soft=False)  # a soft lock is a file, and would outlive a killed process


@contextmanager
def locked(path: Path, waiting: Callable[[], object]) -> Iterator[None]:
    """Hold a lock file that ends with its process; `waiting` is called once if another one holds it.

    Raises:
        UserError: the disk refuses, or has no locks.
    """
    lock = lock_file(path)
    try:
        _acquire(lock, path.parent, waiting)
    except OSError as error:
        raise disk.refused(path, error) from error
    try:
        yield
    finally:
        with suppress(OSError):
            path.unlink()  # while it is held: who waits for it notices, and makes a new one
        lock.release()


def _acquire(lock: FileLock, folder: Path, waiting: Callable[[], object]) -> None:
    patience = 0.1
    for tries_left in range(99, -1, -1):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=patience)
        except Timeout:
            waiting()
            patience = -1  # for ever
        except FileNotFoundError:  # the process that held it has just removed the empty folder
            if not tries_left:
                raise
        else:
            return


def write_csv(path: Path, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Write a table as CSV with Unix line ends."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def read_tables(paths: Sequence[Path]) -> list[dict[str, NDArray[Any]]]:
    """The columns of tables as `read_counts` gives them, `id` among them.

    Raises:
        OSError, ValueError: a file is missing or not such a table.
    """
    import pandas as pd

    texts = [path.read_text(encoding="utf-8") for path in paths]
    heads = [text.partition("\n")[0] for text in texts]
    result: list[dict[str, NDArray[Any]]] = [{} for _ in paths]
    for head in dict.fromkeys(heads):
        members = [index for index, other in enumerate(heads) if other == head]
        bodies = [texts[index].partition("\n")[2] for index in members]
        kinds = {name: _kind(name) for name in head.split(",")}
        text = io.StringIO(head + "\n" + "".join(bodies))
        floats = [name for name, kind in kinds.items() if kind is np.float64]
        unknown = {name: ["nan"] for name in floats}
        table = pd.read_csv(text, dtype=kinds, usecols=list(kinds), keep_default_na=False, na_values=unknown)
        ends = np.cumsum([body.count("\n") for body in bodies])
        if len(table) != ends[-1]:
            raise ValueError("the table has quoted line breaks or lacks its last line end")
        columns = {name: table[name].to_numpy() for name in table}
        for index, start, end in zip(members, [0, *ends[:-1]], ends, strict=True):
            result[index] = {str(name): column[start:end] for name, column in columns.items()}
    return result


def read_ids(path: Path) -> list[str]:
    """The ids of such a table, in its order.

    Raises:
        OSError, KeyError: it is missing, or has no such column.
    """
    with path.open(encoding="utf-8", newline="") as file:
        return [line["id"] for line in csv.DictReader(file)]


def _kind(column: str) -> Any:
    if column == "slice":
        return "category"
    if column == "id":
        return object
    return np.float64 if any(word in column for word in _DECIBELS) else np.int64


_DECIBELS = ("sdr", "song_kept", "noise_left")
"""Columns with these in their names are in dB, all others are counts."""
