"""The network that ships: what it does to sounds, what comes with it, and how it is made."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file

import benchmark
from benchmark.contract import Audio, Sample, UserError
from benchmark.data import recipe, spectrogram
from benchmark.data.spectrogram import Transform
from benchmark.scores import separation
from benchmark.tools.denoise import trained
from benchmark.tools.mix.settings import Settings
from benchmark.tools.shipped import card, invent, judge, train
from benchmark.tools.shipped.scenes import Pools, Scenes
from benchmark.training import hardware

RATE = 22_050


def mixed(seed: int, snr_db: float = 3.0, seconds: float = 4.0) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """An invented bird, and the same bird in coloured noise."""
    random = np.random.default_rng(seed)
    samples = int(seconds * RATE)
    song = 0.1 * invent.unit(invent.song(samples, RATE, random))
    noise = 0.1 * invent.unit(invent.tinted(random.standard_normal(samples).astype(np.float32), RATE, 6, random))
    return song, song + np.float32(10 ** (-snr_db / 20)) * noise


# ---------------------------------------------------------------- what it does


def test_it_cleans_birds_that_nobody_has() -> None:
    gains = []
    for seed in range(6):
        song, noisy = mixed(seed)
        gains.append(separation.si_sdr(benchmark.denoise(noisy, RATE), song) - separation.si_sdr(noisy, song))
    assert np.mean(gains) > 4, gains


def test_noise_alone_goes() -> None:
    for seed in range(3):
        noise = np.random.default_rng(seed).standard_normal(5 * RATE).astype(np.float32) * 0.1
        assert np.sum(benchmark.denoise(noise, RATE) ** 2) < 0.1 * np.sum(noise**2)


def test_loudness_does_not_matter() -> None:
    """A copy 40 dB down gives the same sound, 40 dB down."""
    _, noisy = mixed(3)
    loud, quiet = benchmark.denoise(noisy, RATE), 100 * benchmark.denoise(noisy / 100, RATE)
    assert np.sum(loud**2) > 1e4 * np.sum((loud - quiet) ** 2)


def test_contrast_is_that_of_song_to_noise() -> None:
    """Whatever the loudness and the colour of a recording, in NumPy and torch."""
    _, noisy = mixed(5)
    spectrum = Transform(window=512, hop=256, fft_length=512, sides=1).stft(noisy.astype(np.float64))
    colour = np.exp(np.random.default_rng(0).normal(0, 1, (len(spectrum), 1)))
    found = spectrogram.contrast(spectrum)
    np.testing.assert_allclose(spectrogram.contrast(0.01 * colour * spectrum), found, atol=1e-6)
    np.testing.assert_allclose(spectrogram.contrast(torch.from_numpy(spectrum)).numpy(), found, atol=1e-6)
    steady = np.abs(spectrum) ** 2
    above = 10 * np.log10(steady / spectrogram.steady_noise(steady))
    expected = np.clip((above - spectrogram.FAINTEST) / (spectrogram.LOUDEST - spectrogram.FAINTEST), 0, 1)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_digital_silence_has_no_contrast() -> None:
    silent = np.zeros((257, 40), complex)
    assert np.ptp(spectrogram.contrast(silent)) == 0
    assert not benchmark.denoise(np.zeros(RATE, np.float32), RATE).any()


def test_the_command_needs_no_run(bench: Callable[..., object], tmp_path: Path) -> None:
    import soundfile

    _, noisy = mixed(1)
    soundfile.write(tmp_path / "a.wav", noisy, RATE, subtype="FLOAT")
    ran = bench("denoise", tmp_path / "a.wav", "--out", tmp_path / "clean", "--results", tmp_path / "none")
    assert "the network that ships" in ran.out, ran  # type: ignore[attr-defined]
    cleaned, rate = soundfile.read(tmp_path / "clean" / "a.wav", dtype="float32")
    assert rate == RATE
    np.testing.assert_allclose(cleaned, benchmark.denoise(noisy, RATE), atol=1e-3)


# ---------------------------------------------------------------- what comes with it


def test_it_is_small_and_described() -> None:
    weights = trained.FOLDER / trained.WEIGHTS
    assert weights.stat().st_size < 8_000_000
    described = json.loads((trained.FOLDER / trained.DESCRIPTION).read_text())
    text = (trained.FOLDER / trained.CARD).read_text()
    assert text == card.text(described, weights.stat().st_size)
    for row in recipe.read(described["recipe"]):
        if row.split == "train":
            assert row.redistributable
            assert row.attribution in text or row.attribution == "repository licence"
            assert row.licence in text


def test_damaged_files_are_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="damaged"):
        trained.shipped(tmp_path)
    (tmp_path / trained.WEIGHTS).write_bytes(b"")
    (tmp_path / trained.DESCRIPTION).write_text("{}")
    with pytest.raises(UserError, match="damaged"):
        trained.shipped(tmp_path)


# ---------------------------------------------------------------- how it is made


def scenes(samples: int = train.SAMPLES) -> Scenes:
    random = np.random.default_rng(0)
    songs = [[invent.song(count, RATE, random)] for count in (20_000, 100_000)]
    noises = [[invent.noise(count, RATE, random)] for count in (30_000, 100_000)]
    return Scenes(
        pools=Pools(songs=songs, noises=noises, settings=Settings(sample_rate=RATE, own_db=6)), samples=samples
    )


def test_scenes() -> None:
    drawn = [scenes().draw(np.random.default_rng(seed)) for seed in range(60)]
    assert all(song.shape == mixture.shape == (train.SAMPLES,) for song, mixture in drawn)
    assert all(np.abs(mixture).max() == pytest.approx(1, abs=1e-3) for _, mixture in drawn)
    assert all(np.isfinite(song).all() and song.dtype == np.float32 for song, _ in drawn)
    assert 1 <= sum(not song.any() for song, _ in drawn) <= 12, "some scenes have no bird"
    again = scenes().draw(np.random.default_rng(7))
    np.testing.assert_array_equal(again, drawn[7])


def test_a_training_goes_on_where_it_was_interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    song, noisy = (torch.from_numpy(np.stack(waves)) for waves in zip(*(mixed(seed) for seed in range(2)), strict=True))
    monkeypatch.setattr(train, "_validation", lambda *_: (noisy, song))
    plan = train.Plan(recipe="none", architecture="unet:width=2", steps=4, seed=1, batch=2, validate_every=2)

    def interrupt(_stage: str, done: int, _total: int, _note: str) -> None:
        if done == 2:
            raise KeyboardInterrupt

    machine = hardware.resolve("cpu", "fp32")
    for folder in ("whole", "parts"):
        (tmp_path / folder).mkdir()
    train.train(scenes(), tmp_path, tmp_path / "whole", plan, machine, 0, lambda *_: None)
    with pytest.raises(KeyboardInterrupt):
        train.train(scenes(), tmp_path, tmp_path / "parts", plan, machine, 0, interrupt)
    train.train(scenes(), tmp_path, tmp_path / "parts", plan, machine, 0, lambda *_: None)
    whole, parts = (load_file(tmp_path / folder / trained.WEIGHTS) for folder in ("whole", "parts"))
    assert whole.keys() == parts.keys()
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    assert trained.shipped(tmp_path / "whole").load()(torch.zeros(1, 1, 256, 512)).shape == (1, 1, 256, 512)
    other = train.Plan(recipe="none", architecture="unet:width=2", steps=5, seed=1)
    with pytest.raises(UserError, match="another plan"):
        train.train(scenes(), tmp_path, tmp_path / "whole", other, machine, 0, lambda *_: None)


def test_judging(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A method that gives the song itself has lost nothing and is ahead; one that changes nothing gains nothing."""
    sounds = {f"s{seed}": mixed(seed, snr_db=-4 + 3 * seed) for seed in range(6)}

    def sample(name: str) -> Sample:
        song, noisy = sounds[name]
        return Sample(
            id=name,
            groups={"species": name, "background": name, "song": name},
            read=lambda: type("Read", (), {"audio": Audio(noisy=noisy, clean=song, sample_rate=RATE)})(),
            strata={"snr_db": -4 + 3 * int(name[1:])},
        )

    def perfect(noisy: NDArray[np.float32], rate: int) -> NDArray[np.float32]:
        assert rate == RATE
        near = min(sounds.values(), key=lambda each: min(np.abs(noisy - each[0]).max(), np.abs(noisy - each[1]).max()))
        return near[0]

    methods = {judge.OURS: perfect, "nothing": lambda noisy, _: noisy}
    monkeypatch.setattr(judge, "_methods", lambda _: methods)
    monkeypatch.setattr(judge, "_samples", lambda *_: [sample(name) for name in sounds])
    monkeypatch.setattr(judge, "_own_noise", lambda _: dict.fromkeys(sounds, 40.0))
    text = judge.judge(trained.FOLDER, "none", tmp_path, tmp_path / "table", lambda *_: None)
    assert (tmp_path / "table.md").read_text() == text
    ours, nothing = (
        next(line for line in text.split("\n") if name in line) for name in (f"| {judge.OURS}", "| nothing")
    )
    assert "| 0.0 ± 0.0" in nothing
    assert ours.split("|")[4].strip() == ours.split("|")[5].strip().replace("0.0", "0") == "0"
    assert len((tmp_path / "table.csv").read_text().splitlines()) == 13
