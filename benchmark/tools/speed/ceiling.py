"""Measure how fast the device can compute and copy, and what a training step needs: the two sides of a roofline.

Williams, Waterman & Patterson, "Roofline", CACM 52(4), 2009.
"""

import time
from collections.abc import Callable
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
    """Measured: floating-point operations per second of a large matrix product, bytes per second of a large copy."""

    flops: float
    bytes: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Demand:
    """One training step: floating-point operations of products and convolutions, and bytes read and written.

    Bytes are counted operation by operation, as if there were no cache: an upper bound of the traffic.
    """

    flops: float
    bytes: float


def measure(device: str, precision: str, threads: int | None, seconds: float = _SECONDS) -> Ceiling:
    """The device's ceilings: the best of the repeats that fit into `seconds` each. Call it in a fresh process."""
    machine = hardware.resolve(device, precision)
    hardware.pin_threads(threads)
    size, count = (8192, 2**28) if machine.device.type == "cuda" else (2048, 2**26)
    kind = torch.bfloat16 if machine.precision == "bf16" else torch.float32
    left, right = (torch.randn(size, size, device=machine.device).to(kind) for _ in range(2))
    source = torch.ones(count, device=machine.device)
    target = torch.empty_like(source)
    product = min(times(lambda: left @ right, machine, seconds))
    copy = min(times(lambda: target.copy_(source), machine, seconds))
    return Ceiling(flops=2 * size**3 / product, bytes=2 * source.nbytes / copy)


def times(
    work: Callable[[], object], machine: Hardware, seconds: float, *, fewest: int = 5, most: int | None = None
) -> list[float]:
    """Seconds of each call, repeated for `seconds`; on CUDA they are measured by the device's events."""
    machine.synchronise()
    found: list[float] = []
    begun = time.perf_counter()
    while len(found) < fewest or (len(found) != most and time.perf_counter() - begun < seconds):
        if machine.device.type == "cuda":
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
            work()
            end.record()
            end.synchronize()
            found.append(start.elapsed_time(end) / 1000)
        else:
            started = time.perf_counter()
            work()
            machine.synchronise()
            found.append(time.perf_counter() - started)
    return found


def demand(net: Network, data: DeviceSplit, settings: Protocol, machine: Hardware) -> Demand:
    """Count what a step at the protocol's batch size needs, extrapolated from steps of two and of four images.

    The part for the weights and the optimiser does not grow with the batch; the rest does.
    """
    two, four = (_count(net, data, settings, machine, images) for images in (2, 4))

    def at_batch_size(two: float, four: float) -> float:
        return two + (four - two) / 2 * (settings.batch_size - 2)

    return Demand(flops=at_batch_size(two.flops, four.flops), bytes=at_batch_size(two.bytes, four.bytes))


def judge(needed: Demand, most: Ceiling, seconds: float) -> tuple[str, float]:
    """Say what limits a step of so many seconds, "arithmetic" or "bytes", and the share of that ceiling it reaches."""
    arithmetic, traffic = needed.flops / most.flops, needed.bytes / most.bytes
    return ("arithmetic" if arithmetic >= traffic else "bytes"), max(arithmetic, traffic) / seconds


def _count(net: Network, data: DeviceSplit, settings: Protocol, machine: Hardware, images: int) -> Demand:
    settings = settings.override({"batch_size": images})
    steps = training.Steps(net, data, settings, seed=0, hardware=machine)
    steps.rehearse(images)  # creates the optimiser's state
    flops = FlopCounterMode(display=False)
    with _ByteCounter() as counted, flops:
        steps.rehearse(images)
    return Demand(flops=flops.get_total_flops(), bytes=counted.total)


class _ByteCounter(TorchDispatchMode):
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
