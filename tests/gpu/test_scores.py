"""Counts and sound scores on the device are those of a CPU."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from accelerator import SMALL, On

from benchmark import scores, training
from benchmark.common.progress import silent
from benchmark.data.cache import Cached
from benchmark.plugins import network, registry
from benchmark.plugins.network import Network
from benchmark.training import evaluator, hardware
from benchmark.training.batches import DeviceSplit
from benchmark.training.evaluator import Evaluation
from benchmark.training.hardware import Hardware

NAMES = ("unet:width=8", "custom_resnet34")
SHARES = {"fp32": 0.001, "bf16": 0.02}
"""Share of an image's pixels that may be counted otherwise where a batch has another size, and so other kernels. On a
CPU noise of 4e-3 on every layer's output, bf16's rounding, moves up to 0.007 of them, noise of 1e-6 none."""


def trained(name: str, data: DeviceSplit, machine: Hardware) -> Network:
    """After forty steps on the device: an untrained network's logits differ by less than bf16 can tell apart."""
    net = network.build(registry.load("architectures", name), SMALL, seed=0)
    net.to(device=machine.device)
    net.to(memory_format=torch.channels_last)
    steps = training.Steps(net, data, SMALL, seed=0, hardware=machine)
    for _ in range(8):
        steps.epoch(lambda _: None)
    return net


def counted(net: Network, decoded: Cached, machine: Hardware) -> Evaluation:
    net.to(device=machine.device)
    net.to(memory_format=torch.channels_last)
    split = decoded.splits["test"]
    return evaluator.evaluate(net, DeviceSplit(split, SMALL, machine.device), split, SMALL, machine, silent)


def differing(found: Evaluation, expected: Evaluation) -> float:
    """The largest share of an image's pixels by which a count at the protocol's size differs."""
    pixels = math.prod(SMALL.image_size)
    return max(float(np.abs(found.counts[name] - expected.counts[name]).max()) / pixels for name in scores.CONFUSION)


@pytest.mark.parametrize("precision", SHARES)
@pytest.mark.parametrize("name", NAMES)
def test_counts_do_not_depend_on_the_size_of_the_batch(
    name: str,
    precision: str,
    on: On,
    decoded: Cached,
    training_data: Callable[..., DeviceSplit],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machine = on("fp32")
    net = trained(name, training_data(machine), machine)
    machine = on(precision)
    found = []
    for size in (32, 5, 1):
        monkeypatch.setattr(evaluator, "BATCH", size)
        found.append(counted(net, decoded, machine))
    assert 0.01 < found[0].predictions.mean() < 0.9, "a network that says the same of every pixel shows nothing"
    assert max(differing(other, found[0]) for other in found[1:]) <= SHARES[precision]


@pytest.mark.parametrize("name", NAMES)
def test_counts_are_those_of_a_cpu(
    name: str, on: On, decoded: Cached, training_data: Callable[..., DeviceSplit]
) -> None:
    machine = on("fp32")
    net = trained(name, training_data(machine), machine)
    found = counted(net, decoded, machine)
    expected = counted(net, decoded, hardware.resolve("cpu", "fp32"))
    assert differing(found, expected) <= 0.001
    assert np.abs(found.histograms - expected.histograms).sum((1, 2)).max() <= 0.01 * math.prod(SMALL.image_size)
    assert set(found.sounds) == set(scores.SOUND_COLUMNS)


def test_sounds_are_those_of_a_cpu(on: On, decoded: Cached) -> None:
    """SI-SDR and SDR under masks that are the same everywhere: the true one, the ideal, a high-pass, everything."""
    split = decoded.splits["test"]
    expected = evaluator.references(split, {}, torch.device("cpu"), silent)
    found = evaluator.references(split, {}, on("fp32").device, silent)
    assert set(found) == set(expected)
    heard = [values for name, values in expected.items() if name.startswith("truth_mask")]
    assert all(np.isfinite(values).sum() >= len(split.rows) - 1 for values in heard)  # at most one has no song
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=0, atol=1e-3, err_msg=name)  # dB
