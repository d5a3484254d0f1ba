"""The curve of the training and the choice of a learning rate: history.csv, candidates.csv and run.json agree."""

import re
import shutil
from collections.abc import Callable
from typing import Any

import pytest
from tampering import Store, Tampering, found, named, require_found_though_sealed

from benchmark.records import verify
from benchmark.records.store import read


def loss_altered(store: Store) -> None:
    store.cells("history.csv", 1, loss=-1)


def epoch_removed(store: Store) -> None:
    store.edit("history.csv", lambda text: "".join(text.splitlines(keepends=True)[:-1]))


def seconds_altered(store: Store) -> None:
    store.cells("history.csv", 0, seconds=40)


def best_epoch_altered(store: Store) -> None:
    store.put(training__best_epoch=3 - read(store.run).training.best_epoch)


def speed_altered(store: Store) -> None:
    store.put(training__images_per_second=1e9)


SEALED: list[tuple[Tampering, str, str]] = [
    (loss_altered, "history.csv", "last losses are not training.last_losses"),
    (epoch_removed, "history.csv", "its epochs are not 1 to 2"),
    (seconds_altered, "history.csv", "its seconds do not add up"),
    (best_epoch_altered, "run.json", "training.best_epoch is [12], the best of history.csv is [12]"),
    (speed_altered, "run.json", "training.images_per_second is not that of the median epoch"),
]


@pytest.mark.parametrize(("tamper", "file", "pattern"), SEALED, ids=named)
def test_checksums_that_fit_again_do_not_help(store: Store, tamper: Tampering, file: str, pattern: str) -> None:
    require_found_though_sealed(store, tamper, file, pattern)


def candidate(number: int, **changes: Any) -> Callable[[Store], None]:
    def change(store: Store) -> None:
        stored = [each.model_dump() for each in read(store.run).training.candidates]
        stored[number] |= changes
        store.put(training__candidates=stored)

    change.__name__ = f"candidate_{number}_{'_'.join(changes)}"
    return change


def other_epoch(store: Store) -> None:
    """Of the candidate that was not chosen."""
    training = read(store.run).training
    number = 1 if training.learning_rate == training.candidates[0].learning_rate else 0
    candidate(number, best_epoch=3 - training.candidates[number].best_epoch)(store)


def other_rate_chosen(store: Store) -> None:
    now = read(store.run).training.learning_rate
    store.put(training__learning_rate=0.01 if now == 0.001 else 0.001)


def column(number: int, row: int, text: str) -> Callable[[Store], None]:
    def change(store: Store) -> None:
        def edit(before: str) -> str:
            lines = [line.split(",") for line in before.splitlines()]
            lines[row][number] = text
            return "".join(",".join(line) + "\n" for line in lines)

        store.edit("candidates.csv", edit)

    change.__name__ = f"column_{number}_of_row_{row}"
    return change


def curve_of_another(store: Store) -> None:
    """Of equal length and equal best epoch: the curve of the rate that was not chosen would do as well."""
    store.edit("history.csv", lambda text: re.sub(r"^1,([\d.]+),[\d.]+", r"1,\1,0.000001", text, flags=re.MULTILINE))


TUNED: list[tuple[Callable[[Store], None], str, str]] = [
    (column(4, 1, "9.000"), "candidates.csv", "its seconds do not add up to training.seconds"),
    (column(1, 2, "3"), "candidates.csv", "at learning rate 0.001 the epochs do not count from 1"),
    (column(3, 1, "0.999999"), "candidates.csv", "at learning rate 0.001 "),
    (column(3, 3, "0.999999"), "candidates.csv", "at learning rate 0.01 "),
    (column(2, 5, "0.5"), "candidates.csv", r"at learning rate 1e\+30 "),
    (column(0, 1, "0.002"), "candidates.csv", "its rates are not those of training.candidates"),
    (candidate(0, validation_iou=0.9999), "candidates.csv", "validation_iou in run.json is not that of the best epoch"),
    (candidate(1, validation_iou=0.9999), "candidates.csv", "validation_iou in run.json is not that of the best epoch"),
    (candidate(1, validation_iou=None), "candidates.csv", "disagree on whether the training diverged"),
    (candidate(2, validation_iou=0.1, best_epoch=1), "candidates.csv", "disagree on whether the training diverged"),
    (candidate(2, learning_rate=0.1), "run.json", "training.candidates are not the learning_rates of the protocol"),
    (other_epoch, "candidates.csv", "best_epoch in run.json is [12], the best of candidates.csv is [12]"),
    (other_rate_chosen, "run.json", "training.learning_rate is not that of the best validation_iou"),
    (lambda store: store.put(training__candidates=[]), "run.json", "training.candidates are not the learning_rates"),
    (
        lambda store: store.put(training__images_per_second=1e9),
        "run.json",
        "the median epoch of candidates.csv",
    ),
    (lambda store: store.put(training__seconds=1e9), "candidates.csv", "its seconds do not add up"),
    (curve_of_another, "history.csv", "it is not the curve of the chosen learning rate in candidates.csv"),
    (lambda store: (store.run / "candidates.csv").unlink(), "candidates.csv", "it is missing"),
]


@pytest.mark.parametrize(("tamper", "file", "pattern"), TUNED)
def test_a_choice_that_was_altered(tuned: Store, tamper: Tampering, file: str, pattern: str) -> None:
    tamper(tuned)
    tuned.seal()
    findings = verify.check(tuned.results)
    assert found(findings, file, pattern), findings


def test_candidates_of_a_run_that_had_none(store: Store, tuned: Store) -> None:
    shutil.copy(tuned.run / "candidates.csv", store.run / "candidates.csv")
    store.put(training__learning_rate=0.001)
    store.seal()
    findings = verify.check(store.results)
    assert found(
        findings, "candidates.csv", "there was no rate to choose, and such a run leaves no such file; remove it"
    )
    assert found(findings, "run.json", "training.candidates is not empty, and there was nothing to choose")
