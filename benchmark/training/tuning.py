"""The learning rate, chosen among the protocol's candidates: a whole training of each, the validation IoU decides."""

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
from benchmark.training.distributed import ALONE, Peers
from benchmark.training.epochs import Candidate, Epoch, Trained, trainable

Training: TypeAlias = Callable[[Protocol, Checkpoints | None, Report], Trained]
"""`epochs.train` of the network in question, with all else that it needs."""


def tune(
    network: nn.Module,
    protocol: Protocol,
    training: Training,
    *,
    report: Report,
    peers: Peers = ALONE,
    checkpoints: Checkpoints | None = None,
) -> Trained:
    """Train `network` once per `protocol.candidates` and leave it with the weights of the best of these trainings.

    Each starts from the same weights and the same seed. The best validation IoU, that of a training's selected epoch,
    wins; of equal ones the earlier, so the protocol's own rate yields only to a better one. A training that diverges
    is out of the choice, and the whole "diverged" if all of them are. With `checkpoints` no training that ended is
    repeated, and one that was killed goes on as `epochs.train` does. A network without trainable parameters comes
    back untouched, and nothing was chosen.

    Raises:
        ExecutionError: the network cannot be executed so.
    """
    candidates = protocol.candidates
    if not trainable(network):
        return training(candidates[0], None, report)
    initial = _on_host(network)
    choice = _Choice(network, peers)
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
        gc.collect()  # optimiser and graph of this training hold memory in a circle; the next one needs its own
    return choice.ended(protocol.epochs)


def _counting_through(report: Report, number: int, count: int) -> Report:
    """One bar for all trainings."""

    def tell(stage: str, done: int, total: int, note: str) -> None:
        if stage == "training":
            done, total = number * total + done, count * total
        report(stage, done, total, note)

    return tell


class _Choice:
    """The trainings that ended, the weights of the best of them, and how both are remembered."""

    def __init__(self, network: nn.Module, peers: Peers) -> None:
        self._network, self._peers = network, peers
        self._weights = _on_host(network)
        self.tried: list[Candidate] = []

    @property
    def best(self) -> Candidate | None:
        """The one with the best validation IoU, of equal ones the earlier; None where all diverged."""
        finished = [candidate for candidate in self.tried if candidate.validation_iou is not None]
        return max(finished, key=lambda candidate: candidate.validation_iou or 0.0, default=None)

    def add(self, candidate: Candidate) -> None:
        """Take a training that just ended; its weights are kept if it is the best so far."""
        self.tried.append(candidate)
        if self.best is candidate:
            self._weights = _on_host(self._network)

    def ended(self, epochs: int) -> Trained:
        """How it went; `epochs` of each training. The network gets the best one's weights."""
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
        """Write down what ended so far; the first process does, and is told whether it is on the disk."""
        if not self._peers.first:
            return False
        notes = {"candidates": [asdict(candidate) for candidate in self.tried]}
        return checkpoints.write(Snapshot(number=len(self.tried), tensors=self._weights, notes=notes))

    def resume(self, checkpoints: Checkpoints) -> bool:
        """Take up the newest of these that fits, the same in every process; whether there was one."""
        fitting = (found for found in checkpoints.newest_first() if state.fits(self._network, found.tensors))
        found = next(fitting, None) if self._peers.first else None
        number = int(self._peers.agreed(found.number if found else 0))
        if number == 0:
            return False
        snapshot = found or checkpoints.numbered(number)
        self._weights = dict(snapshot.tensors)
        self.tried = [_candidate(**notes) for notes in snapshot.notes["candidates"]]
        return True


def _candidate(*, learning_rate: float, trained: dict[str, Any]) -> Candidate:
    """As it was noted, in JSON's types."""
    lists = {
        "history": tuple(Epoch(**epoch) for epoch in trained["history"]),
        "continued_after": tuple(trained["continued_after"]),
        "candidates": (),
    }
    return Candidate(learning_rate=learning_rate, trained=Trained(**{**trained, **lists}))


def _on_host(network: nn.Module) -> dict[str, Tensor]:
    """A copy of its weights that takes no memory of the device: what fits at one rate fits at several."""
    return {name: value.cpu() for name, value in state.weights(network).items()}
