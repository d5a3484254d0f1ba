"""One pass over the training data: order, augmentation, loss, optimiser.

Legend: N training images, n of a batch, C channels, H x W the protocol's size.
"""

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmark.protocols import Protocol
from benchmark.training.batches import DeviceSplit
from benchmark.training.execution import EAGER, Execution, compiled
from benchmark.training.hardware import Hardware


class Steps:
    """The optimiser, the random order and the step of one training.

    No step waits for the device: losses stay there until the epoch ends.
    """

    def __init__(
        self,
        network: nn.Module,
        data: DeviceSplit,
        protocol: Protocol,
        *,
        seed: int,
        hardware: Hardware,
        execution: Execution = EAGER,
    ) -> None:
        self._network, self._data, self._protocol, self._hardware = network, data, protocol, hardware
        self._micro_batch = execution.micro_batch
        self.done = 0
        self.total = math.ceil(len(data) / protocol.batch_size) * protocol.epochs
        self.order = torch.Generator().manual_seed(seed)  # order and augmentation
        self.optimiser = _optimiser(network, protocol)
        self._fast = compiled(network) if execution.mode == "compiled" else network

    def epoch(self, report: Callable[[int], None]) -> Tensor:
        """One pass over the data in random order; `report` gets the number of steps done.

        Returns the loss of each step and, last, the mean loss per image: (steps + 1,), on the CPU. Reading it is the
        epoch's only wait for the device.
        """
        self._network.train()
        return self._launch(self._batches(), report).cpu()

    def _launch(self, batches: Sequence[tuple[Tensor, Tensor]], report: Callable[[int], None]) -> Tensor:
        """Do the steps of these batches without waiting for the device; the losses (steps + 1,) stay on it."""
        losses = torch.zeros(len(batches) + 1, device=self._data.device)
        total = torch.zeros((), device=self._data.device)
        for number, (indices, offsets) in enumerate(batches):
            self._set_rate()
            loss = self._step(indices, offsets)
            if number + 1 < len(batches):
                self._data.prefetch(batches[number + 1][0])
            losses[number] = loss
            total += loss * len(indices)
            self.done += 1
            report(self.done)
        losses[-1] = total / len(self._data)
        return losses

    def rehearse(self, images: int) -> None:
        """Do one step of the first images and wait for the device."""
        self._network.train()
        indices = torch.arange(min(images, len(self._data)), device=self._data.index_device)
        self._step(indices, torch.zeros(len(indices), 1, dtype=torch.int64, device=self._data.device))
        self._hardware.synchronise()

    def _batches(self) -> list[tuple[Tensor, Tensor]]:
        """Indices (n,) and time offsets (n, 1) of each batch, drawn at once so that they travel together."""
        order = torch.randperm(len(self._data), generator=self.order).split(self._protocol.batch_size)
        width = self._protocol.image_size[1]
        if self._protocol.augmentation == "time_roll":
            offsets = [torch.randint(width, (len(indices), 1), generator=self.order) for indices in order]
        else:
            offsets = [torch.zeros(len(indices), 1, dtype=torch.int64) for indices in order]
        indices = torch.cat(order).to(self._data.index_device).split(self._protocol.batch_size)
        shifts = torch.cat(offsets).to(self._data.device).split(self._protocol.batch_size)
        return list(zip(indices, shifts, strict=True))

    def _step(self, indices: Tensor, offsets: Tensor) -> Tensor:
        """One step of a batch; returns its mean loss."""
        self.optimiser.zero_grad(set_to_none=True)
        size = self._micro_batch or len(indices)
        parts = [values.split(size) for values in (*self._data.pixels(indices), offsets)]
        total = torch.zeros((), device=self._data.device)
        for images, masks, shifts in zip(*parts, strict=True):
            total += self._add_gradients(images, masks, shifts, len(images) / len(indices))
        self.optimiser.step()
        return total

    def _add_gradients(self, pixels: Tensor, truth: Tensor, offsets: Tensor, share: float) -> Tensor:
        """Add the gradients of images that are `share` of their batch; returns their share of its mean loss."""
        images = self._data.normalise(pixels)  # (n, C, H, W)
        masks = truth.float().unsqueeze(1)  # (n, 1, H, W)
        if self._protocol.augmentation == "time_roll":
            images, masks = _roll(images, offsets), _roll(masks, offsets)
        # The compiled network takes full batches only; a smaller last batch would be compiled again.
        network = self._fast if len(images) == self._protocol.batch_size else self._network
        with self._hardware.autocast():
            logits = network(images)  # (n, 1, H, W)
        loss = loss_function(logits.float(), masks, self._protocol) * share
        loss.backward()
        return loss.detach()

    def _set_rate(self) -> None:
        rate = self._protocol.learning_rate * _SCHEDULES[self._protocol.schedule](self.done / self.total)
        for group in self.optimiser.param_groups:
            group["lr"] = rate


_SCHEDULES: Mapping[str, Callable[[float], float]] = {
    "constant": lambda progress: 1.0,  # noqa: ARG005 - the same shape as its sibling
    "cosine": lambda progress: (1 + math.cos(math.pi * progress)) / 2,
}
"""Factor on the learning rate by the share of steps done."""


def loss_function(logits: Tensor, masks: Tensor, protocol: Protocol) -> Tensor:
    """Binary cross-entropy on logits (the paper's equation 1); `bce_dice` adds one minus the soft Dice per image."""
    cross_entropy = F.binary_cross_entropy_with_logits(logits, masks)
    if protocol.loss == "bce":
        return cross_entropy
    probability = logits.sigmoid()
    both = (probability * masks).sum((1, 2, 3))  # (n,)
    either = probability.sum((1, 2, 3)) + masks.sum((1, 2, 3))  # (n,)
    return cross_entropy + (1 - (2 * both + 1) / (either + 1)).mean()


def _roll(images: Tensor, offsets: Tensor) -> Tensor:
    """Shift each image (n, C, H, W) in time by its offset (n, 1) in columns, around the edge."""
    width = images.shape[-1]
    columns = (torch.arange(width, device=images.device) + offsets) % width  # (n, W)
    return images.gather(3, columns.view(-1, 1, 1, width).expand_as(images))


def _optimiser(network: nn.Module, protocol: Protocol) -> torch.optim.Optimizer:
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    rate, decay = protocol.learning_rate, protocol.weight_decay
    fused = parameters[0].device.type in ("cpu", "cuda")  # a quarter of the looped step's time on a CPU
    if protocol.optimiser == "sgd":
        return torch.optim.SGD(parameters, lr=rate, weight_decay=decay, momentum=0.9, fused=fused)
    kind = torch.optim.Adam if protocol.optimiser == "adam" else torch.optim.AdamW
    return kind(parameters, lr=rate, weight_decay=decay, fused=fused)
