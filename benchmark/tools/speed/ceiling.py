"""What the device can do at most, and what a training step asks of it: the two sides of a roofline.

Williams, Waterman & Patterson, "Roofline", CACM 52(4), 2009.
"""

import time
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from benchmark import training
from benchmark.plugins.network import Network
from benchmark.protocols import Protocol
from benchmark.training import hardware
from benchmark.training.batches import DeviceSplit
from benchmark.training.hardware import Hardware

_SECONDS = 2.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Ceiling:
    """Measured: operations per second of a large matrix product, bytes per second of a large copy."""

    flops: float
    bytes: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Demand:
    """Of one training step: floating-point operations of products and convolutions, and bytes read and written.

    Bytes are counted operation by operation, as if nothing stayed in a cache: an upper bound of the traffic.
    """

    flops: float
    bytes: float


def measure(device: str, precision: str, threads: int | None, seconds: float = _SECONDS) -> Ceiling:
    """The device's ceilings, in a fresh process, `seconds` for each. The best of several, for a ceiling is what is
    possible.
    """
    machine = hardware.resolve(device, precision)
    hardware.pin_threads(threads)
    big = machine.device.type == "cuda"
    size, count = (8192, 2**28) if big else (2048, 2**26)
    kind = torch.bfloat16 if machine.precision == "bf16" else torch.float32
    left, right = (torch.randn(size, size, device=machine.device).to(kind) for _ in range(2))
    source = torch.ones(count, device=machine.device)
    target = torch.empty_like(source)
    product = min(_times(lambda: left @ right, machine, seconds))
    copy = min(_times(lambda: target.copy_(source), machine, seconds))
    return Ceiling(flops=2 * size**3 / product, bytes=2 * source.nbytes / copy)


def _times(work: Any, machine: Hardware, seconds: float) -> list[float]:
    times: list[float] = []
    begun = time.perf_counter()
    while len(times) < 5 or time.perf_counter() - begun < seconds:
        machine.synchronise()
        started = time.perf_counter()
        work()
        machine.synchronise()
        times.append(time.perf_counter() - started)
    return times


def demand(net: Network, data: DeviceSplit, settings: Protocol, machine: Hardware) -> Demand:
    """Of one step at the protocol's batch size, from steps of two and of four images: what weights and optimiser take
    does not grow with the batch, the rest does.
    """
    small, large = (_count(net, data, settings, machine, images) for images in (2, 4))
    images = settings.batch_size

    def at(one: float, other: float) -> float:
        return one + (other - one) / 2 * (images - 2)

    return Demand(flops=at(small.flops, large.flops), bytes=at(small.bytes, large.bytes))


def judge(needed: Demand, most: Ceiling, seconds: float) -> tuple[str, float]:
    """What bounds a step that took so long, and the achieved share of that ceiling."""
    arithmetic, traffic = needed.flops / most.flops, needed.bytes / most.bytes
    return ("arithmetic" if arithmetic >= traffic else "bytes"), max(arithmetic, traffic) / seconds


def _count(net: Network, data: DeviceSplit, settings: Protocol, machine: Hardware, images: int) -> Demand:
    small = settings.override({"batch_size": images})
    steps = training.Steps(net, data, small, seed=0, hardware=machine)
    steps.rehearse(images)  # the optimiser's state is made
    flops = FlopCounterMode(display=False)
    with _Bytes() as counted, flops:
        steps.rehearse(images)
    return Demand(flops=flops.get_total_flops(), bytes=counted.total)


class _Bytes(TorchDispatchMode):
    """Adds up the memory of every operation's inputs and outputs; views and allocations move none."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch leaves it without types
        self.total = 0

    def __torch_dispatch__(self, operation: Any, types: Any, arguments: Any = (), options: Any = None) -> Any:
        del types
        result = operation(*arguments, **(options or {}))
        if not operation.is_view and "empty" not in operation.name():
            tensors = [leaf for leaf in tree_leaves((arguments, options, result)) if isinstance(leaf, Tensor)]
            self.total += sum(leaf.numel() * leaf.element_size() for leaf in tensors)
        return result
