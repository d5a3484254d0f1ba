"""Trainer and evaluator on small networks: they learn, they count, they say when they cannot."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import FP32, SETTINGS, pixelwise
from torch import nn

from benchmark import protocols, scores, training
from benchmark.common.progress import silent
from benchmark.data import cache, images
from benchmark.training import evaluator, hardware, losses, steps
from benchmark.training.batches import DeviceSplit
from benchmark.training.hardware import Hardware

SEEDED = training.Conditions(seed=0, machine=FP32)


def train(
    net: nn.Module, cached: cache.Cached, settings: protocols.Protocol = SETTINGS, seed: int = 0
) -> training.Trained:
    splits = {name: DeviceSplit(split, settings, FP32.device) for name, split in cached.splits.items()}
    return training.train(
        net,
        splits["train"],
        settings,
        training.Conditions(seed=seed, machine=FP32),
        validate=lambda net: evaluator.validation_iou(net, splits["val"], settings, FP32),
        report=silent,
    )


def evaluate(net: nn.Module, cached: cache.Cached, settings: protocols.Protocol = SETTINGS) -> evaluator.Evaluation:
    split = cached.splits["test"]
    return evaluator.evaluate(net, DeviceSplit(split, settings, FP32.device), split, settings, FP32, silent)


def batch(data: DeviceSplit, indices: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
    pixels, masks = data.pixels(torch.tensor(list(indices)))
    return data.normalise(pixels), masks


def test_batches_are_normalised_as_torchvision_does(cached: cache.Cached) -> None:
    split = cached.splits["train"]
    images_ = batch(DeviceSplit(split, SETTINGS, FP32.device), [2, 0])[0]
    grey = torch.from_numpy(np.array(split.images[[2, 0]])).float().div(255).unsqueeze(1).expand(-1, 3, -1, -1)
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    torch.testing.assert_close(images_, (grey - mean.view(3, 1, 1)) / deviation.view(3, 1, 1))
    plain = DeviceSplit(split, SETTINGS.override({"normalisation": "none", "channels": 1}), FP32.device)
    torch.testing.assert_close(batch(plain, [1])[0], torch.from_numpy(split.images[[1]] / 255.0).float()[None])


def test_training_lowers_the_loss_and_keeps_the_best_epoch(cached: cache.Cached) -> None:
    net = pixelwise()
    trained = train(net, cached, SETTINGS.override({"epochs": 30}))
    losses = [epoch.loss for epoch in trained.history]
    assert losses[-1] < 0.7 * losses[0]
    best = max(trained.history, key=lambda epoch: epoch.validation_iou)
    assert trained.best_epoch == best.epoch
    split = DeviceSplit(cached.splits["val"], SETTINGS, FP32.device)
    assert evaluator.validation_iou(net, split, SETTINGS, FP32) == pytest.approx(best.validation_iou)


def test_the_best_weights_come_back_though_later_ones_were_worse(cached: cache.Cached) -> None:
    ious = iter([0.9, 0.2, 0.1])
    net, after_one = pixelwise(), pixelwise()
    data = DeviceSplit(cached.splits["train"], SETTINGS, FP32.device)
    trained = training.train(net, data, SETTINGS, SEEDED, validate=lambda _: next(ious), report=silent)
    assert trained.best_epoch == 1
    train(after_one, cached, SETTINGS.override({"epochs": 1}))
    for ours, theirs in zip(net.parameters(), after_one.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_evaluation_does_not_touch_batch_statistics(cached: cache.Cached) -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Conv2d(4, 1, 1))
    before = {name: value.clone() for name, value in net.state_dict().items()}
    net.train()
    evaluate(net, cached)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_the_mean_loss_weighs_images_not_batches(cached: cache.Cached) -> None:
    """Four images in batches of three: with nothing learned, the epoch's loss is that of all four at once."""
    net = pixelwise()
    net[2] = nn.Identity()
    settings = SETTINGS.override({"learning_rate": 1e-12, "epochs": 1})
    data = DeviceSplit(cached.splits["train"], settings, FP32.device)
    images_, masks = batch(data, range(4))
    expected = nn.functional.binary_cross_entropy_with_logits(net(images_)[:, 0], masks.float())
    assert train(net, cached, settings).history[0].loss == pytest.approx(float(expected.detach()), rel=1e-5)


def test_the_schedule_ends_at_nothing(cached: cache.Cached, monkeypatch: pytest.MonkeyPatch) -> None:
    rates = []
    step = torch.optim.Adam.step

    def spy(self: torch.optim.Adam, *arguments: object) -> object:
        rates.append(self.param_groups[0]["lr"])
        return step(self, *arguments)

    monkeypatch.setattr(torch.optim.Adam, "step", spy)
    train(pixelwise(), cached, SETTINGS.override({"schedule": "cosine"}))  # 2 steps an epoch
    expected = [0.01 * (1 + math.cos(math.pi * done / 6)) / 2 for done in range(6)]
    assert rates == pytest.approx(expected)


