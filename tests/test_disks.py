"""Full, failing and read-only disks, processes at once and killed ones: one line, nothing lost, nothing left."""

import errno
import fcntl
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from helpers import Bench

from benchmark.common import files
from benchmark.common.errors import UserError
from benchmark.records import checksums

HERE = Path(__file__).parent


FAST = [
    {"mode": "together"},
    {"mode": "twice", "commands": ["run on files", "data mix"]},
    {"mode": "full", "commands": ["run on files"], "first": 25, "every": 80},
    {"mode": "full", "commands": ["data mix"], "first": 60, "every": 1000},
    {"mode": "read-only", "commands": ["transfer"], "first": 20, "every": 50},
    {"mode": "failing", "commands": ["run --force"], "only": "^rename results/runs", "first": 2},
    {"mode": "failing", "commands": ["leaderboard"], "only": "^rename", "every": 3},
    {"mode": "killed", "commands": ["run --force"], "first": 15, "every": 100},
    {"mode": "limited", "commands": ["denoise"], "sizes": [20_000]},
    {"mode": "torn", "commands": ["leaderboard", "data audit"], "every": 3},
]
LONG = [
    *({"mode": mode, "every": 3, "first": first} for first, mode in enumerate(("full", "failing", "killed"), start=1)),
    {"mode": "failing", "only": "^rename"},
    {"mode": "torn", "every": 2},
    {"mode": "read-only", "every": 7},
    {"mode": "quota", "every": 11},
    {"mode": "slow", "count": 3},
    {"mode": "limited", "sizes": [3_000, 20_000]},
    {"mode": "twice", "count": 4},
]
_PATHS = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
"""Where a script finds the others, also where PYTHONSAFEPATH is set."""
SMALL = [{"mode": "small", "sizes": [0, 8_192, 28_672, 65_536, 200_000]}]


def given(folder: Path, jobs: list[dict[str, Any]], *before: str) -> dict[str, int]:
    """How many faults each command was given; every one ended as it should."""
    task = json.dumps({"folder": str(folder / "faults"), "jobs": jobs})
    words = [*before, sys.executable, HERE / "faults.py", task]
    ran = subprocess.run(words, capture_output=True, text=True, check=False, env={**os.environ, **_PATHS})
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout.splitlines()[-1])
    assert found["problems"] == []
    counts: dict[str, int] = found["given"]
    return counts


def show(counts: dict[str, int]) -> None:
    """For docs/reliability.md."""
    sys.stdout.write("\n" + "".join(f"{number:6} {name}\n" for name, number in counts.items()))


def test_faults_of_the_disk_and_processes_at_once(tmp_path: Path) -> None:
    assert sum(given(tmp_path, FAST).values()) > 10


@pytest.mark.soak
def test_every_third_change_of_every_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    counts = given(tmp_path, LONG)
    with capsys.disabled():
        show(counts)


@pytest.mark.soak
def test_a_real_disk_that_is_full(tmp_path: Path) -> None:
    able = subprocess.run(["unshare", "-rm", "mount", "-t", "tmpfs", "none", tmp_path], check=False)
    if able.returncode:
        pytest.skip("no right to mount a small disk, not even in a namespace of our own")
    given(tmp_path, SMALL, "unshare", "-rm")


@pytest.mark.soak
def test_two_hundred_kills(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    task = {"folder": str(tmp_path / "soak"), "kills": 200, "seed": int(os.environ.get("SOAK_SEED", "7"))}
    words = [sys.executable, HERE / "soaking.py", json.dumps(task)]
    ran = subprocess.run(words, capture_output=True, text=True, check=False, env={**os.environ, **_PATHS})
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout.splitlines()[-1])
    with capsys.disabled():
        show({"seed": task["seed"], "runs": found["trials"], **found["kills"]})
    assert found["problems"] == []
    assert sum(found["kills"].values()) == 200


def leftover(path: Path, machine: str, process: int, *, days: float = 0) -> Path:
    left = path.with_name(f".tmp-{path.name}-{machine}-{process}")
    left.write_text("half")
    os.utime(left, (time.time() - days * 86_400,) * 2)
    return left


