"""Synthetic bird sounds over synthetic noise, embedded: the benchmark runs without any file.

Syllables (sweeps, trills, warbles, harmonic stacks, buzzes) are sung by *species*, each a vector of parameters drawn
once; no species is in two splits. Noise (coloured, rain, wind, hum, insects) is mixed in at a random SNR, measured over
the frames in which the bird sings; one random image of every sixteen has no bird. Images are rendered like those of
BirdSoundsDenoising (`benchmark/data/spectrogram.py`). The mask is a smoothed region around each call, as people draw
them: it holds nearly all of the clean sound's power, and a little more than half of its pixels are louder in the clean
sound than in the noise (`spectrogram.mixture_mask`).

Buzzes and insects appear only in the slice "ood" of the test split, one or both wherever a bird sings: they measure how
a network does on sounds that it never saw.

Every sample is a pure function of (VERSION, split, index), computed in float64: tests pin digests of its bytes.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.contract import Audio, DatasetSpec, Example, Rendering, Sample, Splits
from benchmark.data import spectrogram
from benchmark.scores import separation

VERSION = 2
SAMPLE_RATE = 32_000
FRAMES = 256
LENGTH = spectrogram.WINDOW_LENGTH + spectrogram.HOP * (FRAMES - 1)  # samples, 0.51 s

SPECIES = {"train": 48, "val": 12, "test": 24, "ood": 12}
SNR_DB = (-5.0, 15.0)
PEAK = 0.9
GAIN_DB = (-10.0, 0.0)
WITHOUT_BIRD = 16  # one image of this many
FRAME = SAMPLE_RATE // 100  # 10 ms
ACTIVE_DB = 30.0  # the bird sings in frames within this of the loudest

Wave = NDArray[np.float64]


def load(*, root: Path | None, train: int = 192, val: int = 48, test: int = 96, ood: int = 32) -> Splits:
    """The first `train`, `val` and `test` samples of each split, and `ood` out-of-distribution ones in the test."""
    del root
    return {
        "train": [_sample("train", index) for index in range(train)],
        "val": [_sample("val", index) for index in range(val)],
        "test": [_sample("test", index) for index in range(test)] + [_sample("ood", index) for index in range(ood)],
    }


@dataclass(frozen=True, kw_only=True, slots=True)
class Scene:
    """The sounds of a sample."""

    species: str
    syllable: str
    noise: str
    snr_db: float
    bird: bool


def scene(split: str, index: int) -> Scene:
    """The plan of a sample, without its waveforms. `split` is "train", "val", "test" or "ood"."""
    random = _random("scene", split, index)
    number = index % SPECIES[split]
    unseen = index % 3  # out of distribution: the noise, the syllable, or both are new
    syllable = _species_syllable(split, number)
    noise = _KNOWN_NOISE[int(random.integers(len(_KNOWN_NOISE)))]
    if split == "ood":
        syllable = "buzz" if unseen != 0 else syllable
        noise = "insects" if unseen != 1 else noise
    return Scene(
        species=f"{split}-{number:02d}",
        syllable=syllable,
        noise=noise,
        snr_db=round(float(random.uniform(*SNR_DB)), 2),
        bird=index % WITHOUT_BIRD != int(_random("empty", split, index // WITHOUT_BIRD).integers(WITHOUT_BIRD)),
    )


def render(split: str, index: int) -> Example:
    """Image (1024, 256), mask and both waveforms of a sample."""
    plan = scene(split, index)
    random = _random("waveform", split, index)
    noise = _NOISES[plan.noise](random) + 0.15 * _coloured(random)
    clean = _song(plan, split, index, random) if plan.bird else np.zeros(LENGTH)
    if plan.bird:
        active = separation.active(clean, frame=FRAME, within_db=ACTIVE_DB)
        song_power, noise_power = (np.mean(wave[active] ** 2) for wave in (clean, noise))
        clean *= 10 ** (plan.snr_db / 20) * np.sqrt(noise_power / song_power)
    gain = PEAK / np.abs(clean + noise).max() * 10 ** (random.uniform(*GAIN_DB) / 20)
    clean, noise = gain * clean, gain * noise
    clean_spectrum, noise_spectrum = spectrogram.stft(clean), spectrogram.stft(noise)
    return Example(
        image=spectrogram.render(clean_spectrum + noise_spectrum),
        mask=spectrogram.mixture_mask(clean_spectrum, noise_spectrum),
        audio=Audio(noisy=clean + noise, clean=clean, sample_rate=SAMPLE_RATE),
    )


def _sample(split: str, index: int) -> Sample:
    plan = scene(split, index)
    strata: Mapping[str, str | float] = {
        "noise": plan.noise,
        "syllable": plan.syllable if plan.bird else "none",
        "snr_db": plan.snr_db,
    }
    return Sample(
        id=f"{split}-{index:05d}",
        groups={"species": plan.species, "noise": plan.noise},
        read=partial(render, split, index),
        slice="ood" if split == "ood" else "main",
        strata=strata,
    )


def _random(*name: object) -> np.random.Generator:
    """A random generator per name, so no sample depends on another."""
    digest = hashlib.sha256(repr((VERSION, *name)).encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "little")))


# ---------------------------------------------------------------- birds


@dataclass(frozen=True, kw_only=True, slots=True)
class Species:
    """A singer: frequencies in Hz, times in seconds; `direction` is +1 for rising, -1 for falling sweeps."""

    frequency: float
    bandwidth: float
    direction: int
    duration: float
    gap: float
    rate: float
    harmonics: int


def species(split: str, number: int) -> Species:
    """The parameter vector of a species, drawn once."""
    random = _random("species", split, number)
    return Species(
        frequency=float(random.uniform(2_000, 7_000)),
        bandwidth=float(random.uniform(600, 3_000)),
        direction=int(random.choice([-1, 1])),
        duration=float(random.uniform(0.06, 0.25)),
        gap=float(random.uniform(0.04, 0.15)),
        rate=float(random.uniform(15, 45)),
        harmonics=int(random.integers(2, 5)),
    )


def _species_syllable(split: str, number: int) -> str:
    return _KNOWN_SYLLABLES[int(_random("syllable", split, number).integers(len(_KNOWN_SYLLABLES)))]


def _song(plan: Scene, split: str, index: int, random: np.random.Generator) -> Wave:
    singer = species(split, index % SPECIES[split])
    wave = np.zeros(LENGTH)
    at = random.uniform(0, 0.1)
    while at < LENGTH / SAMPLE_RATE - 0.03:
        duration = singer.duration * random.uniform(0.85, 1.15)
        count = min(int(duration * SAMPLE_RATE), LENGTH - int(at * SAMPLE_RATE))
        time = np.arange(count) / SAMPLE_RATE
        pitch = singer.frequency * random.uniform(0.95, 1.05)
        syllable = _SYLLABLES[plan.syllable](singer, time, pitch, random)
        start = int(at * SAMPLE_RATE)
        wave[start : start + count] += syllable * np.hanning(count) * random.uniform(0.6, 1.0)
        at += duration + singer.gap * random.uniform(0.8, 1.6)
    return wave


def _tone(frequency: Wave) -> Wave:
    """A sine of the given instantaneous frequency in Hz."""
    return np.asarray(np.sin(2 * np.pi * np.cumsum(frequency) / SAMPLE_RATE))


def _sweep(singer: Species, time: Wave, pitch: float, random: np.random.Generator) -> Wave:
    del random
    position = np.linspace(-0.5, 0.5, len(time))
    return _tone(pitch + singer.direction * singer.bandwidth * position)


def _trill(singer: Species, time: Wave, pitch: float, random: np.random.Generator) -> Wave:
    del random
    beats = 0.5 - 0.5 * np.cos(2 * np.pi * singer.rate * time)
    position = (singer.rate * time) % 1 - 0.5
    return beats * _tone(pitch + singer.direction * 0.5 * singer.bandwidth * position)


def _warble(singer: Species, time: Wave, pitch: float, random: np.random.Generator) -> Wave:
    phase = random.uniform(0, 2 * np.pi)
    return _tone(pitch + 0.5 * singer.bandwidth * np.sin(2 * np.pi * singer.rate * time + phase))


def _harmonic(singer: Species, time: Wave, pitch: float, random: np.random.Generator) -> Wave:
    del random
    position = np.linspace(-1, 1, len(time))
    fundamental = 0.45 * pitch * (1 + 0.15 * singer.direction * (1 - position**2))
    tones = [_tone(order * fundamental) / order for order in range(1, singer.harmonics + 1)]
    return np.asarray(np.sum(tones, axis=0))


def _buzz(singer: Species, time: Wave, pitch: float, random: np.random.Generator) -> Wave:
    pulses = (0.5 - 0.5 * np.cos(2 * np.pi * 3 * singer.rate * time)) ** 2
    jitter = np.cumsum(random.standard_normal(len(time))) * 8
    return pulses * _tone(pitch + jitter + 0.3 * singer.bandwidth * random.standard_normal(len(time)))


_SYLLABLES: Mapping[str, Callable[[Species, Wave, float, np.random.Generator], Wave]] = {
    "sweep": _sweep,
    "trill": _trill,
    "warble": _warble,
    "harmonic": _harmonic,
    "buzz": _buzz,
}
_KNOWN_SYLLABLES = ("sweep", "trill", "warble", "harmonic")


# ---------------------------------------------------------------- noise


def _shaped(random: np.random.Generator, gain: Callable[[Wave], NDArray[Any]]) -> Wave:
    """White noise through a filter given by its gain at each frequency in Hz."""
    spectrum = np.fft.rfft(random.standard_normal(LENGTH))
    frequency = np.asarray(np.fft.rfftfreq(LENGTH, 1 / SAMPLE_RATE), dtype=np.float64)
    return np.asarray(np.fft.irfft(spectrum * gain(frequency), LENGTH))


def _unit(wave: Wave) -> Wave:
    return np.asarray(wave / np.sqrt(np.mean(wave**2)))


def _coloured(random: np.random.Generator) -> Wave:
    slope = random.uniform(0, 1.2)
    return _unit(_shaped(random, lambda frequency: (np.maximum(frequency, 100) / 1_000) ** -slope))


def _wind(random: np.random.Generator) -> Wave:
    corner = random.uniform(600, 2_500)
    wave = _shaped(random, lambda frequency: 1 / (1 + (frequency / corner) ** 2))
    gusts = np.interp(np.arange(LENGTH), np.linspace(0, LENGTH, 9), random.uniform(0.2, 1.0, 9))
    return _unit(wave * gusts)


def _rain(random: np.random.Generator) -> Wave:
    wave = 0.2 * _shaped(random, lambda frequency: frequency > 1_000)
    length = 96
    for start in random.integers(0, LENGTH - length, int(random.integers(40, 160))):
        drop = np.exp(-np.arange(length) / random.uniform(6, 24)) * random.standard_normal(length)
        wave[start : start + length] += random.uniform(0.5, 3.0) * drop
    return _unit(wave)


def _hum(random: np.random.Generator) -> Wave:
    time = np.arange(LENGTH) / SAMPLE_RATE
    base = random.uniform(80, 400)
    orders = np.arange(1, int(random.integers(6, 30)))
    phases = random.uniform(0, 2 * np.pi, len(orders))
    tones = np.sin(2 * np.pi * base * orders[:, None] * time + phases[:, None]) / orders[:, None] ** 0.5
    return _unit(tones.sum(axis=0) + 0.5 * random.standard_normal(LENGTH))


def _insects(random: np.random.Generator) -> Wave:
    time = np.arange(LENGTH) / SAMPLE_RATE
    wave = 0.05 * random.standard_normal(LENGTH)
    for _ in range(int(random.integers(1, 4))):
        carrier, rate = random.uniform(4_000, 12_000), random.uniform(20, 120)
        pulses = (0.5 - 0.5 * np.cos(2 * np.pi * rate * time)) ** 3
        wave += random.uniform(0.3, 1) * pulses * np.sin(2 * np.pi * carrier * time + random.uniform(0, 2 * np.pi))
    return _unit(wave)


_NOISES: Mapping[str, Callable[[np.random.Generator], Wave]] = {
    "coloured": _coloured,
    "rain": _rain,
    "wind": _wind,
    "hum": _hum,
    "insects": _insects,
}
_KNOWN_NOISE = ("coloured", "rain", "wind", "hum")


DATASET = DatasetSpec(
    load=load,
    title="Synthetic bird sounds, embedded",
    paper="this repository, datasets/synthetic.py",
    citation="@misc{birdmask_bench_synthetic, title={Synthetic bird sounds of birdmask-bench, version 2}, year={2026}}",
    licence="MIT",
    needs_root=False,
    # In the middle of the range of loudness, in dB.
    rendering=Rendering(sample_rate=SAMPLE_RATE, frames=FRAMES, peak=round(PEAK * 10 ** (sum(GAIN_DB) / 2 / 20), 4)),
)
