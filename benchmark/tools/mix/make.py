"""Write a dataset of mixtures on all processors; continue one that was interrupted.

First comes `mix.json`, the recipe, which decides every byte. `.unfinished/` holds a note per finished sample, written
after the sample's files. At the end the notes become `samples.csv`, and the card is written.
"""

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmark.common import files, workers
from benchmark.common.errors import UserError
from benchmark.common.progress import Report
from benchmark.data import layout, recordings
from benchmark.data.layout import MixedSample
from benchmark.tools.mix import card, plan, sources
from benchmark.tools.mix.plan import Mixture
from benchmark.tools.mix.render import render
from benchmark.tools.mix.settings import Settings
from benchmark.tools.mix.sources import Pool, Source

VERSION = 2
_UNFINISHED = ".unfinished"
_CARD = "README.md"
_LOCK = ".tmp-lock"


@dataclass(frozen=True, kw_only=True, slots=True)
class Made:
    """A made dataset: its mixtures by slice, how many of them had been made before, and its card."""

    path: Path
    counts: Mapping[str, int]
    kept: int
    card: str
    digest: str
    """The SHA-256 of samples.csv, which has that of every sample."""


def make(
    *,
    song: Path,
    background: Path,
    others: Sequence[Path],
    out: Path,
    settings: Settings,
    command: str,
    report: Report,
) -> Made:
    """Mix the recordings of `song` and `background` into `out`; each folder of `others` becomes a test slice.

    Raises:
        UserError: recordings that cannot be used, or a folder that holds something else.
    """
    _check_folders(song, background, others)
    songs = sources.read_all("song", song, settings, report)
    backgrounds = sources.read_all("background", background, settings, report)
    other_songs = {folder.name: sources.read_all("song", folder, settings, report) for folder in others}
    everything = [*songs, *backgrounds, *(source for found in other_songs.values() for source in found)]
    sources.refuse_copies(everything)
    pools = sources.pools(songs, backgrounds, other_songs, settings)
    return write(pools, settings, out, command, report, name="")


def write(pools: list[Pool], settings: Settings, out: Path, command: str, report: Report, *, name: str) -> Made:
    """Mix pools of songs and backgrounds into `out`; `name` is that of the recipe that made the pools, if one did.

    Raises:
        UserError: the folder holds something else, or a recording cannot be mixed.
    """
    everything = (source for pool in pools for source in (*pool.songs, *pool.backgrounds))
    lowpass = sources.common_lowpass(everything, settings)
    mixtures = plan.plan(pools, settings)
    recipe = _recipe(pools, settings, lowpass, name)
    waiting = partial(report, "waiting", 0, 0, f"another process is mixing into {out}")
    with files.made_if_needed(out), files.locked(out / _LOCK, waiting):
        _begin(out, recipe)
        before = _made_before(out, mixtures)
        missing = [mixture for mixture in mixtures if mixture.id not in before]
        made = before | _write_all(missing, len(mixtures), out, settings, lowpass, report)
        if missing or (out / _UNFINISHED).is_dir() or not (out / _CARD).is_file():
            _finish(out, [made[mixture.id] for mixture in mixtures], pools, recipe, command)
    return Made(
        path=out,
        counts=Counter(mixture.slice if mixture.split == "test" else mixture.split for mixture in mixtures),
        kept=len(before),
        card=(out / _CARD).read_text(encoding="utf-8"),
        digest=hashlib.sha256((out / layout.SAMPLES).read_bytes()).hexdigest(),
    )


def _check_folders(song: Path, background: Path, others: Sequence[Path]) -> None:
    """Refuse folders that share recordings, or names: those name recordings, and slices of the test."""
    folders = [folder.resolve() for folder in (song, background, *others)]
    for index, folder in enumerate(folders):
        for other in folders[:index]:
            if folder.is_relative_to(other) or other.is_relative_to(folder):
                raise UserError(f"{folder} and {other} are the same folder or one inside the other; keep them apart")
    names = [folder.name for folder in (song, background, *others)]
    taken = {"main", sources.FOREIGN, *layout.SPLITS} & {folder.name for folder in others}
    if taken or len(set(names)) < len(names):
        raise UserError(
            f"the folders {', '.join(names)} need different names, other than {', '.join(layout.SPLITS)}, main "
            f"or {sources.FOREIGN}: they name recordings, and slices of the test"
        )


def _recipe(pools: Sequence[Pool], settings: Settings, lowpass: float, name: str) -> dict[str, Any]:
    """The settings and the recordings (by their content): they decide every byte."""

    def listed(source: Source) -> dict[str, Any]:
        return {
            "name": source.name,
            "recording": source.recording,
            "sha256": source.sha256,
            "start": source.start,
            "seconds": round(source.seconds, 3),
            "sample_rate": source.sample_rate,
            "transients_db": source.transients_db,
            **source.groups,
        }

    return {
        "version": VERSION,
        "name": name,
        "settings": {**settings.model_dump(mode="json"), "lowpass": lowpass},
        "pools": [
            {
                "split": pool.split,
                "slice": pool.slice,
                "songs": [listed(source) for source in pool.songs],
                "backgrounds": [listed(source) for source in pool.backgrounds],
            }
            for pool in pools
        ],
    }


