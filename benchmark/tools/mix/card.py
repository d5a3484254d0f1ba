"""Write the card of a made dataset: its contents, how much of the test is unseen in training, and how it was made."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from tabulate import tabulate

from benchmark.data.layout import GROUPS, MixedSample
from benchmark.data.spectrogram import BRIGHTEST, DARKEST
from benchmark.tools.mix.sources import Pool, Source

PUBLISHED_SATURATED, PUBLISHED_ZERO = 0.030, 0.134
"""Shares of white and black pixels of the published example (XC41136)."""


_FROM_FOLDERS = (
    "Read the dataset with `bench run --dataset birdsounds --data` this folder, or with a protocol that names it "
    "(`mix`, `mix-quick`)."
)
_BY_RECIPE = (
    "Read it with a protocol that names it: `bench run --protocol {name}-quick`, or `bench run --dataset {name}`; "
    "ATTRIBUTION.md beside the recordings says who recorded what."
)


def describe(recipe: Mapping[str, Any], pools: Sequence[Pool], samples: Sequence[MixedSample], command: str) -> str:
    """The card as Markdown."""
    settings, name = recipe["settings"], recipe["name"]
    parts = [
        "# Mixtures of bird song and background",
        f"Made by birdmask-bench from other people's recordings; their licences apply:\n\n    {command}",
        "Each mixture is the sum of a recording of song and a recording of background. The mask is a smoothed region "
        f"in which the song exceeds the background. {_BY_RECIPE.format(name=name) if name else _FROM_FOLDERS}",
        "## Contents",
        _table(pools, samples),
        *(_unseen(pools, pool) for pool in pools if pool.split == "test"),
        _not_stated(pools),
        "## Files",
        "In `Train/`, `Valid/` and `Test/`:",
        f"- `Images/`, `Masks/`: {_picture(settings)}",
        "- `Raw_audios/`: the mixture; `Clean_audios/`: the song alone",
        "- `samples.csv`: song, background, bird, species, site and kind of noise (as far as stated), where a window "
        "begins in the recordings (s), how often a short song is repeated in it (`song_times`), SNR and gains (dB), "
        "the factors of the stems, and the shares of foreground, white (`saturated`) and black (`zero`) pixels",
        "## How it was made",
        *_making(recipe, samples),
        f"- seed {settings['seed']}; `mix.json` has all settings and recordings, `samples.csv` every sample",
    ]
    text = "\n\n".join(part for part in parts if part)
    return text.replace("\n\n- ", "\n- ").replace("made\n- ", "made\n\n- ").replace("`:\n- ", "`:\n\n- ") + "\n"


def _making(recipe: Mapping[str, Any], samples: Sequence[MixedSample]) -> list[str]:
    settings = recipe["settings"]
    saturated, zero = (100 * float(np.mean([getattr(s, name) for s in samples])) for name in ("saturated", "zero"))
    own, foreign = settings["own_db"], settings["foreign_db"]
    lines = [
        f"- windows of {settings['seconds']:g} s at {settings['sample_rate']} Hz, channel {settings['channel']}, DC "
        f"removed; a song shorter than the window is repeated with pauses, a background without",
        f"- song and background: zero-phase high-pass {settings['highpass']:g} Hz, low-pass {settings['lowpass']:g} Hz "
        "(below the lowest Nyquist frequency among the recordings, so no band gives its source away)",
        f"- SNR uniform in {settings['snr_low']:g} to {settings['snr_high']:g} dB, each stem measured over its active "
        f"frames (10 ms, within {settings['active_db']:g} dB of the loudest"
        + (f"; a song's also {own:g} dB above its quietest tenth)" if own is not None else ")"),
        f"- mixture scaled to a peak of {settings['peak']:g}, then by {settings['gain_low']:g} to "
        f"{settings['gain_high']:g} dB; {saturated:.1f} % of the pixels are white and {zero:.1f} % black (in the "
        f"published example {100 * PUBLISHED_SATURATED:.1f} and {100 * PUBLISHED_ZERO:.1f} %)",
        f"- mask: powers of both stems smoothed by a Gaussian of {settings['smoothing']:g} bins and frames of the "
        "published transform; song above background"
        + (f", {own:g} dB above the steady noise of its own recording," if own is not None else "")
        + f" and above {settings['floor_db']:g} dB of the song's 99.5 % quantile; closing and opening by a disk of "
        f"{settings['radius']}; components and holes under {settings['smallest']} pixels removed",
    ]
    if recipe["name"]:
        return [
            *lines,
            "- the recipe says to which split each recording belongs; kinds of birds and of noise take turns",
        ]
    return [
        *lines,
        f"- songs and backgrounds split 40/10/50 % by recording; backgrounds whose loudest hundredth is {foreign:g} dB "
        "above the median in some 1 kHz band between 1 and 8 kHz (other animals) form a test slice of their own and "
        "are never in training",
    ]


def _picture(settings: Mapping[str, Any]) -> str:
    two = settings["sides"] == 2
    rows = settings["fft_length"] if two else settings["fft_length"] // 2
    place = "0 Hz in the middle, mirrored about it" if two else "0 Hz at the bottom"
    scale = (
        "magnitudes from 1 on are white"
        if settings["scale"] == "linear"
        else (f"{DARKEST:g} to {BRIGHTEST:g} dB relative to the image's median, so loudness does not matter")
    )
    return (
        f"{rows} rows, {place}; a column per frame (window of {settings['window']} samples, hop {settings['hop']}, FFT "
        f"length {settings['fft_length']}); {scale}"
    )


def _table(pools: Sequence[Pool], samples: Sequence[MixedSample]) -> str:
    header = ["split", "slice", "images", "songs", "birds", "species", "backgrounds", "sites", "SNR (dB)", "bird (%)"]
    rows = []
    for pool in pools:
        inside = [sample for sample in samples if (sample.split, sample.slice) == (pool.split, pool.slice)]
        snr = [sample.snr_db for sample in inside]
        counts = {kind: len({getattr(s, kind) for s in inside} - {""}) or "not stated" for kind in GROUPS}
        rows.append(
            [
                *(pool.split, pool.slice, len(inside), counts["song"], counts["bird"], counts["species"]),
                *(counts["background"], counts["site"], f"{min(snr):.1f} to {max(snr):.1f}"),
                f"{100 * np.mean([sample.foreground for sample in inside]):.1f}",
            ]
        )
    return tabulate(rows, header, tablefmt="github", disable_numparse=True)


def _unseen(pools: Sequence[Pool], pool: Pool) -> str:
    """How much of a test slice neither training nor validation has."""
    learned = [other for other in pools if other.split != "test"]
    counts = []
    for kind in GROUPS:
        before, here = (set().union(*(_groups(p, kind) for p in chosen)) for chosen in (learned, [pool]))
        if here:
            counts.append(f"{kind} {len(here - before)} of {len(here)}")
    return f"Slice {pool.slice}, not in training: {', '.join(counts)}."


def _groups(pool: Pool, kind: str) -> set[str]:
    if kind in ("song", "background"):
        sources: Sequence[Source] = pool.songs if kind == "song" else pool.backgrounds
        return {source.recording for source in sources}
    return {source.groups[kind] for source in (*pool.songs, *pool.backgrounds) if kind in source.groups}


def _not_stated(pools: Sequence[Pool]) -> str:
    missing = [kind for kind in ("bird", "species", "site") if not any(_groups(pool, kind) for pool in pools)]
    options = ", ".join(f"--{kind}" for kind in missing)
    return f"Not stated, so splits may share them: {', '.join(missing)} (state them with {options})." if missing else ""
