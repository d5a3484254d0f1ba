"""Gives each command of `bench` again and again, and has the disk refuse, or the process killed, at its n-th change.

    python tests/faults.py '{"folder": "...", "jobs": [{"mode": "full", "commands": ["run"], "every": 1}]}'

A process of its own, because it forks: it has imported everything but computed nothing, so its children start at once.

A change is a file opened for writing, a sync, a rename, a removal or a new folder, below the command's folder, as
Python's audit events tell: what C code opens by itself (libsndfile) and each single write are not among them.

Refused, from the n-th change on:
"full" (ENOSPC), "quota" (EDQUOT): opening, syncs and new folders, not renames and removals, which need no room.
"failing" (EIO): these and renames; removals still work.
"read-only" (EROFS): every change.

Refused by the system, in the middle of a write, whoever writes:
"torn" (EFBIG): from the n-th of the files that Python opens on, none may grow beyond half of what that one is to be.
"limited" (EFBIG): no file may be larger than the bytes given as "sizes", from the beginning on.
"small" (ENOSPC): a disk (tmpfs, which takes the right to mount) has room for so many bytes. It alone refuses a write
for want of room.

A job's "only" chooses among the changes by a regular expression, "first" and "every" among these by their number.

"killed" kills the process (SIGKILL) right before its n-th change. "twice" gives the command to several processes at
once; "slow" as well, on a disk that takes a while for each change; "together" gives different ones at once in one
results folder.

Prints, as JSON, how many faults each command was given and what was not as it should be.
"""

import errno
import importlib
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from helpers import NEW_PLUGIN, TINY, birdsounds_tree
from torch import nn

from benchmark import cli, launch, protocols, reproduce, transfer
from benchmark.common import workers
from benchmark.leaderboard import formats, page, tables
from benchmark.plugins import network, registry
from benchmark.records import describe, pictures, verify
from benchmark.tools.audit import scan, show
from benchmark.tools.denoise import choose_run, cleaner
from benchmark.tools.mix import make
from benchmark.tools.speed import ceiling, measure, session

# What a command imports and computes on its way without touching a number: its forks start in the middle of the action.
USED = (choose_run, cleaner, formats, launch, make, reproduce, page, scan, show, tables, transfer, verify)
describe.core_hash()
network.gigaflops(network.Network(nn.Conv2d(3, 1, 1), 1, "warm-up"), protocols.load("quick"))
registry.load("datasets", "birdsounds")
with tempfile.TemporaryDirectory() as away:
    pictures.draw_curve(Path(away) / "curve.png", "warm-up", [1.0, 0.5], [0.0, 0.5], 2)
importlib.import_module("torch._dynamo")  # imported by optimisers when they are first used

RUN = ("run", "--arch", "blur", "--plugins", "plugins", *TINY, "--checkpoint-every", "0", "--threads", "1")
ON_FILES = ("--dataset", "birdsounds", "--data", "birds", "--batch-size", "2")
SOUNDS = ("--song", "sounds/song", "--background", "sounds/background")
COUNTS = ("--train", "1", "--val", "1", "--test", "1", "--slice", "1", "--seconds", "0.5", "--sample-rate", "16000")
COMMANDS: dict[str, tuple[str, ...]] = {
    "run": (*RUN, "--seed", "1"),
    "run --force": (*RUN, "--force"),
    "run on files": (*RUN, *ON_FILES),
    "leaderboard": ("leaderboard",),
    "leaderboard --private": ("leaderboard", "--private", "--format", "html"),
    "verify --predict": ("verify", "--predict", "blur", "--plugins", "plugins"),
    "transfer": ("transfer", "blur", "--dataset", "birdsounds", "--data", "birds", "--plugins", "plugins"),
    "denoise": ("denoise", "call.wav", "--plugins", "plugins", "--out", "clean"),
    "data mix": ("data", "mix", *SOUNDS, "--out", "mixed", *COUNTS),
    "data audit": ("data", "audit", "birds", "--picture", "sheets/sheet.png"),
    "speed": ("speed", "blur", "--plugins", "plugins", "--out", "figures/speed.csv"),
    "new arch": ("new", "arch", "brand_new", "--to", "mine"),
}
REPLACED = {"run --force": r"results/runs/", "leaderboard": r"results/(leaderboard\.|tables/)"}
"""What a command may change of what was there before."""
VARIES = re.compile(
    r"run\.json|history\.csv|SHA256SUMS|verification\.json|transfer\.json|leaderboard\.\w+|tables/[\w.-]+|curve\.png"
)
"""Files with times in them."""
STAYS = re.compile(r"\.lock$|/\.tmp-|^results/unfinished/|/\.unfinished/")
"""What a command that succeeds may leave where nothing can be removed."""
ERRORS = {
    "limited": errno.EFBIG,
    "torn": errno.EFBIG,
    "full": errno.ENOSPC,
    "small": errno.ENOSPC,
    "quota": errno.EDQUOT,
    "read-only": errno.EROFS,
    "failing": errno.EIO,
}
SLOW = 0.05  # seconds for each change: a run makes hundreds
_LATENCY = measure.Latency(batch=1, p50=1.0, p95=1.0, repeats=9)
_SPEED = measure.Speed(
    label="blur", kind="cpu", precision="fp32", threads=1, execution="eager", image_size=(32, 32), batch_size=4,
    parameters=1, gigaflops=1.0, train=1.0, infer=1.0, latency=(_LATENCY, _LATENCY),
    train_memory=1, infer_memory=1, demand=None,
)  # fmt: skip


