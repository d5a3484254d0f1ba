"""Many runs, side by side or as jobs: one that fails, dies or is preempted leaves the others."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers import MORTAL, Bench, fingerprint, runs

from benchmark import launch, protocols
from benchmark.common.errors import UserError
from benchmark.plugins import registry
from benchmark.records import store
from benchmark.run import Outcome, Request
from benchmark.training.trial import Manner

DATA = "synthetic:train=8,val=3,test=3,ood=1"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "architectures").mkdir()
    (tmp_path / "architectures" / "mortal.py").write_text(MORTAL)
    (tmp_path / "architectures" / "crash.py").write_text(
        MORTAL.replace("return self.body(image)", "os._exit(9)").replace("Mortal", "Crash")
    )
    registry.add_folder(tmp_path)
    return tmp_path


def command(folder: Path, *more: str) -> list[str]:
    settings = ("--dataset", DATA, "--image-size", "32", "--epochs", "3", "--batch-size", "3", "--precision", "fp32")
    manner = ("--threads", "1", "--checkpoint-every", "0", "--plugins", str(folder))
    return ["run", *settings, *manner, *more]


def request(folder: Path, results: str, **changes: object) -> Request:
    settings = protocols.load("quick").override(
        {"dataset": DATA, "image_size": 32, "epochs": 3, "batch_size": 3, "selection": "last_epoch"}
    )
    given = {"architecture": "mortal", "seed": 0, **changes}
    return Request(
        protocol=settings,
        overrides={},
        data_root=None,
        results=folder / results,
        command="bench run",
        manner=Manner(device="cpu", precision="fp32", threads=1, checkpoint_seconds=0),
        **given,  # type: ignore[arg-type]
    )


def run_folder(results: Path) -> Path:
    (path,) = results.glob("runs/*/*/*/*")
    return path


def test_jobs_of_which_one_runs_out_of_memory_and_one_dies(folder: Path) -> None:
    requests = [request(folder, "results", architecture=name) for name in ("mortal:room=2", "crash")]
    ended = {asked.architecture: result for asked, result in launch.submit(requests, ["timeout_min=5"], "local")}
    starved, died = ended["mortal:room=2"], ended["crash"]
    assert isinstance(starved, Outcome)
    assert starved.status == "out-of-memory"
    assert starved.message.endswith("; try --micro-batch 1")
    assert "ended without a result (killed? out of memory?): see" in str(died)
    assert [run.architecture.label for run in runs(folder / "results")] == ["mortal:room=2"]


def test_a_preempted_job_is_queued_again_and_ends_like_one_that_was_not(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import submitit

    ((_, alone),) = launch.here([request(folder, "alone")])
    assert isinstance(alone, Outcome)
    monkeypatch.setenv("SLEEP", "0.4")  # a second step is reached before the interruption
    executor = submitit.AutoExecutor(folder=folder / "jobs", cluster="local")
    executor.update_parameters(timeout_min=5)
    job = executor.submit(launch.Job(request(folder, "preempted"), "preempted"))
    until = time.monotonic() + 120
    while not list((folder / "preempted" / "unfinished").rglob("epoch-*.safetensors")):
        assert time.monotonic() < until, job.stderr()
        time.sleep(0.1)
    # As Slurm does it; submitit's own `_interrupt` reaches the job's shell alone.
    found = subprocess.run(
        ["pgrep", "-f", f"submitit.core._submit {folder}"], capture_output=True, text=True, check=True
    )
    os.kill(int(found.stdout.split()[-1]), signal.SIGUSR2)
    outcome = job.result()
    while not job.done():
        time.sleep(0.1)
    assert isinstance(outcome, Outcome)
    assert store.read(outcome.path).training.continued_after
    assert fingerprint(outcome.path) == fingerprint(alone.path)


def test_runs_side_by_side_on_several_devices(folder: Path) -> None:
    requests = [request(folder, "results", architecture=name) for name in ("mortal", "mortal:room=0")]
    results = [result for _, result in launch.here(requests, devices=["cpu", "cpu"])]
    statuses = sorted(getattr(result, "status", "error") for result in results)
    assert statuses == ["finished", "out-of-memory"]


def test_mistakes_of_the_launcher(bench: Bench, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*more: str) -> str:
        ran = bench(*command(folder, "--arch", "mortal", "--results", str(folder / "results"), *more))
        assert ran.code == 2
        assert ran.err.count("\n") == 1
        return ran.err

    assert "no launcher 'pbs'; use here or slurm" in refused("--launcher", "pbs")
    assert "--job needs --launcher slurm" in refused("--job", "timeout_min=5")
    assert "write NAME=VALUE" in refused("--launcher", "slurm", "--job", "timeout_min")
    with pytest.raises(UserError, match="submitit refuses"):
        next(launch.submit([request(folder, "results")], ["speed=7"], "local"))
    if shutil.which("srun") is None:  # where there is Slurm, this would be a job
        assert "submitit refuses" in refused("--launcher", "slurm", "--job", "slurm_partition=gpu")
    monkeypatch.setitem(sys.modules, "submitit", None)
    assert "pip install 'birdmask-bench[cluster]'" in refused("--launcher", "slurm")
    assert not (folder / "results" / "runs").exists()
