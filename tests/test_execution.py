"""However a training is executed, it is the same training: in parts, from the host, compiled, or short of memory."""

import math
from pathlib import Path

import pytest
import torch
from helpers import FP32, MORTAL, SETTINGS, Bench, pixelwise, runs
from torch import nn

from benchmark import protocols, training
from benchmark.common import workers
from benchmark.common.errors import UserError
from benchmark.common.progress import silent
from benchmark.data import cache
from benchmark.training import Conditions, Execution, evaluator, execution, hardware
from benchmark.training.batches import DeviceSplit


def trained(
    data: DeviceSplit, net: nn.Module, execution: Execution, settings: protocols.Protocol = SETTINGS
) -> tuple[list[float], dict[str, torch.Tensor]]:
    done = training.train(
        net,
        data,
        settings,
        Conditions(seed=0, machine=FP32, execution=execution),
        validate=lambda _: 0.0,
        report=silent,
    )
    return [epoch.loss for epoch in done.history], net.state_dict()


def without_dropout() -> nn.Module:
    net = pixelwise()
    net[2] = nn.Identity()
    return net


@pytest.mark.parametrize("size", [1, 2])
@pytest.mark.parametrize("loss", ["bce", "bce_dice"])
def test_micro_batches_add_up_to_the_batch(cached: cache.Cached, size: int, loss: str) -> None:
    settings = SETTINGS.override({"loss": loss, "augmentation": "time_roll"})
    data = DeviceSplit(cached.splits["train"], settings, FP32.device)
    whole, weights = trained(data, without_dropout(), Execution(), settings)
    parts, others = trained(data, without_dropout(), Execution(micro_batch=size), settings)
    assert parts == pytest.approx(whole, rel=1e-5)
    for name, value in weights.items():
        torch.testing.assert_close(others[name], value, rtol=1e-4, atol=1e-5)


def test_data_from_the_host_is_the_data_of_the_device(cached: cache.Cached) -> None:
    here, there = (
        DeviceSplit(cached.splits["train"], SETTINGS, FP32.device, resident=resident) for resident in (True, False)
    )
    assert not there.resident
    assert trained(here, pixelwise(), Execution())[0] == trained(there, pixelwise(), Execution())[0]
    there.prefetch(torch.tensor([0, 1]))
    for ours, theirs in zip(here.pixels(torch.tensor([2, 3])), there.pixels(torch.tensor([2, 3])), strict=True):
        assert torch.equal(ours, theirs)  # another batch than the one that was announced


@pytest.mark.filterwarnings("ignore:.*:UserWarning")  # the compiler's, about its own internals
def test_a_compiled_training_is_the_eager_one_but_for_rounding(cached: cache.Cached) -> None:
    settings = SETTINGS.override({"epochs": 2})
    data = DeviceSplit(cached.splits["train"], settings, FP32.device)
    eager, _ = trained(data, without_dropout(), Execution(), settings)
    compiled, _ = trained(data, without_dropout(), Execution(mode="compiled"), settings)
    assert compiled == pytest.approx(eager, rel=1e-4)


def test_the_execution_that_is_asked_for() -> None:
    settings = protocols.load("paper")
    assert training.choose("eager", settings, micro_batch=4) == Execution(micro_batch=4)
    assert training.choose("eager", settings, micro_batch=16) == Execution()  # which is the whole batch
    assert training.choose("compiled", settings, micro_batch=None) == Execution(mode="compiled")
    with pytest.raises(UserError, match="no execution 'fast'; use eager or compiled"):
        training.choose("fast", settings, micro_batch=None)
    with pytest.raises(UserError, match="--execution compiled needs whole batches"):
        training.choose("compiled", settings, micro_batch=4)