def _begin(out: Path, recipe: Mapping[str, Any]) -> None:
    """Write the recipe into an empty folder, or compare it with the recipe of the dataset in the folder."""
    path = out / layout.RECIPE
    if path.is_file():
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UserError(f"{path} cannot be read ({error}); remove {out} or choose another --out") from error
        if found != json.loads(json.dumps(recipe)):
            raise UserError(
                f"{out} holds a dataset of other settings or recordings; choose another --out, or remove it"
            )
    elif any(path for path in out.iterdir() if not path.name.startswith(".tmp-")):
        raise UserError(f"{out} is not empty and was not made by this command; choose another --out")
    else:
        _write_text(path, json.dumps(recipe, indent=1) + "\n")


def _made_before(out: Path, mixtures: Sequence[Mixture]) -> dict[str, MixedSample]:
    """The finished samples by id: noted or listed in samples.csv, with all of their files."""
    try:
        found = {sample.id: sample for sample in (layout.read_samples(out) or {}).values()}
    except UserError:  # it is missing or damaged, and is written again
        found = {}
    for note in (out / _UNFINISHED).glob("*.json"):
        found[note.stem] = MixedSample(**json.loads(note.read_text(encoding="utf-8")))
    whole = (mixture.id for mixture in mixtures if all(path.is_file() for path in _files(mixture, out)))
    return {name: found[name] for name in whole if name in found}


def _files(mixture: Mixture, out: Path) -> list[Path]:
    folder = out / layout.SPLITS[mixture.split][0]
    pictures = [folder / names[0] / f"{mixture.id}.png" for names in (layout.IMAGES, layout.MASKS)]
    return pictures + [folder / names[0] / f"{mixture.id}.wav" for names in (layout.RAW, layout.CLEAN)]


def _write_all(
    missing: Sequence[Mixture], total: int, out: Path, settings: Settings, lowpass: float, report: Report
) -> dict[str, MixedSample]:
    """Make the missing mixtures; their samples by id."""
    if not missing:
        return {}
    done = total - len(missing)
    report("mixing", done, total, "")
    write = partial(_write, out=out, settings=settings, lowpass=lowpass)
    made = {}
    for number, sample in enumerate(workers.ordered(write, missing), start=done + 1):
        made[sample.id] = sample
        report("mixing", number, total, "")
    return made


def _write(mixture: Mixture, *, out: Path, settings: Settings, lowpass: float) -> MixedSample:
    """Write the files of a sample, then the note that they are complete."""
    with recordings.quiet_decoder():
        rendered = render(mixture, settings, lowpass)
    image, mask, *sounds = _files(mixture, out)
    _write_png(image, rendered.image)
    _write_png(mask, rendered.mask * np.uint8(255))
    for path, wave in zip(sounds, (rendered.audio.noisy, rendered.audio.clean), strict=True):
        files.write_atomically(path, partial(recordings.write, samples=wave, sample_rate=settings.sample_rate))
    sample = MixedSample(
        id=mixture.id,
        split=mixture.split,
        slice=mixture.slice,
        song=mixture.song.recording,
        background=mixture.background.recording,
        song_file=mixture.song.name,
        background_file=mixture.background.name,
        bird=mixture.song.groups.get("bird", ""),
        species=mixture.song.groups.get("species", ""),
        site=mixture.background.groups.get("site", ""),
        noise=mixture.background.groups.get("noise", ""),
        song_start=mixture.song_start,
        song_times=len(mixture.at),
        background_start=mixture.background_start,
        snr_db=mixture.snr_db,
        gain_db=mixture.gain_db,
        song_gain=float(f"{rendered.song_gain:.6g}"),
        background_gain=float(f"{rendered.background_gain:.6g}"),
        sample_rate=settings.sample_rate,
        frames=settings.frames,
        highpass=settings.highpass,
        lowpass=lowpass,
        peak=settings.peak,
        foreground=round(float(rendered.mask.mean()), 5),
        saturated=round(float((rendered.image == 255).mean()), 5),
        zero=round(float((rendered.image == 0).mean()), 5),
        sha256=_digest(rendered.image, rendered.mask, rendered.audio.noisy, rendered.audio.clean),
    )
    _write_text(out / _UNFINISHED / f"{mixture.id}.json", json.dumps(asdict(sample)))
    return sample


def _digest(*arrays: NDArray[Any]) -> str:
    return hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()


def _write_png(path: Path, pixels: NDArray[np.uint8]) -> None:
    # The fastest compression: a spectrogram is mostly noise, and the slowest makes it a tenth smaller only.
    files.write_atomically(path, partial(Image.fromarray(pixels).save, format="PNG", compress_level=1))


def _write_text(path: Path, text: str) -> None:
    files.write_atomically(path, partial(Path.write_text, data=text, encoding="utf-8"))


def _finish(
    out: Path, samples: Sequence[MixedSample], pools: Sequence[Pool], recipe: Mapping[str, Any], command: str
) -> None:
    _write_text(out / _CARD, card.describe(recipe, pools, samples, command))
    files.write_atomically(out / layout.SAMPLES, partial(layout.write_samples, samples=samples))
    shutil.rmtree(out / _UNFINISHED, ignore_errors=True)
