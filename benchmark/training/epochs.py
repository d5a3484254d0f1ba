"""The training, epoch by epoch: which one is kept, and how it goes on where it was killed."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from statistics import median
from typing import Literal

import torch
from torch import Tensor, nn

from benchmark.common.progress import Report
from benchmark.protocols import Protocol
from benchmark.training import state
from benchmark.training.batches import DeviceSplit
from benchmark.training.checkpoints import Checkpoints, Snapshot
from benchmark.training.distributed import ALONE, Peers
from benchmark.training.execution import EAGER, Execution
from benchmark.training.hardware import Hardware
from benchmark.training.steps import Steps

CHECKPOINT_SECONDS = 10.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Epoch:
    """One line of history.csv: mean training loss, IoU on the validation split, seconds of training alone."""

    epoch: int
    loss: float
    validation_iou: float
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """The training at one of several learning rates."""

    learning_rate: float
    trained: "Trained"

    @property
    def validation_iou(self) -> float | None:
        """Of the selected epoch; None where the training diverged."""
        if self.trained.status == "diverged":
            return None
        return self.trained.history[self.trained.best_epoch - 1].validation_iou


@dataclass(frozen=True, kw_only=True, slots=True)
class Trained:
    """How the training went; the network holds the selected epoch's weights. Epochs count from 1, 0 is "untrained".

    `continued_after` lists the epochs after which a killed training went on; `message` says where it diverged. Where
    the learning rate was chosen, `candidates` are the trainings in their order, and history and epoch are those of
    the one at the chosen `learning_rate`; `continued_after` counts through all of them.
    """

    status: Literal["finished", "diverged"]
    history: tuple[Epoch, ...]
    best_epoch: int
    images_per_second: float | None
    continued_after: tuple[int, ...] = ()
    message: str = ""
    learning_rate: float | None = None
    candidates: tuple[Candidate, ...] = ()

    @property
    def seconds(self) -> float:
        """Training time without validation, of all candidates: the choice is part of the cost."""
        if self.candidates:
            return sum(candidate.trained.seconds for candidate in self.candidates)
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
    execution: Execution = EAGER,
    peers: Peers = ALONE,
    unused: bool = False,
    checkpoints: Checkpoints | None = None,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
) -> Trained:
    """Train `network` in place and leave it with the weights of the selected epoch.

    A network without trainable parameters comes back untouched. A loss that is not finite ends the training as
    "diverged". `validate` gives the validation IoU; the trainer knows no evaluator. With `checkpoints` the training
    goes on after the newest of them, and writes one after an epoch whenever `checkpoint_seconds` of work would be lost
    without; where bits repeat at all (a CPU, or `hardware.deterministic`) it ends with those of a training that was
    never interrupted. `unused`: see `Peers.wrap`.

    Raises:
        ExecutionError: the network cannot be executed so.
    """
    if not trainable(network):
        return Trained(status="finished", history=(), best_epoch=0, images_per_second=None)
    state.seed_device(seed, peers)
    steps = Steps(
        network,
        data,
        protocol,
        seed=seed,
        hardware=hardware,
        execution=execution,
        peers=peers,
        unused=unused,
    )
    course = _Course(network, steps, peers, hardware.device)
    if checkpoints is not None and course.resume(checkpoints):
        report("continuing", 0, 0, f"after epoch {course.number} of {protocol.epochs}")
    saved = time.perf_counter()
    for number in range(course.number + 1, protocol.epochs + 1):
        state.seed_host(seed, number, peers)
        started = time.perf_counter()
        losses = steps.epoch(partial(_report_step, report, steps.total, course.note(protocol)))
        seconds = time.perf_counter() - started
        loss = float(losses[-1])
        if not math.isfinite(loss):
            course.add(Epoch(epoch=number, loss=loss, validation_iou=math.nan, seconds=seconds), best=False)
            return course.ended("diverged", None, _where_it_diverged(number, losses[:-1]))
        iou = peers.agreed(validate(network) if peers.first else math.nan)
        epoch = Epoch(epoch=number, loss=loss, validation_iou=iou, seconds=seconds)
        course.add(epoch, best=iou > course.best_iou or protocol.selection == "last_epoch")
        report("training", steps.done, steps.total, course.note(protocol))
        if checkpoints is not None and peers.agreed(time.perf_counter() - saved) >= checkpoint_seconds:
            course.save(checkpoints)
            saved = time.perf_counter()
    state.put_weights(network, course.best_weights)
    return course.ended("finished", len(data) / median(epoch.seconds for epoch in course.history), "")


def trainable(network: nn.Module) -> bool:
    """Whether there is anything to train."""
    return any(parameter.requires_grad for parameter in network.parameters())


def _report_step(report: Report, steps: int, note: str, step: int) -> None:
    report("training", step, steps, note)


def _where_it_diverged(epoch: int, losses: Tensor) -> str:
    """`losses` (steps,) of the epoch."""
    finite = losses.isfinite()
    step = int(finite.long().argmin())  # the first that is not
    last = ", ".join(f"{loss:.4f}" for loss in losses[:step][-3:].tolist())
    before = f"; the last finite losses of its steps: {last}" if last else ", from its first step"
    return f"the loss was not finite in epoch {epoch}, step {step + 1} of {len(losses)}{before}"


class _Course:
    """What a training has gone through so far, and how it is remembered."""

    def __init__(self, network: nn.Module, steps: Steps, peers: Peers, device: torch.device) -> None:
        self._network, self._steps, self._peers, self._device = network, steps, peers, device
        self.history: list[Epoch] = []
        self.best_epoch, self.best_iou, self.best_weights = 0, -math.inf, state.weights(network)
        self._continued_after: list[int] = []

    @property
    def number(self) -> int:
        """The last completed epoch."""
        return len(self.history)

    def note(self, protocol: Protocol) -> str:
        """The last epoch in a line."""
        if not self.history:
            return ""
        last = self.history[-1]
        iou = 100 * last.validation_iou
        return f"epoch {last.epoch}/{protocol.epochs}  loss {last.loss:.4f}  val IoU {iou:.1f} %"

    def add(self, epoch: Epoch, *, best: bool) -> None:
        """Take a completed epoch; its weights are kept if it is the best so far."""
        self.history.append(epoch)
        if best:
            self.best_epoch, self.best_iou = epoch.epoch, epoch.validation_iou
            self.best_weights = state.weights(self._network)

    def ended(self, status: Literal["finished", "diverged"], speed: float | None, message: str) -> Trained:
        """How it went."""
        return Trained(
            status=status,
            history=tuple(self.history),
            best_epoch=self.best_epoch,
            images_per_second=speed,
            continued_after=tuple(self._continued_after),
            message=message,
        )

    def save(self, checkpoints: Checkpoints) -> None:
        """Write a checkpoint; every process takes part, the first one writes."""
        randoms = state.random_states(self._steps, self._peers, self._device)
        if not self._peers.first:
            return
        now = self.best_epoch == self.number
        tensors = {
            **_named("network", state.weights(self._network)),
            **({} if now else _named("best", self.best_weights)),
            **_named("optimiser", state.optimiser_tensors(self._steps.optimiser)),
            **_named("random", randoms),
        }
        notes = {
            "done": self._steps.done,
            "best_epoch": self.best_epoch,
            "best_iou": self.best_iou,
            "history": [asdict(epoch) for epoch in self.history],
            "continued_after": self._continued_after,
        }
        checkpoints.write(Snapshot(number=self.number, tensors=tensors, notes=notes))

    def resume(self, checkpoints: Checkpoints) -> bool:
        """Go back to the newest checkpoint that fits, the same in every process; whether there was one."""
        found = next(self._fitting(checkpoints), None) if self._peers.first else None
        number = int(self._peers.agreed(found.number if found else 0))
        if number == 0:
            return False
        snapshot = found or checkpoints.numbered(number)
        self._put(snapshot, _under("network", snapshot))
        return True

    def _fitting(self, checkpoints: Checkpoints) -> Iterator[Snapshot]:
        for snapshot in checkpoints.newest_first():
            if state.fits(self._network, _under("network", snapshot)):
                yield snapshot

    def _put(self, snapshot: Snapshot, network: dict[str, Tensor]) -> None:
        notes = snapshot.notes
        state.put_weights(self._network, network)
        state.put_optimiser_tensors(self._steps.optimiser, _under("optimiser", snapshot))
        state.put_random_states(_under("random", snapshot), self._steps, self._peers, self._device)
        self._steps.done = notes["done"]
        self.history = [Epoch(**epoch) for epoch in notes["history"]]
        self.best_epoch, self.best_iou = notes["best_epoch"], notes["best_iou"]
        best = _under("best", snapshot) or network
        self.best_weights = {name: best[name].to(value.device) for name, value in self.best_weights.items()}
        self._continued_after = [*notes["continued_after"], snapshot.number]


def _named(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}/{name}": value for name, value in tensors.items()}


def _under(prefix: str, snapshot: Snapshot) -> dict[str, Tensor]:
    start = f"{prefix}/"
    return {name.removeprefix(start): value for name, value in snapshot.tensors.items() if name.startswith(start)}
