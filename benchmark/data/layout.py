"""The folders of BirdSoundsDenoising, and the table of samples that `bench data mix` adds to them.

`Train|Valid|Test` hold `Images` and `Masks` (PNG of equal names), `Raw_audios` (the recordings) and, of mixtures only,
`Clean_audios` (the bird alone). Mixtures also have `samples.csv`, a line per sample, and `mix.json`, the recipe.
"""

import csv
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from benchmark.common.errors import UserError

SPLITS = {"train": ("Train", "train"), "val": ("Valid", "valid", "Val", "val"), "test": ("Test", "test")}
IMAGES = ("Images", "images")
MASKS = ("Masks", "masks")
RAW = ("Raw_audios", "raw_audios")
CLEAN = ("Clean_audios", "clean_audios")
SAMPLES = "samples.csv"
RECIPE = "mix.json"

GROUPS = ("song", "background", "bird", "species", "site", "noise")

_RECORDING = re.compile(r"XC\d+", re.IGNORECASE)
_CHANNEL = re.compile(r"_(left|right)$")


@dataclass(frozen=True, kw_only=True, slots=True)
class MixedSample:
    """A line of samples.csv. A group that is not stated is empty. Times in s, frequencies in Hz, gains and SNR in dB.

    `song` and `background` are recordings; several files (two channels, several cuts) may belong to one of them.
    `snr_db` is measured over the song's active frames, `gain_db` is relative to the peak rule; `song_gain` and
    `background_gain` are the factors by which the filtered stems were multiplied in all. `sha256` is of the pixels of
    image and mask and of the samples of both sounds.
    """

    id: str
    split: str
    slice: str
    song: str
    background: str
    bird: str
    species: str
    site: str
    noise: str
    song_file: str
    background_file: str
    song_start: float
    song_times: int
    background_start: float
    snr_db: float
    gain_db: float
    song_gain: float
    background_gain: float
    sample_rate: int
    frames: int
    highpass: float
    lowpass: float
    peak: float
    foreground: float
    saturated: float
    zero: float
    sha256: str

    @property
    def groups(self) -> dict[str, str]:
        """The stated groups."""
        return {kind: getattr(self, kind) for kind in GROUPS if getattr(self, kind)}


def folder(parent: Path, spellings: Sequence[str]) -> Path | None:
    """The subfolder in any of its spellings, if there is one."""
    return next((parent / name for name in spellings if (parent / name).is_dir()), None)


def has_number(stem: str) -> bool:
    """Whether a file name begins with a xeno-canto number."""
    return _RECORDING.match(stem) is not None


def recording(stem: str) -> str:
    """The recording that a file belongs to: its xeno-canto number, or its name without `_left` or `_right`."""
    match = _RECORDING.match(stem)
    return match[0].upper() if match else _CHANNEL.sub("", stem)


def write_samples(path: Path, samples: Sequence[MixedSample]) -> None:
    """Write samples.csv."""
    names = [field.name for field in fields(MixedSample)]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(sample) for sample in samples)


def read_samples(root: Path) -> dict[tuple[str, str], MixedSample] | None:
    """The samples by split and id; None where the dataset has no such table.

    Raises:
        UserError: the table lacks a column, or a value is not what its column holds.
    """
    path = root / SAMPLES
    if not path.is_file():
        if (root / RECIPE).is_file():
            raise UserError(f"{path} is missing; restore it, or give the same bench data mix again")
        return None
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = TypeAdapter(list[MixedSample]).validate_python(list(csv.DictReader(file)))
    except ValidationError as error:
        first = error.errors()[0]
        line, column = (*first["loc"], "", "")[:2]
        raise UserError(f"{path}: sample {line}, column {column}: {first['msg']}; make the dataset again") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} cannot be read: {error}; make the dataset again") from error
    return {(row.split, row.id): row for row in rows}
