"""The published pipeline, on the authors' example where it is at hand, and on signals with known answers."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmark.data import images, recordings, spectrogram
from benchmark.data.spectrogram import Transform

EXAMPLE = Path(
    os.environ.get("BIRDSOUNDS_EXAMPLE", Path(__file__).parents[2] / "shared/data/birdsoundsdenoising-example")
)
MP3_DELAY = 528  # samples that the authors' decoder dropped


def the_example() -> tuple[np.ndarray, np.ndarray]:
    """Samples and published image of the authors' example."""
    published = images.read_image(EXAMPLE / "XC41136.png")
    samples, _ = recordings.read(EXAMPLE / "XC41136.wav")
    return samples[MP3_DELAY:][: spectrogram.sample_count(published.shape[1])], published


@pytest.mark.skipif(not EXAMPLE.is_dir(), reason="the authors' example is not here; set BIRDSOUNDS_EXAMPLE")
def test_the_authors_example(capsys: pytest.CaptureFixture[str]) -> None:
    samples, published = the_example()
    image = spectrogram.image(samples)
    assert image.shape == published.shape
    identical = (image == published).mean()
    difference = np.abs(image.astype(float) - published).mean()

    clean = spectrogram.apply(samples, images.read_mask(EXAMPLE / "XC41136_mask.png"))
    authors, _ = recordings.read(EXAMPLE / "XC41136_denoised.wav")
    error = authors - np.clip(clean, -1, 32767 / 32768)
    ratio = 10 * np.log10((authors**2).sum() / (error**2).sum())
    with capsys.disabled():
        sys.stdout.write(f"XC41136: {identical:.2%} of pixels, mean difference {difference:.4f}, {ratio:.2f} dB\n")
    assert identical >= 0.97
    assert difference <= 0.06
    assert ratio >= 50


