"""The training, epoch by epoch: it keeps the best epoch's weights and resumes from checkpoints after a kill."""

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from statistics import median
from typing import Literal

import torch
from torch import Tensor, nn

from benchmark.common import stopping
from benchmark.common.progress import Report
from benchmark.protocols import Protocol
from benchmark.training import state
from benchmark.training.batches import DeviceSplit
from benchmark.training.checkpoints import Checkpoints, Snapshot
from benchmark.training.execution import EAGER, Execution
from benchmark.training.hardware import Hardware
from benchmark.training.steps import Steps

CHECKPOINT_SECONDS = 10.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Epoch:
    """A line of history.csv: mean training loss, IoU on the validation split, seconds of training alone."""

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
        """The selected epoch's IoU; None if the training diverged."""
        if self.trained.status == "diverged":
            return None
        return self.trained.history[self.trained.best_epoch - 1].validation_iou


@dataclass(frozen=True, kw_only=True, slots=True)
class Trained:
    """The result of a training; the network holds the selected epoch's weights. Epochs count from 1; 0 means untrained.

    `continued_after` lists the epochs after which a killed training was resumed; `message` says where it diverged. If
    the learning rate was tuned, `candidates` are all trainings in their order, `history` and `best_epoch` are those at
    the chosen `learning_rate`, and `continued_after` counts the epochs of all candidates.
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
        """Training time of all candidates without validation: tuning is part of the cost."""
        if self.candidates:
            return sum(candidate.trained.seconds for candidate in self.candidates)
        return sum(epoch.seconds for epoch in self.history)


@dataclass(frozen=True, kw_only=True, slots=True)
class Conditions:
    """Seed, machine and settings of a trial; `resident`: the data lies on the device."""

    seed: int
    machine: Hardware
    execution: Execution = EAGER
    resident: bool = True
    checkpoint_seconds: float = CHECKPOINT_SECONDS


def train(
    network: nn.Module,
    data: DeviceSplit,
    protocol: Protocol,
    given: Conditions,
    *,
    validate: Callable[[nn.Module], float],
    report: Report,
    checkpoints: Checkpoints | None = None,
) -> Trained:
    """Train `network` in place and leave it with the weights of the selected epoch.

    A network without trainable parameters is returned untouched. A loss that is not finite ends the training as
    "diverged". `validate` returns the validation IoU; the trainer knows no evaluator. With `checkpoints` the training
    resumes from the newest one, and writes one after an epoch if otherwise more than `given.checkpoint_seconds` of work
    would be lost. On a CPU, and with `given.machine.deterministic`, a resumed training ends with the same bits as any
    other.

    Raises:
        ExecutionError: the network cannot be compiled.
        Stopped: the process was told to end; the last epoch is in a checkpoint.
    """
    if not trainable(network):
        return Trained(status="finished", history=(), best_epoch=0, images_per_second=None)
    torch.manual_seed(given.seed)  # dropout
    steps = Steps(network, data, protocol, seed=given.seed, hardware=given.machine, execution=given.execution)
    course = _Course(network, steps, given.machine.device)
    if checkpoints is not None and course.resume(checkpoints):
        report("continuing", 0, 0, f"after epoch {course.number} of {protocol.epochs}")
    saved, saved_epoch = time.perf_counter(), course.number
    with stopping.deferred() as told_to_stop:

        def tell(step: int) -> None:
            if told_to_stop() and (checkpoints is None or course.number == saved_epoch):
                raise stopping.Stopped  # nothing would be gained by the rest of the epoch
            report("training", step, steps.total, course.note(protocol))

        for number in range(course.number + 1, protocol.epochs + 1):
            state.seed_epoch(given.seed, number)
            started = time.perf_counter()
            losses = steps.epoch(tell)
            seconds = time.perf_counter() - started
            loss = float(losses[-1])
            if not math.isfinite(loss):
                course.add(Epoch(epoch=number, loss=loss, validation_iou=math.nan, seconds=seconds), best=False)
                return course.result("diverged", None, _where_it_diverged(number, losses[:-1]))
            iou = validate(network)
            epoch = Epoch(epoch=number, loss=loss, validation_iou=iou, seconds=seconds)
            course.add(epoch, best=iou > course.best_iou or protocol.selection == "last_epoch")
            report("training", steps.done, steps.total, course.note(protocol))
            due = told_to_stop() or time.perf_counter() - saved >= given.checkpoint_seconds
            if checkpoints is not None and due:
                course.save(checkpoints)
                saved, saved_epoch = time.perf_counter(), number
            if told_to_stop():
                raise stopping.Stopped
    state.put_weights(network, course.best_weights)
    return course.result("finished", len(data) / median(epoch.seconds for epoch in course.history), "")


def trainable(network: nn.Module) -> bool:
    """Whether the network has any parameter to train."""
    return any(parameter.requires_grad for parameter in network.parameters())


def _where_it_diverged(epoch: int, losses: Tensor) -> str:
    """A line for the user; `losses` (steps,) are those of the epoch."""
    step = int(losses.isfinite().long().argmin())  # the first that is not finite
    last = ", ".join(f"{loss:.4f}" for loss in losses[:step][-3:].tolist())
    before = f"; the last finite losses were {last}" if last else ""
    return f"the loss was not finite in epoch {epoch}, step {step + 1} of {len(losses)}{before}"


class _Course:
    """The epochs done so far and the best weights, saved to checkpoints and resumed from them."""

    def __init__(self, network: nn.Module, steps: Steps, device: torch.device) -> None:
        self._network, self._steps, self._device = network, steps, device
        self.history: list[Epoch] = []
        self.best_epoch, self.best_iou, self.best_weights = 0, -math.inf, state.weights(network)
        self._continued_after: list[int] = []

    @property
    def number(self) -> int:
        """The last completed epoch."""
        return len(self.history)

    def note(self, protocol: Protocol) -> str:
        """The last epoch as a line for the progress bar."""
        if not self.history:
            return ""
        last = self.history[-1]
        iou = 100 * last.validation_iou
        return f"epoch {last.epoch}/{protocol.epochs}  loss {last.loss:.4f}  val IoU {iou:.1f} %"

    def add(self, epoch: Epoch, *, best: bool) -> None:
        """Add a completed epoch; keep its weights if it is the best so far."""
        self.history.append(epoch)
        if best:
            self.best_epoch, self.best_iou = epoch.epoch, epoch.validation_iou
            self.best_weights = state.weights(self._network)

    def result(self, status: Literal["finished", "diverged"], speed: float | None, message: str) -> Trained:
        """The result of the training."""
        return Trained(
            status=status,
            history=tuple(self.history),
            best_epoch=self.best_epoch,
            images_per_second=speed,
            continued_after=tuple(self._continued_after),
            message=message,
        )

    def save(self, checkpoints: Checkpoints) -> None:
        """Write a checkpoint."""
        last_is_best = self.best_epoch == self.number
        tensors = {
            **_named("network", state.weights(self._network)),
            **({} if last_is_best else _named("best", self.best_weights)),
            **_named("optimiser", state.optimiser_tensors(self._steps.optimiser)),
            **_named("random", state.random_states(self._steps, self._device)),
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
        """Go back to the newest checkpoint that fits the network; whether there was one."""
        for snapshot in checkpoints.newest_first():
            network = _under("network", snapshot)
            if state.fits(self._network, network):
                self._restore(snapshot, network)
                return True
        return False

    def _restore(self, snapshot: Snapshot, network: dict[str, Tensor]) -> None:
        notes = snapshot.notes
        state.put_weights(self._network, network)
        state.put_optimiser_tensors(self._steps.optimiser, _under("optimiser", snapshot))
        state.put_random_states(_under("random", snapshot), self._steps, self._device)
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
