"""Checks of the learning curve."""

import math
from collections.abc import Iterator
from statistics import median

from benchmark.verify.subject import Fault, Subject
from benchmark.verify.tables import History

_HISTORY = "history.csv"
_MILLISECOND = 1e-3
"""Seconds are stored with three decimals, so each is off by half of one."""


def check_history(subject: Subject) -> Iterator[Fault]:
    """Epochs, best epoch, last losses and seconds of the record are those of history.csv."""
    stored = subject.record.training
    if not subject.expects(_HISTORY):
        if (stored.epochs, stored.best_epoch, stored.last_losses) != (0, 0, []):
            yield Fault("run.json", "training is not empty, and the run ran out of memory before its first epoch")
        return
    history = subject.history
    if history.epochs != list(range(1, stored.epochs + 1)):
        yield Fault(_HISTORY, f"its epochs are not 1 to {stored.epochs}, as training.epochs in run.json says")
        return
    losses = [loss for loss in history.losses if math.isfinite(loss)]
    if losses[-5:] != stored.last_losses:
        yield Fault(_HISTORY, "its last losses are not training.last_losses in run.json")
    if abs(sum(history.seconds) - stored.seconds) > _MILLISECOND * (len(history.seconds) + 1):
        yield Fault(_HISTORY, "its seconds do not add up to training.seconds in run.json")
    yield from _check_length(subject, history)
    yield from _check_best(subject, history)
    yield from _check_speed(subject, history)


def _check_length(subject: Subject, history: History) -> Iterator[Fault]:
    """A finished training has the protocol's epochs, or none where there is nothing to train."""
    wanted = subject.settings.epochs
    length = len(history.epochs)
    if subject.record.status == "finished" and length not in (0, wanted):
        yield Fault(_HISTORY, f"it has {length} epochs, the protocol has {wanted}")
    if subject.record.architecture.parameter_count == 0 and length:
        yield Fault(_HISTORY, "it has epochs, and the architecture has nothing to train")
    if any(not math.isfinite(loss) for loss in history.losses[:-1]):
        yield Fault(_HISTORY, "it goes on after a loss that is not finite")


def _check_best(subject: Subject, history: History) -> Iterator[Fault]:
    """The kept epoch is the one that the protocol's selection keeps; in six decimals two may be equal."""
    best = subject.record.training.best_epoch
    trained = [iou for iou, loss in zip(history.ious, history.losses, strict=True) if math.isfinite(loss)]
    if not 0 <= best <= len(trained) or (best == 0) != (not trained):
        yield Fault("run.json", f"training.best_epoch is {best}, history.csv has {len(trained)} epochs to choose from")
    elif subject.settings.selection == "last_epoch":
        if best != len(trained):
            yield Fault("run.json", f"training.best_epoch is {best}, the protocol keeps the last, {len(trained)}")
    elif trained and trained[best - 1] != max(trained):
        highest = trained.index(max(trained)) + 1
        yield Fault("run.json", f"training.best_epoch is {best}, the best of history.csv is {highest}")


def _check_speed(subject: Subject, history: History) -> Iterator[Fault]:
    """Images per second are those of the median epoch, in four digits."""
    speed = subject.record.training.images_per_second
    if subject.record.status != "finished" or not history.seconds:
        if speed is not None:
            yield Fault("run.json", "training.images_per_second is given, and no training finished")
        return
    images = sum(row.split == "train" for row in subject.rows)
    typical = median(history.seconds)
    low = images / (typical + _MILLISECOND)
    high = images / (typical - _MILLISECOND) if typical > _MILLISECOND else math.inf
    if speed is None or not 0.999 * low <= speed <= 1.001 * high:
        yield Fault("run.json", "training.images_per_second is not that of the median epoch of history.csv")