def ended() -> int:
    """The number of a process that is no more."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_what_killed_processes_left_goes_and_what_living_ones_write_stays(tmp_path: Path) -> None:
    path, here = tmp_path / "a.csv", platform.node()
    gone = [leftover(path, here, ended(), days=0), leftover(path, "node-7", 1, days=2)]
    kept = [leftover(path, here, os.getppid(), days=9), leftover(path, "node-7", 1_234)]
    kept += [leftover(tmp_path / "b.csv", here, ended())]
    files.write_atomically(path, lambda temporary: temporary.write_text("whole"))
    assert [left.exists() for left in gone] == [False, False]
    assert [left.exists() for left in kept] == [True, True, True]
    assert path.read_text() == "whole"


def test_folders_made_for_nothing_go_again(tmp_path: Path) -> None:
    def fail(temporary: Path) -> None:
        temporary.write_text("half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(UserError, match=r"cannot write .*c\.csv: No space left on device; make room on that disk"):
        files.write_atomically(tmp_path / "a" / "b" / "c.csv", fail)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_replaced_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run"
    path.mkdir()
    (path / "run.json").write_text("old")
    rename = Path.rename

    def refuse(source: Path, target: Path) -> Path:
        if target == path and not source.name.endswith("-old"):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return rename(source, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with (
        pytest.raises(UserError, match=r"cannot write .*run: Input/output error"),
        files.atomic_folder(path),
    ):
        pass
    assert [(found.name, (found / "run.json").read_text()) for found in tmp_path.iterdir()] == [("run", "old")]


def test_a_folder_that_cannot_even_be_put_back_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run"
    path.mkdir()
    (path / "run.json").write_text("old")
    rename = Path.rename

    def refuse(source: Path, target: Path) -> Path:
        if target == path:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return rename(source, target)

    put_back = r"the old folder is now .*; the same command puts it back"
    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", refuse)
        with pytest.raises(UserError, match=put_back) as refused, files.atomic_folder(path):
            pass
    (old,) = tmp_path.iterdir()
    assert f" {old}; " in str(refused.value)
    files.clear_leftovers(path)
    assert [(found.name, (found / "run.json").read_text()) for found in tmp_path.iterdir()] == [("run", "old")]


def test_a_folder_of_a_killed_process_with_our_number_is_no_obstacle(tmp_path: Path) -> None:
    path = tmp_path / "run"
    left = path.with_name(f".tmp-run-{platform.node()}-{os.getpid()}")
    left.mkdir()
    (left / "half").touch()
    with files.atomic_folder(path) as temporary:
        (temporary / "run.json").touch()
    assert [found.name for found in path.iterdir()] == ["run.json"]


HOLDER = """
import sys
from pathlib import Path

from benchmark.common import files

with files.locked(Path(sys.argv[1]), int):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_killed_holder_blocks_nobody(tmp_path: Path) -> None:
    lock, waited = tmp_path / "a.lock", []
    words = [sys.executable, "-c", HOLDER, lock]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"

        def waiting() -> None:
            waited.append("said so")
            holder.kill()

        with files.locked(lock, waiting):
            assert waited == ["said so"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_disk_without_locks_is_refused(tmp_path: Path, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(UserError, match=r"cannot write .*a\.lock: "), files.locked(tmp_path / "a.lock", int):
        pass


def test_checksums_leave_out_what_is_under_way(tmp_path: Path) -> None:
    (tmp_path / "run.json").touch()
    (tmp_path / ".tmp-verification.json-here-1").touch()
    assert checksums.names(tmp_path) == ["run.json"]


def test_errors_of_libraries_are_understood() -> None:
    error = files.refused(Path("a.wav"), RuntimeError("Error in sf_write: No space left on device."))
    assert "make room" in str(error)
    assert str(files.refused(Path("a"), RuntimeError("odd\nand long"))) == "cannot write a: odd"


REFUSALS = {
    errno.EIO: "",
    errno.EROFS: f"; {files._REMEDIES[errno.EROFS]}",
    errno.ENOSPC: f"; {files._REMEDIES[errno.ENOSPC]}",
    errno.ETIMEDOUT: "",
}


@pytest.mark.parametrize("number", REFUSALS)
def test_any_refusal_of_the_machine_is_one_line(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    from benchmark.leaderboard import tables

    def build(results: Path) -> None:
        raise OSError(number, os.strerror(number), str(results))

    monkeypatch.setattr(tables, "build", build)
    ran = bench("leaderboard", "--results", tmp_path)
    message = f"bench: cannot use {tmp_path}: {os.strerror(number)}{REFUSALS[number]}\n"
    assert (ran.code, ran.err) == (2, message)


@pytest.mark.skipif(os.geteuid() == 0, reason="permissions do not hold root back; refusals are injected elsewhere")
def test_a_folder_without_permission_is_refused(bench: Bench, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    ran = bench("data", "audit", tmp_path, "--picture", tmp_path / "sheet.png")
    tmp_path.chmod(0o700)
    assert ran.code == 2
    assert "is not a folder that you may write to; use --picture" in ran.err


def test_the_place_of_the_result_is_looked_at_before_the_work(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for words in (("data", "audit", tmp_path, "--picture"), ("speed", "otsu", "--out")):
        ran = bench(*words, tmp_path / "file" / "x.png")
        assert ran.code == 2
        assert "is not a folder that you may write to; use --" in ran.err
