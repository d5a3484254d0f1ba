"""Scores of sounds, computed from decibels per image."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.scores.score import Counts, Over, Score, Unit, mean
from benchmark.scores.separation import KEPT_LIMIT, SI_SDR_LIMIT

SOUND_COLUMNS = ("sisdr", "sisdr_noisy", "sdr", "sdr_noisy", "song_kept", "noise_left", "sdr_dvad")
"""Columns of images whose sounds are known, in dB (N,), NaN where undefined; `noisy`: before cleaning."""


def improvement(columns: Counts, name: str) -> NDArray[np.float64]:
    """Decibels by which the masked recording is better than the noisy one: (..., N)."""
    return np.asarray(columns[name] - columns[f"{name}_noisy"])


_AUDIBLE = 0.01
"""A smaller change in dB is rounding."""


def _where_known(columns: Counts, values: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The values, NaN where SI-SDR is undefined."""
    return np.where(np.isfinite(columns["sisdr"]), values, np.nan)


def _harmed(columns: Counts) -> NDArray[np.float64]:
    return _where_known(columns, improvement(columns, "sisdr") < -_AUDIBLE)


def _clipped(columns: Counts) -> NDArray[np.float64]:
    return _where_known(columns, np.abs(columns["sisdr"]) >= SI_SDR_LIMIT)


def _over_sounds(values: Callable[[Counts], NDArray[Any]]) -> Over:
    """Average over the images whose song is not silent."""

    def over(columns: Counts) -> NDArray[np.float64]:
        known = values(columns)
        return mean(known, np.isfinite(known))

    return over


def _median(columns: Counts) -> NDArray[np.float64]:
    """The median of SI-SDR over the images whose song is not silent; NaN is sorted to the end and does not count."""
    values = np.sort(np.where(np.isfinite(columns["sisdr"]), columns["sisdr"], np.nan), axis=-1)
    count = np.isfinite(values).sum(-1, keepdims=True)
    if not values.shape[-1]:
        return np.full(values.shape[:-1], np.nan)
    middle = np.stack([np.maximum(count - 1, 0) // 2, count // 2], axis=0)
    found = [np.take_along_axis(values, np.minimum(place, values.shape[-1] - 1), axis=-1) for place in middle]
    return np.asarray(np.where(count, (found[0] + found[1]) / 2, np.nan)[..., 0])


def _column(name: str) -> Over:
    """Average a column over the images with song."""
    return _over_sounds(lambda columns: columns[name])


_WITH_SONG = "mean over images with song"
_DEFINITIONS = {
    "sisdr_improvement": "SI-SDR (Le Roux et al. 2019) of the recording under the predicted mask against the clean "
    f"song, minus that of the noisy recording, {_WITH_SONG}",
    "harm": f"share of the images with song at which SI-SDR, clipped to ±{SI_SDR_LIMIT:g} dB, falls by more than "
    f"{_AUDIBLE:g} dB: the recording is worse than before",
    "song_kept": "how loud the song is compared with before: 20 log10 |a| of the least-squares fit of a song + b noise "
    f"to the cleaned sound, clipped to ±{KEPT_LIMIT:g} dB, {_WITH_SONG}; 0 dB: all of it",
    "noise_left": "how loud the noise is compared with before: 20 log10 |b| of the same fit; 0 dB: all of it",
    "sisdr": f"SI-SDR under the predicted mask, clipped to ±{SI_SDR_LIMIT:g} dB, {_WITH_SONG}",
    "sisdr_median": "SI-SDR under the predicted mask, median over images with song",
    "sisdr_clipped": f"share of the images at which SI-SDR is clipped to ±{SI_SDR_LIMIT:g} dB",
    "sdr_improvement": "SDR = 10 log10(|s|^2 / |s - s'|^2) under the predicted mask, minus that of the noisy recording",
    "sdr": f"SDR under the predicted mask, {_WITH_SONG}; a silent output scores 0 dB",
    "sdr_dvad": "10 ln(|y| / |y - x|) of the noisy y and the masked x, as Zhang & Li 2023 print it: it measures how "
    "little was removed, not quality; for comparison with published numbers only",
}


def _score(name: str, title: str, over: Over, unit: Unit = "dB") -> Score:
    return Score(name=name, title=title, definition=_DEFINITIONS[name], over=over, unit=unit)


_SOUND_SCORES = (
    _score("sisdr_improvement", "SI-SDR gain", _over_sounds(lambda columns: improvement(columns, "sisdr"))),
    _score("harm", "Harm", _over_sounds(_harmed), unit="share"),
    _score("song_kept", "Song kept", _column("song_kept")),
    _score("noise_left", "Noise left", _column("noise_left")),
    _score("sisdr", "SI-SDR", _column("sisdr")),
    _score("sisdr_median", "SI-SDR median", _median),
    _score("sisdr_clipped", "SI-SDR clipped", _over_sounds(_clipped), unit="share"),
    _score("sdr_improvement", "SDR gain", _over_sounds(lambda columns: improvement(columns, "sdr"))),
    _score("sdr", "SDR", _column("sdr")),
    _score("sdr_dvad", "SDR of DVAD", _column("sdr_dvad")),
)

SOUND_SCORES: Mapping[str, Score] = {score.name: score for score in _SOUND_SCORES}
"""Every score of sounds by name, for datasets that know the clean song."""
