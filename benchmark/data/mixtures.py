"""Read datasets of mixtures, which `bench data mix` and `bench data make` write; `layout` describes the folder.

Songs and backgrounds are leakage groups, every sample has its noisy and its clean sound, and the SNR is a stratum.
"""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from benchmark.common.errors import UserError
from benchmark.contract import Audio, Example, Rendering, Sample
from benchmark.data import images, layout, recordings
from benchmark.data.layout import MixedSample
from benchmark.data.spectrogram import Transform

Table = Mapping[tuple[str, str], MixedSample]


def samples(root: Path, table: Table) -> dict[str, list[Sample]]:
    """The three splits of a folder: the slice main first, then by slice and id.

    Raises:
        UserError: a file is missing.
    """
    found: dict[str, list[Sample]] = {split: [] for split in layout.SPLITS}
    for (split, _), line in table.items():
        found[split].append(_sample(root / layout.SPLITS[split][0], line))
    return {
        split: sorted(part, key=lambda sample: (sample.slice != "main", sample.slice, sample.id))
        for split, part in found.items()
    }


def first_of(samples: Sequence[Sample], count: int, slices: int) -> list[Sample]:
    """The first `count` samples of the slice main and `slices` of each other slice; 0 takes all."""
    seen: dict[str, int] = defaultdict(int)
    kept = []
    for sample in samples:
        seen[sample.slice] += 1
        limit = count if sample.slice == "main" else slices
        if not limit or seen[sample.slice] <= limit:
            kept.append(sample)
    return kept


def read(image: Path, mask: Path, noisy: Path, clean: Path) -> Example:
    """Decode one pair with its sounds.

    Raises:
        UserError: the two sounds differ in rate or length.
    """
    (mixture, rate), (song, song_rate) = recordings.read(noisy), recordings.read(clean)
    if (rate, len(mixture)) != (song_rate, len(song)):
        raise UserError(f"{noisy} and {clean} differ in sample rate or length; make the dataset again")
    audio = Audio(noisy=mixture, clean=song, sample_rate=rate)
    return Example(image=images.read_image(image), mask=images.read_mask(mask), audio=audio)


def rendering(root: Path, table: Table) -> Rendering:
    """How the images were made.

    Raises:
        UserError: mix.json cannot be read.
    """
    first = next(iter(table.values()))
    # The middle of the range of loudness in training.
    gain = sum(sample.gain_db for sample in table.values()) / len(table)
    try:
        settings = json.loads((root / layout.RECIPE).read_text(encoding="utf-8"))["settings"]
        transform = {name: settings[name] for name in Transform.__slots__ if name in settings}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{root / layout.RECIPE} cannot be read ({error}); make the dataset again") from error
    return Rendering(
        sample_rate=first.sample_rate,
        frames=first.frames,
        highpass=first.highpass or None,
        lowpass=first.lowpass,
        peak=round(first.peak * 10 ** (gain / 20), 4),
        **transform,
    )


def _sample(folder: Path, line: MixedSample) -> Sample:
    pictures = [folder / names[0] / f"{line.id}.png" for names in (layout.IMAGES, layout.MASKS)]
    sounds = [folder / names[0] / f"{line.id}.wav" for names in (layout.RAW, layout.CLEAN)]
    paths = (*pictures, *sounds)
    missing = [path for path in paths if not path.is_file()]
    if missing:
        raise UserError(f"{missing[0]} is missing; make the dataset again")
    return Sample(
        id=line.id,
        groups=line.groups,
        read=partial(read, *paths),
        slice=line.slice,
        strata={"snr_db": line.snr_db},
        files=paths,
    )
