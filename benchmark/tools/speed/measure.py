"""Measure one network's speed, in a process that does nothing else."""

import gc
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import numpy as np
import torch
from torch import Tensor

from benchmark import training
from benchmark.common.progress import silent
from benchmark.data.cache import CachedSplit
from benchmark.plugins import datasets, network, registry
from benchmark.plugins.blame import blaming
from benchmark.plugins.network import Network
from benchmark.protocols import Protocol
from benchmark.tools.speed import ceiling
from benchmark.tools.speed.ceiling import Ceiling, Demand
from benchmark.training import evaluator, hardware
from benchmark.training.batches import DeviceSplit
from benchmark.training.hardware import Hardware

LATENCY_BATCHES = (1, 16)
_FEWEST, _MOST = 10, 200  # repeats of a latency


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """A network and how to measure it; each figure takes `seconds` after a warm-up."""

    architecture: str
    protocol: Protocol
    data_root: Path | None
    device: str
    precision: str
    threads: int | None
    execution: str
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Latency:
    """Seconds from uint8 pixels on the device to logits: median and 95th percentile of `repeats`."""

    batch: int
    p50: float
    p95: float
    repeats: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Speed:
    """Throughput in images per second; memory in bytes, of the device, or of the process on a CPU.

    `bound` names what limits the training, `share` is the part of that ceiling it reaches; the figures of the training
    are None if there is nothing to train.
    """

    label: str
    kind: str
    precision: str
    threads: int
    execution: str
    image_size: tuple[int, int]
    batch_size: int
    parameters: int
    gigaflops: float
    infer: float
    latency: tuple[Latency, ...]
    infer_memory: int | None
    train: float | None = None
    train_memory: int | None = None
    demand: Demand | None = None
    bound: str = ""
    share: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """The reason why a network has no figures."""

    label: str
    message: str


def prepare(task: Task) -> tuple[Hardware, CachedSplit]:
    """The device with its threads pinned, and the decoded training images."""
    machine = hardware.resolve(task.device, task.precision)
    hardware.pin_threads(task.threads)
    dataset = registry.load("datasets", task.protocol.dataset)
    return machine, datasets.load_data(dataset, task.protocol, task.data_root, silent).splits["train"]


def measure(task: Task, most: Ceiling) -> Speed:
    """All figures of one network. Call it in a fresh process, whose memory is then the network's."""
    plugin = registry.load("architectures", task.architecture)
    with blaming(plugin):
        return _measure(task, plugin, most)


def _measure(task: Task, plugin: registry.Plugin, most: Ceiling) -> Speed:
    machine, split = prepare(task)
    settings = task.protocol
    net = network.build(plugin, settings, seed=0)
    gigaflops = network.gigaflops(net, settings)
    net.to(machine.device)
    net.to(memory_format=torch.channels_last)
    execution = training.choose(task.execution, settings, micro_batch=None)
    # Few images: otherwise the training's peak memory would hold its data twice.
    data = DeviceSplit(first(split, evaluator.BATCH), settings, machine.device)
    latency = tuple(_latency(net, data, machine, batch, task.seconds) for batch in LATENCY_BATCHES)
    whole = _latency(net, data, machine, evaluator.BATCH, task.seconds)
    speed = Speed(
        label=plugin.label,
        kind=machine.kind,
        precision=machine.precision,
        threads=torch.get_num_threads(),
        execution=execution.mode,
        image_size=settings.image_size,
        batch_size=settings.batch_size,
        parameters=network.parameter_count(net),
        gigaflops=gigaflops,
        infer=evaluator.BATCH / whole.p50,
        latency=latency,
        infer_memory=_peak(machine),
    )
    if not any(parameter.requires_grad for parameter in net.parameters()):
        return speed
    train = training_speed(net, split, settings, machine, execution, task.seconds)
    train_memory = _peak(machine)
    demand = ceiling.demand(net, data, settings, machine)
    bound, share = ceiling.judge(demand, most, settings.batch_size / train)
    return replace(speed, train=train, train_memory=train_memory, demand=demand, bound=bound, share=share)


def training_speed(
    net: Network,
    split: CachedSplit,
    settings: Protocol,
    machine: Hardware,
    execution: training.Execution,
    seconds: float,
) -> float:
    """Images per second of the trainer's own epochs without the first: the median of at least three."""

    def timer(images: int) -> Callable[[], float]:
        """A function that measures the seconds of an epoch of `images` images, after a warm-up epoch."""
        data = DeviceSplit(first(split, images), settings, machine.device)
        steps = training.Steps(net, data, settings, seed=0, hardware=machine, execution=execution)

        def epoch() -> float:
            started = time.perf_counter()
            steps.epoch(lambda _: None)  # ends with the device at rest
            return time.perf_counter() - started

        epoch()
        return epoch

    batch = min(settings.batch_size, len(split.rows))
    step_seconds = timer(batch)()
    gc.collect()  # this optimiser must not count in the memory
    batches = max(1, min(len(split.rows) // batch, math.ceil(seconds / 3 / step_seconds)))
    epoch = timer(batches * batch)
    rates: list[float] = []
    begun = time.perf_counter()
    while len(rates) < 3 or time.perf_counter() - begun < seconds:
        rates.append(batches * batch / epoch())
    return median(rates)


def first(split: CachedSplit, count: int) -> CachedSplit:
    """The first `count` images of a split."""
    return replace(split, images=split.images[:count], masks=split.masks[:count], rows=split.rows[:count])


@torch.inference_mode()
def _latency(net: Network, data: DeviceSplit, machine: Hardware, batch: int, seconds: float) -> Latency:
    net.eval()
    indices = torch.arange(batch, device=data.index_device) % len(data)
    pixels, _ = data.pixels(indices)

    def forward() -> Tensor:
        with machine.autocast():
            logits: Tensor = net(data.normalise(pixels))
        return logits

    for _ in range(2):
        forward()
    times = ceiling.times(forward, machine, seconds, fewest=_FEWEST, most=_MOST)
    return Latency(batch=batch, p50=float(np.median(times)), p95=float(np.quantile(times, 0.95)), repeats=len(times))


def _peak(machine: Hardware) -> int | None:
    """Peak memory: since the last call on CUDA, since the process began on a CPU (so ask for the smaller one first)."""
    peak = hardware.peak_memory_bytes(machine, fresh_process=True)
    hardware.reset_peak_memory(machine)
    return peak
