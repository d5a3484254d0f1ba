"""The cache at the size of the whole BirdSoundsDenoising: 10,000 / 1,400 / 2,720 pairs of 1024 x 3032 pixels.

    python -m pytest -m soak -s tests/soak/test_scale_images.py

makes the files (64 distinct pairs, each under many names by hard links, so that 18 GB need not be there),
builds the cache at 512 x 512, kills it by SIGKILL at about 40 %, goes on, opens it again, and prints what it took.
`SCALE_IMAGES` and `SCALE_NATIVE` (512x512) take another number of images and another size of their files,
`SCALE_FOLDER` another disk; the cache takes 8.5 GB there.
"""

import contextlib
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

SPLITS = {"Train": 10_000, "Valid": 1_400, "Test": 2_720}
DISTINCT = 64
NATIVE = tuple(int(side) for side in os.environ.get("SCALE_NATIVE", "1024x3032").split("x"))
SIZE = (512, 512)
SAMPLE = 200  # images on which plain decoding is timed


# ---------------------------------------------------------------- in processes of their own


def make_pair(number: int, folder: Path) -> None:
    """Noise with a bright song: a PNG of about 1.3 MB, as the published ones are, and its mask."""
    chance = np.random.default_rng(number)
    noise = np.abs(chance.normal(0, 6, NATIVE))
    mask = np.zeros(NATIVE, bool)
    for _ in range(8):
        top, left = (int(chance.integers(0, side * 9 // 10)) for side in NATIVE)
        mask[top : top + NATIVE[0] // 16, left : left + NATIVE[1] // 16] = True
    mask |= mask[::-1]
    image = np.clip(noise + mask * 150, 0, 255).astype(np.uint8)
    Image.fromarray(image).save(folder / f"{number}.png", compress_level=1)
    Image.fromarray(mask * np.uint8(255)).save(folder / f"{number}.mask.png")


def make(root: Path, counts: dict[str, int]) -> None:
    from functools import partial

    from benchmark.common import workers

    originals = root / "originals"
    originals.mkdir(parents=True)
    for _ in workers.ordered(partial(make_pair, folder=originals), range(DISTINCT)):
        pass
    number = 0
    for split, count in counts.items():
        for kind in ("Images", "Masks"):
            (root / split / kind).mkdir(parents=True)
        for _ in range(count):
            number += 1
            for kind, suffix in (("Images", ".png"), ("Masks", ".mask.png")):
                os.link(originals / f"{number % DISTINCT}{suffix}", root / split / kind / f"XC{number:06}.png")


def load(root: Path) -> None:
    """Prints a line of JSON for each report, and at the end what was opened."""
    from benchmark import protocols
    from benchmark.data import manifest
    from benchmark.plugins import datasets, registry

    def report(stage: str, done: int, total: int, note: str) -> None:
        if done % 50 == 0 or done == total:
            say({"stage": stage, "done": done, "time": time.monotonic(), "note": note})

    started, used = time.monotonic(), time.process_time()
    settings = protocols.load("paper").override({"image_size": SIZE})
    cached = datasets.load_data(registry.load("datasets", "birdsounds"), settings, root, report)
    seconds, processor = time.monotonic() - started, time.process_time() - used
    datasets.check_data(cached, settings, allow_leakage=True)
    counted = manifest.summary(cached.rows)["images"]
    read = 0
    for split in cached.splits.values():
        read += sum(int(image[::64, ::64].sum()) for image in split.images)
        read += sum(int(mask.any()) for mask in split.native_masks())
    say({"stage": "open", "seconds": seconds, "processor_seconds": processor, "images": counted} | memory())


def plain(root: Path) -> None:
    """How fast the same processors decode the same files, with nothing kept: alone, and with the resize."""
    from benchmark.datasets import birdsounds

    from benchmark.common import workers

    for stage, work in (("decode", _decode), ("decode and resize", _resize)):
        samples = birdsounds.load(root=root)["train"][: SAMPLE + 50]
        results = workers.ordered(work, [sample.read for sample in samples])
        list(islice(results, 50))  # the workers have started
        started = time.monotonic()
        count = sum(1 for _ in results)
        say({"stage": stage, "rate": count / (time.monotonic() - started)})


def _decode(read: Any) -> None:
    read()


def _resize(read: Any) -> None:
    from benchmark.data import images

    example = read()
    images.resize_image(example.image, SIZE)
    images.resize_mask(example.mask, SIZE)


def memory() -> dict[str, int]:
    return _status(os.getpid())


def say(values: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()


# ---------------------------------------------------------------- the run


def _status(process: int) -> dict[str, int]:
    """Resident memory in MB, and the part of it that is no copy of a file, which the system can drop at any time."""
    with contextlib.suppress(OSError):
        lines = dict(line.split(":", 1) for line in Path(f"/proc/{process}/status").read_text().splitlines())
        if "VmRSS" in lines:
            return {name: int(lines[key].split()[0]) // 1024 for name, key in (("rss", "VmRSS"), ("anon", "RssAnon"))}
    return {"rss": 0, "anon": 0}


def _children(process: int) -> list[int]:
    with contextlib.suppress(OSError):
        return [int(one) for one in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    return []


class Watched:
    """A child whose lines are read, and whose own memory and that of its workers are looked at twice a second."""

    def __init__(self, task: str, root: Path, cache: Path) -> None:
        environment = {**os.environ, "BENCH_CACHE": str(cache), "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, __file__, task, str(root)], stdout=subprocess.PIPE, text=True, env=environment
        )
        self.done = 0
        self.reports: list[dict[str, Any]] = []
        self.seen: list[tuple[int, int, int]] = []  # done, MB of the parent, MB of the largest worker
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()

    def lines(self) -> Iterator[dict[str, Any]]:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            found = json.loads(line)
            if found["stage"] == "decoding":
                self.reports.append(found)
                self.done = found["done"]
            yield found

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def end(self) -> list[dict[str, Any]]:
        found = list(self.lines())
        assert self.process.wait() == 0
        assert self.process.stdout is not None
        self.process.stdout.close()
        return found

    def peak(self, first: int, last: int) -> tuple[int, int]:
        """Largest memory of the parent and of a worker, in MB, while so many were done."""
        inside = [(parent, worker) for done, parent, worker in self.seen if first <= done <= last] or [(0, 0)]
        return max(parent for parent, _ in inside), max(worker for _, worker in inside)

    def _watch(self) -> None:
        while self.process.poll() is None:
            workers = [_status(one)["anon"] for one in _children(self.process.pid)]
            self.seen.append((self.done, _status(self.process.pid)["anon"], max(workers, default=0)))
            time.sleep(0.5)


@pytest.mark.soak
@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_the_whole_dataset(tmp_path: Path) -> None:
    share = int(os.environ.get("SCALE_IMAGES", "14120")) / 14_120
    counts = {split: max(DISTINCT, round(count * share)) for split, count in SPLITS.items()}
    total = sum(counts.values())
    folder = Path(os.environ.get("SCALE_FOLDER") or tmp_path) / "scale"
    root, cache = folder / "data", folder / "cache"
    try:
        started = time.monotonic()
        make(root, counts)
        tell(f"\n{total} pairs made in {time.monotonic() - started:.0f} s; load {os.getloadavg()}")
        _measure(root, cache, total)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _measure(root: Path, cache: Path, total: int) -> None:
    decoded = [Watched("plain", root, cache).end()]
    killed = Watched("load", root, cache)
    for line in killed.lines():
        if line["stage"] == "decoding" and line["done"] >= 0.4 * total:
            killed.kill()
            break
    tell(f"killed at {killed.done}: {_rate(killed):.1f} images/s; load {os.getloadavg()}")
    decoded.append(Watched("plain", root, cache).end())

    resumed = Watched("load", root, cache)
    opened = resumed.end()[-1]
    kept = resumed.reports[0]
    tell(f"resumed after {kept['done']}: {_rate(resumed):.1f} images/s, {opened['seconds']:.0f} s in all")
    decoded.append(Watched("plain", root, cache).end())
    again = Watched("load", root, cache).end()
    assert [line["stage"] for line in again] == ["open"], "it was decoded already"
    assert sum(again[0]["images"].values()) == total
    assert killed.done <= kept["done"] <= killed.done + 50, "what was stored is not decoded again"

    rates = {line["stage"]: statistics.median(run[at]["rate"] for run in decoded) for at, line in enumerate(decoded[0])}
    for name, rate in rates.items():
        ratio = statistics.mean((_rate(killed), _rate(resumed))) / rate
        tell(f"{name} without a cache: {rate:.1f} images/s; building the cache: {ratio:.2f} of that")
    early, late = killed.peak(200, 2_000), resumed.peak(total - 2_000, total)
    tell(f"memory in MB of parent and largest worker: {early} up to 2,000 images, {late} over the last 2,000")
    tell(f"opened again: {again[0]}; load {os.getloadavg()}")
    assert late[0] < early[0] + 200, "the parent grows with the number of images"
    assert late[1] < early[1] + 200, "a worker grows with the number of images"
    assert again[0]["anon"] < 1_000, "images are held in memory"


def tell(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _rate(watched: Watched) -> float:
    """Images per second once the workers had started."""
    begin, end = watched.reports[1], watched.reports[-1]
    return float((end["done"] - begin["done"]) / (end["time"] - begin["time"]))


if __name__ == "__main__":
    {"load": load, "plain": plain}[sys.argv[1]](Path(sys.argv[2]))
