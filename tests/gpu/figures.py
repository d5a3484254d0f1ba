"""The measurements of proof.py, a function each: a task in JSON's types -> figures in JSON's types.

    python tests/gpu/figures.py speed '{"architecture": "unet", "execution": "eager", ...}' answer.json

Each runs in a process of its own, whose memory, tried kernels and compilations are then those of one measurement.
"""

import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

import race
import torch
from torch.profiler import ProfilerActivity

from benchmark import protocols, training
from benchmark.common.progress import silent
from benchmark.plugins import datasets, network, registry
from benchmark.plugins.network import Network
from benchmark.protocols import Protocol
from benchmark.records import describe, keys
from benchmark.tools.speed import ceiling, measure
from benchmark.tools.speed.ceiling import Ceiling
from benchmark.tools.speed.measure import Task
from benchmark.training import hardware
from benchmark.training.batches import DeviceSplit
from benchmark.training.hardware import Hardware

Figures = dict[str, Any]
TOP = 10
STEPS = 5
"""Number of profiled steps."""


def settings(task: Figures) -> Protocol:
    """The protocol with the task's changes; the dataset in its canonical spelling, as in `bench run`."""
    changed = protocols.load(task["protocol"]).override(task["overrides"])
    return changed.override({"dataset": registry.load("datasets", changed.dataset).label})


def _speed_task(task: Figures) -> Task:
    return Task(
        architecture=task["architecture"],
        protocol=settings(task),
        data_root=Path(task["data"]) if task["data"] else None,
        device=task["device"],
        precision="auto",
        threads=None,
        execution=task.get("execution", "eager"),
        seconds=task["seconds"],
    )


def _on_device(task: Task, machine: Hardware) -> Network:
    net = network.build(registry.load("architectures", task.architecture), task.protocol, seed=0)
    net.to(device=machine.device)
    net.to(memory_format=torch.channels_last)
    return net


def device(task: Figures) -> Figures:
    """The device, its measured ceilings, and the versions."""
    machine = hardware.resolve(task["device"], "auto")
    most = ceiling.measure(task["device"], "auto", None, task["seconds"])
    memory = None
    if machine.device.type == "cuda":
        memory = torch.cuda.get_device_properties(machine.device).total_memory
    return {
        "kind": machine.kind,
        "precision": machine.precision,
        "memory_bytes": memory,
        "cores": os.cpu_count(),
        "cuda": torch.version.cuda,
        "host": platform.platform(),
        "environment": describe.environment(),
        "ceiling": asdict(most),
    }


def data(task: Figures) -> Figures:
    """Decode the data; the figures include what identifies the runs on them."""
    wanted = settings(task)
    plugin = registry.load("datasets", wanted.dataset)
    started = time.perf_counter()
    cached = datasets.load_data(plugin, wanted, Path(task["data"]) if task["data"] else None, silent)
    return {
        "decoding_seconds": time.perf_counter() - started,
        "images": {name: len(split.rows) for name, split in cached.splits.items()},
        "table": keys.table(protocol=wanted.digest, manifest=cached.digest),
        "epochs": wanted.epochs,
        "batch_size": wanted.batch_size,
        "image_size": list(wanted.image_size),
    }


def speed(task: Figures) -> Figures:
    """Training: images per second, seconds of an epoch, peak memory, what limits it and the share of that ceiling."""
    wanted = _speed_task(task)
    machine, split = measure.prepare(wanted)
    net = _on_device(wanted, machine)
    execution = training.choose(wanted.execution, wanted.protocol, micro_batch=None)
    hardware.reset_peak_memory(machine)
    started = time.perf_counter()
    rate = measure.training_speed(net, split, wanted.protocol, machine, execution, wanted.seconds)
    whole = time.perf_counter() - started
    peak = hardware.peak_memory_bytes(machine, fresh_process=True)
    few = DeviceSplit(measure.first(split, 4), wanted.protocol, machine.device)
    needed = ceiling.demand(net, few, wanted.protocol, machine)
    batch = wanted.protocol.batch_size
    bound, share = ceiling.judge(needed, Ceiling(**task["ceiling"]), batch / rate)
    return {
        "architecture": wanted.architecture,
        "execution": execution.mode,
        "images_per_second": rate,
        "epoch_seconds": len(split.rows) / rate,
        "peak_memory_bytes": peak,
        "step": asdict(needed),
        "bound": bound,
        "share": share,
        "seconds_with_warm_up": whole,
    }


def profile(task: Figures) -> Figures:
    """The kernels (on a CPU: operations) that take most of the time of an eager step."""
    wanted = _speed_task(task)
    machine, split = measure.prepare(wanted)
    batch = wanted.protocol.batch_size
    images = DeviceSplit(measure.first(split, batch), wanted.protocol, machine.device)
    steps = training.Steps(_on_device(wanted, machine), images, wanted.protocol, seed=0, hardware=machine)
    for _ in range(2):  # the first tries kernels
        steps.epoch(lambda _: None)
    on_cuda = machine.device.type == "cuda"
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_cuda else [])]
    started = time.perf_counter()
    with torch.profiler.profile(activities=activities) as recorded:
        for _ in range(STEPS):
            steps.epoch(lambda _: None)
    whole = time.perf_counter() - started
    place = torch.autograd.DeviceType.CUDA if on_cuda else torch.autograd.DeviceType.CPU
    times = [
        (event.key, (event.self_device_time_total if on_cuda else event.self_cpu_time_total) / 1e6, event.count)
        for event in recorded.key_averages()
        if event.device_type == place and not event.is_user_annotation  # such as the optimiser's whole step
    ]
    total = sum(seconds for _, seconds, _ in times)
    longest = sorted(times, key=lambda entry: -entry[1])[:TOP]
    return {
        "architecture": wanted.architecture,
        "of": "kernels" if on_cuda else "operations",
        "steps": STEPS,
        "seconds": whole,
        "busy_seconds": total,
        "top": [
            {"name": name, "seconds": seconds, "share": seconds / total, "calls": calls}
            for name, seconds, calls in longest
        ],
    }


def rivals(task: Figures) -> Figures:
    """Contestants of race.py, on the first images of the training split as PNG files."""
    wanted = _speed_task(task)
    with tempfile.TemporaryDirectory(prefix="bench-proof-") as folder:
        count = race.write_files(wanted, task["images"], Path(folder))
        found = {name: race.race(wanted, name, Path(folder), count) for name in task["contestants"]}
    return {
        "architecture": wanted.architecture,
        "images": count,
        "contestants": {
            name: {"images_per_second": median(rates), "epochs": len(rates)} for name, rates in found.items()
        },
    }


FIGURES: dict[str, Callable[[Figures], Figures]] = {
    "device": device,
    "data": data,
    "speed": speed,
    "profile": profile,
    "rivals": rivals,
}


if __name__ == "__main__":
    answer = FIGURES[sys.argv[1]](json.loads(sys.argv[2]))
    Path(sys.argv[3]).write_text(json.dumps(answer), encoding="utf-8")
