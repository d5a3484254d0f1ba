"""The learning rate is chosen on the validation split alone, reproducibly, and through kills."""

import json
import math
import shlex
from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import FP32, SETTINGS, TINY, Bench, pixelwise, runs
from torch import nn

from benchmark import protocols
from benchmark import scores as metrics
from benchmark import training as trainer
from benchmark.common.errors import UserError
from benchmark.common.progress import Report, silent
from benchmark.data import cache
from benchmark.plugins.network import Network
from benchmark.records import store
from benchmark.training import EAGER, Conditions, evaluator, state
from benchmark.training.checkpoints import Checkpoints
from benchmark.training.trial import Trial, conduct

DIVERGING = 1e30
RATES = (1e-4, 0.01, 0.1, DIVERGING)
TUNED = SETTINGS.override({"learning_rates": RATES, "augmentation": "time_roll", "optimiser": "sgd"})


class InterruptionError(Exception):
    """As if the process had been killed there."""


def tried(
    cached: cache.Cached, folder: Path, settings: protocols.Protocol = TUNED, report: Report = silent
) -> tuple[Trial, dict[str, torch.Tensor]]:
    """A trial as `run` makes it, and the weights that it leaves."""
    net = Network(pixelwise(), 1, "pixelwise")
    given = Conditions(seed=0, machine=FP32, execution=EAGER, resident=True, checkpoint_seconds=0)
    saved = Checkpoints(folder, {"same": "bits"}, warn=lambda line: report("warning", 0, 0, line), unit="rate")
    trial = conduct(net, cached, settings, given, saved, report)
    return trial, state.weights(net)


def trained(trial: Trial) -> trainer.Trained:
    assert trial.trained is not None
    return trial.trained


def fixed(cached: cache.Cached, folder: Path, rate: float) -> tuple[Trial, dict[str, torch.Tensor]]:
    return tried(cached, folder / f"fixed-{rate}", TUNED.override({"learning_rates": (), "learning_rate": rate}))


def curve(trained: trainer.Trained) -> list[tuple[float, float]]:
    return [(epoch.loss, epoch.validation_iou) for epoch in trained.history]


def essence(trial: Trial, weights: dict[str, torch.Tensor]) -> list[object]:
    """All of a trial that must not differ between equal ones."""
    done = trained(trial)
    assert trial.evaluation is not None
    curves = repr([curve(each.trained) for each in done.candidates])  # NaN is unequal to itself
    counts = {name: values.tolist() for name, values in trial.evaluation.counts.items()}
    bits = {name: value.numpy().tobytes() for name, value in weights.items()}
    return [done.learning_rate, done.best_epoch, curve(done), curves, counts, bits]


def test_the_rates_are_spaced_around_the_protocols_own() -> None:
    assert protocols.rates_around(1e-3, 5) == [1e-4, 3.16e-4, 1e-3, 3.16e-3, 1e-2]
    assert protocols.rates_around(1e-3, 4) == [1e-4, 3.16e-4, 1e-3, 3.16e-3]
    assert protocols.rates_around(1.23456e-4, 2) == [3.9e-5, 1.23456e-4]
    for budget in range(2, 10):
        assert len(set(protocols.rates_around(3e-4, budget))) == budget


def test_the_same_rates_are_the_same_table() -> None:
    one, other = (SETTINGS.override({"learning_rates": rates}) for rates in ([0.1, 0.01], (0.01, 0.1)))
    assert one.digest == other.digest
    assert one.digest != SETTINGS.override({"learning_rates": [0.001, 0.01]}).digest
    assert one.override({"learning_rates": []}).digest == SETTINGS.digest
    candidates = TUNED.candidates
    assert [each.learning_rate for each in candidates] == [0.01, 1e-4, 0.1, DIVERGING]  # the own one first
    assert candidates[0] == TUNED.override({"learning_rates": ()})


