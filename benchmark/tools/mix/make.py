"""Write a dataset of mixtures: in all processors, and so that a killed run goes on where it stopped.

While it is made, `.unfinished/` holds the settings and a line per finished sample, written after the sample's files.
At the end come the card, `mix.json` with everything that made it, and `samples.csv`.
"""

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
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
from benchmark.tools.mix import card, plan, sources
from benchmark.tools.mix.plan import Mixture
from benchmark.tools.mix.render import render
from benchmark.tools.mix.settings import Settings
from benchmark.tools.mix.sources import Pool, Source

VERSION = 1
_UNFINISHED = ".unfinished"
_LOCK = ".tmp-lock"


@dataclass(frozen=True, kw_only=True, slots=True)
class Made:
    """What was made: mixtures by slice, how many of them had been there before, and the description."""

    path: Path
    counts: Mapping[str, int]
    kept: int
    card: str


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
    _refuse_nested([song, background, *others])
    folders = [folder.name for folder in (song, background, *others)]
    if len(set(folders)) < len(folders) or {"main", sources.FOREIGN, *layout.SPLITS} & {
        folder.name for folder in others
    }:
        raise UserError(
            f"the folders {', '.join(folders)} need names of their own: they name recordings, and slices of the test"
        )
    songs = sources.look("song", song, settings, report)
    backgrounds = sources.look("background", background, settings, report)
    other_songs = {folder.name: sources.look("song", folder, settings, report) for folder in others}
    everything = [*songs, *backgrounds, *(source for found in other_songs.values() for source in found)]
    sources.refuse_copies(everything)
    lowpass = sources.common_lowpass(everything, settings)
    pools = sources.pools(songs, backgrounds, other_songs, settings)
    mixtures = plan.plan(pools, settings)

    recipe = _recipe(pools, settings, lowpass)
    with _alone(out, report):
        state = _begin(out, recipe, mixtures)
        before = {path.stem for path in state.glob("*.json")} if state is not None else {m.id for m in mixtures}
        if state is not None:
            missing = [mixture for mixture in mixtures if mixture.id not in before]
            _write_all(missing, len(mixtures), out, settings, lowpass, report)
            _finish(out, state, mixtures, pools, recipe, command)
    return Made(
        path=out,
        counts={pool.slice if pool.split == "test" else pool.split: _count(pool, mixtures) for pool in pools},
        kept=len(before & {mixture.id for mixture in mixtures}),
        card=(out / "README.md").read_text(encoding="utf-8"),
    )


@contextmanager
def _alone(out: Path, report: Report) -> Iterator[None]:
    """Have the folder for this process; another one that mixes into it is waited for.

    Raises:
        UserError: the disk refuses.
    """
    waiting = partial(report, "waiting", 0, 0, f"another process is mixing into {out}")
    try:
        with files.made_if_needed(out), files.locked(out / _LOCK, waiting):
            yield
    except OSError as error:
        raise files.refused(out, error) from error


def _refuse_nested(folders: Sequence[Path]) -> None:
    resolved = [folder.resolve() for folder in folders]
    for index, folder in enumerate(resolved):
        for other in resolved[:index]:
            if folder.is_relative_to(other) or other.is_relative_to(folder):
                raise UserError(f"{folder} and {other} are the same folder or one inside the other; keep them apart")


def _count(pool: Pool, mixtures: Sequence[Mixture]) -> int:
    return sum((mixture.split, mixture.slice) == (pool.split, pool.slice) for mixture in mixtures)


def _recipe(pools: Sequence[Pool], settings: Settings, lowpass: float) -> dict[str, Any]:
    """Everything that decides the bytes, with the recordings by their content."""

    def listed(source: Source) -> dict[str, Any]:
        return {
            "name": source.name,
            "recording": source.recording,
            "sha256": source.sha256,
            "seconds": round(source.seconds, 3),
            "sample_rate": source.sample_rate,
            "transients_db": source.transients_db,
            **source.groups,
        }

    return {
        "version": VERSION,
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


def _begin(out: Path, recipe: Mapping[str, Any], mixtures: Sequence[Mixture]) -> Path | None:
    """The folder of what is under way, new or found; None where the very dataset is there already."""
    state = out / _UNFINISHED
    if state.is_dir() and not (state / "recipe").is_file():
        shutil.rmtree(state)  # a worker outlived its command, and wrote a last note
    if state.is_dir():
        _compare(state / "recipe", recipe, out)
    elif (out / layout.RECIPE).is_file():
        _compare(out / layout.RECIPE, recipe, out)
        _clear(out.glob(".tmp-*"))  # of a run that was killed when all was done
        whole = [mixture for mixture in mixtures if all(path.is_file() for path in _files(mixture, out))]
        if len(whole) == len(mixtures):
            return None
        _new_state(out, state, recipe, _notes(out, whole))
    elif any(path for path in out.iterdir() if not path.name.startswith(".tmp-")):
        raise UserError(f"{out} is not empty and was not made by this command; choose another --out")
    else:
        _new_state(out, state, recipe, {})
    return state


def _clear(leftovers: Iterable[Path]) -> None:
    """What killed processes left; nobody but this one is at work here."""
    for leftover in leftovers:
        if leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)
        elif leftover.name != _LOCK:
            leftover.unlink(missing_ok=True)


