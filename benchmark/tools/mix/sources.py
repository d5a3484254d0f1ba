"""Read the recordings that are mixed, and split them.

Legend: F frames of 10 ms.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from benchmark.common.errors import UserError
from benchmark.common.progress import Report
from benchmark.data import layout, recordings
from benchmark.tools.mix.settings import Settings

FRAME = 0.01
"""Seconds of a frame; power is measured per frame."""
SHARES = {"train": 0.4, "val": 0.1, "test": 0.5}
BIRDS_TO_SPLIT = 6
FOREIGN = "foreign-animal"
"""The test slice of backgrounds in which other animals call loudly."""
_BELOW_NYQUIST = 0.945
_BAND = 1_000  # Hz; animals call in narrow bands, so each band is searched for transients
_ANIMALS = (1_000, 8_000)  # Hz

Role = Literal["song", "background"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """A passage of a file of a recording. `groups` are the stated bird, species, site and kind of noise.

    The passage begins at `start` and lasts `seconds` (s).

    `recording` names the recording it belongs to: both channels, or several cuts, of one xeno-canto number are one.
    `sha256` is of the decoded samples. `power` (F,) is the power of its band-limited frames of `frame_seconds`.
    `transients_db` is how far the loudest hundredth of the frames is above their median, in that 1 kHz band between 1
    and 8 kHz where the difference is largest.
    """

    name: str
    recording: str
    path: Path
    groups: Mapping[str, str]
    seconds: float
    sample_rate: int
    sha256: str
    start: float = 0.0
    power: NDArray[np.float64]
    frame_seconds: float
    transients_db: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Pool:
    """The songs and backgrounds of a split, or of a slice of the test split."""

    split: str
    slice: str
    songs: tuple[Source, ...]
    backgrounds: tuple[Source, ...]


def read_all(role: Role, folder: Path, settings: Settings, report: Report) -> list[Source]:
    """Read every recording of a folder.

    Raises:
        UserError: no recordings, an unreadable, silent or short one, or a file name that an expression does not match.
    """
    paths = recordings.find(folder)
    root = folder if folder.is_dir() else folder.parent
    patterns = _patterns(settings, ("bird", "species") if role == "song" else ("site",))
    found: list[Source] = []
    twice = {name for name, count in Counter(path.with_suffix("") for path in paths).items() if count > 1}
    for number, path in enumerate(paths, start=1):
        source = _read_source(path, root, settings, patterns)
        if path.with_suffix("") in twice:  # rec.wav beside rec.flac: two sounds, two names
            source = replace(source, name=f"{source.name}{path.suffix}")
        if role == "background" and source.seconds < settings.seconds:
            raise UserError(f"{path} lasts {source.seconds:.2f} s, less than a window; remove it, or lower --seconds")
        found.append(source)
        report(f"reading {root.name}", number, len(paths), "")
    return found


def common_lowpass(sources: Iterable[Source], settings: Settings) -> float:
    """The frequency below which every source has sound: a band that is empty in one source would give it away."""
    lowest = min([source.sample_rate for source in sources] + [settings.sample_rate]) / 2
    return settings.lowpass or round(_BELOW_NYQUIST * lowest, 1)


def pools(
    songs: Sequence[Source], backgrounds: Sequence[Source], others: Mapping[str, Sequence[Source]], settings: Settings
) -> list[Pool]:
    """Split songs and backgrounds 40/10/50 % by recording, or songs by bird if at least six birds are named.

    Backgrounds with other loud animals form a test slice of their own, and so does every folder of `others`.

    Raises:
        UserError: too few recordings to split.
    """
    foreign = [source for source in backgrounds if source.transients_db >= settings.foreign_db]
    plain = [source for source in backgrounds if source.transients_db < settings.foreign_db]
    if len(plain) < len(SHARES):
        raise UserError(
            f"{len(plain)} of {len(backgrounds)} backgrounds are without loud animals (--foreign-db "
            f"{settings.foreign_db:g}); give at least {len(SHARES)}, one for each split, or raise --foreign-db"
        )
    # In a drawn order: otherwise the first images of a slice would all be of its first bird.
    everything = [*songs, *(source for found in others.values() for source in found)]
    order = {source.name: lot(settings.seed, source.name) for source in everything}
    others = {name: sorted(found, key=lambda source: order[source.name]) for name, found in others.items()}
    song_of = _split(sorted(songs, key=lambda source: order[source.name]), settings.seed, by=_unit(songs))
    background_of = _split(plain, settings.seed, by=lambda source: source.recording)
    result = [
        Pool(split=split, slice="main", songs=song_of[split], backgrounds=background_of[split]) for split in SHARES
    ]
    if foreign:
        result.append(Pool(split="test", slice=FOREIGN, songs=song_of["test"], backgrounds=tuple(foreign)))
    for name, sources in others.items():
        result.append(Pool(split="test", slice=name, songs=tuple(sources), backgrounds=background_of["test"]))
    return result


def _unit(songs: Sequence[Source]) -> Callable[[Source], str]:
    birds = {source.groups.get("bird", "") for source in songs}
    if len(birds - {""}) >= BIRDS_TO_SPLIT:
        return lambda source: source.groups["bird"]
    return lambda source: source.recording


def _split(sources: Sequence[Source], seed: int, by: Callable[[Source], str]) -> dict[str, tuple[Source, ...]]:
    units = sorted({by(source) for source in sources}, key=lambda unit: lot(seed, unit))
    if len(units) < len(SHARES):
        raise UserError(f"{len(units)} recording(s) cannot be split in three; give at least {len(SHARES)}")
    train, val = (max(1, round(SHARES[split] * len(units))) for split in ("train", "val"))
    members = {"train": units[:train], "val": units[train : train + val], "test": units[train + val :]}
    return {split: tuple(s for s in sources if by(s) in set(chosen)) for split, chosen in members.items()}


def _read_source(path: Path, root: Path, settings: Settings, patterns: Mapping[str, re.Pattern[str]]) -> Source:
    header = recordings.header(path)
    if settings.channel >= header.channels:
        raise UserError(f"{path} has {header.channels} channel(s), there is no channel {settings.channel}")
    bands, digest = _powers_of_file(path, header.sample_rate, settings)
    power = bands[0]
    if not power.max() > 0:
        raise UserError(f"{path} is silent between {settings.highpass:g} Hz and its Nyquist frequency; remove it")
    loud, usual = (np.percentile(bands[1:], percent, axis=1) for percent in (99, 50))
    transients = 10 * np.log10((loud + 1e-14) / (usual + 1e-14))
    name = Path(root.name) / path.relative_to(root).with_suffix("")
    return Source(
        name=name.as_posix(),
        recording=name.with_name(layout.recording(name.name)).as_posix(),
        path=path,
        groups={kind: _found(pattern, path, kind) for kind, pattern in patterns.items()},
        seconds=header.seconds,
        sample_rate=header.sample_rate,
        sha256=digest,
        power=power,
        frame_seconds=round(FRAME * header.sample_rate) / header.sample_rate,
        transients_db=round(float(transients.max(initial=0)), 2),
    )


def _powers_of_file(path: Path, rate: int, settings: Settings) -> tuple[NDArray[np.float64], str]:
    """The band powers of a recording, and the SHA-256 of its samples."""
    parts, digest = [], hashlib.sha256(f"{rate} ".encode())
    for begin, end, samples in recordings.sections(path, seconds=60, margin=0):
        digest.update(samples.tobytes())
        parts.append(band_powers(samples[: end - begin, settings.channel], rate, settings))
    powers = np.concatenate(parts, axis=1)
    if powers.shape[1] == 0:
        raise UserError(f"{path} is shorter than {FRAME:g} s; remove it")
    return powers, digest.hexdigest()


def band_powers(samples: NDArray[np.floating[Any]], rate: int, settings: Settings) -> NDArray[np.float64]:
    """Power per frame of a sound, (n,) -> (1 + bands, F): above the high-pass, and in 1 kHz bands from 1 to 8 kHz."""
    length = max(round(FRAME * rate), 1)
    frames = samples[: len(samples) // length * length].astype(np.float64).reshape(-1, length)
    frequency = np.fft.rfftfreq(length, 1 / rate)
    power = np.abs(np.fft.rfft((frames - frames.mean(1, keepdims=True)) * np.hanning(length), axis=1)) ** 2
    edges = [(settings.highpass, settings.lowpass or rate / 2)]
    edges += [(low, low + _BAND) for low in range(*_ANIMALS, _BAND)]
    return np.stack([power[:, (frequency >= low) & (frequency < high)].sum(1) for low, high in edges])


def _patterns(settings: Settings, kinds: Sequence[str]) -> dict[str, re.Pattern[str]]:
    found = {}
    for kind in kinds:
        expression = getattr(settings, kind)
        try:
            if expression:
                found[kind] = re.compile(expression)
        except re.error as error:
            raise UserError(f"--{kind} '{expression}' is not a regular expression: {error}") from error
    return found


def _found(pattern: re.Pattern[str], path: Path, kind: str) -> str:
    match = pattern.search(path.stem)
    if match is None:
        raise UserError(f"--{kind} '{pattern.pattern}' does not match {path.name}; widen the expression")
    return str(next((group for group in match.groups() if group), match[0]))


def refuse_copies(sources: Sequence[Source]) -> None:
    """Refuse two files with the same recording: it could be in two splits, or be its own background.

    Raises:
        UserError: two files hold the same samples.
    """
    seen: dict[str, Source] = {}
    for source in sources:
        twin = seen.setdefault(source.sha256, source)
        if twin is not source:
            raise UserError(f"{twin.path} and {source.path} are the same recording; remove one of them")


def lot(seed: int, name: str) -> str:
    """Names sorted by their lot are in a drawn order, which is the same everywhere."""
    return hashlib.sha256(f"{seed} {name}".encode()).hexdigest()
