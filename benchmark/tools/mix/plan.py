"""Plan every mixture before any is rendered: which part of which song meets which part of which background, how loud.

Mixture number n of a slice depends only on the seed, the slice, n and the recordings, so a smaller dataset is the
beginning of a larger one.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from benchmark.scores.separation import active_frames
from benchmark.tools.mix.settings import Settings
from benchmark.tools.mix.sources import Pool, Source

_TRIES = 20
_ACTIVE_SHARE = 0.2
"""The share of a window's frames that must be active; if 20 draws find no such window, the plan takes a busy one."""
_GAP = (0.1, 0.6)
"""Seconds between the repetitions of a recording that is shorter than the window, like a bird that keeps calling."""
_NO_POWER = np.empty(0)  # a plan is sent to workers, which do not need the powers; a long recording has many


@dataclass(frozen=True, kw_only=True, slots=True)
class Mixture:
    """A mixture to make.

    Times in s: where the window begins in the passage of each recording, and `at` which times a song starts. A
    background that is shorter than the window is repeated without a pause.
    """

    id: str
    split: str
    slice: str
    song: Source
    background: Source
    song_start: float
    at: tuple[float, ...]
    background_start: float
    snr_db: float
    gain_db: float


def plan(pools: list[Pool], settings: Settings) -> list[Mixture]:
    """Every mixture of every pool, in the order of the files."""
    counts = {"train": settings.train, "val": settings.val, "test": settings.test}
    return [
        _mixture(pool, number, settings)
        for pool in pools
        for number in range(counts[pool.split] if pool.slice == "main" else settings.slice_)
    ]


def _mixture(pool: Pool, number: int, settings: Settings) -> Mixture:
    place = pool.split if pool.slice == "main" else pool.slice
    random = _random(settings.seed, place, number)
    song = _song(pool.songs, number)
    background = _background(pool.backgrounds, song, random)
    start, at = _place(song, settings, random)
    return Mixture(
        id=f"{place}-{number:05d}",
        split=pool.split,
        slice=pool.slice,
        song=replace(song, power=_NO_POWER),
        background=replace(background, power=_NO_POWER),
        song_start=start,
        at=at,
        background_start=round(float(random.uniform(0, _spare(background, settings))), 3),
        snr_db=round(float(random.uniform(settings.snr_low, settings.snr_high)), 2),
        gain_db=round(float(random.uniform(settings.gain_low, settings.gain_high)), 2),
    )


def _song(songs: Sequence[Source], number: int) -> Source:
    """The species take turns, and so do the songs of each, so none is rare. A song without a species is its own."""
    species: dict[str, list[Source]] = {}
    for song in songs:
        species.setdefault(song.groups.get("species") or song.name, []).append(song)
    turn, which = divmod(number, len(species))
    found = list(species.values())[which]
    return found[turn % len(found)]


def _background(backgrounds: Sequence[Source], song: Source, random: np.random.Generator) -> Source:
    """Draw a kind of noise, other than the song's own species, then a recording of it.

    Backgrounds whose kind is not stated are drawn alike.
    """
    kinds: dict[str, list[Source]] = {}
    for background in backgrounds:
        kinds.setdefault(background.groups.get("noise", ""), []).append(background)
    kinds.pop(song.groups.get("species") or "-", None)
    found = list(kinds.values())[int(random.integers(len(kinds)))]
    return found[int(random.integers(len(found)))]


def _spare(background: Source, settings: Settings) -> float:
    """Seconds within which a window may begin: in a short recording, anywhere."""
    return background.seconds - (settings.seconds if background.seconds >= settings.seconds else 0)


def _place(song: Source, settings: Settings, random: np.random.Generator) -> tuple[float, tuple[float, ...]]:
    """Where the window begins in a long recording, or at which times of the window a short one starts."""
    spare = song.seconds - settings.seconds
    if spare > 0:
        active = active_frames(song.power, settings.active_db, settings.own_db)
        frames = round(settings.seconds / song.frame_seconds)
        for _ in range(_TRIES):
            start = round(float(random.uniform(0, spare)), 3)
            if active[int(start / song.frame_seconds) :][:frames].mean() >= _ACTIVE_SHARE:
                return start, (0.0,)
        return _busy(active, frames, song.frame_seconds, spare, random), (0.0,)
    times = [round(float(random.uniform(0, min(abs(spare), 0.5))), 3)]
    while True:
        following = times[-1] + song.seconds + float(random.uniform(*_GAP))
        if following + song.seconds > settings.seconds:
            return 0.0, tuple(times)
        times.append(round(following, 3))


def _busy(active: NDArray[np.bool_], frames: int, seconds: float, spare: float, random: np.random.Generator) -> float:
    """Draw one of the windows with at least half as much song as the busiest; most of a recording may be silent."""
    total = np.concatenate([[0], np.cumsum(active)])
    last = min(int(spare / seconds), len(active) - 1)
    inside = total[np.minimum(np.arange(last + 1) + frames, len(active))] - total[: last + 1]
    chosen = np.flatnonzero(inside >= max(inside.max() / 2, 1))
    return round(float(chosen[int(random.integers(len(chosen)))] * seconds), 3)


def _random(*name: object) -> np.random.Generator:
    digest = hashlib.sha256(repr(name).encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "little")))
