"""On CUDA a compiled training is the eager one except for rounding, and no step waits for the device."""

import itertools
from collections.abc import Callable, Iterable

import pytest
import torch
from accelerator import DEVICE, SMALL, On
from torch import Tensor, nn

from benchmark.plugins import network, registry
from benchmark.plugins.network import Network
from benchmark.training import Execution, Steps
from benchmark.training.batches import DeviceSplit
from benchmark.training.hardware import Hardware

DATA = Callable[..., DeviceSplit]
NET = "unet:width=8"
SETTINGS = SMALL.override({"learning_rate": 1e-5, "schedule": "cosine"})
"""Small steps: Adam divides by gradients that may be next to nothing; at 1e-3 their rounding alone leads elsewhere."""
LOSSES = {"fp32": 1e-4, "bf16": 1e-2}
STATES = {"fp32": 0.01, "bf16": 0.1}
MOVED = {"fp32": 0.1, "bf16": 0.7}
"""Relative differences after twenty steps: of each loss; of all batch-norm buffers, and of each of Adam's moments, by
their norms; of the way that the weights went, which a rate that does not fall would double. On a CPU, noise of 1e-6
(4e-3 for bf16) on every layer's output makes 4e-7, 6e-4 and 0.02 (6e-5, 0.01 and 0.5)."""

Course = tuple[Tensor, dict[str, Tensor]]


def built(name: str, machine: Hardware) -> Network:
    net = network.build(registry.load("architectures", name), SMALL, seed=0)
    net.to(device=machine.device)
    return net.to(memory_format=torch.channels_last)


def twenty_steps(net: Network, data: DeviceSplit, machine: Hardware, mode: str = "eager") -> Course:
    """Their losses (20,); batch-norm buffers, Adam's moments and the weights' way, each end to end."""
    begun = _flat(net.parameters())
    steps = Steps(net, data, SETTINGS, seed=0, hardware=machine, execution=Execution(mode=mode))  # type: ignore[arg-type]
    losses = torch.cat([steps.epoch(lambda _: None)[:-1] for _ in range(SMALL.epochs)])
    state = steps.optimiser.state
    assert {int(entry["step"]) for entry in state.values()} == {20}
    moments = {key: _flat(entry[key] for entry in state.values()) for key in ("exp_avg", "exp_avg_sq")}
    return losses, {**moments, "buffers": _flat(net.buffers()), "moved": _flat(net.parameters()) - begun}


def _flat(tensors: Iterable[Tensor]) -> Tensor:
    return torch.cat([tensor.detach().double().cpu().flatten() for tensor in tensors])


def same_training(found: Course, expected: Course, precision: str) -> None:
    assert len(expected[0]) == 20
    torch.testing.assert_close(found[0], expected[0], rtol=LOSSES[precision], atol=0)
    for name, value in expected[1].items():
        most = MOVED[precision] if name == "moved" else STATES[precision]
        assert float((found[1][name] - value).norm() / value.norm()) <= most, name


@pytest.mark.parametrize("precision", LOSSES)
@pytest.mark.filterwarnings("ignore:.*:UserWarning", "ignore:.*:DeprecationWarning")  # the compilers', of themselves
def test_a_compiled_training_is_the_eager_one(precision: str, on: On, training_data: DATA) -> None:
    machine = on(precision)
    data = training_data(machine)
    eager = twenty_steps(built(NET, machine), data, machine)
    same_training(twenty_steps(built(NET, machine), data, machine, "compiled"), eager, precision)


def test_data_from_the_host_give_the_same_bits(on: On, training_data: DATA) -> None:
    machine = on("fp32", deterministic=True)
    here, there = (
        twenty_steps(built(NET, machine), training_data(machine, resident=resident), machine)
        for resident in (True, False)
    )
    assert torch.equal(here[0], there[0])
    assert all(torch.equal(value, there[1][name]) for name, value in here[1].items())


@pytest.fixture
def guarded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every epoch after the first: whatever waits for the device in its steps is an error.

    In the first one cuDNN tries its kernels, and pinned memory is taken.
    """
    launch = Steps._launch
    epochs = itertools.count()

    def watched(steps: Steps, *arguments: object) -> Tensor:
        torch.cuda.set_sync_debug_mode("error" if next(epochs) else "default")
        try:
            return launch(steps, *arguments)  # type: ignore[arg-type]
        finally:
            torch.cuda.set_sync_debug_mode("default")

    monkeypatch.setattr(Steps, "_launch", watched)


NO_WAITING = pytest.mark.filterwarnings("ignore:Synchronization debug mode is a prototype:UserWarning")


@NO_WAITING
@pytest.mark.usefixtures("only_cuda", "guarded")
@pytest.mark.parametrize("name", ["custom_resnet34", "unet", "segnet", "deeplabv3", "vitvs"])
@pytest.mark.parametrize("resident", [True, False])
def test_no_step_waits_for_the_device(name: str, resident: bool, on: On, training_data: DATA) -> None:
    machine = on("bf16")
    settings = SMALL.override({"augmentation": "time_roll"})
    data = training_data(machine, settings, resident=resident)
    steps = Steps(built(name, machine), data, settings, seed=0, hardware=machine)
    for _ in range(2):
        steps.epoch(lambda _: None)


@NO_WAITING
@pytest.mark.usefixtures("only_cuda", "guarded")
def test_a_network_that_waits_is_noticed(on: On, training_data: DATA) -> None:
    class Waits(nn.Conv2d):
        def forward(self, image: Tensor) -> Tensor:
            result: Tensor = super().forward(image)
            return result + 0 * result.sum().item()

    machine = on("fp32")
    net = Network(Waits(3, 1, 1), 1, "waits").to(DEVICE)
    steps = Steps(net, training_data(machine), SMALL, seed=0, hardware=machine)
    steps.epoch(lambda _: None)
    with pytest.raises(RuntimeError, match="called a synchronizing CUDA operation"):
        steps.epoch(lambda _: None)
