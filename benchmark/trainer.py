"""Network + training data + protocol -> trained network. The same for every architecture.

Legend: N training images, n of a batch, C channels, H x W the protocol's size.
"""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmark.data.batches import DeviceSplit
from benchmark.hardware import Hardware
from benchmark.progress import Report
from benchmark.protocol import Protocol


@dataclass(frozen=True, kw_only=True, slots=True)
class Epoch:
    """One line of history.csv: mean training loss, IoU on the validation split, seconds of training alone."""

    epoch: int
    loss: float
    validation_iou: float
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Trained:
    """How the training went; the network holds the selected epoch's weights. Epochs count from 1, 0 is "untrained"."""

    status: Literal["finished", "diverged"]
    history: tuple[Epoch, ...]
    best_epoch: int
    images_per_second: float | None

    @property
    def seconds(self) -> float:
        """Training time without validation."""
        return sum(epoch.seconds for epoch in self.history)


def train(
    network: nn.Module,
    data: DeviceSplit,
    protocol: Protocol,
    *,
    seed: int,
    hardware: Hardware,
    validate: Callable[[nn.Module], float],
    report: Report,
) -> Trained:
    """Train `network` in place and leave it with the weights of the selected epoch.

    A network without trainable parameters comes back untouched. A loss that is not finite ends the training as
    "diverged". `validate` gives the validation IoU; the trainer knows no evaluator.
    """
    if not any(parameter.requires_grad for parameter in network.parameters()):
        return Trained(status="finished", history=(), best_epoch=0, images_per_second=None)
    loop = _Loop(network, data, protocol, seed, hardware)
    history: list[Epoch] = []
    best_epoch, best_iou, best_weights = 0, -math.inf, _snapshot(network)
    note = ""
    for number in range(1, protocol.epochs + 1):
        started = time.perf_counter()
        loss = loop.epoch(partial(_report_step, report, loop.steps, note))
        seconds = time.perf_counter() - started
        if not math.isfinite(loss):
            history.append(Epoch(epoch=number, loss=loss, validation_iou=math.nan, seconds=seconds))
            return Trained(status="diverged", history=tuple(history), best_epoch=best_epoch, images_per_second=None)
        iou = validate(network)
        history.append(Epoch(epoch=number, loss=loss, validation_iou=iou, seconds=seconds))
        if iou > best_iou or protocol.selection == "last_epoch":
            best_epoch, best_iou, best_weights = number, iou, _snapshot(network)
        note = f"epoch {number}/{protocol.epochs}  loss {loss:.4f}  val IoU {100 * iou:.1f} %"
        report("training", loop.step, loop.steps, note)
    network.load_state_dict(best_weights)
    speed = len(data) / median(epoch.seconds for epoch in history)
    return Trained(status="finished", history=tuple(history), best_epoch=best_epoch, images_per_second=speed)


def _report_step(report: Report, steps: int, note: str, step: int) -> None:
    report("training", step, steps, note)


class _Loop:
    """The optimiser and the random states that live as long as a training."""

    def __init__(
        self, network: nn.Module, data: DeviceSplit, protocol: Protocol, seed: int, hardware: Hardware
    ) -> None:
        self._network, self._data, self._protocol, self._hardware = network, data, protocol, hardware
        self.step = 0
        self.steps = math.ceil(len(data) / protocol.batch_size) * protocol.epochs
        torch.manual_seed(seed)  # dropout
        self._generator = torch.Generator().manual_seed(seed)  # order and augmentation
        self._optimiser = _optimiser(network, protocol)
        factor = _SCHEDULES[protocol.schedule]
        self._schedule = torch.optim.lr_scheduler.LambdaLR(self._optimiser, lambda step: factor(step / self.steps))

    def epoch(self, report: Callable[[int], None]) -> float:
        """One pass over the data in random order; returns the mean loss per image."""
        self._network.train()
        order = torch.randperm(len(self._data), generator=self._generator).to(self._data.device)
        total = torch.zeros((), device=self._data.device)
        for indices in order.split(self._protocol.batch_size):
            total += self._train_step(indices) * len(indices)
            self.step += 1
            report(self.step)
        return float(total / len(self._data))  # the epoch's one synchronisation

    def _train_step(self, indices: Tensor) -> Tensor:
        images = self._data.images(indices)  # (n, C, H, W)
        masks = self._data.masks(indices).float().unsqueeze(1)  # (n, 1, H, W)
        if self._protocol.augmentation == "time_roll":
            images, masks = _time_roll(images, masks, self._generator)
        with self._hardware.autocast():
            logits = self._network(images)  # (n, 1, H, W)
        loss = _loss(logits.float(), masks, self._protocol)
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self._optimiser.step()
        self._schedule.step()
        return loss.detach()


_SCHEDULES: Mapping[str, Callable[[float], float]] = {
    "constant": lambda progress: 1.0,  # noqa: ARG005 - the same shape as its sibling
    "cosine": lambda progress: (1 + math.cos(math.pi * progress)) / 2,
}
"""Factor on the learning rate by the share of steps done."""


def _loss(logits: Tensor, masks: Tensor, protocol: Protocol) -> Tensor:
    """Binary cross-entropy on logits (the paper's equation 1); `bce_dice` adds one minus the soft Dice per image."""
    cross_entropy = F.binary_cross_entropy_with_logits(logits, masks)
    if protocol.loss == "bce":
        return cross_entropy
    probability = logits.sigmoid()
    both = (probability * masks).sum((1, 2, 3))  # (n,)
    either = probability.sum((1, 2, 3)) + masks.sum((1, 2, 3))  # (n,)
    return cross_entropy + (1 - (2 * both + 1) / (either + 1)).mean()


def _time_roll(images: Tensor, masks: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Shift each image and its mask in time by a random number of columns, around the edge."""
    count, width = len(images), images.shape[-1]
    offsets = torch.randint(width, (count, 1), generator=generator).to(images.device)
    columns = (torch.arange(width, device=images.device) + offsets) % width  # (n, W)
    columns = columns.view(count, 1, 1, width)
    return images.gather(3, columns.expand_as(images)), masks.gather(3, columns.expand_as(masks))


def _optimiser(network: nn.Module, protocol: Protocol) -> torch.optim.Optimizer:
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    rate, decay = protocol.learning_rate, protocol.weight_decay
    fused = parameters[0].device.type in ("cpu", "cuda")  # a quarter of the looped step's time on a CPU
    if protocol.optimiser == "adam":
        return torch.optim.Adam(parameters, lr=rate, weight_decay=decay, fused=fused)
    if protocol.optimiser == "adamw":
        return torch.optim.AdamW(parameters, lr=rate, weight_decay=decay, fused=fused)
    return torch.optim.SGD(parameters, lr=rate, weight_decay=decay, momentum=0.9, fused=fused)


def _snapshot(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in network.state_dict().items()}