class Changes:
    """Counts what this process changes below a folder, and calls `at` with number, kind and path before each change."""

    def __init__(self, folder: Path, at: Callable[[int, str, str], None]) -> None:
        self.folder, self.count, self._at, self._on = str(folder), 0, at, True
        self._fsync = os.fsync
        os.fsync = self._sync
        sys.addaudithook(self._hear)

    def _sync(self, descriptor: int) -> None:
        link = Path(f"/proc/self/fd/{descriptor}")  # on Linux; elsewhere the path is not known
        self._change("sync", str(link.readlink()) if link.is_symlink() else self.folder)
        self._fsync(descriptor)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = arguments
            if isinstance(path, str | bytes | os.PathLike) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
                self._change("open", os.fsdecode(path))
        elif event == "os.rename":
            self._change("rename", os.fsdecode(arguments[1]))
        elif event in ("os.mkdir", "os.remove", "os.rmdir", "os.truncate") and not isinstance(arguments[0], int):
            self._change(event.removeprefix("os."), os.fsdecode(arguments[0]))

    def _change(self, kind: str, path: str) -> None:
        whole = os.path.abspath(path)  # noqa: PTH100 - resolving would look at the disk
        if self._on and whole.startswith(self.folder):
            self.count += 1
            self._on = False  # what is done at a fault is not counted
            try:
                self._at(self.count, kind, os.path.relpath(whole, self.folder))
            finally:
                self._on = True


def refusing(number: int, mode: str) -> Callable[[int, str, str], None]:
    """From the n-th change on the disk refuses, but for what it still can."""
    removals = {"remove", "rmdir"}
    possible = {"read-only": set(), "failing": removals}.get(mode, {*removals, "rename"})

    def at(count: int, kind: str, path: str) -> None:
        if count >= number and kind not in possible:
            raise OSError(ERRORS[mode], os.strerror(ERRORS[mode]), path)

    return at


def tearing(number: int, size: int) -> Callable[[int, str, str], None]:
    """From the n-th change on no file grows beyond so many bytes."""

    def at(count: int, kind: str, path: str) -> None:
        del kind, path
        if count == number:
            limit_files(size)

    return at


def limit_files(size: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


def hesitating(count: int, kind: str, path: str) -> None:
    """Before each change the disk takes a while."""
    del count, kind, path
    time.sleep(SLOW)


def killing(number: int) -> Callable[[int, str, str], None]:
    def at(count: int, kind: str, path: str) -> None:
        del kind, path
        if count == number:
            os.kill(os.getpid(), signal.SIGKILL)

    return at


def in_child(folder: Path, words: tuple[str, ...], prepare: Callable[[], object] = lambda: None) -> tuple[int, str]:
    """Give a command in a fork that works in `folder`; its exit code (-9: killed) and what it said."""
    return at_once(folder, [words], prepare)[0]


def at_once(
    folder: Path, commands: Sequence[tuple[str, ...]], prepare: Callable[[], object] = lambda: None
) -> list[tuple[int, str]]:
    """The same of several at the same time."""
    children = []
    for words in commands:
        heard, spoken = os.pipe()  # no file: what is said is not subject to a limit of file size
        child = os.fork()
        if not child:
            os.close(heard)
            quit_after(lambda words=words: cli.main(list(words)), folder, prepare, spoken)
        os.close(spoken)
        children.append((child, heard))
    said = []
    for _, heard in children:
        with open(heard, errors="replace") as file:  # noqa: PTH123 - a descriptor
            said.append(file.read())
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child, _ in children]
    return list(zip(codes, said, strict=True))


