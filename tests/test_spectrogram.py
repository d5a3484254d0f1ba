"""The published pipeline, on the authors' example where it is at hand, and on signals with known answers."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmark.data import images, recordings, spectrogram

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
