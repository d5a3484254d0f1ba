"""Choose the learning rate: train once at each of the protocol's candidates; the best validation IoU wins."""

import gc
from collections.abc import Callable
from dataclasses import asdict, replace
from statistics import median
from typing import Any, TypeAlias

from torch import Tensor, nn

from benchmark.common.progress import Report
from benchmark.protocols import Protocol
from benchmark.training import state
from benchmark.training.checkpoints import Checkpoints, Snapshot
from benchmark.training.epochs import Candidate, Epoch, Trained, trainable

Training: TypeAlias = Callable[[Protocol, Checkpoints | None, Report], Trained]
"""`epochs.train` with everything but these arguments filled in."""


def tune(
    network: nn.Module,
    protocol: Protocol,
    training: Training,
    *,
    report: Report,
    checkpoints: Checkpoints | None = None,
) -> Trained:
    """Train `network` once per `protocol.candidates` and leave it with the weights of the best training.

    Each training starts from the same weights and the same seed. The best validation IoU of a selected epoch wins; of
    equal ones the earlier, so the protocol's own rate gives way only to a better one. A training that diverges cannot
    win; if all diverge, the result is "diverged". With `checkpoints` a finished training is not repeated, and a killed
    one resumes as in `epochs.train`. A network without trainable parameters is returned untouched.

    Raises:
        ExecutionError: the network cannot be compiled.
    """
    candidates = protocol.candidates
    if not trainable(network):
        return training(candidates[0], None, report)
    initial = _on_host(network)
    choice = _Choice(network)
    if checkpoints and choice.resume(checkpoints):
        report("continuing", 0, 0, f"{len(choice.tried)} of {len(candidates)} learning rates are done")
    for number, settings in enumerate(candidates[len(choice.tried) :], start=len(choice.tried)):
        rate = settings.learning_rate
        report("tuning", 0, 0, f"learning rate {rate:g}, {number + 1} of {len(candidates)}")
        state.put_weights(network, initial)
        epochs = checkpoints.part(f"rate-{number + 1:05d}") if checkpoints else None
        trained = training(settings, epochs, _counting_through(report, number, len(candidates)))
        choice.add(Candidate(learning_rate=rate, trained=trained))
        if checkpoints and epochs and choice.save(checkpoints):
            epochs.drop()
        gc.collect()  # the next training needs the memory of this one
    return choice.result(protocol.epochs)


def _counting_through(report: Report, number: int, count: int) -> Report:
    """Report all trainings as one bar."""

    def tell(stage: str, done: int, total: int, note: str) -> None:
        if stage == "training":
            done, total = number * total + done, count * total
        report(stage, done, total, note)

    return tell


class _Choice:
    """The finished trainings and the best one's weights, saved to checkpoints and resumed from them."""

    def __init__(self, network: nn.Module) -> None:
        self._network = network
        self._weights = _on_host(network)
        self.tried: list[Candidate] = []

    @property
    def best(self) -> Candidate | None:
        """The candidate with the best validation IoU, of equal ones the earlier; None if all diverged."""
        finished = [candidate for candidate in self.tried if candidate.validation_iou is not None]
        return max(finished, key=lambda candidate: candidate.validation_iou or 0.0, default=None)

    def add(self, candidate: Candidate) -> None:
        """Add a finished training; keep its weights if it is the best so far."""
        self.tried.append(candidate)
        if self.best is candidate:
            self._weights = _on_host(self._network)

    def result(self, epochs: int) -> Trained:
        """The result, of trainings of `epochs` each; the network gets the best one's weights."""
        through = [
            number * epochs + epoch
            for number, candidate in enumerate(self.tried)
            for epoch in candidate.trained.continued_after
        ]
        best = self.best
        chosen = best or self.tried[0]
        trained = replace(chosen.trained, candidates=tuple(self.tried), continued_after=tuple(through))
        if best is None:
            example = f"at {chosen.learning_rate:g} {trained.message}"
            return replace(trained, message=f"at each of {len(self.tried)} learning rates; {example}")
        state.put_weights(self._network, self._weights)
        speeds = [found for candidate in self.tried if (found := candidate.trained.images_per_second) is not None]
        return replace(trained, learning_rate=best.learning_rate, images_per_second=median(speeds))

    def save(self, checkpoints: Checkpoints) -> bool:
        """Write the finished trainings down; whether that worked."""
        notes = {"candidates": [asdict(candidate) for candidate in self.tried]}
        return checkpoints.write(Snapshot(number=len(self.tried), tensors=self._weights, notes=notes))

    def resume(self, checkpoints: Checkpoints) -> bool:
        """Take the newest checkpoint that fits the network; whether there was one."""
        for snapshot in checkpoints.newest_first():
            if state.fits(self._network, snapshot.tensors):
                self._weights = dict(snapshot.tensors)
                self.tried = [_candidate(**notes) for notes in snapshot.notes["candidates"]]
                return True
        return False


def _candidate(*, learning_rate: float, trained: dict[str, Any]) -> Candidate:
    """A candidate from its notes in JSON's types."""
    lists = {
        "history": tuple(Epoch(**epoch) for epoch in trained["history"]),
        "continued_after": tuple(trained["continued_after"]),
        "candidates": (),
    }
    return Candidate(learning_rate=learning_rate, trained=Trained(**{**trained, **lists}))


def _on_host(network: nn.Module) -> dict[str, Tensor]:
    """A copy of the weights on the CPU: several rates then need no more memory of the device than one."""
    return {name: value.cpu() for name, value in state.weights(network).items()}
