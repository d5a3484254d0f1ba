"""Kills a `bench run` with its leaderboard at moments drawn evenly over the phases, until it is done; then compares.

    python tests/soaking.py '{"folder": "...", "kills": 200, "seed": 0}'

A moment is right before a change of the disk, a few milliseconds after it began (in the middle of a write), at a report
of progress, or, in the phase "any time", whenever it comes. After a kill the same command is given again, and half of
the time that one is killed as well. Prints, as JSON, the kills per phase and what was not as it should be.
"""

import contextlib
import json
import os
import random
import re
import shutil
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import faults
from helpers import FORGETFUL, fingerprint

from benchmark import cli, launch
from benchmark.training import evaluator

RUN = (
    *("run", "--arch", "forgetful", "--plugins", "plugins", "--image-size", "32", "--dataset", "birdsounds"),
    *("--data", "birds", "--epochs", "4", "--batch-size", "3", "--lr", "1e-2", "--set", "schedule=cosine"),
    *("--set", "augmentation=time_roll", "--threads", "1", "--checkpoint-every", "0", "--seed", "1"),
)
CHECKS = (("leaderboard", "--check"), ("verify", "--plugins", "plugins"))
PLACES = (
    (r"\.lock$", "locks"),
    (r"^cache/", "cache"),
    (r"^results/unfinished/.*safetensors", "checkpoint"),
    (r"^results/unfinished/", "working folder"),
    (r"^results/(manifests|pictures|references)", "files of the data"),
    (r"^results/runs/.*/\.tmp-[^/]+/(examples|private)", "pictures"),
    (r"^results/runs/.*/\.tmp-[^/]+/.", "run folder"),
    (r"^results/runs/", "run folder, its rename"),
    (r"^results/(leaderboard|tables)", "leaderboard"),
)
STAGES = {"decoding": "decoding", "training": "training", "testing": "testing"}
ANY = "any time"
At = Callable[[str], None]
"""Called with the phase at each moment where a kill may be."""


def phase(kind: str, path: str) -> str:
    found = next((name for pattern, name in PLACES if re.search(pattern, path)), "tidying")
    return "tidying" if kind in ("remove", "rmdir") and found != "locks" else found


def listening(folder: Path, at: At) -> None:
    """Have `at` called in this process at every moment."""
    faults.Changes(folder, lambda _, kind, path: at(phase(kind, path)))
    validate = evaluator.validation_iou

    def validated(*arguments: Any) -> float:
        at("validation")
        return validate(*arguments)

    def report(stage: str, done: int, total: int, note: str) -> None:
        del done, total, note
        at(STAGES.get(stage, "start"))

    evaluator.validation_iou = validated
    launch.bars = lambda: contextlib.nullcontext(report)  # type: ignore[assignment]


def killing(where: str, number: int, delay: float) -> At:
    """Kill this process at its n-th moment of a phase, so many seconds after it began."""
    met = 0

    def at(now: str) -> None:
        nonlocal met
        met += now == where
        if now == where and met == number:
            if delay:
                threading.Timer(delay, os.kill, (os.getpid(), signal.SIGKILL)).start()
            else:
                os.kill(os.getpid(), signal.SIGKILL)

    return at


def both() -> None:
    """The run, then the leaderboard, in this process."""
    with contextlib.suppress(SystemExit):
        cli.main(list(RUN))
    cli.main(["leaderboard"])


def attempt(folder: Path, at: At | None = None, *, seconds: float | None = None) -> bool:
    """Give both commands in a fork; False if it was killed, here after so many seconds."""
    child = os.fork()
    if not child:
        faults.quit_after(both, folder, lambda: listening(folder, at) if at else None)
    if seconds is not None:
        time.sleep(seconds)
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code in (0, -signal.SIGKILL), faults.log(folder).read_text()
    return code == 0


class Soak:
    """One world, copied for each trial, and the run that nobody disturbed."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._folder, self._chance, self._number = folder, random.Random(seed), 0
        self._world = faults.world(folder / "world")
        (self._world / "plugins" / "architectures" / "forgetful.py").write_text(FORGETFUL)
        shutil.rmtree(self._world / "cache")
        self._before = set(self._world.glob("results/runs/*/*/*/*"))
        alone, listing = self._fresh(), folder / "moments"

        def note(now: str) -> None:
            with listing.open("a") as file:
                file.write(now + "\n")

        assert attempt(alone, note)
        self.moments = Counter(listing.read_text().splitlines())
        started = time.monotonic()
        assert attempt(self._fresh())
        self._seconds = time.monotonic() - started
        self._expected = self._results(alone)
        assert list(self.wrong(alone)) == []

    def _fresh(self) -> Path:
        self._number += 1
        target = self._folder / f"trial-{self._number}"
        shutil.copytree(self._world, target)
        return target

    def trial(self, kills: Counter[str], share: dict[str, int]) -> Iterator[str]:
        """Kill, begin again, perhaps kill again, until it is done; what is wrong then."""
        folder = self._fresh()
        done = False
        while not done:
            left = [name for name, most in share.items() if kills[name] < most]
            if not left:
                break
            where = self._chance.choice(left)
            if where == ANY:
                done = attempt(folder, seconds=self._chance.uniform(0, self._seconds))
            else:
                number = self._chance.randint(1, self.moments[where])
                delay = self._chance.choice((0.0, self._chance.uniform(0, 0.01)))
                done = attempt(folder, killing(where, number, delay))
            kills[where] += not done
            if self._chance.random() < 0.5:
                break
        if not attempt(folder):
            yield "killed by somebody else"
        yield from self.wrong(folder)
        shutil.rmtree(folder)

    def wrong(self, folder: Path) -> Iterator[str]:
        """What is not as an undisturbed run leaves it."""
        for words in CHECKS:
            code, said = faults.in_child(folder, words)
            if code:
                yield f"bench {' '.join(words)}: {said}"
        left = [*folder.rglob(".tmp-*"), *folder.rglob("*.lock"), *folder.rglob("unfinished")]
        if left:
            yield f"left: {left}"
        if self._results(folder) != self._expected:
            yield "other results"
        for path in self._before:
            if faults.contents(path) != faults.contents(folder / path.relative_to(self._world)):
                yield "an earlier run was touched"

    def _results(self, folder: Path) -> dict[str, Any]:
        (run,) = folder.glob("results/runs/*/*/forgetful/*")
        found = faults.contents(folder)
        return {
            "names": sorted(found),
            "run": fingerprint(run),
            "record": timeless(json.loads((run / "run.json").read_text())),
            "files": {name: content for name, content in found.items() if not faults.varies(name)},
        }


def timeless(record: dict[str, Any]) -> dict[str, Any]:
    """Without what is measured, and without how often it went on."""
    for name in ("finished", "inference_images_per_second", "peak_memory_bytes"):
        del record[name]
    for name in ("seconds", "images_per_second", "continued_after", "others"):
        del record["training"][name]
    return record


def main(task: dict[str, Any]) -> dict[str, Any]:
    soak = Soak(Path(task["folder"]), task["seed"])
    phases = [*soak.moments, ANY]
    share = {name: task["kills"] // len(phases) for name in phases}
    share[ANY] += task["kills"] - sum(share.values())
    kills: Counter[str] = Counter()
    problems: list[str] = []
    trials = 0
    while any(kills[name] < share[name] for name in phases):
        trials += 1
        before = Counter(kills)
        problems += [f"trial {trials}, {dict(kills - before)}: {text}" for text in soak.trial(kills, share)]
    return {"kills": kills, "moments": soak.moments, "trials": trials, "problems": problems}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(json.loads(sys.argv[1]))) + "\n")
