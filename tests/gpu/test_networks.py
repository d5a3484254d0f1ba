"""Every architecture computes on the device what it computes on a CPU in fp32, and a step there trains it."""

from collections.abc import Callable

import pytest
import torch
from accelerator import SMALL, On

from benchmark import training
from benchmark.plugins import network, registry
from benchmark.training.batches import DeviceSplit

TOLERANCE = {"fp32": 1e-3, "bf16": 0.2}
"""The norm of the difference over the norm of the CPU's logits. fp32 (TF32 is off) rounds by 6e-8; another order of
summation and Winograd's transform cost some hundred times that over fifty layers. bf16 rounds every layer's output by
4e-3, which adds up over them: on a CPU, 0.12 at most."""


@pytest.mark.parametrize("precision", TOLERANCE)
@pytest.mark.parametrize("name", registry.find("architectures"))
def test_forward_and_a_step(name: str, precision: str, on: On, training_data: Callable[..., DeviceSplit]) -> None:
    machine = on(precision)
    net = network.build(registry.load("architectures", name), SMALL, seed=0)
    data = training_data(machine)
    pixels, _ = data.pixels(torch.arange(4, device=data.index_device))
    images = data.normalise(pixels)
    with torch.no_grad():
        expected = net.eval()(images.cpu())
    net.to(device=machine.device)
    net.to(memory_format=torch.channels_last)
    with torch.no_grad(), machine.autocast():
        found = net(images).float().cpu()
    learning = [parameter for parameter in net.parameters() if parameter.requires_grad]
    if not learning:  # a threshold, which rounding may move between two equally good ones: what it decides must stay
        assert float(((found > 0) != (expected > 0)).float().mean()) <= 0.001
        return
    assert float((found - expected).norm() / expected.norm()) <= TOLERANCE[precision]
    before = [parameter.detach().clone() for parameter in learning]
    training.Steps(net, data, SMALL, seed=0, hardware=machine).rehearse(4)
    gradients = [parameter.grad for parameter in learning if parameter.grad is not None]
    assert gradients
    assert all(bool(gradient.isfinite().all()) for gradient in gradients)
    assert any(not torch.equal(*pair) for pair in zip(before, learning, strict=True))
