"""Sound scores against their formulas, on NumPy and on torch; the references."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from test_spectrogram import EXAMPLE, the_example

from benchmark.data import images, spectrogram
from benchmark.data.spectrogram import PUBLISHED
from benchmark.scores import separation


def waves(seed: int, count: int = 3) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    clean = random.standard_normal((count, 500))
    return clean + 0.5 * random.standard_normal((count, 500)), clean


def test_against_the_formulas() -> None:
    estimates, cleans = waves(0)
    for estimate, clean, sdr, si_sdr in zip(
        estimates, cleans, separation.sdr(estimates, cleans), separation.si_sdr(estimates, cleans), strict=True
    ):
        assert sdr == pytest.approx(10 * np.log10(np.sum(clean**2) / np.sum((clean - estimate) ** 2)))
        s, x = clean - clean.mean(), estimate - estimate.mean()
        target = np.dot(x, s) / np.dot(s, s) * s
        assert si_sdr == pytest.approx(10 * np.log10(np.sum(target**2) / np.sum((x - target) ** 2)))


@given(seed=st.integers(0, 1_000), gain=st.floats(0.01, 100), offset=st.floats(-10, 10))
def test_si_sdr_hears_neither_gain_nor_offset(seed: int, gain: float, offset: float) -> None:
    estimate, clean = waves(seed)
    expected = separation.si_sdr(estimate, clean)
    np.testing.assert_allclose(separation.si_sdr(gain * estimate + offset, clean), expected, atol=1e-6)


@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_the_edges(library: str) -> None:
    def as_array(wave: np.ndarray) -> object:
        return torch.from_numpy(wave) if library == "torch" else wave

    estimate, clean = (as_array(wave) for wave in waves(1))
    silent = as_array(np.zeros((3, 500)))
    assert [float(value) for value in separation.sdr(silent, clean)] == [0, 0, 0]
    assert [float(value) for value in separation.si_sdr(silent, clean)] == [-30, -30, -30]
    assert [float(value) for value in separation.si_sdr(clean, clean)] == [30, 30, 30]
    assert [float(value) for value in separation.sdr(clean, clean)] == [100, 100, 100]
    for score in (separation.sdr, separation.si_sdr):
        assert np.isnan([float(value) for value in score(estimate, silent)]).all()
    assert float(separation.sdr_dvad(estimate, estimate)[0]) > 300


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_a_constant_song_is_silent(kind: type, library: str) -> None:
    """Without its mean nothing is left of it but rounding, of which no score may be made."""
    constant = np.full(16_448, 0.1, dtype=kind)
    noisy = (constant + np.random.default_rng(0).standard_normal(16_448)).astype(kind)
    if library == "torch":
        constant, noisy = torch.from_numpy(constant), torch.from_numpy(noisy)
    assert np.isnan(float(separation.si_sdr(noisy, constant)))
    assert np.isnan(float(separation.si_sdr(constant, constant)))


def test_song_kept_and_noise_left_are_the_factors_of_a_fit() -> None:
    random = np.random.default_rng(3)
    clean, noise, rest = random.standard_normal((3, 4, 4_000))
    song, left = separation.kept(0.5 * clean + 0.1 * noise, clean + noise, clean)
    np.testing.assert_allclose(song, 20 * np.log10(0.5))
    np.testing.assert_allclose(left, -20)
    song, left = separation.kept(0.5 * clean + 0.1 * noise + 0.3 * rest, clean + noise, clean)
    for index in range(4):
        basis = np.stack([clean[index], noise[index]], axis=1)
        estimate = 0.5 * clean[index] + 0.1 * noise[index] + 0.3 * rest[index]
        expected = 20 * np.log10(np.abs(np.linalg.lstsq(basis, estimate)[0]))
        np.testing.assert_allclose([song[index], left[index]], expected)


def test_what_is_kept_of_silence_is_undefined_and_nothing_is_clipped() -> None:
    noisy, clean = waves(4)
    song, left = separation.kept(0 * noisy, noisy, clean)
    assert (song == -60).all()
    assert (left == -60).all()
    for kind in (np.float32, np.float64):
        sound = clean.astype(kind)
        for one, other in (
            (noisy, 0 * sound),
            (sound, sound),
            (3.7 * sound, sound),
        ):  # no song, no noise, noise like it
            assert np.isnan(np.stack(separation.kept(noisy.astype(kind), one.astype(kind), other))).all()


def test_frames_in_which_a_bird_sings() -> None:
    song = np.concatenate([np.zeros(10), np.ones(10), 0.1 * np.ones(10), 0.01 * np.ones(5)])
    np.testing.assert_array_equal(separation.active(song, frame=10, within_db=21), np.repeat([0, 1, 1, 0], 10)[:35])


def test_torch_and_numpy_agree() -> None:
    estimate, clean = waves(2)
    tensors = torch.from_numpy(estimate), torch.from_numpy(clean)
    for score in (separation.sdr, separation.si_sdr, separation.sdr_dvad):
        np.testing.assert_allclose(score(*tensors).numpy(), score(estimate, clean), rtol=1e-9)
    noisy = waves(5)[0]
    for name, found in separation.scores(tensors[0], torch.from_numpy(noisy), tensors[1]).items():
        np.testing.assert_allclose(found.numpy(), separation.scores(estimate, noisy, clean)[name], rtol=1e-9)
    spectra = spectrogram.stft(estimate), spectrogram.stft(clean)
    truth = np.random.default_rng(0).random((3, 1024, spectra[0].shape[2])) > 0.5
    found = separation.reference_masks(
        *(torch.from_numpy(s) for s in spectra), torch.from_numpy(truth), 32_000, PUBLISHED
    )
    for name, mask in separation.reference_masks(*spectra, truth, 32_000, PUBLISHED).items():
        np.testing.assert_allclose(found[name].numpy(), mask, err_msg=name)


def test_the_references_are_what_they_are_called() -> None:
    clean = np.sin(2 * np.pi * 0.1 * np.arange(500)) * np.ones((3, 1))
    noisy = clean + 0.5 * waves(3)[1]
    spectra = spectrogram.stft(noisy), spectrogram.stft(clean)
    truth = np.zeros((3, 1024, spectra[0].shape[2]), dtype=bool)
    masks = separation.reference_masks(*spectra, truth, 32_000, PUBLISHED)
    assert set(masks) == set(separation.REFERENCES) - set(separation.OPTIONAL)
    assert not masks["truth_mask"].any()
    assert masks["all_foreground"].all()
    np.testing.assert_array_equal(masks["ideal_binary"][:, 511:], np.abs(spectra[1]) > np.abs(spectra[0] - spectra[1]))
    kept = masks["highpass"][0, 511:, 0]  # bins of 31.25 Hz
    assert list(np.flatnonzero(~kept)) == list(range(32))
    scores = {
        name: separation.si_sdr(spectrogram.reconstruct(spectra[0], mask), clean[:, : 128 + 64 * (truth.shape[2] - 1)])
        for name, mask in masks.items()
    }
    assert (scores["phase_sensitive"] > scores["ideal_binary"]).all()
    assert (scores["ideal_binary"] > scores["all_foreground"]).all()


def test_the_wiener_filter_is_its_formula() -> None:
    random = np.random.default_rng(6)
    spectrum = random.standard_normal((2, 5, 31)) + 1j * random.standard_normal((2, 5, 31))
    spectrum[0, 0] = 0  # silence
    found = separation.wiener(spectrum)
    np.testing.assert_allclose(separation.wiener(torch.from_numpy(spectrum)).numpy(), found)
    for place in np.ndindex(2, 5):
        power = np.abs(spectrum[place]) ** 2
        noise = np.quantile(power, 0.2) / np.log(1 / 0.8)
        expected = [max(1 - noise / one, 0) if one else 1 for one in power]
        np.testing.assert_allclose(found[place], expected, atol=1e-12)


def test_the_wiener_filter_knows_the_noise_and_frees_a_tone_of_it() -> None:
    time = np.arange(32_000) / 32_000
    clean = np.sin(2 * np.pi * 4_000 * time) * (time % 0.5 < 0.2)
    noisy = clean + 0.5 * np.random.default_rng(7).standard_normal(len(time))
    spectrum = spectrogram.stft(noisy)
    quiet = np.abs(spectrogram.stft(noisy - clean)) ** 2
    power = np.abs(spectrum) ** 2
    noise = np.quantile(power, separation.QUIET, axis=-1) / -np.log(1 - separation.QUIET)
    assert np.median(noise / quiet.mean(-1)) == pytest.approx(1, abs=0.05)  # an exponential distribution it is
    gains = separation.wiener(spectrum)
    assert gains.min() == 0
    assert gains.max() < 1
    estimate = spectrogram.reconstruct(spectrum, spectrogram.two_sided(gains))
    clean, noisy = clean[: len(estimate)], noisy[: len(estimate)]
    assert separation.si_sdr(estimate, clean) > separation.si_sdr(noisy, clean) + 4


@pytest.mark.skipif(not EXAMPLE.is_dir(), reason="the authors' example is not here; set BIRDSOUNDS_EXAMPLE")
def test_the_number_that_the_authors_print() -> None:
    """10 ln of the published mask on the published recording; a mask of ones removes nothing."""
    samples, _ = the_example()
    mask = images.read_mask(EXAMPLE / "XC41136_mask.png")
    assert separation.sdr_dvad(spectrogram.apply(samples, mask), samples) == pytest.approx(14.80, abs=0.01)
    assert separation.sdr_dvad(spectrogram.apply(samples, mask | True), samples) > 300
