"""One training and one test of a network on a machine, and what came of it."""

import gc
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import nn

from benchmark.common import workers
from benchmark.common.errors import UserError, first_line
from benchmark.common.progress import Report
from benchmark.data.cache import Cached, CachedSplit
from benchmark.plugins.network import Network
from benchmark.protocols import Protocol
from benchmark.training import (
    CHECKPOINT_SECONDS,
    Execution,
    Trained,
    evaluator,
    fitting_micro_batch,
    hardware,
    train,
    tune,
)
from benchmark.training.batches import DeviceSplit
from benchmark.training.checkpoints import Checkpoints
from benchmark.training.distributed import Peers
from benchmark.training.evaluator import Evaluation
from benchmark.training.hardware import Hardware


@dataclass(frozen=True, kw_only=True, slots=True)
class Manner:
    """How a run is carried out; none of it is protocol. None and "auto" leave the choice to the stated rules."""

    device: str = "auto"
    precision: str = "auto"
    threads: int | None = None
    execution: str = "auto"
    micro_batch: int | None = None
    deterministic: bool = False
    data_on: Literal["auto", "device", "host"] = "auto"
    checkpoint_seconds: float = CHECKPOINT_SECONDS


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """`evaluation` is there if the training finished, and only in the first of several processes."""

    status: Literal["finished", "diverged", "out-of-memory"]
    execution: Execution
    message: str = ""
    trained: Trained | None = None
    evaluation: Evaluation | None = None
    others: float | None = None
    """The share of the machine's processor time that other processes took meanwhile; None where it is not known."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Conditions:
    """What a trial needs beside network and data. `unused`: some parameters may be left without gradient.

    `resident`: the data lies on the device.
    """

    seed: int
    machine: Hardware
    execution: Execution
    peers: Peers
    resident: bool
    checkpoint_seconds: float
    unused: bool


def conduct(
    net: Network, cached: Cached, settings: Protocol, given: Conditions, checkpoints: Checkpoints, report: Report
) -> Trial:
    """Train on the training split, choose epoch and rate on the validation split, count the test split once.

    Raises:
        UserError: memory ran out in one of several processes, or the settings contradict each other.
    """
    trial = Trial(status="out-of-memory", execution=given.execution)
    splits: dict[str, DeviceSplit] = {}
    try:
        net.to(device=given.machine.device)
        net.to(memory_format=torch.channels_last)
        splits = _splits(cached.splits.values(), settings, given)
        watch = workers.Watch()
        trained = _train(net, splits, settings, given, checkpoints, report)
        trial = replace(trial, trained=trained)
        if trained.status == "diverged":
            return replace(trial, status="diverged", message=trained.message)
        if not given.peers.first:
            return replace(trial, status="finished")
        # The only time that the test split is looked at.
        evaluation = evaluator.evaluate(net, splits["test"], cached.splits["test"], settings, given.machine, report)
    except evaluator.NotANumberError:
        return replace(trial, status="diverged", message="the trained network's logits are not numbers")
    except (MemoryError, RuntimeError) as error:
        if not hardware.is_out_of_memory(error):
            raise
        trial = replace(trial, message=first_line(error) or type(error).__name__)
    else:
        known = given.peers.count == 1 and not trained.continued_after
        return replace(trial, status="finished", evaluation=evaluation, others=watch.others() if known else None)
    # Outside of the handler, whose traceback holds on to the memory; and without the data, or they would lie on the
    # device twice while it is tried what fits.
    splits = {}
    if given.peers.count > 1:
        raise UserError(f"process {given.peers.rank}: {trial.message}; more processes take smaller parts of a batch")
    if trial.trained is None:
        trial = replace(trial, message=f"{trial.message}; {_what_would_fit(net, cached, settings, given)}")
    return trial


def _splits(splits: Iterable[CachedSplit], settings: Protocol, given: Conditions) -> dict[str, DeviceSplit]:
    device = given.machine.device
    return {split.name: DeviceSplit(split, settings, device, resident=given.resident) for split in splits}


def _train(
    net: Network,
    splits: dict[str, DeviceSplit],
    settings: Protocol,
    given: Conditions,
    checkpoints: Checkpoints,
    report: Report,
) -> Trained:
    def validate(net: nn.Module) -> float:
        return evaluator.validation_iou(net, splits["val"], settings, given.machine)

    def training(settings: Protocol, checkpoints: Checkpoints | None, report: Report) -> Trained:
        return train(
            net,
            splits["train"],
            settings,
            seed=given.seed,
            hardware=given.machine,
            validate=validate,
            report=report,
            execution=given.execution,
            peers=given.peers,
            unused=given.unused,
            checkpoints=checkpoints,
            checkpoint_seconds=given.checkpoint_seconds,
        )

    if settings.learning_rates:
        return tune(net, settings, training, report=report, peers=given.peers, checkpoints=checkpoints)
    return training(settings, checkpoints, report)


def _what_would_fit(net: Network, cached: Cached, settings: Protocol, given: Conditions) -> str:
    """Tried, not guessed."""
    gc.collect()  # the training that failed still holds its optimiser
    if given.machine.device.type == "cuda":
        torch.cuda.empty_cache()
    try:
        splits = _splits(cached.splits.values(), settings, given)
    except (MemoryError, RuntimeError) as error:
        if not hardware.is_out_of_memory(error):
            raise
        return "the data alone do not fit: --data-on host"
    below = given.execution.micro_batch or settings.batch_size
    size = fitting_micro_batch(net, splits["train"], settings, given.machine, below=below)
    return f"--micro-batch {size} fits" if size else "not even one image at a time fits"