def test_long_recordings_are_done_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Image and masked sound are those of the whole, whatever the block."""
    random = np.random.default_rng(4)
    samples = random.uniform(-0.5, 0.5, 128 + 64 * 100 + 13)
    mask = random.random((1024, 101)) > 0.5
    spectrum = spectrogram.stft(samples)
    for block in (1, 7, 50, 100, 101, 1_000):
        monkeypatch.setattr(spectrogram, "_BLOCK", block)
        np.testing.assert_array_equal(spectrogram.image(samples), spectrogram.render(spectrum))
        found = spectrogram.apply(samples, mask)
        np.testing.assert_allclose(found, spectrogram.reconstruct(spectrum, mask), atol=1e-14)
    with pytest.raises(ValueError, match=r"must be \(1024, 101\)"):
        spectrogram.apply(samples, mask[:, :-1])


@pytest.mark.parametrize("soft", [False, True])
def test_batches_and_tensors_give_the_same(soft: bool) -> None:
    random = np.random.default_rng(5)
    samples, mask = random.standard_normal((2, 3, 128 + 64 * 9)), random.random((2, 3, 1024, 10))
    mask = mask if soft else mask > 0.5
    spectrum = spectrogram.stft(samples)
    whole = spectrogram.reconstruct(spectrum, mask)
    np.testing.assert_allclose(spectrogram.stft(torch.from_numpy(samples)).numpy(), spectrum, atol=1e-12)
    found = spectrogram.reconstruct(torch.from_numpy(spectrum), torch.from_numpy(mask))
    np.testing.assert_allclose(found.numpy(), whole, atol=1e-12)
    np.testing.assert_allclose(spectrogram.reconstruct(spectrum[1, 2], mask[1, 2]), whole[1, 2], atol=1e-12)


def test_a_tone_stands_in_its_two_rows() -> None:
    rate, frequency = 32_000, 5_000
    tone = 0.02 * np.sin(2 * np.pi * frequency * np.arange(4_000) / rate)
    image = spectrogram.render(spectrogram.stft(tone))
    bin_ = round(frequency / rate * 1024)
    rows = image.mean(axis=1)
    assert {int(row) for row in np.argsort(rows)[-2:]} == {511 - bin_, 511 + bin_}
    np.testing.assert_array_equal(image[:1023], image[1022::-1])  # row k and 1022 - k


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_everything_kept_gives_the_sound_back(dtype: type) -> None:
    samples = np.random.default_rng(0).standard_normal(128 + 64 * 50).astype(dtype)
    spectrum = spectrogram.stft(samples)
    back = spectrogram.reconstruct(spectrum, np.ones((1024, 51), dtype=bool))
    assert back.dtype == dtype
    np.testing.assert_allclose(back, samples, atol=1e-5 if dtype == np.float32 else 1e-12)


def test_reconstruction_is_the_real_part_of_the_two_sided_inverse() -> None:
    """Against a loop over frames with the full complex transform, under an asymmetric mask."""
    random = np.random.default_rng(1)
    samples, mask = random.standard_normal(128 + 64 * 9), random.random((1024, 10)) > 0.5
    window = np.hamming(128)
    total, weight = np.zeros(len(samples)), np.zeros(len(samples))
    for frame in range(10):
        part = np.s_[64 * frame : 64 * frame + 128]
        rows = np.roll(np.fft.fftshift(np.fft.fft(samples[part] * window, 1024)), -1)
        masked = np.where(mask[:, frame], rows, 0)
        total[part] += np.fft.ifft(np.fft.ifftshift(np.roll(masked, 1))).real[:128] * window
        weight[part] += window**2
    found = spectrogram.reconstruct(spectrogram.stft(samples), mask)
    np.testing.assert_allclose(found, total / weight, atol=1e-12)


def test_too_short_a_sound() -> None:
    with pytest.raises(ValueError, match="at least 128 samples"):
        spectrogram.stft(np.zeros(10))


def test_the_mask_is_where_the_clean_sound_is_louder() -> None:
    clean, noise = np.zeros((513, 200), dtype=complex), np.full((513, 200), 0.1, dtype=complex)
    clean[100:140, 50:120] = 1.0
    mask = spectrogram.mixture_mask(clean, noise)
    np.testing.assert_array_equal(mask[:1023], mask[1022::-1])
    half = mask[511:]
    assert half[105:135, 55:115].all()
    assert half[80:160, 30:140].sum() == half.sum()
    assert not spectrogram.mixture_mask(np.zeros_like(clean), noise).any()


# ---------------------------------------------------------------- other transforms than the published one

TRANSFORMS = pytest.mark.parametrize(
    "transform",
    [
        Transform(window=window, hop=hop, fft_length=length, sides=sides, scale=scale)
        for window, hop, length in ((128, 64, 1024), (512, 128, 1024), (256, 256, 256))
        for sides, scale in ((1, "decibel"), (2, "decibel"), (1, "linear"))
    ],
    ids=str,
)


@TRANSFORMS
def test_what_is_kept_comes_back_in_blocks_and_whole(transform: Transform, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(3)
    samples = random.standard_normal(transform.sample_count(40) + 5)
    everything = np.ones((transform.rows, 40))
    spectrum = transform.stft(samples)
    back = transform.reconstruct(spectrum, everything)
    np.testing.assert_allclose(back, samples[: len(back)], atol=1e-12)
    half = random.random((transform.rows, 40)) > 0.5
    whole = transform.reconstruct(spectrum, half)
    tensors = transform.reconstruct(torch.from_numpy(spectrum), torch.from_numpy(half))
    np.testing.assert_allclose(tensors.numpy(), whole, atol=1e-12)
    for block in (1, 7, 39):
        monkeypatch.setattr(spectrogram, "_BLOCK", block)
        np.testing.assert_allclose(transform.apply(samples, half), whole, atol=1e-12)


@TRANSFORMS
def test_rows_and_bins_are_the_same_mask(transform: Transform) -> None:
    bins = np.random.default_rng(3).random((transform.bins, 4))
    found = transform.fold(transform.unfold(bins))
    np.testing.assert_array_equal(found[:-1], bins[:-1])
    np.testing.assert_array_equal(found[-1], bins[-1 if transform.sides == 2 else -2])


@TRANSFORMS
def test_a_tone_stands_where_its_frequency_is(transform: Transform) -> None:
    tone = 0.02 * np.sin(2 * np.pi * 0.1237 * np.arange(transform.sample_count(20)))
    rows = transform.image(tone).mean(axis=1)
    expected = transform.fft_length / 2 - 1 - transform.fft_length * 0.1237
    assert abs(int(np.argmax(rows[: transform.fft_length // 2])) - expected) <= 2


def test_a_quiet_copy_has_the_same_image_in_decibels() -> None:
    samples = np.random.default_rng(3).standard_normal(5_000)
    transform = Transform(window=512, hop=128, sides=1, scale="decibel")
    loud, quiet = transform.image(samples).astype(int), transform.image(samples / 100).astype(int)
    assert np.abs(loud - quiet).max() <= 1  # a level on the border of two steps may fall to either
    assert (loud != quiet).mean() < 1e-3
    assert 60 < np.median(loud) < 68  # the median magnitude is at 0 of -20 to 60 dB
    assert not transform.image(np.zeros(5_000)).any()


def test_an_insect_in_the_song_recording_is_no_song() -> None:
    transform = Transform(window=512, hop=128, sides=1)
    random = np.random.default_rng(3)
    clean = (random.standard_normal((513, 200, 2)) @ [1, 1j]) * 0.01
    clean[100:110] *= 100  # the insect, steady
    clean[300:320, 50:90] = 1.0
    noise = np.full((513, 200), 0.001 + 0j)
    half = transform.fold(transform.mixture_mask(clean, noise, own_db=6))
    assert half[303:317, 53:87].all()
    assert half[95:115].sum() < 200
    assert transform.fold(transform.mixture_mask(clean, noise))[100:110].mean() > 0.9


@pytest.mark.parametrize(("factor", "window"), [(1, 512), (2.18, 1024), (0.36, 256), (1.3, 512), (1e-3, 4)])
def test_the_window_lasts_as_long_at_other_rates(factor: float, window: int) -> None:
    found = Transform(window=512, hop=128).at(factor)
    assert (found.window, found.hop, found.fft_length) == (window, window // 4, window * 2)
