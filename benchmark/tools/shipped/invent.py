"""Draw birds and noises that no recording has: variety for training, where recordings are few.

Every function draws from the generator that it is given. Sounds are float32 (S,); frequencies in Hz, times in s.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import signal

Wave = NDArray[np.float32]

_HIGHEST = 10_800.0
_SYLLABLES = ("whistle", "sweep", "arc", "warble", "trill", "stack", "buzz")
_NOISES = {"coloured": 0.3, "wind": 0.2, "rain": 0.15, "hum": 0.15, "insects": 0.2}
_DROP = 96  # samples


def spread(random: Generator, low: float, high: float) -> float:
    """A number whose logarithm is uniform between those of `low` and `high`."""
    return float(np.exp(random.uniform(np.log(low), np.log(high))))


def unit(wave: Wave) -> Wave:
    """The sound with a mean power of 1; silence stays silent."""
    return np.asarray(wave / (np.sqrt(np.mean(wave**2)) + 1e-12), dtype=np.float32)


def tinted(wave: Wave, rate: int, depth: float, random: Generator) -> Wave:
    """The sound through a random smooth filter, whose gains have a standard deviation of `depth` dB."""
    frequencies = np.fft.rfftfreq(len(wave), 1 / rate)
    knots = np.log([50, 300, 700, 1_500, 3_000, 5_000, 8_000, 11_100])
    gains = np.interp(np.log(np.maximum(frequencies, 50)), knots, random.normal(0, depth, len(knots)))
    return np.asarray(np.fft.irfft(np.fft.rfft(wave) * 10 ** (gains / 20), len(wave)), dtype=np.float32)


# ---------------------------------------------------------------- birds


@dataclass(frozen=True, kw_only=True, slots=True)
class _Syllable:
    kind: str
    pitch: float
    duration: float
    bandwidth: float
    """Relative to the pitch."""
    direction: int
    beats: float
    """Per second, of trills, warbles and buzzes."""
    harmonics: int
    fall: float
    """Of the harmonics' amplitudes."""
    loudness: float


def song(samples: int, rate: int, random: Generator) -> Wave:
    """A bird that never was: a motif of one to three syllables, repeated with pauses, perhaps with an echo."""
    pitch = spread(random, 700, 8_000)
    kinds = random.choice(_SYLLABLES, size=int(random.integers(1, 4)))
    motif = [_syllable(str(kind), pitch, random) for kind in kinds]
    repeats = int(spread(random, 1, 100))
    gap, pause = spread(random, 0.02, 0.4), spread(random, 0.05, 1.5)
    wave = np.zeros(samples, np.float32)
    time, end = random.uniform(0, 0.8), samples / rate
    while time < end:
        for syllable in [*motif] * repeats:
            if time >= end:
                break
            sung = _sung(syllable, rate, random)
            part = wave[int(time * rate) :][: len(sung)]
            part += sung[: len(part)]
            time += syllable.duration + gap * random.uniform(0.8, 1.3)
        time += pause * random.uniform(0.7, 1.4)
    return _echo(wave, rate, random) if random.random() < 0.6 else wave


def _syllable(kind: str, pitch: float, random: Generator) -> _Syllable:
    return _Syllable(
        kind=kind,
        pitch=pitch * spread(random, 0.7, 1.4),
        duration=spread(random, 0.1, 1.5) if kind == "whistle" else spread(random, 0.025, 0.25),
        bandwidth=float(random.uniform(0.05, 0.6)),
        direction=int(random.choice([-1, 1])),
        beats=spread(random, 8, 80),
        harmonics=int(random.integers(3 if kind == "stack" else 1, 6)),
        fall=float(random.uniform(0.3, 1)),
        loudness=float(random.uniform(0.4, 1)),
    )


def _sung(syllable: _Syllable, rate: int, random: Generator) -> Wave:
    count = max(int(syllable.duration * random.uniform(0.9, 1.1) * rate), 64)
    pitch = _pitch(syllable, count, rate, random) * random.uniform(0.97, 1.03)
    wave = np.zeros(count)
    for order in range(1, syllable.harmonics + 1):
        if pitch.max() * order < _HIGHEST:
            phase = 2 * np.pi * np.cumsum(pitch * order) / rate + random.uniform(0, 2 * np.pi)
            wave += np.sin(phase) * (syllable.fall / order if order > 1 else 1)
    if syllable.kind in ("trill", "buzz"):
        beats = syllable.beats * (2 if syllable.kind == "buzz" else 1)
        wave *= 0.5 - 0.5 * np.cos(2 * np.pi * beats * np.arange(count) / rate)
    envelope = signal.windows.tukey(count, random.uniform(0.2, 1))
    return np.asarray(syllable.loudness * random.uniform(0.7, 1) * envelope * wave, dtype=np.float32)


