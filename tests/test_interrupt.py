"""Ctrl-C for the parent alone: it ends with one line and code 130, its runs with it, and their checkpoints stay."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import CancelledError
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from pathlib import Path

import pytest
from helpers import MORTAL, SMALL, planted

from benchmark.common import workers

DEVICES = """
import signal, sys
from benchmark import cli
from benchmark.training import hardware

signal.signal(signal.SIGINT, signal.default_int_handler)  # who starts the tests in the background has it ignored
hardware.local_devices = lambda _: {}
cli.main(sys.argv[1:])
"""
FOREVER = ("--epochs", "100000", "--seeds", "3", "--checkpoint-every", "0", "--execution", "eager")


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] not in "ZX"
    except OSError:
        return False


def workers_of(pid: int) -> list[int]:
    """The processes that multiprocessing spawned for a process."""
    listed = [path for path in Path("/proc").iterdir() if path.name.isdecimal()]
    found = []
    for path in listed:
        try:
            parent = int((path / "stat").read_text().rpartition(") ")[2].split()[1])
            if parent == pid and b"spawn_main" in (path / "cmdline").read_bytes():
                found.append(int(path.name))
        except OSError:
            continue
    return found


def test_an_interruption_ends_what_workers_do() -> None:
    pool = workers.pool(1)
    assert pool.submit(os.getpid).result()
    long = pool.submit(time.sleep, 30)
    with suppress(KeyboardInterrupt), pool:
        raise KeyboardInterrupt
    with pytest.raises((BrokenProcessPool, CancelledError)):  # begun, or not yet
        long.result()


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="children are looked for in /proc")
def test_an_interruption_of_several_runs(tmp_path: Path) -> None:
    devices = ["cpu", "cpu"]
    planted(tmp_path / "mine", "architectures", MORTAL)
    words = ["run", "--arch", "planted", "--plugins", tmp_path / "mine", "--results", tmp_path / "results"]
    words += ["--dataset", SMALL, "--image-size", "32", "--batch-size", "4", "--threads", "1", *FOREVER]
    command = [sys.executable, "-c", DEVICES.format(devices), *map(str, words)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            while len(list(tmp_path.glob("results/unfinished/**/*.safetensors"))) < len(devices):
                assert process.poll() is None, process.stdout and process.stdout.read()
                time.sleep(0.1)
            working = workers_of(process.pid)
            os.kill(process.pid, signal.SIGINT)
            said, _ = process.communicate(timeout=120)  # a hundred thousand epochs take longer
        finally:
            process.kill()
    assert process.returncode == 130
    assert said.splitlines()[-1].startswith("bench: interrupted; finished work is kept")
    assert "Traceback" not in said
    assert len(working) == len(devices)
    assert [pid for pid in working if is_running(pid)] == []
    assert list(tmp_path.glob("results/unfinished/**/*.safetensors"))


def until(process: "subprocess.Popen[str]", text: str) -> None:
    """Read what a process says until a line has this text."""
    assert process.stdout
    assert any(text in line for line in process.stdout), text


def test_a_run_that_is_told_to_stop_saves_its_last_epoch(tmp_path: Path) -> None:
    planted(tmp_path / "mine", "architectures", MORTAL)
    words = ["run", "--arch", "planted", "--plugins", tmp_path / "mine", "--results", tmp_path / "results"]
    words += ["--dataset", SMALL, "--image-size", "32", "--batch-size", "4", "--threads", "1", "--epochs", "100000"]
    words += ["--checkpoint-every", "1000000"]
    command = [sys.executable, "-m", "benchmark", *map(str, words)]
    for awaited in ("training: epoch 2/", "continuing: after epoch"):
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
            try:
                until(process, awaited)
                process.terminate()
                said, _ = process.communicate(timeout=120)
            finally:
                process.kill()
        assert process.returncode == 143
        assert said.splitlines()[-1].startswith("bench: told to stop; finished work is kept")
        assert "Traceback" not in said
        assert list(tmp_path.glob("results/unfinished/**/epoch-*.safetensors"))
    assert not list(tmp_path.glob("results/runs/**/run.json"))