@pytest.mark.parametrize(
    ("rates", "message"),
    [
        ([0.01], "two or more different"),
        ([0.01, 0.1, 0.1], "two or more different"),
        ([0.1, 0.2], r"own learning rate, 0\.01, must be among them"),
        ([0.01, -1], ""),
        ([0.01, math.inf], ""),
        ("lr", ""),
    ],
)
def test_lists_without_sense(rates: object, message: str) -> None:
    with pytest.raises(UserError, match=f"setting 'learning_rates' = .*{message}") as error:
        SETTINGS.override({"learning_rates": rates})
    assert "\n" not in str(error.value)


def test_the_best_on_validation_is_kept_and_is_the_training_at_that_rate(cached: cache.Cached, tmp_path: Path) -> None:
    trial, weights = tried(cached, tmp_path / "tuned")
    done = trained(trial)
    ious = {each.learning_rate: each.validation_iou for each in done.candidates}
    assert list(ious) == [0.01, 1e-4, 0.1, DIVERGING]
    assert ious.pop(DIVERGING) is None
    assert done.learning_rate == max(ious, key=lambda rate: ious[rate] or 0)
    assert len(set(ious.values())) == 3
    for each in done.candidates[:3]:
        alone, alone_weights = fixed(cached, tmp_path, each.learning_rate)
        assert each.validation_iou == max(iou for _, iou in curve(trained(alone)))
        assert curve(each.trained) == curve(trained(alone))  # same weights to begin with, same order, same dropout
        same = all(torch.equal(value, alone_weights[name]) for name, value in weights.items())
        assert same == (each.learning_rate == done.learning_rate)
    assert done.seconds == pytest.approx(sum(each.trained.seconds for each in done.candidates))
    assert done.seconds > sum(epoch.seconds for epoch in done.history)


@pytest.mark.parametrize("chosen", range(3))
def test_any_candidate_can_win(chosen: int) -> None:
    """Chosen by validation IoU and nothing else: the losses here say the opposite."""
    net = nn.Conv2d(1, 1, 1)
    number = count()

    def training(settings: protocols.Protocol, _: object, __: Report) -> trainer.Trained:
        now = next(number)
        nn.init.constant_(net.weight, settings.learning_rate)
        iou = 0.5 if now == chosen else 0.4
        epoch = trainer.Epoch(epoch=1, loss=iou, validation_iou=iou, seconds=1.0)
        return trainer.Trained(status="finished", history=(epoch,), best_epoch=1, images_per_second=10.0 * now)

    settings = SETTINGS.override({"learning_rates": (0.01, 0.1, 1.0)})
    done = trainer.tune(net, settings, training, report=silent)
    assert done.learning_rate == (0.01, 0.1, 1.0)[chosen]
    assert float(net.weight.detach()) == pytest.approx(done.learning_rate)
    assert (done.seconds, done.images_per_second) == (3.0, 10.0)


def test_of_equal_ones_the_protocols_own_is_kept(
    cached: cache.Cached, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluator, "validation_iou", lambda *_: 0.5)
    trial, weights = tried(cached, tmp_path / "tuned")
    assert trained(trial).learning_rate == TUNED.learning_rate
    _, alone = fixed(cached, tmp_path, TUNED.learning_rate)
    assert all(torch.equal(value, alone[name]) for name, value in weights.items())


def flipped(cached: cache.Cached) -> cache.Cached:
    """The same data with background and foreground of the test split exchanged."""
    test = cached.splits["test"]
    other = replace(test, masks=~np.array(test.masks), native=~np.array(test.native))
    return replace(cached, splits={**cached.splits, "test": other})


def test_the_test_split_has_no_say(cached: cache.Cached, tmp_path: Path) -> None:
    """On these test masks another rate would be the best, and the choice stays what it was."""
    other = flipped(cached)

    def test_iou(trial: Trial) -> float:
        assert trial.evaluation is not None
        return metrics.SCORES["iou"].compute(trial.evaluation.counts)

    scores = {rate: test_iou(fixed(other, tmp_path, rate)[0]) for rate in RATES[:3]}
    trial, weights = tried(other, tmp_path / "flipped")
    straight, straight_weights = tried(cached, tmp_path / "straight")
    assert trained(trial).learning_rate != max(scores, key=lambda rate: scores[rate])
    assert test_iou(trial) == scores[trained(trial).learning_rate or 0]
    same = [essence(trial, weights), essence(straight, straight_weights)]
    assert same[0][4] != same[1][4]  # the counts
    assert [one for number, one in enumerate(same[0]) if number != 4] == [
        one for number, one in enumerate(same[1]) if number != 4
    ]