def test_bf16_is_used_where_it_is_asked_for(cached: cache.Cached) -> None:
    seen = []

    class Spy(nn.Conv2d):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            result = super().forward(image)
            seen.append(result.dtype)
            return result

    machine = Hardware(device=torch.device("cpu"), kind="test", precision="bf16")
    split = cached.splits["test"]
    net = Spy(3, 1, 1)
    data = DeviceSplit(split, SETTINGS, FP32.device)
    evaluator.evaluate(net, data, split, SETTINGS, machine, silent)
    given = training.Conditions(seed=0, machine=machine)
    training.train(net, data, SETTINGS.override({"batch_size": 2}), given, validate=lambda _: 0.0, report=silent)
    assert set(seen) == {torch.bfloat16}


def test_the_last_epoch_where_the_protocol_says_so(cached: cache.Cached) -> None:
    assert train(pixelwise(), cached, SETTINGS.override({"selection": "last_epoch"})).best_epoch == 3


@pytest.mark.parametrize("optimiser", ["adam", "adamw", "sgd"])
@pytest.mark.parametrize("augmentation", ["none", "time_roll"])
def test_the_same_seed_gives_the_same_bits(cached: cache.Cached, optimiser: str, augmentation: str) -> None:
    settings = SETTINGS.override({"optimiser": optimiser, "augmentation": augmentation, "schedule": "cosine"})
    first, second, other = pixelwise(), pixelwise(), pixelwise()
    for net, seed in ((first, 1), (second, 1), (other, 2)):
        train(net, cached, settings, seed)
    pairs = [torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True)]
    assert all(pairs)
    assert not all(torch.equal(a, b) for a, b in zip(first.parameters(), other.parameters(), strict=True))


def test_image_and_mask_roll_together() -> None:
    masks, offsets = torch.rand(5, 1, 4, 9), torch.tensor([[0], [1], [4], [8], [3]])
    rolled = steps._roll(masks.expand(-1, 3, -1, -1), offsets)
    assert torch.equal(rolled[:, :1], steps._roll(masks, offsets))
    for before, after, shift in zip(masks, rolled, offsets, strict=True):
        assert torch.equal(after[:1], before.roll(-int(shift), -1))


def test_dice_loss_by_hand() -> None:
    logits, masks = torch.randn(2, 1, 3, 3), (torch.rand(2, 1, 3, 3) > 0.5).float()
    p = logits.sigmoid()
    cross = -(masks * p.log() + (1 - masks) * (1 - p).log()).mean()
    dice = [(2 * (p[i] * masks[i]).sum() + 1) / (p[i].sum() + masks[i].sum() + 1) for i in range(2)]
    both = losses.loss_function(logits, masks, SETTINGS.override({"loss": "bce_dice"}))
    torch.testing.assert_close(both, cross + 1 - (dice[0] + dice[1]) / 2)
    torch.testing.assert_close(losses.loss_function(logits, masks, SETTINGS), cross)


def test_losses_of_the_library_by_hand() -> None:
    logits, masks = torch.randn(2, 1, 3, 3), (torch.rand(2, 1, 3, 3) > 0.5).float()
    p = logits.sigmoid()
    hit, missed, wrong = (p * masks).sum(), ((1 - p) * masks).sum(), (p * (1 - masks)).sum()
    right = torch.where(masks > 0, p, 1 - p)
    expected = {
        "dice": 1 - 2 * hit / (2 * hit + missed + wrong),
        "focal": (-((1 - right) ** 2) * right.log()).mean(),
        "tversky": 1 - hit / (hit + 0.7 * missed + 0.3 * wrong),
    }
    for name, value in expected.items():
        found = losses.loss_function(logits, masks, SETTINGS.override({"loss": name}))
        torch.testing.assert_close(found, value, msg=name)


def test_flips_take_image_and_mask_along() -> None:
    images = torch.arange(4 * 2 * 3 * 4).view(4, 2, 3, 4).float()
    flipped = steps._flip(images, torch.tensor([[0, 0], [1, 0], [0, 1], [1, 1]]))
    expected = [images[0], images[1].flip(-1), images[2].flip(-2), images[3].flip(-1, -2)]
    assert torch.equal(flipped, torch.stack(expected))


@pytest.mark.parametrize(
    "change", [{"flips": "both"}, {"flips": "time"}, {"gradient_clip": 1e-3}, {"warm_up": 3.0}, {"loss": "dice"}]
)
def test_settings_that_researchers_change_train(cached: cache.Cached, change: dict[str, object]) -> None:
    """Each changes the training, and the same seed gives the same again."""
    plain, *twice = (train(pixelwise(), cached, SETTINGS.override(given)) for given in ({}, change, change))
    curves = [[epoch.loss for epoch in trained.history] for trained in (plain, *twice)]
    assert curves[1] == curves[2] != curves[0]


def test_warm_up_raises_the_rate(cached: cache.Cached) -> None:
    settings = SETTINGS.override({"warm_up": 1.0, "epochs": 2, "schedule": "constant"})
    data = DeviceSplit(cached.splits["train"], settings, FP32.device)
    course = steps.Steps(pixelwise(), data, settings, seed=0, hardware=FP32)
    rates: list[float] = []
    for _ in range(2):
        course.epoch(lambda _: rates.append(course.optimiser.param_groups[0]["lr"]))
    half = len(rates) // 2
    assert rates[:half] == pytest.approx([0.01 * (step + 1) / half for step in range(half)])
    assert rates[half:] == [0.01] * half


