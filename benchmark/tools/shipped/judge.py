"""Compare the network that ships with what people use today, on birds that neither of them was made on.

The recordings are those of the test of a recipe's dataset. Its slice main has kinds of birds of which neither training
nor validation has one.
Each is cleaned as a user would have it: by `benchmark.denoise`, by the libraries at their defaults.

Legend: N recordings, S samples.
"""

import csv
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tabulate import tabulate

from benchmark.common import files
from benchmark.common.errors import UserError
from benchmark.common.progress import Report
from benchmark.contract import Audio, Sample
from benchmark.data import layout, mixtures, recipe
from benchmark.data.spectrogram import Transform
from benchmark.scores import denoisers, intervals, separation
from benchmark.tools.denoise import arrays, trained
from benchmark.tools.denoise.settings import Settings
from benchmark.tools.denoise.trained import Trained

Wave = NDArray[np.float32]
Clean = Callable[[Wave, int], NDArray[Any]]

OURS = "bench denoise"
MAIN = "main"
_BAND = 5  # dB
_OWN_DB = 30.0
"""The song of a quiet recording is this far above the recording's own noise."""
_LOUD_DB = 5.0
COLUMNS = {
    "gain": "SI-SDR gain (dB)",
    "worse": "made worse (%)",
    "lost": "song lost (dB)",
    "left": "left of noise alone (%)",
    "changed": "change of a clean song (dB)",
    "speed": "times real time",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """What one method made of one recording; decibels, shares, and seconds of sound per second of work."""

    id: str
    slice: str
    snr: float
    own: float
    groups: tuple[str, str]
    gain: float
    lost: float
    left: float
    changed: float
    speed: float


def judge(folder: Path, name: str, dataset: Path, out: Path, report: Report) -> str:
    """Write OUT.csv, a row per recording and method, and OUT.md, the tables, which are returned.

    Raises:
        UserError: the dataset has not been made, or the weights are missing.
    """
    methods = _methods(trained.shipped(folder))
    samples = _samples(name, dataset)
    own = _own_noise(name)
    rows: dict[str, list[Row]] = {method: [] for method in methods}
    for number, sample in enumerate(samples, start=1):
        audio = sample.read().audio
        assert audio is not None
        for method, clean in methods.items():  # in turn, so a busy machine slows all alike
            rows[method].append(_row(sample, audio, own, clean))
        report("cleaning", number, len(samples), "")
    text = _text(rows)
    with files.atomic_files([out.with_suffix(".md"), out.with_suffix(".csv")]) as (page, table):
        page.write_text(text, encoding="utf-8")
        _write(rows, table)
    return text


def _methods(network: Trained) -> Mapping[str, Clean]:
    cleaner = arrays.loaded(network)
    found: dict[str, Clean] = {OURS: partial(_by_network, cleaner), "wiener": _wiener}
    rivals = {name: clean for name, clean in denoisers.installed().items() if name.startswith("noisereduce")}
    return {**found, **rivals}  # DeepFilterNet is for speech: the leaderboard has what it does to birds


def _by_network(cleaner: Any, noisy: Wave, rate: int) -> NDArray[Any]:
    return arrays.clean_samples(cleaner, noisy[:, None], rate, Settings())[:, 0]


def _wiener(noisy: Wave, rate: int) -> NDArray[Any]:
    del rate
    transform = Transform(window=512, hop=128, fft_length=1024, sides=1)
    spectrum = transform.stft(noisy)
    cleaned = np.zeros_like(noisy)
    sound = transform.inverse(spectrum * separation.wiener(spectrum))
    cleaned[: len(sound)] = sound
    return cleaned


def _samples(name: str, dataset: Path) -> list[Sample]:
    table = layout.read_samples(dataset)
    if not table:
        raise UserError(f"{name} is not in {dataset}; bring it with: bench data fetch {name} && bench data make {name}")
    return mixtures.samples(dataset, table)["test"]


def _own_noise(name: str) -> dict[str, float]:
    """How far the song of each recording is above the recording's own noise, in dB."""
    rows = [row for row in recipe.read(name) if row.role == "song" and row.snr_db is not None]
    return {song: row.snr_db for row in rows if row.snr_db for song in (row.file, row.xeno_canto)}


def _row(sample: Sample, audio: Audio, own: Mapping[str, float], clean: Clean) -> Row:
    noisy, song, rate = audio.noisy.astype(np.float32), audio.clean.astype(np.float32), audio.sample_rate
    started = time.perf_counter()
    cleaned = clean(noisy, rate)
    seconds = time.perf_counter() - started
    noise = noisy - song
    before, after = (float(separation.si_sdr(wave.astype(np.float64), song)) for wave in (noisy, cleaned))
    kept = float(separation.kept(cleaned, noisy, song)[0])
    left = changed = math.nan
    if sample.slice == MAIN:
        rest, same = clean(noise, rate), clean(song, rate)
        left = float(np.sum(rest**2) / np.sum(noise**2))
        changed = 20 * math.log10(max(abs(float(np.sum(same * song) / np.sum(song**2))), 1e-3))
    return Row(
        id=sample.id,
        slice=sample.slice,
        snr=float(sample.strata["snr_db"]),
        own=own[sample.groups["song"]],
        groups=(sample.groups["species"], sample.groups["background"]),
        gain=after - before,
        lost=-kept,
        left=left,
        changed=changed,
        speed=len(noisy) / rate / seconds,
    )


# ---------------------------------------------------------------- tables


_NOTES = f"""± is half the 95 % interval over species and backgrounds; ahead: by how many dB {OURS} is. Song lost: at
{_LOUD_DB:g} dB of SNR and above. Left of noise alone: share of its energy, where nothing sings. Change of a clean song:
of its level, without any noise. Times real time: the median, on recordings of 4 s."""


def _text(every: Mapping[str, Sequence[Row]]) -> str:
    rows = {name: [row for row in found if row.slice == MAIN] for name, found in every.items()}
    ours = rows[OURS]
    quiet = [index for index, row in enumerate(ours) if row.own >= _OWN_DB]
    species = len({row.groups[0] for row in ours})
    return "\n".join(
        [
            f"Made by `make rivals`: {len(ours)} recordings of {species} kinds of birds that the network never heard, "
            "at -5 to 15 dB of input SNR.",
            "",
            _table(rows, range(len(ours))),
            "",
            f"The same on the {len(quiet)} recordings whose song is {_OWN_DB:g} dB or more above the recording's own "
            "noise, which counts as song:",
            "",
            _table(rows, quiet),
            "",
            "SI-SDR gain (dB) by input SNR, all recordings:",
            "",
            _bands(rows),
            "",
            "SI-SDR gain (dB) by slice of the test:",
            "",
            _slices(every),
            "",
            _NOTES,
            "",
        ]
    )


def _table(rows: Mapping[str, Sequence[Row]], chosen: Sequence[int]) -> str:
    lines = []
    mine = _values(rows[OURS], "gain", chosen)
    kinds = intervals.Kinds.of([np.array([rows[OURS][index].groups[kind] for index in chosen]) for kind in (0, 1)])
    for name, found in rows.items():
        gain = _values(found, "gain", chosen)
        (mean,) = intervals.means([gain[None]], kinds)
        ahead = intervals.difference(mine[None], gain[None], kinds)
        loud = [index for index in chosen if found[index].snr >= _LOUD_DB]
        lines.append(
            {
                "": name,
                COLUMNS["gain"]: f"{mean.mean:.1f} ± {mean.half_width():.1f}",
                "ahead (dB)": "" if name == OURS else f"{ahead.mean:.1f} ± {ahead.half_width():.1f}",
                COLUMNS["worse"]: f"{100 * np.mean(gain < 0):.0f}",
                COLUMNS["lost"]: f"{_values(found, 'lost', loud).mean():.1f}",
                COLUMNS["left"]: f"{100 * _values(found, 'left', chosen).mean():.1f}",
                COLUMNS["changed"]: f"{_values(found, 'changed', chosen).mean():.1f}",
                COLUMNS["speed"]: f"{np.median(_values(found, 'speed', chosen)):.0f}",
            }
        )
    return tabulate(lines, headers="keys", tablefmt="pipe", disable_numparse=True)


def _bands(rows: Mapping[str, Sequence[Row]]) -> str:
    def mean(found: Sequence[Row], low: int) -> str:
        return f"{np.mean([row.gain for row in found if low <= row.snr < low + _BAND]):.1f}"

    lows = range(-5, 15, _BAND)
    lines = [
        {"": name, **{f"{low} to {low + _BAND} dB": mean(found, low) for low in lows}} for name, found in rows.items()
    ]
    return tabulate(lines, headers="keys", tablefmt="pipe", disable_numparse=True)


def _slices(rows: Mapping[str, Sequence[Row]]) -> str:
    slices = list(dict.fromkeys(row.slice for row in rows[OURS]))
    lines = [
        {"": name, **{part: f"{np.mean([row.gain for row in found if row.slice == part]):.1f}" for part in slices}}
        for name, found in rows.items()
    ]
    return tabulate(lines, headers="keys", tablefmt="pipe", disable_numparse=True)


def _values(rows: Sequence[Row], name: str, chosen: Sequence[int]) -> NDArray[np.float64]:
    return np.array([getattr(rows[index], name) for index in chosen])


def _write(rows: Mapping[str, Sequence[Row]], path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["method", *_PRINTED])
        writer.writerows(_lines(rows))


_PRINTED = ("id", "slice", "snr", "own", "gain", "lost", "left", "changed", "speed")


def _lines(rows: Mapping[str, Sequence[Row]]) -> Iterator[list[str]]:
    for name, found in rows.items():
        for row in found:
            values = (getattr(row, column) for column in _PRINTED)
            yield [name, *(value if isinstance(value, str) else f"{value:.4g}" for value in values)]
