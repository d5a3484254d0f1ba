"""From a network's logits to the sound scores of a run and the references of its data."""

from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import TINY, Bench
from torch.nn import functional as F

from benchmark import protocols, scores
from benchmark.common.errors import UserError
from benchmark.common.progress import silent
from benchmark.contract import Audio, Example, Sample
from benchmark.data import cache, spectrogram
from benchmark.plugins import datasets, network, registry
from benchmark.records import store
from benchmark.scores import separation
from benchmark.training import evaluator, hardware
from benchmark.training.batches import DeviceSplit


def test_scores_are_those_of_the_enlarged_mask(monkeypatch: pytest.MonkeyPatch) -> None:
    """Against each recording by itself, in float64; whatever the batch."""
    settings = protocols.load("quick").override(
        {"dataset": "synthetic:train=2,val=2,test=17,ood=2", "image_size": 32, "batch_size": 2}
    )
    cached = datasets.load_data(registry.load("datasets", settings.dataset), settings, None, silent)
    split, machine = cached.splits["test"], hardware.resolve("cpu", "fp32")
    net = network.build(registry.load("architectures", "otsu"), settings, seed=0)
    data = DeviceSplit(split, settings, machine.device)
    found = evaluator.evaluate(net, data, split, settings, machine, silent)
    logits = net(data.normalise(data.pixels(torch.arange(len(data)))[0]))
    for index, sounds in enumerate(split.native_sounds()):
        assert sounds is not None
        noisy, clean = (wave.astype(np.float64) for wave in sounds)
        mask = F.interpolate(logits[index : index + 1], (1024, 256), mode="bilinear")[0, 0].numpy() > 0
        estimate = spectrogram.apply(noisy, mask)
        expected = {
            **separation.scores(estimate, noisy, clean),
            "sisdr_noisy": separation.si_sdr(noisy, clean),
            "sdr_noisy": separation.sdr(noisy, clean),
            "sdr_dvad": separation.sdr_dvad(estimate, noisy),
        }
        for name, value in expected.items():
            assert found.sounds[name][index] == pytest.approx(value, abs=1e-3, nan_ok=True), name
    silent_ones = [not (sounds is not None and sounds[1].any()) for sounds in split.native_sounds()]
    assert any(silent_ones)
    np.testing.assert_array_equal(np.isnan(found.sounds["sisdr"]), silent_ones)
    monkeypatch.setattr(evaluator, "SOUND_BATCH", 1)
    single = evaluator.evaluate(net, data, split, settings, machine, silent)
    for name in scores.SOUND_COLUMNS:
        np.testing.assert_allclose(single.sounds[name], found.sounds[name], atol=1e-4)


def test_references_against_numpy() -> None:
    settings = protocols.load("quick").override({"dataset": "synthetic:train=2,val=2,test=3,ood=1", "image_size": 32})
    cached = datasets.load_data(registry.load("datasets", settings.dataset), settings, None, silent)
    split = cached.splits["test"]
    halved = {"deepfilternet": lambda noisy, _: noisy / 2}
    found = evaluator.references(split, halved, torch.device("cpu"), silent)
    assert list(found) == separation.reference_columns(halved)
    for index, (truth, sounds) in enumerate(zip(split.native_masks(), split.native_sounds(), strict=True)):
        assert sounds is not None
        noisy, clean = (wave.astype(np.float64) for wave in sounds)
        spectra = spectrogram.stft(noisy), spectrogram.stft(clean)
        for name, mask in separation.reference_masks(*spectra, truth, 32_000, spectrogram.PUBLISHED).items():
            for score, value in separation.scores(spectrogram.reconstruct(spectra[0], mask), noisy, clean).items():
                assert found[f"{name}_{score}"][index] == pytest.approx(value, abs=2e-3), (name, score)
        for score, value in separation.scores(noisy / 2, noisy, clean).items():
            assert found[f"deepfilternet_{score}"][index] == pytest.approx(value, abs=2e-3), score
    assert (found["truth_mask_sisdr"] > found["all_foreground_sisdr"] + 3).all()


def test_a_run_stores_them_and_the_leaderboard_shows_them(bench: Bench, tmp_path: Path) -> None:
    assert bench("run", "--arch", "otsu", *TINY, "--results", tmp_path).code == 0
    (path,) = tmp_path.glob("runs/*/*/*/*")
    found = store.read(path)
    assert found.dataset.rendering is not None
    assert (found.dataset.rendering.sample_rate, found.dataset.rendering.frames) == (32_000, 256)
    assert found.dataset.slices["main"].unseen["species"] == found.dataset.test_slices["main"]
    assert set(scores.SOUND_COLUMNS) < set(store.read_counts([path])[0])
    assert store.references_path(tmp_path, found.dataset.manifest, found.protocol.revision).is_file()
    shown = bench("leaderboard", "--results", tmp_path, "--width", 200, "--full").out
    assert "SI-SDR gain (dB)" in shown
    for name in separation.REFERENCES:
        assert name in shown


def test_a_perfect_sound_counts_as_clipped() -> None:
    wave = np.random.default_rng(0).standard_normal(500)
    columns = {"sisdr": np.array([separation.si_sdr(wave, wave), 0.99 * separation.SI_SDR_LIMIT])}
    assert scores.SOUND_SCORES["sisdr_clipped"].compute(columns) == 0.5


def test_a_changed_sound_is_another_table(tmp_path: Path) -> None:
    # The identity carries the loudness, or the cache would take the second for the first.
    digests = {
        cache.prepare(splits(loudness), **{**_PREPARE, "identity": {"loudness": loudness}}).digest
        for loudness in (0.1, 0.1, 0.2)
    }
    assert len(digests) == 2


def test_sounds_that_do_not_fit_their_image_are_refused() -> None:
    with pytest.raises(UserError, match="spectrogram of 576 samples is 1024 x 8 pixels, the image has 1024 x 9"):
        cache.prepare(splits(0.1, frames=9), **_PREPARE)
    with pytest.raises(UserError, match="not finite numbers"):
        cache.prepare(splits(float("nan")), **{**_PREPARE, "identity": {"dataset": "nan"}})


_PREPARE = {"identity": {"dataset": "toy"}, "size": (16, 16), "grey": True, "report": silent}


def splits(loudness: float, frames: int = 8) -> dict[str, list[Sample]]:
    def read() -> Example:
        mask = np.zeros((1024, frames), dtype=bool)
        mask[100:200] = True
        wave = loudness * np.random.default_rng(0).standard_normal(576)
        return Example(
            image=np.zeros((1024, frames), np.uint8), mask=mask, audio=Audio(noisy=wave, clean=wave, sample_rate=8_000)
        )

    return {name: [Sample(id=name, groups={}, read=read)] for name in cache.SPLITS}