def _pitch(syllable: _Syllable, count: int, rate: int, random: Generator) -> NDArray[np.float64]:
    """The fundamental at each sample, in Hz."""
    time, place = np.arange(count) / rate, np.linspace(-0.5, 0.5, count)
    width, direction, beats = syllable.bandwidth, syllable.direction, syllable.beats
    shapes: dict[str, Any] = {
        "whistle": lambda: 0.02 * width * np.sin(2 * np.pi * beats / 8 * time),
        "sweep": lambda: direction * width * place,
        "arc": lambda: direction * width * (4 * place**2 - 0.5),
        "warble": lambda: 0.5 * width * np.sin(2 * np.pi * beats * time),
        "trill": lambda: direction * 0.5 * width * ((beats * time) % 1 - 0.5),
        "stack": lambda: -0.6 + 0.08 * direction * (1 - 4 * place**2),
        "buzz": lambda: 0.1 * width * random.standard_normal(count),
    }
    return np.asarray(syllable.pitch * (1 + shapes[syllable.kind]()))


def _echo(wave: Wave, rate: int, random: Generator) -> Wave:
    """The sound in a wood: noise that fades within 0.05 to 0.5 s, 3 to 25 dB below the sound itself."""
    length = int(spread(random, 0.05, 0.5) * rate)
    response = random.standard_normal(length) * np.exp(-6.9 * np.arange(length) / length)
    response *= 10 ** (random.uniform(-25, -3) / 20) / np.sqrt(np.sum(response**2))
    response[0] = 1
    return np.asarray(signal.fftconvolve(wave, response)[: len(wave)], dtype=np.float32)


# ---------------------------------------------------------------- noises


def noise(samples: int, rate: int, random: Generator) -> Wave:
    """Coloured noise, wind, rain, the hum of a motor, or insects."""
    kind = str(random.choice(list(_NOISES), p=list(_NOISES.values())))
    if kind == "coloured":
        slope = random.uniform(-0.3, 1.3)
        return tinted(
            _shaped(samples, rate, lambda f: (np.maximum(f, 100) / 1_000) ** -slope, random), rate, 10, random
        )
    if kind == "wind":
        corner = random.uniform(400, 2_500)
        gusts = np.interp(np.arange(samples), np.linspace(0, samples, 12), random.uniform(0.1, 1, 12))
        return _shaped(samples, rate, lambda f: 1 / (1 + (f / corner) ** 2), random) * gusts.astype(np.float32)
    if kind == "rain":
        wave = 0.2 * _shaped(samples, rate, lambda f: f > 800, random)
        for start in random.integers(0, samples - _DROP, int(spread(random, 4, 600))):
            fading = np.exp(-np.arange(_DROP) / random.uniform(3, 24))
            wave[start : start + _DROP] += random.uniform(0.5, 3) * fading * random.standard_normal(_DROP)
        return tinted(wave, rate, 6, random)
    return (_hum if kind == "hum" else _insects)(samples, rate, random)


def _shaped(samples: int, rate: int, gain: Any, random: Generator) -> Wave:
    """White noise through a filter, given by its gain at each frequency."""
    spectrum = np.fft.rfft(random.standard_normal(samples))
    return np.asarray(np.fft.irfft(spectrum * gain(np.fft.rfftfreq(samples, 1 / rate)), samples), dtype=np.float32)


def _hum(samples: int, rate: int, random: Generator) -> Wave:
    time = np.arange(samples) / rate
    base = spread(random, 50, 700)
    drift = 1 + 0.01 * random.normal() * np.sin(2 * np.pi * random.uniform(0.1, 2) * time)
    phase, fall = 2 * np.pi * base * np.cumsum(drift) / rate, random.uniform(0.2, 1)
    wave = np.zeros(samples, np.float32)
    for order in range(1, int(random.integers(5, 30))):
        if order * base < _HIGHEST:
            wave += (np.sin(order * phase + random.uniform(0, 2 * np.pi)) / order**fall).astype(np.float32)
    hiss = unit(_shaped(samples, rate, lambda f: 1 / np.sqrt(np.maximum(f, 100)), random))
    return unit(wave) + np.float32(random.uniform(0.1, 1)) * hiss


def _insects(samples: int, rate: int, random: Generator) -> Wave:
    time = np.arange(samples) / rate
    wave = 0.05 * random.standard_normal(samples)
    for _ in range(int(random.integers(1, 5))):
        phase = 2 * np.pi * random.uniform(2_000, 10_500) * time
        if random.random() < 0.4:
            phase += random.uniform(0, 30) * np.cumsum(random.standard_normal(samples)) / np.sqrt(rate)
        loudness = np.full(samples, random.uniform(0.2, 1))
        if random.random() < 0.7:
            pulses = 0.5 - 0.5 * np.cos(2 * np.pi * spread(random, 5, 150) * time)
            loudness *= pulses ** random.uniform(0.3, 3)
        if random.random() < 0.4:  # a cricket that pauses
            turns = 2 * np.pi * spread(random, 0.3, 4) * time + random.uniform(0, 2 * np.pi)
            loudness *= signal.square(turns, duty=random.uniform(0.3, 0.9)) > 0
        wave += loudness * np.sin(phase)
    return wave.astype(np.float32)
