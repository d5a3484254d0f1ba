"""`bench speed` measures what it says, and race.py trains each contestant."""

import csv
import os
from pathlib import Path

import pytest
import torch
from gpu import race
from helpers import FP32, Bench
from torch import nn

from benchmark import protocols
from benchmark.common.errors import UserError
from benchmark.data import cache
from benchmark.plugins.network import Network
from benchmark.tools.speed import ceiling, measure, report, session
from benchmark.tools.speed.ceiling import Ceiling, Demand
from benchmark.tools.speed.measure import Failure, Speed, Task
from benchmark.training.batches import DeviceSplit

MOST = Ceiling(flops=1e12, bytes=1e11)
SETTINGS = protocols.load("quick").override(
    {"dataset": "synthetic:train=8,val=3,test=3,ood=1", "image_size": 32, "batch_size": 4}
)


def task(architecture: str) -> Task:
    return Task(
        architecture=architecture,
        protocol=SETTINGS,
        data_root=None,
        device="cpu",
        precision="fp32",
        threads=1,
        execution="eager",
        seconds=0.05,
    )


@pytest.fixture(autouse=True)
def _threads() -> object:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_an_entry_is_measured() -> None:
    found = measure.measure(task("unet:width=2"), MOST)
    assert isinstance(found, Speed)
    assert found.threads == 1
    assert found.train is not None
    assert found.demand is not None
    assert 0 < found.train < found.infer * 3
    assert [latency.batch for latency in found.latency] == [1, 16]
    assert all(0 < latency.p50 <= latency.p95 and latency.repeats >= 10 for latency in found.latency)
    assert found.infer_memory is not None
    assert found.train_memory is not None
    assert found.infer_memory <= found.train_memory
    # A backward pass is two forward passes, but for the first layer, which has no gradient of its image.
    assert 2.4 < found.demand.flops / 4 / (found.gigaflops * 1e9) <= 3
    needed = max(found.demand.flops / MOST.flops, found.demand.bytes / MOST.bytes)
    assert found.share == pytest.approx(needed * found.train / 4)


def test_an_entry_that_does_not_learn_is_not_trained() -> None:
    found = measure.measure(task("otsu"), MOST)
    assert isinstance(found, Speed)
    assert (found.train, found.demand, found.share, found.parameters) == (None, None, None, 0)


def test_operations_and_bytes_of_a_step_by_hand(cached: cache.Cached) -> None:
    settings = protocols.load("quick").override({"image_size": (16, 24), "batch_size": 2, "loss": "bce"})
    data = DeviceSplit(cached.splits["train"], settings, FP32.device)
    net = Network(nn.Conv2d(3, 5, 3, padding=1), 1, "test")
    net.core = nn.Sequential(net.core, nn.Conv2d(5, 1, 1))
    found = ceiling.demand(net, data, settings, FP32)
    pixels = 2 * 16 * 24
    first, second = 2 * 27 * 5 * pixels, 2 * 5 * pixels
    assert found.flops == 2 * first + 3 * second  # the image itself needs no gradient
    assert found.bytes > 4 * pixels * (3 + 5 + 1) * 2  # read and written, forward alone
    twice = ceiling.demand(net, data, settings.override({"batch_size": 4}), FP32)
    assert twice.flops == 2 * found.flops
    assert found.bytes < twice.bytes < 2 * found.bytes  # the weights do not grow


def test_what_bounds_a_step() -> None:
    assert ceiling.judge(Demand(flops=2e12, bytes=1e11), MOST, 4.0) == ("arithmetic", 0.5)
    assert ceiling.judge(Demand(flops=1e12, bytes=4e11), MOST, 8.0) == ("bytes", 0.5)


@pytest.mark.parametrize("contestant", ["ours", "notebook", "lightning cached"])
def test_each_contestant_trains(contestant: str, tmp_path: Path) -> None:
    if contestant.startswith("lightning"):
        pytest.importorskip("lightning", reason="Lightning is not installed")
    count = race.write_files(task("unet:width=2"), 8, tmp_path)
    assert count == 8
    assert min(race.race(task("unet:width=2"), contestant, tmp_path, count)) > 0


def test_the_notebook_sees_the_pictures_that_ours_sees(tmp_path: Path) -> None:
    race.write_files(task("unet"), 8, tmp_path)
    machine, split = measure.prepare(task("unet"))
    data = DeviceSplit(split, SETTINGS, machine.device)
    pixels, masks = data.pixels(torch.arange(8))
    images = data.normalise(pixels)
    files = race.PngFiles(tmp_path, SETTINGS)
    for number in range(8):
        image, mask = files[number]
        assert image.shape == (3, 32, 32)
        assert (image - images[number]).abs().mean() < 0.1  # resampled by another rule
        assert (mask[0].bool() != masks[number]).float().mean() < 0.2


def test_ratios_are_of_the_same_round() -> None:
    line = race.table({"ours": [10.0, 20.0, 30.0], "notebook": [5.0, 5.0, 10.0]}).splitlines()[3]
    assert [cell.strip() for cell in line.split("|")[1:-1]] == ["notebook", "5", "5 5 10", "3.00 x (2.00-4.00)"]


def test_a_failure_is_a_line_of_the_table(tmp_path: Path) -> None:
    speed = measure.measure(task("otsu"), MOST)
    failure = Failure(label="huge", message="out of memory")
    report.write(tmp_path / "speed.csv", "bench speed", [speed, failure], MOST)
    text = (tmp_path / "speed.md").read_text()
    assert text.startswith("    bench speed\n")
    assert "| huge" in text
    assert "huge: out of memory" in text
    (row,) = csv.DictReader((tmp_path / "speed.csv").read_text().splitlines())
    assert row["architecture"] == "otsu"
    assert row["train_images_per_second"] == ""


def test_each_figure_has_a_process_of_its_own_whose_death_is_said() -> None:
    assert session.in_fresh_process(os.getpid) != os.getpid()
    with pytest.raises(UserError, match="the process was killed"):
        session.in_fresh_process(os._exit, 9)


def test_the_command(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here in one process: five that import torch would take most of the test's time."""
    monkeypatch.setattr(session, "in_fresh_process", lambda work, *arguments: work(*arguments))
    monkeypatch.setattr(ceiling, "_SECONDS", 0.05)
    ran = bench(
        *("speed", "unet:width=2", "--dataset", SETTINGS.dataset, "--image-size", 32, "--batch-size", 4),
        *("--seconds", 0.1, "--out", tmp_path / "s.csv"),
    )
    assert ran.code == 0, ran.err
    assert "Ceilings of the device, measured" in ran.out
    (row,) = csv.DictReader((tmp_path / "s.csv").read_text().splitlines())
    assert row["architecture"] == "unet:width=2"
    assert float(row["train_images_per_second"]) > 0
    assert float(row["share_of_ceiling_percent"]) > 0
