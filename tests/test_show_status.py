"""`bench show`, `bench status` and `bench curves`."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers import MORTAL, TINY, Bench, planted
from PIL import Image

import benchmark
from benchmark.common import files
from benchmark.leaderboard.one_run import spark
from benchmark.records import find, store
from benchmark.records.unfinished import unfinished


def test_a_run_in_twenty_lines(bench: Bench, tiny_run: Path) -> None:
    ran = bench("show", "unet", "--results", tiny_run)
    assert (ran.code, ran.err) == (0, "")
    path, record = find.one(tiny_run, "last")
    frame = benchmark.results(tiny_run)
    assert len(ran.out.splitlines()) <= 22
    for text in (f"{100 * frame.iou[0]:.1f}", f"ood {100 * frame.iou_ood[0]:.1f} %", record.run_key[:12], str(path)):
        assert text in ran.out
    assert record.command in ran.out


def test_a_run_as_json(bench: Bench, tiny_run: Path) -> None:
    found = json.loads(bench("show", "last", "--json", "--results", tiny_run).out)
    path, record = find.one(tiny_run, "last")
    assert (found["path"], found["record"]["run_key"]) == (str(path), record.run_key)
    assert found["scores"]["iou"] == benchmark.results(tiny_run).iou[0]
    assert len(found["history"]["loss"]) == 2
    assert set(found["files"]) == {str(file.relative_to(path)) for file in path.rglob("*") if file.is_file()}


def test_a_run_that_diverged(bench: Bench, tiny_run: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_run, tmp_path / "results")
    path, _ = find.one(tmp_path / "results", "last")
    content = json.loads((path / store.RECORD).read_text())
    (path / store.RECORD).write_text(json.dumps({**content, "status": "diverged", "message": "too bold"}))
    assert "diverged: too bold" in bench("show", "last", "--results", tmp_path / "results").out
    listed = bench("status", "--results", tmp_path / "results")
    assert "failed" in listed.out
    assert "too bold" in listed.out
    assert "0 running, 0 interrupted, 1 failed, 0 finished" in listed.out
    assert json.loads(bench("status", "--json", "--results", tmp_path / "results").out)["failed"][0]["seed"] == 0


def test_bars_of_values() -> None:
    assert spark([0, 1, 2, 7]) == "▁▂▃█"
    assert spark([1, float("nan"), 1]) == "▁x▁"
    assert len(spark(list(range(1000)))) == 40


def test_the_status_of_a_run_under_way_and_of_a_killed_one(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planted(tmp_path, "architectures", MORTAL)
    results = tmp_path / "results"
    assert unfinished(results) == []
    command = [sys.executable, "-m", "benchmark", "run", "--arch", "planted", *TINY, "--epochs", "1000"]
    options = ["--checkpoint-every", "0", "--results", str(results), "--plugins", str(tmp_path)]
    with subprocess.Popen([*command, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + 300
            while not any(run.epochs_done > 1 for run in unfinished(results)) and time.monotonic() < deadline:
                time.sleep(0.1)
            (run,) = unfinished(results)
            assert (run.running, run.architecture, run.seed, run.epochs) == (True, "planted", 0, 1000)
            assert 1 < run.epochs_done < 1000
            assert run.seconds_left
            assert "1 running" in bench("status", "--results", results).out
        finally:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
    (run,) = unfinished(results)
    assert (run.running, run.seconds_left) == (False, None)
    monkeypatch.setattr(sys.modules["benchmark.cli.status"], "_PAUSE", 0.0)
    ran = bench("status", "--watch", "--results", results)
    assert len(ran.out.splitlines()) == 2 * 5  # nothing runs: it looks four times more
    assert "bench run --arch planted" in ran.out
    assert "0 running, 1 interrupted, 0 failed, 0 finished" in ran.out


def test_a_lock_that_says_nothing_and_damaged_checkpoints(tmp_path: Path) -> None:
    place = tmp_path / "unfinished" / "quick" / "synthetic" / "unet" / "0123"
    (place / "abcd").mkdir(parents=True)
    (place / "abcd" / "epoch-00003.safetensors").write_bytes(b"no tensors")
    with files.locked(place.with_suffix(".lock"), int):
        (run,) = unfinished(tmp_path)
        assert (run.running, run.epochs, run.epochs_done) == (True, None, 0)
    assert [run.running for run in unfinished(tmp_path)] == [False]


def test_curves(bench: Bench, tiny_run: Path, tmp_path: Path) -> None:
    ran = bench("curves", "unet", "-o", tmp_path / "curves.png", "--results", tiny_run)
    assert ran.code == 0, ran.err
    with Image.open(tmp_path / "curves.png") as image:
        assert (image.format, image.size) == ("PNG", (1500, 540))
    assert bench("curves", "last", "-o", tmp_path / "c.svg", "--results", tiny_run).code == 0
    assert "<svg" in (tmp_path / "c.svg").read_text()
    assert "must end in .png" in bench("curves", "unet", "-o", tmp_path / "c", "--results", tiny_run).err
    ran = bench("curves", "unet", "-o", tmp_path / "c.png", "--protocol", "paper", "--results", tiny_run)
    assert "none of these runs" in ran.err