def quit_after(
    work: Callable[[], object], folder: Path, prepare: Callable[[], object], output: int | None = None
) -> None:
    """In a fork: work in that folder, and end with the exit code; what is said goes to `output`, or to the log."""
    code = 99
    try:
        if output is None:
            output = os.open(log(folder), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        _settle(folder, output)
        prepare()
        work()
    except SystemExit as end:
        code = int(end.code or 0)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        sys.stdout.flush()
        os._exit(code)


def log(folder: Path) -> Path:
    """What the last command in that folder said, if nobody listened."""
    return folder.parent / f"{folder.name}.log"


def _settle(folder: Path, output: int) -> None:
    os.chdir(folder)
    os.environ["BENCH_CACHE"] = "cache"
    os.dup2(output, 1)
    os.dup2(output, 2)
    # Spawned workers would know nothing of the faults.
    workers.pool = lambda count=None: ThreadPoolExecutor(1)  # type: ignore[assignment,return-value] # noqa: ARG005
    session.measure_ceiling = lambda task: ceiling.Ceiling(flops=1e9, bytes=1e9)  # noqa: ARG005
    session.measure_each = lambda tasks, most, report: [_SPEED]  # noqa: ARG005


def world(folder: Path) -> Path:
    """Data, recordings, and a results folder with one run."""
    (folder / "plugins" / "architectures").mkdir(parents=True)
    soundfile.write(folder / "call.wav", np.random.default_rng(1).normal(0, 0.1, 40_000), 32_000, subtype="PCM_16")
    (folder / "plugins" / "architectures" / "blur.py").write_text(NEW_PLUGIN)
    birdsounds_tree(folder / "birds")
    random = np.random.default_rng(0)
    for kind in ("song", "background"):
        (folder / "sounds" / kind).mkdir(parents=True)
        for number in range(4):
            time = np.arange(19_200) / 16_000
            wave = 0.01 * random.standard_normal(len(time))
            if kind == "song":
                wave += 0.3 * np.maximum(np.sin(2 * np.pi * 4 * time), 0) * np.sin(2 * np.pi * (2500 + number) * time)
            soundfile.write(folder / "sounds" / kind / f"{number}.wav", wave, 16_000, subtype="FLOAT")
    for words in (RUN, ("leaderboard",)):
        code, said = in_child(folder, words)
        assert code == 0, said
    return folder


def copy(source: Path, target: Path, name: str) -> Path:
    shutil.copytree(source, target, dirs_exist_ok=True)
    # What is to be replaced is another: a command that replaced nothing, and said that it did, would pass otherwise.
    if name == "leaderboard":
        for path in target.glob("results/leaderboard.*"):
            path.write_text("old")
    if name == "run --force":
        next(target.glob("results/runs/*/*/*/*/run.json")).with_name("old.txt").write_text("old")
    if name == "run on files":
        shutil.rmtree(target / "cache")
    return target


def contents(folder: Path) -> dict[str, bytes]:
    """Of all files but the cache's, whose names depend on the folder."""
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in files.items() if not name.startswith("cache/")}


def leftovers(folder: Path) -> list[str]:
    found = (path for path in folder.rglob("*") if path.name.startswith(".tmp-") or path.suffix == ".lock")
    return [str(path.relative_to(folder)) for path in found]


def empty_folders(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_dir() and not any(path.iterdir())}


