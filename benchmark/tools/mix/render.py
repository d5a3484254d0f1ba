"""Render one mixture: stems, image, mask and sounds, as a pure function of the plan, settings and recordings.

Legend: L samples of a mixture, T frames.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmark.common.errors import UserError
from benchmark.contract import Audio
from benchmark.data import recordings
from benchmark.scores import separation
from benchmark.tools.mix.plan import Mixture
from benchmark.tools.mix.settings import Settings
from benchmark.tools.mix.sources import FRAME, Source

_MARGIN = 0.5  # seconds read beyond the window, so no filter's edge is heard
_FADE = 0.005  # seconds, at both ends of a recording that is shorter than the window
_CROSSFADE = 0.1  # seconds, from the end of a short background into its beginning

Wave = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Rendered:
    """A mixture: image uint8 (R, T), mask bool (R, T), waveforms float32 (L,), and the factors of the stems."""

    image: NDArray[np.uint8]
    mask: NDArray[np.bool_]
    audio: Audio
    song_gain: float
    background_gain: float


def render(mixture: Mixture, settings: Settings, lowpass: float) -> Rendered:
    """Mix the stems, draw the image, and mark the region around each call in which the song exceeds the background.

    Raises:
        UserError: a recording cannot be read, or is silent in the window.
    """
    song = _song(mixture, settings, lowpass)
    background = _background(mixture, settings, lowpass)
    song_power = _active_power(song, settings, settings.own_db)
    background_power = _active_power(background, settings, None)
    for power, source in ((song_power, mixture.song), (background_power, mixture.background)):
        if not power > 0:
            raise UserError(f"{source.path} is silent where it is mixed; remove it")
    ratio = np.sqrt(song_power / background_power) * 10 ** (-mixture.snr_db / 20)
    gain = settings.peak / np.abs(song + ratio * background).max() * 10 ** (mixture.gain_db / 20)
    # The image is made from the sounds as they are stored (float32), so anyone can make image and mask again.
    clean = (gain * song).astype(np.float32)
    noisy = (gain * (song + ratio * background)).astype(np.float32)
    spectrum, clean_spectrum = (settings.transform.stft(wave.astype(np.float64)) for wave in (noisy, clean))
    mask = settings.transform.mixture_mask(
        clean_spectrum,
        spectrum - clean_spectrum,
        smoothing=settings.smoothing,
        floor_db=settings.floor_db,
        radius=settings.radius,
        smallest=settings.smallest,
        own_db=settings.own_db,
    )
    return Rendered(
        image=settings.transform.render(spectrum),
        mask=mask,
        audio=Audio(noisy=noisy, clean=clean, sample_rate=settings.sample_rate),
        song_gain=float(gain),
        background_gain=float(gain * ratio),
    )


def _song(mixture: Mixture, settings: Settings, lowpass: float) -> Wave:
    """The song, (L,): a window of a long recording, or the repetitions of a short one."""
    if mixture.song.seconds > settings.seconds:
        return _stem(mixture.song, mixture.song_start, settings, lowpass)
    once = passage(mixture.song, settings, lowpass)
    fade = min(round(_FADE * settings.sample_rate), len(once) // 2)
    ramp = 0.5 - 0.5 * np.cos(np.pi * (np.arange(fade) + 0.5) / max(fade, 1))
    once[:fade] *= ramp
    once[len(once) - fade :] *= ramp[::-1]
    wave = np.zeros(settings.samples)
    for time in mixture.at:
        start = round(time * settings.sample_rate)
        part = wave[start : start + len(once)]
        part += once[: len(part)]
    return wave


def _background(mixture: Mixture, settings: Settings, lowpass: float) -> Wave:
    """The background, (L,): a window of a long recording, or a short one repeated, its end faded into its beginning."""
    source = mixture.background
    if source.seconds >= settings.seconds:
        return _stem(source, mixture.background_start, settings, lowpass)
    once = passage(source, settings, lowpass)
    fade = min(round(_CROSSFADE * settings.sample_rate), len(once) // 4)
    ramp = np.sin(0.5 * np.pi * (np.arange(fade) + 0.5) / fade)  # the powers of both ramps add up to 1
    joint = once[len(once) - fade :] * ramp[::-1] + once[:fade] * ramp
    period = np.concatenate([joint, once[fade : len(once) - fade]])
    return np.roll(period, -round(mixture.background_start * settings.sample_rate)).take(
        range(settings.samples), mode="wrap"
    )


def _active_power(stem: Wave, settings: Settings, own_db: float | None) -> float:
    """The mean power over the frames with sound: pauses of a song, or between barks, do not count."""
    frame = round(FRAME * settings.sample_rate)
    active = separation.active(stem, frame=frame, within_db=settings.active_db, own_db=own_db)
    return float(np.mean(stem[active] ** 2)) if active.any() else 0.0


def _stem(source: Source, start: float, settings: Settings, lowpass: float) -> Wave:
    """The window of a recording from `start` seconds on, (L,)."""
    wave = _prepared(source, start, settings.seconds, settings, lowpass)[: settings.samples]
    return np.pad(wave, (0, settings.samples - len(wave)))  # rounding may cost a sample at a recording's end


def passage(source: Source, settings: Settings, lowpass: float) -> Wave:
    """The whole passage of a recording as it is mixed: without DC, at the common sample rate, in the common band."""
    return _prepared(source, 0.0, source.seconds, settings, lowpass)


def _prepared(source: Source, start: float, seconds: float, settings: Settings, lowpass: float) -> Wave:
    """A part of a passage without DC, at the common sample rate and in the common band."""
    start += source.start
    begin = max(start - _MARGIN, 0.0)
    with recordings.opened(source.path) as file:
        first = round(begin * source.sample_rate)
        recordings.skip(file, first)
        count = round((start + seconds + _MARGIN) * source.sample_rate) - first
        samples = file.read(count, dtype="float64", always_2d=True)[:, settings.channel]
    recordings.check_numbers(samples, source.path)
    wave = recordings.resample(samples - samples.mean(), source.sample_rate, settings.sample_rate)
    wave = recordings.high_pass(wave, settings.sample_rate, settings.highpass)
    wave = recordings.low_pass(wave, settings.sample_rate, lowpass)
    skipped = round((start - begin) * settings.sample_rate)
    return np.array(wave[skipped : skipped + round(seconds * settings.sample_rate)])
