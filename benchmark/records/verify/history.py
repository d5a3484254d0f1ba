"""Checks of the learning curve."""

import math
from collections.abc import Iterator
from statistics import median
from typing import Literal

from benchmark.records.tables import History
from benchmark.records.verify.run_files import Fault, Subject

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
    yield from _check_length(subject, history)
    wrong = wrong_epoch(stored.best_epoch, history, subject.settings.selection, _HISTORY)
    if wrong:
        yield Fault("run.json", f"training.best_epoch {wrong}")
    yield from _check_times(subject)


def _check_length(subject: Subject, history: History) -> Iterator[Fault]:
    """A finished training has the protocol's epochs, or none where there is nothing to train."""
    wanted = subject.settings.epochs
    length = len(history.epochs)
    if subject.record.status == "finished" and length not in (0, wanted):
        yield Fault(_HISTORY, f"it has {length} epochs, the protocol has {wanted}")
    if subject.record.architecture.parameter_count == 0 and length:
        yield Fault(_HISTORY, "it has epochs, and the architecture has nothing to train")
    if goes_on(history):
        yield Fault(_HISTORY, "it goes on after a loss that is not finite")


def goes_on(history: History) -> bool:
    """Whether a training went on after a loss that is not finite."""
    return any(not math.isfinite(loss) for loss in history.losses[:-1])


def wrong_epoch(best: int, history: History, selection: Literal["best_validation_iou", "last_epoch"], file: str) -> str:
    """In which way `best` is not the epoch of `file` that the selection keeps; in six decimals two may be equal."""
    trained = [iou for iou, loss in zip(history.ious, history.losses, strict=True) if math.isfinite(loss)]
    if not 0 <= best <= len(trained) or (best == 0) != (not trained):
        return f"is {best}, {file} has {len(trained)} epochs to choose from"
    if not trained:
        return ""
    if selection == "last_epoch":
        return f"is {best}, the protocol keeps the last, {len(trained)}" if best != len(trained) else ""
    highest = trained.index(max(trained)) + 1
    return f"is {best}, the best of {file} is {highest}" if trained[best - 1] != max(trained) else ""


def _check_times(subject: Subject) -> Iterator[Fault]:
    """Seconds and images per second are those of the epochs, of every candidate where the rate was chosen."""
    stored = subject.record.training
    file, histories = _HISTORY, [subject.history]
    if stored.candidates:
        file, histories = "candidates.csv", [history for _, history in subject.candidates]
    seconds = [value for history in histories for value in history.seconds]
    if abs(sum(seconds) - stored.seconds) > _MILLISECOND * (len(seconds) + 1):
        yield Fault(file, "its seconds do not add up to training.seconds in run.json")
    # A training that diverged has no speed; one that could not be tested for want of memory has.
    timed = [median(one.seconds) for one in histories if one.seconds and math.isfinite(one.losses[-1])]
    if not timed:
        if stored.images_per_second is not None:
            yield Fault("run.json", "training.images_per_second is given, and no training finished")
        return
    images = sum(row.split == "train" for row in subject.rows)
    low = median(images / (typical + _MILLISECOND) for typical in timed)
    high = median(images / (typical - _MILLISECOND) if typical > _MILLISECOND else math.inf for typical in timed)
    speed = stored.images_per_second
    if speed is None or not 0.999 * low <= speed <= 1.001 * high:
        yield Fault("run.json", f"training.images_per_second is not that of the median epoch of {file}")
