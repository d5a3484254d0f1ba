"""Scores of sounds, computed from decibels per image."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.scores.score import Counts, Score, mean
from benchmark.scores.separation import KEPT_LIMIT, SI_SDR_LIMIT

SOUND_COLUMNS = ("sisdr", "sisdr_noisy", "sdr", "sdr_noisy", "song_kept", "noise_left", "sdr_dvad")
"""Columns of images whose sounds are known, in dB (N,), NaN where undefined; `noisy`: before cleaning."""


def improvement(columns: Counts, name: str) -> NDArray[np.float64]:
    """How many dB better the masked recording is than the noisy one: (..., N)."""
    return np.asarray(columns[name] - columns[f"{name}_noisy"])


_AUDIBLE = 0.01
"""A smaller change in dB is rounding."""


def _where_known(columns: Counts, values: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The values, NaN where SI-SDR is undefined."""
    return np.where(np.isfinite(columns["sisdr"]), values, np.nan)


def _over_sounds(values: Callable[[Counts], NDArray[Any]]) -> Callable[[Counts], NDArray[np.float64]]:
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


_SOUND_SCORES = (
    Score(
        name="sisdr_improvement",
        title="SI-SDR gain",
        definition="SI-SDR (Le Roux et al. 2019) of the recording under the predicted mask against the clean song, "
        "minus that of the noisy recording, mean over images with song",
        over=_over_sounds(lambda columns: improvement(columns, "sisdr")),
        unit="dB",
    ),
    Score(
        name="harm",
        title="Harm",
        definition=f"share of the images with song at which SI-SDR, clipped to ±{SI_SDR_LIMIT:g} dB, falls by more "
        f"than {_AUDIBLE:g} dB: the recording is worse than before",
        over=_over_sounds(lambda columns: _where_known(columns, improvement(columns, "sisdr") < -_AUDIBLE)),
    ),
    Score(
        name="song_kept",
        title="Song kept",
        definition="how loud the song is compared with before: 20 log10 |a| of the least-squares fit of a song + b "
        f"noise to the cleaned sound, clipped to ±{KEPT_LIMIT:g} dB, mean over images with song; 0 dB: all of it",
        over=_over_sounds(lambda columns: columns["song_kept"]),
        unit="dB",
    ),
    Score(
        name="noise_left",
        title="Noise left",
        definition="how loud the noise is compared with before: 20 log10 |b| of the same fit; 0 dB: all of it",
        over=_over_sounds(lambda columns: columns["noise_left"]),
        unit="dB",
    ),
    Score(
        name="sisdr",
        title="SI-SDR",
        definition=f"SI-SDR under the predicted mask, clipped to ±{SI_SDR_LIMIT:g} dB, mean over images with song",
        over=_over_sounds(lambda columns: columns["sisdr"]),
        unit="dB",
    ),
    Score(
        name="sisdr_median",
        title="SI-SDR median",
        definition="the median of the same",
        over=_median,
        unit="dB",
    ),
    Score(
        name="sisdr_clipped",
        title="SI-SDR clipped",
        definition=f"share of the images at which SI-SDR is clipped to ±{SI_SDR_LIMIT:g} dB",
        over=_over_sounds(lambda columns: _where_known(columns, np.abs(columns["sisdr"]) >= SI_SDR_LIMIT)),
    ),
    Score(
        name="sdr_improvement",
        title="SDR gain",
        definition="SDR = 10 log10(|s|^2 / |s - s'|^2) under the predicted mask, minus that of the noisy recording",
        over=_over_sounds(lambda columns: improvement(columns, "sdr")),
        unit="dB",
    ),
    Score(
        name="sdr",
        title="SDR",
        definition="SDR under the predicted mask, mean over images with song; a silent output scores 0 dB",
        over=_over_sounds(lambda columns: columns["sdr"]),
        unit="dB",
    ),
    Score(
        name="sdr_dvad",
        title="SDR of DVAD",
        definition="10 ln(|y| / |y - x|) of the noisy y and the masked x, as Zhang & Li 2023 print it: it measures how "
        "little was removed, not quality; for comparison with published numbers only",
        over=_over_sounds(lambda columns: columns["sdr_dvad"]),
        unit="dB",
    ),
)


SOUND_SCORES: Mapping[str, Score] = {score.name: score for score in _SOUND_SCORES}
"""Every score of sounds by name, for datasets that know the clean song."""