def test_divergence_is_a_result(cached: cache.Cached) -> None:
    net = pixelwise()
    with torch.no_grad():
        next(net.parameters()).fill_(math.nan)
    trained = train(net, cached)
    assert trained.status == "diverged"
    assert len(trained.history) == 1


def test_a_network_without_parameters_is_not_trained(cached: cache.Cached) -> None:
    trained = train(nn.AvgPool2d(1), cached)
    assert (trained.history, trained.best_epoch) == ((), 0)


class Given(nn.Module):
    """Logits that are given, whatever the image."""

    def __init__(self, logits: torch.Tensor) -> None:
        super().__init__()
        self.logits = logits

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.logits[: len(image)]


def test_counts_at_both_sizes_against_numpy(cached: cache.Cached, birdsounds: Path) -> None:
    logits = torch.randn(2, 1, 16, 24, generator=torch.Generator().manual_seed(0))
    found = evaluate(Given(logits), cached)
    masks = [images.read_mask(birdsounds / "Test" / "Masks" / f"XC{number}.png") for number in (107, 108)]
    for index, native in enumerate(masks):
        truth = images.resize_mask(native, (16, 24))
        prediction = logits[index, 0].numpy() > 0
        large = nn.functional.interpolate(logits[index : index + 1], size=(40, 60), mode="bilinear")[0, 0].numpy() > 0
        returned = (
            nn.functional.interpolate(torch.from_numpy(truth).float()[None, None], size=(40, 60), mode="bilinear")[0, 0]
            .ge(0.5)
            .numpy()
        )
        for prefix, mine, theirs in (
            ("", prediction, truth),
            ("native_", large, native),
            ("roundtrip_", returned, native),
        ):
            expected = [(mine & theirs).sum(), (mine & ~theirs).sum(), (~mine & theirs).sum(), (~mine & ~theirs).sum()]
            assert [found.counts[prefix + name][index] for name in scores.CONFUSION] == expected
        np.testing.assert_array_equal(found.predictions[index], prediction)
        for truth_value in (0, 1):
            values = logits[index, 0].numpy()[truth == truth_value]
            expected_bins = np.histogram(values, bins=64, range=(-8, 8))[0]
            np.testing.assert_array_equal(found.histograms[index, truth_value], expected_bins)


def test_logits_beyond_the_range_are_counted_at_its_ends(cached: cache.Cached) -> None:
    logits = torch.full((2, 1, 16, 24), 99.0)
    logits[:, :, :8] = -99.0
    histogram = evaluate(Given(logits), cached).histograms.sum((0, 1))
    assert histogram[0] == histogram[-1] == 2 * 8 * 24


def test_the_threshold_is_the_protocols(cached: cache.Cached) -> None:
    half = Given(torch.zeros(2, 1, 16, 24))
    assert not evaluate(half, cached).predictions.any()  # a probability of exactly 0.5 is background
    assert evaluate(half, cached, SETTINGS.override({"threshold": 0.49})).predictions.all()


def test_logits_that_are_no_numbers(cached: cache.Cached) -> None:
    logits = torch.zeros(2, 1, 16, 24)
    logits[1, 0, 3, 3] = math.nan
    with pytest.raises(evaluator.NotANumberError):
        evaluate(Given(logits), cached)


def test_validation_iou_is_the_score_of_the_table(cached: cache.Cached) -> None:
    net = Given(torch.randn(2, 1, 16, 24, generator=torch.Generator().manual_seed(3)))
    split = DeviceSplit(cached.splits["test"], SETTINGS, FP32.device)
    expected = scores.SCORES["iou"].compute(evaluate(net, cached).counts)
    assert evaluator.validation_iou(net, split, SETTINGS, FP32) == pytest.approx(expected)


def test_hardware_is_never_silently_another() -> None:
    from benchmark.common.errors import UserError

    machine = hardware.resolve("cpu", "fp32")
    assert (machine.device.type, machine.precision) == ("cpu", "fp32")
    with pytest.raises(UserError, match="tf32 exists on CUDA only"):
        hardware.resolve("cpu", "tf32")
    with pytest.raises(UserError, match="no device 'gpu'"):
        hardware.resolve("gpu", "auto")
    with pytest.raises(UserError, match="no precision 'fp8'"):
        hardware.resolve("cpu", "fp8")
    if not torch.cuda.is_available():
        with pytest.raises(UserError, match="no CUDA device found"):
            hardware.resolve("cuda", "auto")


@pytest.mark.parametrize(
    ("flags", "precision"), [("avx2 amx_bf16", "bf16"), ("avx512_bf16", "bf16"), ("avx512f avx2", "fp32"), ("", "fp32")]
)
def test_bf16_only_where_the_processor_computes_in_it(
    flags: str, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hardware, "_cpuinfo", lambda _: flags)
    assert hardware.resolve("cpu", "auto").precision == precision
