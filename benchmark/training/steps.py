"""One pass over the training data: order, augmentation, loss, optimiser.

Legend: N training images, n of a batch, C channels, H x W the protocol's size.
"""

import gc
import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmark.protocols import Protocol
from benchmark.training.batches import DeviceSplit
from benchmark.training.distributed import ALONE, Peers
from benchmark.training.execution import EAGER, Execution, GraphedStep, compiled
from benchmark.training.hardware import Hardware, is_out_of_memory


class Steps:
    """The optimiser, the random order and the executed step, which live as long as a training.

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
        peers: Peers = ALONE,
        unused: bool = False,
    ) -> None:
        self._data, self._protocol, self._hardware = data, protocol, hardware
        self._execution, self._peers = execution, peers
        self.done = 0
        self.total = math.ceil(len(data) / protocol.batch_size) * protocol.epochs
        self.order = torch.Generator().manual_seed(seed)  # order and augmentation, the same in every process
        self.optimiser = _optimiser(network, protocol, in_graph=execution.mode == "graph")
        self._network = peers.wrap(network, unused=unused)
        self._fast = compiled(self._network) if execution.mode == "compiled" else self._network
        self._graphed = GraphedStep(self._execute, protocol.batch_size) if execution.mode == "graph" else None

    def epoch(self, report: Callable[[int], None]) -> Tensor:
        """One pass over the data in random order; `report` is told the steps done.

        Returns the loss of each step (steps,) and, last, the mean loss per image: the epoch's one synchronisation.
        """
        self._network.train()
        return self._peers.total(self._launch(self._batches(), report)).cpu()

    def _launch(self, batches: Sequence[tuple[Tensor, Tensor]], report: Callable[[int], None]) -> Tensor:
        """The steps of these batches; nothing waits for the device, where what `epoch` returns still lies."""
        losses = torch.zeros(len(batches) + 1, device=self._data.device)
        total = torch.zeros((), device=self._data.device)
        for number, (indices, offsets) in enumerate(batches):
            self._set_rate()
            loss = (self._graphed or self._execute)(indices, offsets)
            if number + 1 < len(batches):
                self._data.prefetch(self._peers.part(batches[number + 1][0]))
            losses[number] = loss
            total += loss * len(indices)
            self.done += 1
            report(self.done)
        losses[-1] = total / len(self._data)
        return losses

    def rehearse(self, images: int) -> None:
        """One step of the first images, to see whether it fits into memory."""
        self._network.train()
        indices = torch.arange(min(images, len(self._data)), device=self._data.index_device)
        self._execute(indices, torch.zeros(len(indices), 1, dtype=torch.int64, device=self._data.device))
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

    def _execute(self, indices: Tensor, offsets: Tensor) -> Tensor:
        """One step of a batch; the loss is this process's share of the batch's mean."""
        self.optimiser.zero_grad(set_to_none=True)
        mine, shifts = self._peers.part(indices), self._peers.part(offsets)
        counts = len(mine) > 0
        if not counts:  # a last batch smaller than the processes: take part with an image of weight zero
            mine, shifts = indices[:1], offsets[:1]
        size = self._execution.micro_batch or len(mine)
        parts = [values.split(size) for values in (*self._data.pixels(mine), shifts)]
        total = torch.zeros((), device=self._data.device)
        for images, masks, offset in zip(*parts, strict=True):
            total += self._gradients(images, masks, offset, counts * len(images) / len(indices))
        self.optimiser.step()
        return total

    def _gradients(self, pixels: Tensor, truth: Tensor, offsets: Tensor, share: float) -> Tensor:
        """Add the gradients of some images, which are `share` of their batch; returns that share of its mean loss."""
        images = self._data.normalise(pixels)  # (n, C, H, W)
        masks = truth.float().unsqueeze(1)  # (n, 1, H, W)
        if self._protocol.augmentation == "time_roll":
            images, masks = _roll(images, offsets), _roll(masks, offsets)
        network = self._fast if len(images) == self._protocol.batch_size else self._network
        with self._hardware.autocast(cache=self._execution.mode != "graph"):
            logits = network(images)  # (n, 1, H, W)
        loss = loss_function(logits.float(), masks, self._protocol) * share
        (loss * self._peers.count).backward()  # the processes' gradients are averaged, their shares must be added
        return loss.detach()

    def _set_rate(self) -> None:
        rate = self._protocol.learning_rate * _SCHEDULES[self._protocol.schedule](self.done / self.total)
        for group in self.optimiser.param_groups:
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate


def fitting_micro_batch(
    network: nn.Module, data: DeviceSplit, protocol: Protocol, hardware: Hardware, *, below: int
) -> int | None:
    """The largest halving of `below` with which a training step fits into memory; None where one image does not."""
    size = below // 2
    while size >= 1:
        try:
            steps = Steps(network, data, protocol, seed=0, hardware=hardware, execution=Execution(micro_batch=size))
            steps.rehearse(2 * size)
        except (MemoryError, RuntimeError, ValueError) as error:
            if not is_out_of_memory(error):
                return None  # e.g. a batch norm that has no variance over one image
        else:
            return size
        gc.collect()
        size //= 2
    return None


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


def _optimiser(network: nn.Module, protocol: Protocol, *, in_graph: bool) -> torch.optim.Optimizer:
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    device = parameters[0].device
    decay = protocol.weight_decay
    fused = device.type in ("cpu", "cuda")  # a quarter of the looped step's time on a CPU
    if protocol.optimiser == "sgd":
        return torch.optim.SGD(parameters, lr=protocol.learning_rate, weight_decay=decay, momentum=0.9, fused=fused)
    kind = torch.optim.Adam if protocol.optimiser == "adam" else torch.optim.AdamW
    # A graph replays the rate that lies on the device, not the one of the moment of its recording.
    rate = torch.tensor(protocol.learning_rate, device=device) if in_graph else protocol.learning_rate
    optimiser = kind(parameters, lr=rate, weight_decay=decay, fused=fused, capturable=in_graph)
    # Its first steps are executed outside of the graph, knowingly; PyTorch would warn of that.
    optimiser._warned_capturable_if_run_uncaptured = True
    return optimiser