def test_the_test_split_is_looked_at_once_and_last(
    cached: cache.Cached, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[str] = []

    def seen(name: str) -> None:
        look = getattr(evaluator, name)

        def looking(*arguments: object) -> object:
            looks.append(name)
            return look(*arguments)

        monkeypatch.setattr(evaluator, name, looking)

    seen("validation_iou")
    seen("evaluate")
    tried(cached, tmp_path)
    assert looks == ["validation_iou"] * 3 * SETTINGS.epochs + ["evaluate"]


def test_all_diverged_is_diverged(cached: cache.Cached, tmp_path: Path) -> None:
    rates = (DIVERGING, 2 * DIVERGING)
    trial, _ = tried(cached, tmp_path, TUNED.override({"learning_rates": rates, "learning_rate": DIVERGING}))
    assert (trial.status, trial.evaluation) == ("diverged", None)
    assert trial.message.startswith("at each of 2 learning rates; at 1e+30 the loss was not finite in epoch")
    assert trained(trial).learning_rate is None
    assert [each.validation_iou for each in trained(trial).candidates] == [None, None]


def test_nothing_to_train_is_nothing_to_choose() -> None:
    net = nn.Conv2d(1, 1, 1).requires_grad_(requires_grad=False)
    untrained = trainer.Trained(status="finished", history=(), best_epoch=0, images_per_second=None)
    asked: list[protocols.Protocol] = []
    done = trainer.tune(net, TUNED, lambda settings, *_: asked.append(settings) or untrained, report=silent)
    assert done is untrained
    assert len(asked) == 1


class Interrupted:
    """Gives a trial again and again; each is interrupted at a call to validate, or when a training begins."""

    def __init__(self, cached: cache.Cached, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.cached, self.folder = cached, folder
        self.validations, self.epochs_said = 0, list[str]()
        self._stop_at_validation, self._stop_at_note = 0, ""
        look = evaluator.validation_iou

        def validate(*arguments: object) -> float:
            self.validations += 1
            if self.validations == self._stop_at_validation:
                raise InterruptionError
            return look(*arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(evaluator, "validation_iou", validate)

    def report(self, stage: str, _: int, __: int, note: str) -> None:
        self.epochs_said.append(f"{stage}: {note}")
        if self._stop_at_note and self._stop_at_note in note:
            raise InterruptionError

    def until(self, *, validation: int = 0, note: str = "") -> None:
        self._stop_at_validation, self._stop_at_note = validation, note
        with pytest.raises(InterruptionError):
            tried(self.cached, self.folder, report=self.report)
        self._stop_at_validation, self._stop_at_note = 0, ""

    def finish(self) -> list[object]:
        self.last, weights = tried(self.cached, self.folder, report=self.report)
        return essence(self.last, weights)


EPOCHS = 3 * SETTINGS.epochs
"""Epochs that are validated in all; the training that diverges has none."""


@pytest.fixture
def expected(cached: cache.Cached, tmp_path: Path) -> list[object]:
    return essence(*tried(cached, tmp_path / "alone"))


@pytest.fixture
def interrupted(
    cached: cache.Cached,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    expected: list[object],  # made before anything is counted
) -> Interrupted:
    return Interrupted(cached, tmp_path / "interrupted", monkeypatch)


@pytest.mark.parametrize("at", range(1, EPOCHS + 1))
def test_an_interruption_within_a_training_changes_nothing(
    interrupted: Interrupted, expected: list[object], at: int
) -> None:
    interrupted.until(validation=at)
    assert interrupted.finish() == expected
    assert interrupted.validations == EPOCHS + 1  # only the epoch that was cut off is repeated
    begun = [] if at % SETTINGS.epochs == 1 else [at - 1]
    assert trained(interrupted.last).continued_after == tuple(begun)


def test_interruptions_between_trainings_repeat_none(interrupted: Interrupted, expected: list[object]) -> None:
    for number in (1, 2, 3, 4):
        interrupted.until(note=f", {number} of 4")
        kept = sorted(path.name for path in interrupted.folder.rglob("*.safetensors"))
        assert kept == [f"rate-{done:05d}.safetensors" for done in range(max(1, number - 2), number)]
    assert interrupted.validations == EPOCHS
    interrupted.until(note="of 4 learning rates are done")
    assert interrupted.finish() == expected
    assert interrupted.validations == EPOCHS
    assert "continuing: 3 of 4 learning rates are done" in interrupted.epochs_said
    assert not [line for line in interrupted.epochs_said if line.startswith("warning")]


def test_everything_was_trained_but_not_tested(
    interrupted: Interrupted, expected: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupting(*_: object) -> None:
        raise InterruptionError

    with monkeypatch.context() as patch:
        patch.setattr(evaluator, "evaluate", interrupting)
        with pytest.raises(InterruptionError):
            tried(interrupted.cached, interrupted.folder)
    said = len(interrupted.epochs_said)
    assert interrupted.finish() == expected
    assert interrupted.validations == EPOCHS
    assert not [line for line in interrupted.epochs_said[said:] if line.startswith(("training", "tuning"))]


def test_a_damaged_note_of_what_ended_costs_time_only(interrupted: Interrupted, expected: list[object]) -> None:
    interrupted.until(note=", 3 of 4")
    newest = max(interrupted.folder.rglob("rate-*.safetensors"))
    newest.write_bytes(newest.read_bytes()[:-9])
    assert interrupted.finish() == expected
    assert interrupted.validations == EPOCHS + SETTINGS.epochs
    assert any("rate-00002.safetensors is damaged" in line for line in interrupted.epochs_said)


SPREAD = ("--tune", "lr", "--budget", 3)


def curves(path: Path) -> list[list[str]]:
    """Learning rate, epoch, loss and validation IoU of each line; the seconds differ from run to run."""
    return [line.split(",")[:-1] for line in path.read_text().splitlines()[1:]]


def test_from_the_command_to_the_record(bench: Bench, tmp_path: Path) -> None:
    words = ("run", "--arch", "unet:width=4", *TINY, "--set", "epochs=3")
    ran = bench(*words, *SPREAD, "--results", tmp_path)
    assert ran.code == 0, ran.err
    assert "learning_rates = [0.000316, 0.001, 0.00316]" in ran.out
    assert "tuning: learning rate 0.000316, 2 of 3" in ran.err
    (path,) = tmp_path.glob("runs/*/*/*/*")
    found = store.read(path)
    ious = {each.learning_rate: each.validation_iou or 0 for each in found.training.candidates}
    assert list(ious) == [0.001, 0.000316, 0.00316]
    chosen = found.training.learning_rate
    assert chosen == max(ious, key=lambda rate: ious[rate])
    assert found.protocol.overrides["learning_rates"] == [0.000316, 0.001, 0.00316]
    each = curves(path / "candidates.csv")
    assert [line[1:] for line in each if float(line[0]) == chosen] == curves(path / "history.csv")
    assert found.training.best_epoch in (1, 2, 3)
    assert len(each) == 9

    (bench_, *repeat) = shlex.split(found.command)
    assert bench_ == "bench"
    assert "finished before" in bench(*repeat, "--results", tmp_path).out

    assert bench(*words, "--lr", str(chosen), "--results", tmp_path / "fixed").code == 0
    (alone,) = (tmp_path / "fixed").glob("runs/*/*/*/*")
    assert (alone / "model.safetensors").read_bytes() == (path / "model.safetensors").read_bytes()
    assert (alone / "images.csv").read_bytes() == (path / "images.csv").read_bytes()
    assert curves(alone / "history.csv") == curves(path / "history.csv")
    assert not (alone / "candidates.csv").exists()
    assert store.read(alone).training.learning_rate is None
    assert store.read(alone).protocol.digest != found.protocol.digest
    assert bench("leaderboard", "--results", tmp_path).code == 0


def test_floors_stand_in_the_table_of_the_tuned(bench: Bench, tmp_path: Path) -> None:
    for name in ("otsu", "unet:width=4"):
        assert bench("run", "--arch", name, *TINY, *SPREAD, "--results", tmp_path).code == 0
    assert len({run.comparability_key for run in runs(tmp_path)}) == 1
    (floor,) = [run for run in runs(tmp_path) if run.architecture.label == "otsu"]
    assert (floor.training.learning_rate, floor.training.candidates) == (None, [])


def test_a_rate_that_diverges_is_no_failure(bench: Bench, tmp_path: Path) -> None:
    words = ("run", "--arch", "unet:width=4", *TINY, "--set", "optimiser=sgd", "--results", tmp_path)
    ran = bench(*words, "--set", "learning_rates=[1e-3, 1e30]")
    assert ran.code == 0, ran.err
    (found,) = runs(tmp_path)
    assert found.status == "finished"
    assert found.training.learning_rate == 1e-3
    assert [each.validation_iou is None for each in found.training.candidates] == [False, True]
    assert [each.best_epoch > 0 for each in found.training.candidates] == [True, False]

    ran = bench(*words, "--lr", "1e30", "--set", "learning_rates=[1e30, 1e31]")
    assert ran.code == 0
    assert "diverged (at each of 2 learning rates; at 1e+30 the loss was not finite in epoch" in ran.out
    lost = next(run for run in runs(tmp_path) if run.status == "diverged")
    assert lost.training.learning_rate is None
    assert len(lost.training.candidates) == 2


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--tune", "wd"), "bench: --tune wd: only the learning rate can be tuned; write --tune lr"),
        (("--budget", 3), "bench: --budget needs --tune lr"),
        (("--tune", "lr", "--set", "learning_rates=[1e-3,1e-2]"), "both list the learning rates to try"),
        (("--set", "learning_rates=[1e-2,1e-4]"), "own learning rate, 0.001, must be among them"),
        (("--set", "learning_rates=[1e-3]"), "two or more different learning rates"),
    ],
)
def test_mistakes_on_the_command_line(bench: Bench, tmp_path: Path, more: Sequence[object], message: str) -> None:
    ran = bench("run", "--arch", "unet", *TINY, *more, "--results", tmp_path / "r")
    assert ran.code == 2
    assert message in ran.err
    assert ran.err.count("\n") == 1
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize("budget", [1, 10])
def test_budgets_that_are_none(bench: Bench, budget: int) -> None:
    assert bench("run", "--arch", "unet", "--tune", "lr", "--budget", budget).code == 2


def test_a_protocol_of_ones_own_may_list_them(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(
        'dataset = "synthetic:train=8,val=4,test=4,ood=2"\nimage_size = 32\nepochs = 1\nbatch_size = 4\n'
        'weights = "none"\nlearning_rate = 1e-3\nlearning_rates = [1e-2, 1e-3]\n'
    )
    words = ("run", "--arch", "unet:width=4", "--protocol", tmp_path / "mine.toml", "--results", tmp_path)
    assert bench(*words).code == 0
    assert "0.000316, 0.001" in bench(*words, "--tune", "lr", "--budget", 2).out  # another list
    assert "must be among them" in bench(*words, "--lr", "0.3").err
    assert bench(*words, "--lr", "0.3", "--set", "learning_rates=[]").code == 0
    found = sorted(len(run.training.candidates) for run in runs(tmp_path))
    assert found == [0, 2, 2]


def test_a_record_from_before_can_be_read(bench: Bench, tmp_path: Path) -> None:
    assert bench("run", "--arch", "otsu", *TINY, "--results", tmp_path).code == 0
    (path,) = tmp_path.glob("runs/*/*/*/*")
    written = json.loads((path / "run.json").read_text())
    for name in ("learning_rate", "candidates"):
        del written["training"][name]
    del written["protocol"]["settings"]["learning_rates"]
    (path / "run.json").write_text(json.dumps(written))
    assert store.read(path).training.candidates == []
    assert store.read(path).training.learning_rate is None
