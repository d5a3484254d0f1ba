"""What is counted and heard on the device is what a CPU counts and hears."""

import math

import numpy as np
import pytest
import torch
from accelerator import SMALL, On
from torch import nn

from benchmark import evaluator, hardware, metrics, network, registry
from benchmark.data.batches import DeviceSplit
from benchmark.data.cache import Cached
from benchmark.evaluator import Evaluation
from benchmark.hardware import Hardware
from benchmark.network import Network
from benchmark.progress import silent

NAMES = ("custom_resnet34", "unet", "segnet")
SHARES = {"fp32": 0.001, "bf16": 0.01}
"""Share of an image's pixels that may be counted otherwise where a batch has another size, and so other kernels."""


def undecided(name: str, decoded: Cached) -> Network:
    """An untrained network whose bias makes about half of the pixels foreground: many lie next to the threshold."""
    net = network.build(registry.load("architectures", name), SMALL, seed=0)
    data = DeviceSplit(decoded.splits["test"], SMALL, torch.device("cpu"))
    with torch.no_grad():
        logits = net.eval()(data.normalise(data.pixels(torch.arange(len(data)))[0]))
    return Network(nn.Sequential(net, Shift(float(logits.median()))), 1, name)


class Shift(nn.Module):
    def __init__(self, by: float) -> None:
        super().__init__()
        self.by = by

    def forward(self, logits: torch.Tensor) -> torch.Tensor:
        return logits - self.by


def counted(net: Network, decoded: Cached, machine: Hardware) -> Evaluation:
    net.to(device=machine.device)
    net.to(memory_format=torch.channels_last)
    split = decoded.splits["test"]
    return evaluator.evaluate(net, DeviceSplit(split, SMALL, machine.device), split, SMALL, machine, silent)


def differing(found: Evaluation, expected: Evaluation) -> float:
    """The largest share of an image's pixels by which a count at the protocol's size differs."""
    pixels = math.prod(SMALL.image_size)
    return max(float(np.abs(found.counts[name] - expected.counts[name]).max()) / pixels for name in metrics.CONFUSION)


@pytest.mark.parametrize("precision", SHARES)
@pytest.mark.parametrize("name", NAMES)
def test_counts_do_not_depend_on_the_size_of_the_batch(
    name: str, precision: str, on: On, decoded: Cached, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = on(precision)
    net = undecided(name, decoded)
    found = []
    for size in (32, 5, 1):
        monkeypatch.setattr(evaluator, "BATCH", size)
        found.append(counted(net, decoded, machine))
    assert 0.1 < found[0].predictions.mean() < 0.9, "a network that says the same of every pixel shows nothing"
    assert max(differing(other, found[0]) for other in found[1:]) <= SHARES[precision]


@pytest.mark.parametrize("name", NAMES)
def test_counts_are_those_of_a_cpu(name: str, on: On, decoded: Cached) -> None:
    net = undecided(name, decoded)
    expected = counted(net, decoded, hardware.resolve("cpu", "fp32"))
    found = counted(net, decoded, on("fp32"))
    assert differing(found, expected) <= 0.001
    assert np.abs(found.histograms - expected.histograms).sum((1, 2)).max() <= 0.01 * math.prod(SMALL.image_size)
    assert set(found.sounds) == set(metrics.SOUND_COLUMNS)


def test_sounds_are_those_of_a_cpu(on: On, decoded: Cached) -> None:
    """SI-SDR and SDR under masks that are the same everywhere: the true one, the ideal, a high-pass, everything."""
    split = decoded.splits["test"]
    expected = evaluator.references(split, torch.device("cpu"), silent)
    found = evaluator.references(split, on("fp32").device, silent)
    assert set(found) == set(expected)
    heard = [values for name, values in expected.items() if name.startswith("truth_mask")]
    assert all(np.isfinite(values).sum() >= len(split.rows) - 1 for values in heard)  # at most one has no song
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=0, atol=1e-3, err_msg=name)  # dB
