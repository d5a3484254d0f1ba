"""Memory of a CUDA device that runs out, in a process of its own."""

import subprocess
import sys
from pathlib import Path

import pytest
from accelerator import DEVICE
from helpers import runs

HUNGRY = '''"""Keeps 24 MiB for each image of 64 x 64; without batch norm, so that any micro-batch will do."""
import torch
from torch import nn
from benchmark.contract import ArchitectureSpec


class Hungry(nn.Module):
    def __init__(self, *, in_channels: int, pretrained: bool) -> None:
        super().__init__()
        self.widen, self.narrow = nn.Conv2d(in_channels, 64, 1), nn.Conv2d(64, 1, 1)

    def forward(self, image):
        wide = self.widen(image)  # (N, 64, H, W)
        for _ in range(24):
            wide = torch.tanh(wide)
        return self.narrow(wide)


ARCHITECTURE = ArchitectureSpec(build=Hungry, title="Hungry", paper="none", citation="@misc{h, title={H}}")
'''
LIMITED = """
import sys, torch
torch.cuda.set_per_process_memory_fraction(320 * 2**20 / torch.cuda.get_device_properties(0).total_memory)
from benchmark import cli
cli.main(sys.argv[1:])
"""

pytestmark = pytest.mark.usefixtures("only_cuda")


def run(folder: Path, start: list[str], *more: str) -> subprocess.CompletedProcess[str]:
    command = [
        *(
            sys.executable,
            *start,
            "run",
            "--arch",
            "hungry",
            "--plugins",
            str(folder),
            "--results",
            str(folder / "results"),
        ),
        *("--dataset", "synthetic:train=16,val=4,test=4,ood=1", "--image-size", "64", "--batch-size", "16"),
        *("--epochs", "1", "--precision", "fp32", "--device", DEVICE, *more),
    ]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def test_memory_that_runs_out_is_a_record_that_suggests_half_the_batch(tmp_path: Path) -> None:
    """320 MiB are allowed; of 16 images 384 are kept, of 8 images 192, or 240 as the allocator rounds them up."""
    (tmp_path / "architectures").mkdir()
    (tmp_path / "architectures" / "hungry.py").write_text(HUNGRY)
    ran = run(tmp_path, ["-c", LIMITED])
    assert ran.returncode == 0, ran.stderr
    (record,) = runs(tmp_path / "results")
    assert record.status == "out-of-memory"
    assert "CUDA out of memory" in record.message
    assert record.message.endswith("; try --micro-batch 8")
    ran = run(tmp_path, ["-c", LIMITED], "--micro-batch", "8")
    assert ran.returncode == 0, ran.stderr
    finished = next(found for found in runs(tmp_path / "results") if found.status == "finished")
    assert finished.peak_memory_bytes is not None
    assert 192 * 2**20 < finished.peak_memory_bytes < 320 * 2**20