def test_what_cannot_be_executed_as_was_asked_is_a_line_and_not_something_else(
    bench: Bench, mortal: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class RefusalError(RuntimeError):
        pass

    RefusalError.__module__ = "torch._inductor.exc"

    def fails(_: torch.Tensor) -> torch.Tensor:
        raise RefusalError("no working compiler")

    monkeypatch.setattr(torch, "compile", lambda _, **__: fails)
    ran = bench("run", "--arch", "mortal", *mortal, "--execution", "compiled")
    assert (ran.code, runs(tmp_path / "results")) == (2, [])
    assert ran.err.endswith("the network cannot be compiled here (no working compiler): use --execution eager\n")


def test_a_compiler_that_refuses_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    class RefusalError(RuntimeError):
        pass

    RefusalError.__module__ = "torch._inductor.exc"

    def fails(_: torch.Tensor) -> torch.Tensor:
        raise RefusalError("no working compiler\nand much more")

    monkeypatch.setattr(torch, "compile", lambda _, **__: fails)
    with pytest.raises(training.ExecutionError, match=r"\(no working compiler\): use --execution eager"):
        execution.compiled(nn.Identity())(torch.zeros(1))


def test_threads_are_pinned_and_no_more_than_are_granted(monkeypatch: pytest.MonkeyPatch) -> None:
    before = torch.get_num_threads()
    try:
        assert hardware.pin_threads(1) == torch.get_num_threads() == 1
        torch.set_num_threads(2)
        monkeypatch.setattr(workers, "granted", lambda: 1)
        assert hardware.pin_threads(None) == torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


class Narrow(nn.Module):
    """A network that has room for so many images."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self.layer, self.room = nn.Conv2d(3, 1, 1), room
        self.seen: list[int] = []

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        self.seen.append(len(image))
        if len(image) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        result: torch.Tensor = self.layer(image)
        return result


def test_evaluation_goes_on_in_halves_where_a_batch_does_not_fit(cached: cache.Cached) -> None:
    split = cached.splits["train"]
    data = DeviceSplit(split, SETTINGS, FP32.device)
    torch.manual_seed(0)
    narrow = Narrow(room=1)
    found = evaluator.validation_iou(narrow, data, SETTINGS, FP32)
    assert set(narrow.seen) == {4, 2, 1}
    narrow.room = 99
    assert found == evaluator.validation_iou(narrow, data, SETTINGS, FP32)
    with pytest.raises(torch.OutOfMemoryError):
        evaluator.validation_iou(Narrow(room=0), data, SETTINGS, FP32)


def test_scores_do_not_depend_on_the_size_of_the_batch(
    cached: cache.Cached,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    split = cached.splits["train"]
    data = DeviceSplit(split, SETTINGS, FP32.device)
    net = pixelwise()
    ious = []
    for size in (1, 3, 32):
        monkeypatch.setattr(evaluator, "BATCH", size)
        ious.append(evaluator.validation_iou(net, data, SETTINGS, FP32))
    assert ious == pytest.approx([ious[0]] * 3, abs=1e-6)


def test_where_a_training_diverged_is_said(cached: cache.Cached) -> None:
    class Explodes(nn.Conv2d):
        steps = 0

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            self.steps += self.training
            result: torch.Tensor = super().forward(image) * (math.inf if self.steps == 4 else 1)
            return result

    data = DeviceSplit(cached.splits["train"], SETTINGS, FP32.device)  # two steps an epoch
    done = training.train(
        Explodes(3, 1, 1), data, SETTINGS, Conditions(seed=0, machine=FP32), validate=lambda _: 0.0, report=silent
    )
    assert (done.status, len(done.history)) == ("diverged", 2)
    assert "not finite in epoch 2, step 2 of 2; the last finite losses were 0." in done.message


@pytest.fixture
def mortal(tmp_path: Path) -> list[object]:
    (tmp_path / "architectures").mkdir()
    (tmp_path / "architectures" / "mortal.py").write_text(MORTAL)
    tiny = ("--dataset", "synthetic:train=8,val=3,test=3,ood=1", "--image-size", 32, "--epochs", 2, "--batch-size", 8)
    return [*tiny, "--precision", "fp32", "--plugins", tmp_path, "--results", tmp_path / "results"]


def test_out_of_memory_suggests_half_the_batch_which_fits(bench: Bench, mortal: list[object], tmp_path: Path) -> None:
    ran = bench("run", "--arch", "mortal:room=4", *mortal)
    assert ran.code == 0
    assert "out-of-memory (CUDA out of memory. Tried to allocate 2.00 GiB.; try --micro-batch 4)" in ran.out
    assert bench("run", "--arch", "mortal:room=4", *mortal, "--micro-batch", 4).code == 0
    assert bench("run", "--arch", "mortal", *mortal).code == 0
    found = {run.device.arithmetic + " " + run.architecture.label: run for run in runs(tmp_path / "results")}
    assert found["fp32 mortal:room=4"].status == "out-of-memory"
    small, whole = found["fp32, micro-batches of 4 mortal:room=4"], found["fp32 mortal"]
    assert small.status == whole.status == "finished"
    assert small.training.last_losses == pytest.approx(whole.training.last_losses, rel=1e-4)
    assert "--micro-batch 4" in small.command
    board = bench("leaderboard", "--results", tmp_path / "results", "--width", 250, "--full")
    assert "micro-batches of 4" in board.out
