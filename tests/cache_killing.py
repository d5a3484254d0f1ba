"""Kills the building of a small cache at every write that it makes, goes on, and compares the bytes.

    python tests/cache_killing.py FOLDER

A process of its own, because it forks. The last line says how many kills there were; the others name what differed.
"""

import os
import random
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.common.progress import silent
from benchmark.contract import Audio, Example, Sample, Splits
from benchmark.data import cache, spectrogram

FRAMES = 6
SHAPE = (spectrogram.PUBLISHED.rows, FRAMES)


def read(number: int, *, colour: bool, sound: bool) -> Example:
    chance = np.random.default_rng(number)
    image = chance.integers(0, 255, (*SHAPE, 3) if colour else SHAPE, dtype=np.uint8)
    noisy, clean = chance.normal(size=(2, spectrogram.sample_count(FRAMES)))
    audio = Audio(noisy=noisy, clean=clean, sample_rate=8_000) if sound else None
    return Example(image=image, mask=chance.random(SHAPE) > 0.5, audio=audio)


def splits(folder: Path, train: int = 3, val: int = 1, test: int = 3) -> Splits:
    """One image of the training split is in colour, the test's have sounds; each sample has a file of its own."""
    folder.mkdir(parents=True, exist_ok=True)

    def sample(split: str, number: int) -> Sample:
        path = folder / f"{split}-{number}"
        if not path.exists():
            path.touch()
        reading = partial(read, number, colour=(split, number) == ("train", 1), sound=split == "test")
        return Sample(id=str(number), groups={"recording": f"{split}-{number}"}, read=reading, files=(path,))

    counts = {"train": train, "val": val, "test": test}
    return {split: [sample(split, number) for number in range(count)] for split, count in counts.items()}


def build(folder: Path, found: Splits) -> cache.Cached:
    """Into a cache of its own."""
    os.environ["BENCH_CACHE"] = str(folder)
    return cache.prepare(found, identity={}, size=(16, 12), grey=False, report=silent)


def content(folder: Path) -> dict[str, bytes]:
    """The files of the one finished entry."""
    (entry,) = folder.glob("[!.]*/")
    return {path.name: path.read_bytes() for path in entry.iterdir()}


def child(folder: Path, found: Splits, die_at: int) -> bool:
    """Whether a child that dies at its n-th write came to the end before."""
    process = os.fork()
    if process == 0:
        try:
            die_at_write(die_at)
            build(folder, found)
        finally:
            os._exit(0)
    _, status = os.waitpid(process, 0)
    return not os.WIFSIGNALED(status)


def die_at_write(number: int) -> None:
    """Count writes, syncs, removals and renames; a sample's file is half written when the process dies."""
    count = 0

    def dying(function: Callable[..., Any], torn: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any, **options: Any) -> Any:
            nonlocal count
            count += 1
            if count == number:
                torn(*arguments)
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **options)

        return wrapped

    np.savez = dying(np.savez, lambda file: (file.write(b"PK\3\4 half a file"), file.flush()))
    np.lib.format.write_array_header_1_0 = dying(np.lib.format.write_array_header_1_0, lambda *_: None)
    for name in ("replace", "rename", "unlink"):
        setattr(Path, name, dying(getattr(Path, name), lambda *_: None))
    os.fsync = dying(os.fsync, lambda *_: None)


def main(folder: Path) -> None:
    found = splits(folder / "data")
    build(folder / "alone", found)
    expected = content(folder / "alone")
    kills, chance = 0, random.Random(0)
    at = 0
    while True:  # once at each place
        at += 1
        if child(folder / f"at-{at}", found, at):
            break
        kills += 1
        build(folder / f"at-{at}", found)
        compare(folder / f"at-{at}", expected)
    for number in range(5):  # again and again
        while not child(folder / f"often-{number}", found, chance.randint(1, 40)):
            kills += 1
        compare(folder / f"often-{number}", expected)
    sys.stdout.write(f"{kills}\n")


def compare(folder: Path, expected: dict[str, bytes]) -> None:
    found = content(folder)
    differing = [name for name in expected.keys() | found.keys() if found.get(name) != expected.get(name)]
    if differing or list(folder.glob(".*")):
        sys.stdout.write(f"{folder.name}: {differing} {list(folder.glob('.*'))}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
