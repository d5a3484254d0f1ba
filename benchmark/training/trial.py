"""One training and one test of a network on a machine."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import torch
from torch import nn

from benchmark.common import workers
from benchmark.common.errors import first_line
from benchmark.common.progress import Report
from benchmark.data.cache import Cached
from benchmark.plugins.network import Network
from benchmark.protocols import Protocol
from benchmark.training import CHECKPOINT_SECONDS, Conditions, Execution, Trained, evaluator, hardware, train, tune
from benchmark.training.batches import DeviceSplit
from benchmark.training.checkpoints import Checkpoints
from benchmark.training.evaluator import Evaluation


@dataclass(frozen=True, kw_only=True, slots=True)
class Manner:
    """Settings of a run that are not in the protocol. None and "auto" leave the choice to the documented rules."""

    device: str = "auto"
    precision: str = "auto"
    threads: int | None = None
    execution: str = "eager"
    micro_batch: int | None = None
    deterministic: bool = False
    data_on: Literal["auto", "device", "host"] = "auto"
    checkpoint_seconds: float = CHECKPOINT_SECONDS


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """The result of a training and its test; `evaluation` is None unless both finished."""

    status: Literal["finished", "diverged", "out-of-memory"]
    execution: Execution
    message: str = ""
    trained: Trained | None = None
    evaluation: Evaluation | None = None
    only_class: Mapping[str, evaluator.OnlyClass] = field(default_factory=dict)
    """Of the validation and the test split, if every pixel of it is predicted as one class: that class."""
    others: float | None = None
    """The share of the machine's processor time that other processes took; None if it is not known."""


def conduct(
    net: Network, cached: Cached, settings: Protocol, given: Conditions, checkpoints: Checkpoints, report: Report
) -> Trial:
    """Train on the training split, choose epoch and rate on the validation split, count the test split once.

    A training that diverges or runs out of memory is a result too.
    """
    trial = Trial(status="out-of-memory", execution=given.execution)
    device = given.machine.device
    try:
        net.to(device=device)
        net.to(memory_format=torch.channels_last)
        splits = {
            name: DeviceSplit(split, settings, device, resident=given.resident) for name, split in cached.splits.items()
        }
        watch = workers.Watch()
        trained = _train(net, splits, settings, given, checkpoints, report)
        trial = replace(trial, trained=trained)
        if trained.status == "diverged":
            return replace(trial, status="diverged", message=trained.message)
        # The only time that the test split is looked at.
        evaluation = evaluator.evaluate(net, splits["test"], cached.splits["test"], settings, given.machine, report)
        alone = {name: evaluator.only_class(net, splits[name], settings, given.machine) for name in ("val", "test")}
    except evaluator.NotANumberError:
        return replace(trial, status="diverged", message="the trained network's logits are not numbers")
    except (MemoryError, RuntimeError) as error:
        if not hardware.is_out_of_memory(error):
            raise
        reason = first_line(error) or type(error).__name__
        size = (given.execution.micro_batch or settings.batch_size) // 2
        return replace(trial, message=f"{reason}; try --micro-batch {size}" if size and not trial.trained else reason)
    others = None if trained.continued_after else watch.others()
    only = {name: found for name, found in alone.items() if found}
    for name, found in only.items():
        report("warning", 0, 0, f"every pixel of {name} is predicted as {found}: the scores say nothing of the network")
    return replace(trial, status="finished", evaluation=evaluation, only_class=only, others=others)


def _train(
    net: Network,
    splits: Mapping[str, DeviceSplit],
    settings: Protocol,
    given: Conditions,
    checkpoints: Checkpoints,
    report: Report,
) -> Trained:
    def validate(net: nn.Module) -> float:
        return evaluator.validation_iou(net, splits["val"], settings, given.machine)

    def training(settings: Protocol, checkpoints: Checkpoints | None, report: Report) -> Trained:
        return train(net, splits["train"], settings, given, validate=validate, report=report, checkpoints=checkpoints)

    if settings.learning_rates:
        return tune(net, settings, training, report=report, checkpoints=checkpoints)
    return training(settings, checkpoints, report)
