"""`--deterministic` gives the same bits again or refuses, also when a killed run is resumed."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from accelerator import DEVICE, SMALL, On
from helpers import FORGETFUL, fingerprint

from benchmark.plugins import network, registry
from benchmark.records import store
from benchmark.training import Steps
from benchmark.training.batches import DeviceSplit
from benchmark.training.hardware import Hardware

REPEATING = ("custom_resnet34", "unet", "segnet")
"""These must repeat. So must any other entry that PyTorch does not refuse; one that it refuses is skipped by name."""
LEARNING = [name for name in registry.find("architectures") if DEVICE != "cpu" or name in REPEATING]


def bits(name: str, data: DeviceSplit, machine: Hardware) -> list[torch.Tensor]:
    """Losses and weights after an epoch."""
    net = network.build(registry.load("architectures", name), SMALL, seed=0)
    if not network.parameter_count(net):
        pytest.skip("nothing is trained")
    net.to(device=machine.device)
    net.to(memory_format=torch.channels_last)
    torch.manual_seed(0)  # dropout
    steps = Steps(net, data, SMALL, seed=0, hardware=machine)
    losses = steps.epoch(lambda _: None)
    return [losses, *(value.cpu() for value in net.state_dict().values())]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("name", LEARNING)
def test_the_same_bits_again(name: str, precision: str, on: On, training_data: Callable[..., DeviceSplit]) -> None:
    machine = on(precision, deterministic=True)
    data = training_data(machine)
    try:
        first = bits(name, data, machine)
    except RuntimeError as error:
        if name in REPEATING or "deterministic" not in str(error):
            raise
        pytest.skip(f"{name} cannot run deterministically: {str(error).partition(' does not')[0]}")
    assert all(torch.equal(*pair) for pair in zip(first, bits(name, data, machine), strict=True))


class Run:
    """A `bench run` of a network that has every kind of state, in a process of its own."""

    def __init__(self, folder: Path, results: str, epochs: int) -> None:
        self.results = folder / results
        self._command = [
            *(sys.executable, "-m", "benchmark", "run", "--arch", "forgetful", "--plugins", str(folder)),
            *("--dataset", SMALL.dataset, "--image-size", "64", "--batch-size", "4", "--epochs", str(epochs)),
            *("--set", "augmentation=time_roll", "--lr", "1e-2", "--checkpoint-every", "0", "--deterministic"),
            *("--device", DEVICE, "--results", str(self.results)),
        ]

    def start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(self._command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def path(self) -> Path:
        (path,) = self.results.glob("runs/*/*/*/*")
        return path


def finish(process: subprocess.Popen[str]) -> None:
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 0, out


def killed_after_a_checkpoint(run: Run) -> None:
    process = run.start()
    until = time.monotonic() + 120
    while not list(run.results.glob("unfinished/**/epoch-*.safetensors")):
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < until
        time.sleep(0.01)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not list(run.results.glob("runs/*/*/*/*")), "it had ended before it could be killed"


def test_killed_and_continued_with_the_same_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)  # `--deterministic` sets it itself, and in time
    (tmp_path / "architectures").mkdir()
    (tmp_path / "architectures" / "forgetful.py").write_text(FORGETFUL)
    alone, again, killed = (Run(tmp_path, name, epochs=40) for name in ("alone", "again", "killed"))
    beside = [alone.start(), again.start()]
    killed_after_a_checkpoint(killed)
    for process in (*beside, killed.start()):
        finish(process)
    assert store.read(killed.path()).training.continued_after
    assert fingerprint(alone.path()) == fingerprint(again.path()) == fingerprint(killed.path())
