"""Checks of the choice of the learning rate: the candidates of the record against candidates.csv and the protocol."""

import math
from collections.abc import Iterator, Sequence

from benchmark.records.schema import CandidateRecord
from benchmark.records.tables import History
from benchmark.records.verify.history import goes_on, wrong_epoch
from benchmark.records.verify.run_files import Fault, Subject

_CANDIDATES = "candidates.csv"
_ROUNDING = 0.51e-6
"""IoUs are stored with six decimals in the table, unrounded in the record."""


def check_candidates(subject: Subject) -> Iterator[Fault]:
    """Where there are rates to choose from: each was trained, and the best on the validation split was kept."""
    stored = subject.record.training
    rates = [settings.learning_rate for settings in subject.settings.candidates]
    if not (rates and stored.epochs):
        if stored.candidates or stored.learning_rate is not None:
            yield Fault("run.json", "training.candidates is not empty, and there was nothing to choose")
        if (subject.path / _CANDIDATES).exists():
            yield Fault(_CANDIDATES, "there was no rate to choose, and such a run leaves no such file", "remove it")
        return
    if [candidate.learning_rate for candidate in stored.candidates] != rates:
        yield Fault("run.json", "training.candidates are not the learning_rates of the protocol, its own first")
        return
    if [rate for rate, _ in subject.candidates] != rates:
        yield Fault(_CANDIDATES, "its rates are not those of training.candidates in run.json")
        return
    curves = [history for _, history in subject.candidates]
    for candidate, history in zip(stored.candidates, curves, strict=True):
        for text in _wrong(subject, candidate, history):
            yield Fault(_CANDIDATES, f"at learning rate {candidate.learning_rate:g} {text}")
    yield from _check_choice(subject, curves)


def _wrong(subject: Subject, candidate: CandidateRecord, history: History) -> Iterator[str]:
    """What a candidate's record and its curve, or its curve and the protocol, disagree on."""
    epochs, settings = len(history.epochs), subject.settings
    if history.epochs != list(range(1, epochs + 1)) or goes_on(history):
        yield "the epochs do not count from 1, or go on after a loss that is not finite"
        return
    diverged = not math.isfinite(history.losses[-1])
    if epochs > settings.epochs or (epochs != settings.epochs and not diverged):
        yield f"there are {epochs} epochs, the protocol has {settings.epochs}"
    if diverged or candidate.validation_iou is None:
        if not diverged or (candidate.validation_iou, candidate.best_epoch) != (None, 0):
            yield "run.json and the losses disagree on whether the training diverged"
        return
    wrong = wrong_epoch(candidate.best_epoch, history, settings.selection, _CANDIDATES)
    if wrong:
        yield f"best_epoch in run.json {wrong}"
    elif not abs(candidate.validation_iou - history.ious[candidate.best_epoch - 1]) <= _ROUNDING:
        yield "validation_iou in run.json is not that of the best epoch"


def _check_choice(subject: Subject, curves: Sequence[History]) -> Iterator[Fault]:
    """The first of the best validation IoUs is the chosen one, and history.csv is its curve."""
    stored = subject.record.training
    ious = [-math.inf if one.validation_iou is None else one.validation_iou for one in stored.candidates]
    best = ious.index(max(ious))  # where all diverged, the first one's curve is shown
    chosen = stored.candidates[best]
    if stored.learning_rate != (None if chosen.validation_iou is None else chosen.learning_rate):
        yield Fault("run.json", "training.learning_rate is not that of the best validation_iou of training.candidates")
    if repr(subject.history) != repr(curves[best]):  # NaN is unequal to itself
        yield Fault("history.csv", f"it is not the curve of the chosen learning rate in {_CANDIDATES}")
    elif chosen.validation_iou is not None and stored.best_epoch != chosen.best_epoch:
        yield Fault("run.json", "training.best_epoch is not that of the chosen one of training.candidates")
