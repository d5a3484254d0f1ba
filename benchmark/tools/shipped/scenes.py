"""Mix scenes for training: songs of recordings or invented, over noises of recordings or invented.

No scene is met twice. Recordings are those of dawn's training split, all of which may be passed on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import signal

from benchmark.common.progress import Report
from benchmark.scores import separation
from benchmark.tools.mix import recipe_pools
from benchmark.tools.mix.render import passage
from benchmark.tools.mix.settings import Settings
from benchmark.tools.mix.sources import Source
from benchmark.tools.shipped import invent
from benchmark.tools.shipped.invent import Wave, spread, unit

_FRAME = 0.01  # s
_NO_BIRD, _CLEAN = 0.06, 0.07
"""Shares of the scenes without a bird, and of those (nearly) without noise."""
_SNR_DB, _CLEAN_DB = (-8.0, 18.0), (18.0, 45.0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Pools:
    """Sounds of recordings at one sample rate: a list of takes for each species, and for each kind of noise."""

    songs: Sequence[Sequence[Wave]]
    noises: Sequence[Sequence[Wave]]
    settings: Settings

    @classmethod
    def read(cls, recordings: Path, settings: Settings, lowpass: float, report: Report) -> "Pools":
        """Read the training split of dawn.

        Raises:
            UserError: recordings are missing; bench data fetch dawn brings them.
        """
        found = next(pool for pool in recipe_pools.pools("dawn", recordings, settings, report) if pool.split == "train")

        def by_kind(sources: Sequence[Source], kind: str) -> list[list[Wave]]:
            kinds: dict[str, list[Wave]] = {}
            for source in sources:
                wave = passage(source, settings, lowpass).astype(np.float32)
                kinds.setdefault(source.groups[kind], []).append(wave)
            return list(kinds.values())

        return cls(songs=by_kind(found.songs, "species"), noises=by_kind(found.backgrounds, "noise"), settings=settings)


@dataclass(frozen=True, kw_only=True, slots=True)
class Scenes:
    """Draws scenes of `samples` samples."""

    pools: Pools
    samples: int

    @property
    def rate(self) -> int:
        """Hz."""
        return self.pools.settings.sample_rate

    def draw(self, random: Generator) -> tuple[Wave, Wave]:
        """The song alone and the mixture, (S,) each; the mixture's peak is 1."""
        noise = self._noises(random)
        song = np.zeros(self.samples, np.float32) if random.random() < _NO_BIRD else self._songs(random)
        active = self._active(song)
        if active.any():
            bounds = _CLEAN_DB if random.random() < _CLEAN else _SNR_DB
            power = np.mean(song[active] ** 2) / np.mean(noise**2)
            song = song * np.float32(10 ** (random.uniform(*bounds) / 20) / np.sqrt(power))
        gain = 1 / (np.abs(song + noise).max() + 1e-9)
        return (gain * song).astype(np.float32), (gain * (song + noise)).astype(np.float32)

    def _active(self, song: Wave) -> NDArray[np.bool_]:
        frame, own_db = round(_FRAME * self.rate), self.pools.settings.own_db
        return separation.active(song.astype(np.float64), frame=frame, within_db=30, own_db=own_db)

    def _songs(self, random: Generator) -> Wave:
        song = self._song(random)
        if random.random() < 0.15:  # two birds
            song = unit(song) + np.float32(spread(random, 0.1, 1)) * unit(self._song(random))
        return invent.tinted(song, self.rate, 4, random) if random.random() < 0.3 else song

    def _song(self, random: Generator) -> Wave:
        if random.random() < 0.5:
            return invent.song(self.samples, self.rate, random)
        takes = self.pools.songs[int(random.integers(len(self.pools.songs)))]
        wave = takes[int(random.integers(len(takes)))]
        if random.random() < 0.7:  # as a larger or smaller bird would sing it
            wave = _faster(wave, spread(random, 0.65, 1.5))
        if random.random() < 0.1:
            wave = wave[::-1]
        return self._busy(wave, random) if len(wave) >= self.samples else self._repeated(wave, random)

    def _busy(self, wave: Wave, random: Generator) -> Wave:
        """A part of a long recording, preferably one in which the bird sings."""
        for _ in range(6):
            start = int(random.integers(len(wave) - self.samples + 1))
            part = wave[start : start + self.samples]
            active = separation.active(
                part.astype(np.float64),
                frame=round(_FRAME * self.rate),
                within_db=30,
                own_db=self.pools.settings.own_db,
            )
            if active.mean() >= 0.15:
                break
        return part.copy()

    def _repeated(self, wave: Wave, random: Generator) -> Wave:
        """A short recording, repeated with pauses as long as there is room for at least half of it."""
        song = np.zeros(self.samples, np.float32)
        start = min(int(random.uniform(0, 0.5) * self.rate), self.samples - len(wave))
        while start <= self.samples - len(wave) // 2:
            part = song[start:][: len(wave)]
            part += wave[: len(part)]
            start += len(wave) + int(random.uniform(0.1, 0.8) * self.rate)
        return song

    def _noises(self, random: Generator) -> Wave:
        noise = unit(self._noise(0.6, random))
        if random.random() < 0.3:
            noise = noise + np.float32(spread(random, 0.1, 1)) * unit(self._noise(0.5, random))
        hiss = spread(random, 1e-3, 1e-1) * random.standard_normal(self.samples)
        noise = noise + np.sqrt(np.mean(noise**2)) * hiss.astype(np.float32)
        if random.random() < 0.8:
            filtered = signal.butter(4, self.pools.settings.highpass, "highpass", fs=self.rate, output="sos")
            noise = np.asarray(signal.sosfilt(filtered, noise), dtype=np.float32)
        return noise

    def _noise(self, recorded: float, random: Generator) -> Wave:
        if random.random() >= recorded:
            return invent.noise(self.samples, self.rate, random)
        takes = self.pools.noises[int(random.integers(len(self.pools.noises)))]
        wave = takes[int(random.integers(len(takes)))]
        if random.random() < 0.6:
            wave = _faster(wave, spread(random, 0.6, 1.6))
        if len(wave) < self.samples:
            wave = np.tile(wave, -(-self.samples // len(wave)) + 1)
        start = int(random.integers(len(wave) - self.samples + 1))
        wave = wave[start : start + self.samples]
        return invent.tinted(wave, self.rate, 6, random) if random.random() < 0.5 else wave


def _faster(wave: Wave, factor: float) -> Wave:
    """The sound played `factor` times as fast, so that much higher."""
    at = np.arange(int(len(wave) / factor)) * factor
    return np.asarray(np.interp(at, np.arange(len(wave)), wave), dtype=np.float32)