def _new_state(out: Path, state: Path, recipe: Mapping[str, Any], notes: Mapping[str, str]) -> None:
    """Whole, or not there."""
    temporary = out / f".tmp-{os.getpid()}"
    shutil.rmtree(temporary, ignore_errors=True)  # of a killed process that had our number
    temporary.mkdir()
    try:
        _write_state(temporary, recipe, notes)
        temporary.rename(state)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write_state(temporary: Path, recipe: Mapping[str, Any], notes: Mapping[str, str]) -> None:
    (temporary / "recipe").write_text(json.dumps(recipe), encoding="utf-8")
    for name, note in notes.items():
        (temporary / f"{name}.json").write_text(note, encoding="utf-8")
    for path in temporary.iterdir():
        files.sync(path)


def _notes(out: Path, whole: Sequence[Mixture]) -> dict[str, str]:
    """The notes of samples that are there: of a finished dataset that lost files, only those are made again."""
    try:
        table = layout.read_samples(out) or {}
    except UserError:
        return {}
    found = {mixture.id: table.get((mixture.split, mixture.id)) for mixture in whole}
    return {name: json.dumps(asdict(sample)) for name, sample in found.items() if sample is not None}


def _files(mixture: Mixture, out: Path) -> list[Path]:
    folder = out / layout.SPLITS[mixture.split][0]
    pictures = [folder / names[0] / f"{mixture.id}.png" for names in (layout.IMAGES, layout.MASKS)]
    return pictures + [folder / names[0] / f"{mixture.id}.wav" for names in (layout.RAW, layout.CLEAN, layout.DENOISED)]


def _compare(path: Path, recipe: Mapping[str, Any], out: Path) -> None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}); remove {out} or choose another --out") from error
    if found != json.loads(json.dumps(recipe)):
        raise UserError(f"{out} holds a dataset of other settings or recordings; choose another --out, or remove it")


def _write_all(
    missing: Sequence[Mixture], total: int, out: Path, settings: Settings, lowpass: float, report: Report
) -> None:
    done = total - len(missing)
    report("mixing", done, total, "")
    with workers.pool() as pool:
        write = partial(_write, out=out, settings=settings, lowpass=lowpass)
        for number, _ in enumerate(pool.map(write, missing, chunksize=4), start=done + 1):
            report("mixing", number, total, "")


def _write(mixture: Mixture, *, out: Path, settings: Settings, lowpass: float) -> None:
    """The files of a sample, and then the note that they are whole."""
    rendered = render(mixture, settings, lowpass)
    folder = out / layout.SPLITS[mixture.split][0]
    _save(folder / layout.IMAGES[0], mixture.id, rendered.image)
    _save(folder / layout.MASKS[0], mixture.id, rendered.mask * np.uint8(255))
    for names, wave in (
        (layout.RAW, rendered.audio.noisy),
        (layout.CLEAN, rendered.audio.clean),
        (layout.DENOISED, rendered.denoised),
    ):
        write = partial(recordings.write, samples=wave, sample_rate=settings.sample_rate)
        files.write_atomically(folder / names[0] / f"{mixture.id}.wav", write)
    sample = layout.MixedSample(
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
    )
    note = out / _UNFINISHED / f"{mixture.id}.json"
    files.write_atomically(note, partial(Path.write_text, data=json.dumps(asdict(sample))))


def _save(folder: Path, name: str, pixels: NDArray[np.uint8]) -> None:
    # The fastest compression: a spectrogram is mostly noise, and the slowest makes it a tenth smaller only.
    def save(path: Path) -> None:
        Image.fromarray(pixels).save(path, format="PNG", compress_level=1)

    files.write_atomically(folder / f"{name}.png", save)


def _finish(
    out: Path, state: Path, mixtures: Sequence[Mixture], pools: Sequence[Pool], recipe: Mapping[str, Any], command: str
) -> None:
    notes = [json.loads((state / f"{mixture.id}.json").read_text(encoding="utf-8")) for mixture in mixtures]
    samples = [layout.MixedSample(**note) for note in notes]
    text = card.describe(recipe, pools, samples, command)
    files.write_atomically(out / "README.md", partial(Path.write_text, data=text, encoding="utf-8"))
    files.write_atomically(out / layout.SAMPLES, partial(layout.write_samples, samples=samples))
    made = json.dumps(recipe, indent=1) + "\n"
    files.write_atomically(out / layout.RECIPE, partial(Path.write_text, data=made, encoding="utf-8"))
    _clear(out.rglob(".tmp-*"))
    done = state.with_name(f".tmp-{os.getpid()}")  # at once, or not at all
    state.rename(done)
    shutil.rmtree(done, ignore_errors=True)