class Case:
    """A command in a world, and what it leaves when nobody disturbs it."""

    def __init__(self, folder: Path, source: Path, name: str) -> None:
        self.name, self.words, self._folder, self._source = name, COMMANDS[name], folder, source
        self._number = 0
        self.changes: list[str] = []
        self.sizes: dict[int, int] = {}
        """Of the files that are opened, by the number of the change: how large they become, in bytes."""
        alone = copy(source, folder / "alone", name)
        self._before = contents(alone)
        listing, sizes = folder / "changes", folder / "sizes"
        opened: dict[int, Path] = {}

        def note(count: int, kind: str, path: str) -> None:
            grown = [(number, way.stat().st_size) for number, way in opened.items() if way.is_file()]
            with listing.open("a") as file, sizes.open("a") as lines:
                file.write(f"{kind} {path}\n")
                lines.writelines(f"{number} {size}\n" for number, size in grown)
            if kind == "open":
                opened[count] = alone / path

        code, said = in_child(alone, self.words, lambda: Changes(alone, note))
        assert code == 0, f"{name}: {said}"
        self.changes = listing.read_text().splitlines()
        for line in sizes.read_text().splitlines():
            opening, size = map(int, line.split())
            self.sizes[opening] = max(size, self.sizes.get(opening, 0))
        assert leftovers(alone) == []
        self._after = contents(alone)

    def fresh(self) -> Path:
        self._number += 1
        return copy(self._source, self._folder / str(self._number), self.name)

    def refuse(self, number: int, mode: str) -> Iterator[str]:
        """What is wrong when the disk refuses from the n-th change on."""
        trial = self.fresh()
        at = tearing(number, self.sizes[number] // 2) if mode == "torn" else refusing(number, mode)
        code, said = in_child(trial, self.words, lambda: Changes(trial, at))
        yield from self._refused(trial, code, said, mode)
        yield from self.again(trial)
        shutil.rmtree(trial)

    def limit(self, size: int) -> Iterator[str]:
        """What is wrong when no file may be larger than so many bytes, whoever writes it."""
        trial = self.fresh()
        code, said = in_child(trial, self.words, lambda: limit_files(size))
        yield from self._refused(trial, code, said, "limited")
        yield from self.again(trial)
        shutil.rmtree(trial)

    def fill(self, room: int) -> Iterator[str]:
        """What is wrong when a real disk has room for so many bytes."""
        trial = self._folder / "full"
        trial.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "none", trial], check=True)
        try:
            copy(self._source, trial, self.name)
            filler = trial / "filler"
            free = os.statvfs(trial)
            with filler.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, free.f_bavail * free.f_bsize - room)
            code, said = in_child(trial, self.words)
            filler.unlink()
            yield from self._refused(trial, code, said, "small")
            yield from self.again(trial)
        finally:
            subprocess.run(["umount", trial], check=True)
            trial.rmdir()

    def _refused(self, trial: Path, code: int, said: str, mode: str) -> Iterator[str]:
        complaints = [line for line in said.splitlines() if line.startswith("bench: ")]
        if code not in (0, 2) or "Traceback" in said or "Exception ignored" in said:
            yield f"exit code {code}: {said}"
        if code == 2 and not any(os.strerror(ERRORS[mode]) in line or "cannot write" in line for line in complaints):
            yield f"does not say what is wrong: {said}"
        if code == 0:
            left = STAYS if mode == "read-only" else None
            yield from (f"succeeds, {text}" for text in self._differing(trial, left))
        yield from self._spoilt(trial)
        if mode != "read-only" and (left := [path for path in leftovers(trial) if path not in said]):
            yield f"leaves {left}"

    def kill(self, number: int) -> Iterator[str]:
        """What is wrong when the process is killed right before the n-th change."""
        trial = self.fresh()
        code, said = in_child(trial, self.words, lambda: Changes(trial, killing(number)))
        if code != -signal.SIGKILL:
            yield f"was not killed: {said}"
        yield from self._spoilt(trial, replaced=True)
        yield from self.again(trial)
        shutil.rmtree(trial)

    def twice(self, count: int, *, slow: bool = False) -> Iterator[str]:
        """What is wrong when so many processes are given the command at the same time."""
        trial = self.fresh()
        opened = trial.parent / f"{trial.name}.opened"
        opened.touch()

        def prepare() -> None:
            reading(trial / "birds", opened)
            if slow:
                Changes(trial, hesitating)

        ran = at_once(trial, [self.words] * count, prepare)
        if self.name == "run on files":
            if sum("finished before" in said for _, said in ran) != count - 1:
                yield f"not one worked and the others found it finished: {ran}"
            if sorted(Counter(opened.read_text().splitlines()).values()) != [1] * 16:
                yield f"not every file was decoded once: {opened.read_text()}"
        yield from self._same(trial, ran)
        shutil.rmtree(trial)

    def again(self, trial: Path) -> Iterator[str]:
        """What is wrong after the same command, undisturbed."""
        yield from self._same(trial, [in_child(trial, self.words)])

    def _same(self, trial: Path, ran: Sequence[tuple[int, str]]) -> Iterator[str]:
        for code, said in ran:
            if code and not (self.name == "new arch" and "is there already" in said):
                yield f"the same command: exit code {code}: {said}"
                return
        yield from (f"the same command again: {text}" for text in self._differing(trial))
        if left := [*leftovers(trial), *trial.glob("cache/.unfinished-*")]:
            yield f"the same command leaves {left}"

    def _differing(self, trial: Path, left: re.Pattern[str] | None = None) -> Iterator[str]:
        """How what is there differs from what the command leaves when nobody disturbs it, but for what may be left."""
        found = {
            name: content
            for name, content in contents(trial).items()
            if name in self._after or not (left and left.search(name))
        }
        for name in sorted(found.keys() | self._after.keys()):
            if name not in found or name not in self._after:
                yield f"{name} is {'missing' if name in self._after else 'too much'}"
            elif not alike(name, found[name], self._after[name]):
                yield f"{name} is another"

    def _spoilt(self, trial: Path, *, replaced: bool = False) -> Iterator[str]:
        """Files of before that are no longer what they were, and new ones that are not what they should become."""
        found = contents(trial)
        may = REPLACED.get(self.name)
        for name, content in self._before.items():
            now = found.get(name, content)
            if not (may and re.search(may, name)):
                if found.get(name) != content:
                    yield f"{name} is no longer what it was"
            elif now != content and not alike(name, now, self._after[name]):
                yield f"{name} is neither what it was nor what it should become"
        if may and not replaced and self.name == "run --force" and not any(re.search(may, name) for name in found):
            yield "the run that was to be replaced is gone"
        for name in found.keys() & self._after.keys() - self._before.keys():
            if not alike(name, found[name], self._after[name]):
                yield f"{name} is not whole"


