"""proof.py from end to end on a CPU, to find its mistakes before a GPU is rented."""

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
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)]), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (out / "proof.json").exists(), ran.stderr
    return ran.returncode, json.loads((out / "proof.json").read_text()), ran.stdout + ran.stderr


def test_every_step_ends_well_and_a_second_call_goes_on(tmp_path: Path) -> None:
    out, net = tmp_path / "out", "unet:width=2"
    code, account, said = proof(out, "--networks", net, "no_such_net", "--seeds", "0")
    outcomes = {step["name"]: step["outcome"] for step in account["steps"]}
    assert outcomes == {
        "device": "done",
        "data": "done",
        f"speed of {net}, eager": "done",
        f"speed of {net}, compiled": "skipped",
        "speed of no_such_net, eager": "failed",
        "speed of no_such_net, compiled": "skipped",
        "profile": "done",
        f"run {net}, seed 0": "done",
    }, said
    assert code == 1
    steps = {step["name"]: step for step in account["steps"]}
    assert "no_such_net" in steps["speed of no_such_net, eager"]["message"]
    assert steps["device"]["figures"]["ceiling"]["flops"] > 0
    assert steps[f"speed of {net}, eager"]["figures"]["images_per_second"] > 0
    assert len(steps["profile"]["figures"]["top"]) == 10
    assert steps[f"run {net}, seed 0"]["figures"]["training_seconds"] > 0
    (weights,) = [path.name for path in out.iterdir() if path.name not in FILES]
    assert weights.startswith("weights-unet-width-2-seed0")
    assert f"- {weights}: validation IoU" in (out / "proof.md").read_text()

    # Another machine, later: the records come out of the archive, and what they hold is not run again.
    code, account, said = proof(out, "--only-runs", "--seeds", "0")
    assert {step["name"]: step["outcome"] for step in account["steps"]} == {
        "device": "done",
        "data": "done",
        f"run {net}, seed 0": "finished before",
    }, said
    assert code == 0
    with tarfile.open(out / "records.tar.gz") as archive:
        names = archive.getnames()
    assert len([name for name in names if name.endswith("/run.json")]) == 1
    assert {"results/leaderboard.md", "results/leaderboard.csv", "results/leaderboard.html"} <= set(names)
    assert any(name.endswith("examples/median.png") for name in names)
    assert not [name for name in names if name.endswith(".safetensors") or "unfinished" in name]


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
