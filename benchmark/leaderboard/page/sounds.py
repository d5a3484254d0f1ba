"""Sounds as text for the page: a noisy recording, its clean part, and the recording under masks."""

import base64
import io
from collections.abc import Mapping

import numpy as np
import soundfile
from numpy.typing import NDArray

from benchmark.contract import Audio, Rendering
from benchmark.data.spectrogram import Transform

_PEAK = 0.9 * 32767


def players(audio: Audio, masks: Mapping[str, NDArray[np.bool_]], rendering: Rendering | None) -> dict[str, str]:
    """Name of a mask (H, W) -> the recording under it; "noisy" and "clean": the recording and its clean part.

    They are as loud as they are in the recording, which is scaled to a peak of 90 %. WAV with 8 bits (u-law): unlike
    OGG, it has the same bytes with every version of the library.
    """
    transform = Transform.of(rendering)
    noisy, clean = (np.asarray(wave, dtype=np.float64) for wave in (audio.noisy, audio.clean))
    spectrum = transform.stft(noisy)
    rows = transform.fft_length * transform.sides // 2
    waves = {"noisy": noisy, "clean": clean}
    for name, mask in masks.items():
        whole = mask[np.ix_(_nearest(mask.shape[0], rows), _nearest(mask.shape[1], spectrum.shape[-1]))]
        waves[name] = transform.reconstruct(spectrum, whole)
    scale = _PEAK / max(float(np.abs(noisy).max()), 1e-9)
    return {name: _encoded(scale * wave, audio.sample_rate) for name, wave in waves.items()}


def _nearest(size: int, count: int) -> NDArray[np.intp]:
    """The pixel of `size` that lies under each of `count` places."""
    return ((np.arange(count) + 0.5) * size / count).astype(np.intp)


def _encoded(wave: NDArray[np.float64], rate: int) -> str:
    file = io.BytesIO()
    soundfile.write(file, np.clip(wave.round(), -32768, 32767).astype(np.int16), rate, format="WAV", subtype="ULAW")
    return base64.b64encode(file.getvalue()).decode()
