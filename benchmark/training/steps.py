"""One pass over the training data: order, augmentation, loss, optimiser.

Legend: N training images, n of a batch, C channels, H x W the protocol's size.
"""

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from benchmark.common.errors import UserError
from benchmark.plugins.network import Network
from benchmark.protocols import Protocol
from benchmark.training.batches import DeviceSplit
from benchmark.training.execution import EAGER, Execution, compiled
from benchmark.training.hardware import Hardware
from benchmark.training.losses import loss_function


class Steps:
    """The optimiser, the random order and the step of one training.

    No step waits for the device: losses stay there until the epoch ends.

    Raises:
        UserError: a network with a loss of its own is to be compiled.
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
        self._own = network if isinstance(network, Network) and network.own_loss else None
        if self._own and execution.mode == "compiled":
            raise UserError(
                f"{self._own.label} trains with a loss of its own, which is not compiled: leave out --execution"
            )
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
        for number, (indices, moves) in enumerate(batches):
            self._set_rate()
            loss = self._step(indices, moves)
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
        self._step(indices, torch.zeros(len(indices), 3, dtype=torch.int64, device=self._data.device))
        self._hardware.synchronise()

    def _batches(self) -> list[tuple[Tensor, Tensor]]:
        """Indices (n,) and moves (n, 3) of each batch, drawn at once so that they travel together.

        A move is a shift in columns, and whether to mirror in time and in height.
        """
        order = torch.randperm(len(self._data), generator=self.order)
        moves = torch.zeros(len(order), 3, dtype=torch.int64)
        if self._protocol.augmentation == "time_roll":
            width = self._protocol.image_size[1]
            sizes = [len(indices) for indices in order.split(self._protocol.batch_size)]
            moves[:, 0] = torch.cat([torch.randint(width, (size,), generator=self.order) for size in sizes])
        if self._protocol.flips != "none":
            axes = 1 if self._protocol.flips == "time" else 2
            moves[:, 1 : 1 + axes] = torch.randint(2, (len(order), axes), generator=self.order)
        parts = (order.to(self._data.index_device), moves.to(self._data.device))
        return list(zip(*(part.split(self._protocol.batch_size) for part in parts), strict=True))

    def _step(self, indices: Tensor, moves: Tensor) -> Tensor:
        """One step of a batch; returns its mean loss."""
        self.optimiser.zero_grad(set_to_none=True)
        size = self._micro_batch or len(indices)
        parts = [values.split(size) for values in (*self._data.pixels(indices), moves)]
        total = torch.zeros((), device=self._data.device)
        for images, masks, moved in zip(*parts, strict=True):
            total += self._add_gradients(images, masks, moved, len(images) / len(indices))
        if self._protocol.gradient_clip:
            nn.utils.clip_grad_norm_(self._network.parameters(), self._protocol.gradient_clip)
        self.optimiser.step()
        return total

    def _add_gradients(self, pixels: Tensor, truth: Tensor, moves: Tensor, share: float) -> Tensor:
        """Add the gradients of images that are `share` of their batch; returns their share of its mean loss."""
        images = self._data.normalise(pixels)  # (n, C, H, W)
        masks = truth.float().unsqueeze(1)  # (n, 1, H, W)
        if self._protocol.augmentation == "time_roll":
            images, masks = (_roll(values, moves[:, :1]) for values in (images, masks))
        if self._protocol.flips != "none":
            images, masks = (_flip(values, moves[:, 1:]) for values in (images, masks))
        loss = (self._own_loss(images, masks) if self._own else self._common_loss(images, masks)) * share
        loss.backward()
        return loss.detach()

    def _common_loss(self, images: Tensor, masks: Tensor) -> Tensor:
        """The protocol's loss of images (n, C, H, W) and masks (n, 1, H, W)."""
        # The compiled network takes full batches only; a smaller last batch would be compiled again.
        network = self._fast if len(images) == self._protocol.batch_size else self._network
        with self._hardware.autocast():
            logits = network(images)  # (n, 1, H, W)
        return loss_function(logits.float(), masks, self._protocol)

    def _own_loss(self, images: Tensor, masks: Tensor) -> Tensor:
        """The loss that the plugin brings."""
        assert self._own is not None
        with self._hardware.autocast():
            outputs, masks = self._own.outputs(images, masks)
        return self._own.loss_of(outputs, masks)

    def _set_rate(self) -> None:
        rate = self._protocol.learning_rate * _SCHEDULES[self._protocol.schedule](self.done / self.total)
        rising = self._protocol.warm_up * self.total / self._protocol.epochs  # steps
        rate *= min(1.0, (self.done + 1) / rising) if rising else 1.0
        for group in self.optimiser.param_groups:
            group["lr"] = rate


_SCHEDULES: Mapping[str, Callable[[float], float]] = {
    "constant": lambda progress: 1.0,  # noqa: ARG005 - the same shape as its sibling
    "cosine": lambda progress: (1 + math.cos(math.pi * progress)) / 2,
}
"""Factor on the learning rate by the share of steps done."""


def _roll(images: Tensor, offsets: Tensor) -> Tensor:
    """Shift each image (n, C, H, W) in time by its offset (n, 1) in columns, around the edge."""
    width = images.shape[-1]
    columns = (torch.arange(width, device=images.device) + offsets) % width  # (n, W)
    return images.gather(3, columns.view(-1, 1, 1, width).expand_as(images))


def _flip(images: Tensor, flipped: Tensor) -> Tensor:
    """Mirror images (n, C, H, W) left-right and upside down where `flipped` (n, 2) says so."""
    for axis, which in ((3, flipped[:, 0]), (2, flipped[:, 1])):
        images = torch.where(which.view(-1, 1, 1, 1) > 0, images.flip(axis), images)
    return images


def _optimiser(network: nn.Module, protocol: Protocol) -> torch.optim.Optimizer:
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    rate, decay = protocol.learning_rate, protocol.weight_decay
    fused = parameters[0].device.type in ("cpu", "cuda")  # a quarter of the looped step's time on a CPU
    if protocol.optimiser == "sgd":
        return torch.optim.SGD(parameters, lr=rate, weight_decay=decay, momentum=0.9, fused=fused)
    kind = torch.optim.Adam if protocol.optimiser == "adam" else torch.optim.AdamW
    return kind(parameters, lr=rate, weight_decay=decay, fused=fused)
