"""Many runs: side by side, as jobs, over several processes; one that fails, dies or is preempted leaves the others."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from helpers import MORTAL, Bench, fingerprint, runs

from benchmark import launch, protocols
from benchmark.plugins import registry
from benchmark.records import store
from benchmark.run import Outcome, Request
from benchmark.training.trial import Manner

DATA = "synthetic:train=8,val=3,test=3,ood=1"
TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "benchmark")


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


def test_jobs_of_which_one_runs_out_of_memory_and_one_dies(bench: Bench, folder: Path) -> None:
    ran = bench(
        *command(folder, "--arch", "mortal:room=2", "--arch", "crash", "--launcher", "local"),
        *("--device", "cpu", "--job", "timeout_min=5", "--results", folder / "results"),
    )
    assert ran.code == 2
    assert "--micro-batch 1 fits" in ran.out
    assert "crash, seed 0: job" in ran.err
    assert "ended without a result (killed? out of memory?): see" in ran.err
    statuses = {run.architecture.label: run.status for run in runs(folder / "results")}
    assert statuses == {"mortal:room=2": "out-of-memory"}


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

    assert "no launcher 'pbs'; use here, local, slurm" in refused("--launcher", "pbs")
    assert "--job is for --launcher" in refused("--job", "timeout_min=5")
    assert "write NAME=VALUE" in refused("--launcher", "local", "--job", "timeout_min")
    assert "submitit refuses" in refused("--launcher", "local", "--job", "speed=7")
    if shutil.which("srun") is None:  # where there is Slurm, this would be a job
        assert "submitit refuses" in refused("--launcher", "slurm", "--job", "slurm_partition=gpu")
    monkeypatch.setitem(sys.modules, "submitit", None)
    assert "pip install 'birdmask-bench[cluster]'" in refused("--launcher", "local")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert "torchrun's processes share one run" in refused("--seeds", "2")
    assert not (folder / "results" / "runs").exists()


def together(folder: Path, *commands: dict[str, object]) -> list[dict[str, object]]:
    """How each of these commands ended, given to two processes at once."""
    task = json.dumps({"folder": str(folder), "commands": commands})
    ran = subprocess.run(
        [sys.executable, Path(__file__).parent / "together.py", task],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    ends: list[dict[str, object]] = json.loads(ran.stdout.splitlines()[-1])
    return ends


def shared(folder: Path, results: str, *more: str, **environment: str) -> dict[str, object]:
    entry = () if "--arch" in more else ("--arch", "mortal")
    words = command(folder, *entry, "--results", str(folder / results), *more)
    return {"words": words, "environment": environment}


SEVEN = ("--dataset", DATA.replace("8", "7"))
"""Batches of three over two processes are two images and one; the last batch has one image for both."""


def test_torchrun_trains_with_two_processes_what_one_does(bench: Bench, folder: Path) -> None:
    more = ("--set", "augmentation=time_roll", "--set", "schedule=cosine", *SEVEN)
    assert bench(*command(folder, "--arch", "mortal", "--results", str(folder / "one"), *more)).code == 0
    words = command(folder, "--arch", "mortal", "--results", str(folder / "two"), *more)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    ran = subprocess.run([*TORCHRUN, *words], env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.count("test IoU") == 1  # the first process speaks
    one, two = (store.read(run_folder(folder / name)) for name in ("one", "two"))
    assert two.device.devices == 2
    assert two.device.kind == f"2 x {one.device.kind}"
    assert two.training.last_losses == pytest.approx(one.training.last_losses, rel=1e-4)
    ours, theirs = (store.read_counts([run_folder(folder / name)])[0] for name in ("one", "two"))
    assert abs(ours["tp"] - theirs["tp"]).sum() <= 3  # pixels on the threshold


@pytest.mark.skipif(
    torch.__version__.startswith("2.6."),
    reason="PyTorch 2.6 waits for ever at the end of a Gloo group in a fork; in torchrun's processes it does not",
)
def test_two_processes_go_on_after_a_kill_and_share_no_batch_norm(bench: Bench, folder: Path) -> None:
    """A training, the choice of a learning rate, of which each candidate takes nine steps, and a refusal."""
    normed = MORTAL.replace("nn.GELU()", "nn.BatchNorm2d(8)").replace("Mortal", "Normed")
    (folder / "architectures" / "normed.py").write_text(normed)
    rolled = ("--set", "augmentation=time_roll", *SEVEN)
    tuned = ("--tune", "lr", "--budget", "2", *SEVEN)
    assert bench(*command(folder, "--arch", "mortal", "--results", str(folder / "tuned-one"), *tuned)).code == 0
    ends = together(
        folder,
        shared(folder, "two", *rolled),
        shared(folder, "killed", *rolled, DIE_AT="5"),  # in the second epoch
        shared(folder, "killed", *rolled),
        shared(folder, "tuned-two", *tuned),
        shared(folder, "tuned-killed", *tuned, DIE_AT="14"),  # in the second epoch of the second rate
        shared(folder, "tuned-killed", *tuned),
        shared(folder, "normed", "--arch", "normed"),
    )
    assert [end["died"] for end in ends] == [False, True, False, False, True, False, True], ends
    trainings = {name: store.read(run_folder(folder / name)).training for name in ("killed", "tuned-killed")}
    assert {name: training.continued_after for name, training in trainings.items()} == {
        "killed": [1],
        "tuned-killed": [4],
    }
    for name in ("", "tuned-"):
        assert fingerprint(run_folder(folder / f"{name}killed")) == fingerprint(run_folder(folder / f"{name}two"))
    assert "1 of 2 learning rates are done" in str(ends[-2]["said"])
    one, two = (store.read(run_folder(folder / name)).training for name in ("tuned-one", "tuned-two"))
    assert len(two.candidates) == 2
    assert two.learning_rate == one.learning_rate
    assert two.last_losses == pytest.approx(one.last_losses, rel=1e-4)

    assert "batch norm cannot be synchronised between processes on a CPU" in str(ends[-1]["said"])
    assert not (folder / "normed" / "runs").exists()