def reading(folder: Path, listing: Path) -> None:
    """List each image that this process opens."""

    def hear(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and str(arguments[0]).endswith(".png"):
            path = os.path.abspath(arguments[0])  # noqa: PTH100 - as above
            if path.startswith(str(folder)):
                descriptor = os.open(listing, os.O_WRONLY | os.O_APPEND)
                os.write(descriptor, f"{path}\n".encode())
                os.close(descriptor)

    sys.addaudithook(hear)


TOGETHER = (
    (*RUN, "--seed", "1"), (*RUN, "--seed", "2"), (*RUN, *ON_FILES), COMMANDS["transfer"], COMMANDS["verify --predict"],
    ("leaderboard",), ("leaderboard",),
)  # fmt: skip


def together(folder: Path, source: Path) -> Iterator[str]:
    """What is wrong when different commands work in one results folder at the same time."""
    trial = copy(source, folder, "together")
    for code, said in at_once(trial, TOGETHER):
        if code or "skipped" in said:
            yield f"exit code {code}: {said}"
    if leftovers(trial) or (trial / "results" / "unfinished").exists():
        yield f"left: {leftovers(trial)}"
    for words in (("leaderboard",), ("leaderboard", "--check"), ("verify", "--plugins", "plugins")):
        code, said = in_child(trial, words)
        if code:
            yield f"{words}: {said}"
    if len(list(trial.glob("results/runs/*/*/blur/*/run.json"))) != 4:
        yield "not every run is there"


def varies(name: str) -> bool:
    return VARIES.search(name) is not None


def alike(name: str, content: bytes, expected: bytes) -> bool:
    """Whether a file is what it should be; one with times in it, whether it is about as long."""
    if name.startswith("clean/report."):  # says what became of each recording, also of those that were refused
        return content.endswith((b"\n", b"</html>"))
    if varies(name):
        return abs(len(content) - len(expected)) <= 64 + len(expected) // 10
    return content == expected


def faults_of(case: Case, job: dict[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """Each fault of a job in words, and what was wrong then."""
    mode = job["mode"]
    if mode in ("twice", "slow"):
        yield "", list(case.twice(job.get("count", 2), slow=mode == "slow"))
    elif mode in ("limited", "small"):
        for size in job["sizes"]:
            yield f"at {size} bytes", list(case.limit(size) if mode == "limited" else case.fill(size))
    else:
        only = re.compile(job.get("only", ""))
        numbers = [number for number, change in enumerate(case.changes, start=1) if only.search(change)]
        if mode == "torn":
            numbers = [number for number in numbers if case.sizes.get(number, 0) > 1]  # lock files are empty
        for number in numbers[job.get("first", 1) - 1 :: job.get("every", 1)]:
            wrong = case.kill(number) if mode == "killed" else case.refuse(number, mode)
            yield f"at {number}, {case.changes[number - 1]}", list(wrong)


def main(task: dict[str, Any]) -> dict[str, Any]:
    folder = Path(task["folder"])
    source = world(folder / "world")
    problems: list[str] = []
    given: Counter[str] = Counter()
    for number, job in enumerate(task["jobs"]):
        if job["mode"] == "together":
            given["together"] += 1
            problems += together(folder / "together", source)
            continue
        for name in job.get("commands") or COMMANDS:
            place = folder / f"{number}-{name.replace(' ', '_')}"
            place.mkdir()
            for words, wrong in faults_of(Case(place, source, name), job):
                given[f"{job['mode']}: {name}"] += 1
                problems += [f"{name}, {job['mode']} {words}: {text}" for text in wrong]
            shutil.rmtree(place)
    return {"given": given, "problems": problems}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(json.loads(sys.argv[1]))) + "\n")
