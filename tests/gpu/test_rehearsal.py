"""proof.py from end to end on a CPU: what a machine that is rented for ten minutes will do must not be new to us."""

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
FILES = {"proof.json", "proof.md", "proof.log", "records.tar.gz"}


def proof(out: Path, *words: str, minutes: float = 5) -> tuple[int, dict[str, Any], str]:
    command = [sys.executable, str(ROOT / "tests" / "gpu" / "proof.py"), "--device", "cpu", "--rehearse"]
    ran = subprocess.run(
        [*command, "--out", str(out), "--minutes", str(minutes), *words],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (out / "proof.json").exists(), ran.stderr
    return ran.returncode, json.loads((out / "proof.json").read_text()), ran.stdout + ran.stderr


def test_every_step_ends_well_and_a_second_call_goes_on(tmp_path: Path) -> None:
    out = tmp_path / "out"
    code, account, said = proof(out, "--seeds", "0", "1")
    assert code == 0, said
    outcomes = {step["name"]: step["outcome"] for step in account["steps"]}
    net = "unet:width=2"
    assert outcomes == {
        "device": "done",
        "data": "done",
        f"speed of {net}, eager": "done",
        f"speed of {net}, graph": "skipped",
        f"speed of {net}, compiled": "skipped",
        "profile": "done",
        f"run {net}, seed 0": "done",
        f"run {net}, seed 1": "done",
    }
    assert "PROJECTED" not in (out / "proof.md").read_text()
    figures = {step["name"]: step["figures"] for step in account["steps"]}
    assert figures["device"]["ceiling"]["flops"] > 0
    assert figures[f"speed of {net}, eager"]["images_per_second"] > 0
    assert len(figures["profile"]["top"]) == 10
    assert figures[f"run {net}, seed 0"]["training_seconds"] > 0
    (weights,) = [path.name for path in out.iterdir() if path.name not in FILES]
    assert weights.startswith("weights-unet-width-2-seed")
    assert f"- {weights}: validation IoU" in (out / "proof.md").read_text()
    with tarfile.open(out / "records.tar.gz") as archive:
        names = archive.getnames()
    assert len([name for name in names if name.endswith("/run.json")]) == 2
    assert {"results/leaderboard.md", "results/leaderboard.csv", "results/leaderboard.html"} <= set(names)
    assert any(name.endswith("examples/median.png") for name in names)
    assert not [name for name in names if name.endswith(".safetensors") or "unfinished" in name]

    # Another machine, later: the records come out of the archive, the missing run is done, one has no time left.
    code, account, said = proof(out, "--entries", net, "no_such_net", "--seeds", "1")
    outcomes = {step["name"]: step["outcome"] for step in account["steps"] if step["name"].startswith("run")}
    assert outcomes == {
        f"run {net}, seed 0": "finished before",
        f"run {net}, seed 1": "finished before",
        "run no_such_net, seed 1": "failed",
    }
    assert code == 1
    assert "no architecture" in next(step["message"] for step in account["steps"] if step["outcome"] == "failed")
    assert {path.name for path in out.iterdir()} == {*FILES, weights}


def test_a_command_is_killed_at_its_limit_with_what_it_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "tests" / "gpu")
    from command import Command, execute

    child = "import subprocess, sys; subprocess.run([sys.executable, '-S', '-c', 'import time; time.sleep(60)'])"
    words = ["-S", "-c", f"print('begun', flush=True); {child}"]
    done = execute(Command(words=words, limit=1, log=tmp_path / "log"))
    assert (done.code, done.last_lines) == (None, ["begun"])
    assert done.seconds < 30  # the grandchild held the pipe open, and is dead too
    failed = execute(Command(words=["-S", "-c", "raise SystemExit('no such thing')"], limit=30, log=tmp_path / "log"))
    assert (failed.code, failed.last_lines) == (1, ["no such thing"])
    assert "begun" in (tmp_path / "log").read_text()
