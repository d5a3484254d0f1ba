"""Starts a `bench run` again and again and kills it each time; prints whether it ended like an undisturbed one.

    python tests/killing.py '[{"command": ["run", ...], "folder": "...", "kills": 50, "seed": 0, "mode": "random"}]'

It is a process of its own because it forks: it has imported everything and computed nothing, so its children start at
once. The mode "random" kills after a random time; "steps" kills child n at its n-th write that reaches the disk.
"""

import importlib
import json
import os
import random
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

from helpers import fingerprint
from torch import nn

from benchmark import cli, launch, protocols
from benchmark.common import files
from benchmark.plugins import network, registry
from benchmark.records import describe, pictures

# Import and compute once what every run needs, so that the forks start quickly; no result depends on it.
describe.core_hash()
network.gigaflops(network.Network(nn.Conv2d(3, 1, 1), 1, "warm-up"), protocols.load("quick"))
registry.load("datasets", "birdsounds")
with tempfile.TemporaryDirectory() as away:
    pictures.draw_curve(Path(away) / "curve.png", "warm-up", [1.0, 0.5], [0.0, 0.5], 2)
importlib.import_module("torch._dynamo")  # imported by optimisers when they are first used
assert launch


class Trial:
    """One results folder, with a cache of its own unless one is given."""

    def __init__(self, folder: Path, command: list[str], cache: Path | None = None) -> None:
        self._cache = cache or folder / "cache"
        self.results = folder / "results"
        self._command = [*command, "--results", str(self.results), "--checkpoint-every", "0"]
        self._folder = folder
        folder.mkdir(parents=True)

    def start(self, die_at: int | None = None) -> int:
        child = os.fork()
        if child:
            return child
        os.setsid()  # workers, too, are killed with it
        os.environ["BENCH_CACHE"] = str(self._cache)
        log = os.open(self._folder / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        if die_at is not None:
            die_at_write(die_at)
        code = 1
        try:
            cli.main(self._command)
        except SystemExit as end:
            code = int(end.code or 0)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)

    def finish(self) -> str:
        _, status = os.waitpid(self.start(), 0)
        assert status == 0, (self._folder / "log").read_text()
        self.check_clean()
        (path,) = self.results.glob("runs/*/*/*/*")
        return fingerprint(path)

    def check_clean(self) -> None:
        left = [*self.results.rglob(".tmp-*"), *self.results.rglob("unfinished")]
        assert left == [], left

    def continued(self) -> int:
        """How often the run went on after a checkpoint."""
        (path,) = self.results.glob("runs/*/*/*/*")
        return len(json.loads((path / "run.json").read_text())["training"]["continued_after"])


def die_at_write(number: int) -> None:
    """Kill this process at its n-th write to the disk: before it for odd n, after it for even n."""
    count = 0
    sync = files.sync

    def counted(path: Path) -> None:
        nonlocal count
        count += 1
        if count == number and number % 2:
            os.kill(os.getpid(), signal.SIGKILL)
        sync(path)
        if count == number:
            os.kill(os.getpid(), signal.SIGKILL)

    files.sync = counted


def ended(child: int, seconds: float) -> bool:
    """Wait for a child; kill it and return False if it is still running after so many seconds."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if os.waitpid(child, os.WNOHANG)[0]:
            return True
        time.sleep(0.005)
    try:
        os.killpg(child, signal.SIGKILL)
    except ProcessLookupError:  # so young that it has no group of its own yet, nor workers
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


def main(task: dict[str, Any]) -> dict[str, Any]:
    folder, command = Path(task["folder"]), task["command"]
    started = time.monotonic()
    expected = Trial(folder / "alone", command).finish()
    duration = time.monotonic() - started
    repeats = [Trial(folder / f"again-{number}", command).finish() for number in range(task.get("repeats", 0))]
    chance = random.Random(task["seed"])
    kills, runs, continued = 0, [], 0
    while kills < task["kills"]:
        # At each write of the run itself: tests/test_cache_resume.py kills at those of the cache.
        cache = folder / "alone" / "cache" if task["mode"] == "steps" else None
        trial = Trial(folder / f"killed-{len(runs)}", command, cache)
        number = 0
        while kills < task["kills"]:
            number += 1
            if task["mode"] == "random":
                done = ended(trial.start(), chance.uniform(0, duration))
            else:
                _, status = os.waitpid(trial.start(die_at=number), 0)
                done = status != signal.SIGKILL
            if done:
                break
            kills += 1
        runs.append(trial.finish())
        continued += trial.continued()
    return {"expected": expected, "repeats": repeats, "runs": runs, "kills": kills, "continued": continued}


if __name__ == "__main__":
    sys.stdout.write(json.dumps([main(task) for task in json.loads(sys.argv[1])]) + "\n")
