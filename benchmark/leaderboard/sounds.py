"""What the results store knows of the sounds behind a test split: SNR, groups, and the references' scores."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmark.files import read_ids, read_tables
from benchmark.record import manifest_path, references_path

BIN_DB = 5.0
_CLUSTERS = ("recording", "song", "background")
"""Kinds of groups within which images resemble each other; where none is stated, the species."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sounds:
    """Of the N test images: slice, input SNR in dB (NaN: not stated), groups; of each reference the sound columns.

    `bins` are the lower ends of the 5 dB intervals of SNR in the headline slice.
    """

    slices: NDArray[np.str_]
    places: tuple[str, ...]
    snr: NDArray[np.float64]
    groups: tuple[NDArray[np.str_], ...]
    references: Mapping[str, Mapping[str, NDArray[np.float64]]]
    bins: tuple[float, ...]

    def in_bins(self) -> Iterator[NDArray[np.bool_]]:
        """Which images of the headline slice are in each interval: (N,) bool."""
        main = self.slices == self.places[0]
        for low in self.bins:
            yield main & (self.snr >= low) & (self.snr < low + BIN_DB)


def load(results: Path, digest: str, revision: int, problems: list[str]) -> Sounds | None:
    """What is stored for the data of that manifest; None, with a problem noted, where a file is missing or broken."""
    try:
        lines = manifest_path(results, digest).read_text(encoding="utf-8").splitlines()
        rows = [row for row in map(json.loads, lines) if row["split"] == "test"]
        path = references_path(results, digest, revision)
        table = read_tables([path])[0]
        if read_ids(path) != [row["id"] for row in rows]:
            raise ValueError(f"{path} is of other images than the manifest; remove it and run an entry again")
    except (OSError, ValueError, KeyError) as error:
        problems.append(f"no references and no scores by SNR for data {digest[:12]}: {error}")
        return None
    slices = np.array([row["slice"] for row in rows])
    places = tuple(dict.fromkeys(slices.tolist()))
    places = tuple(sorted(places, key=lambda name: name != "main"))
    snr = np.array([float(row["strata"].get("snr_db", "nan")) for row in rows])
    kinds = [kind for kind in _CLUSTERS if all(kind in row["groups"] for row in rows)]
    kinds = kinds or [kind for kind in ("species",) if all(kind in row["groups"] for row in rows)]
    low = np.floor(snr[(slices == places[0]) & np.isfinite(snr)] / BIN_DB) * BIN_DB
    return Sounds(
        slices=slices,
        places=places,
        snr=snr,
        groups=tuple(np.array([row["groups"][kind] for row in rows]) for kind in kinds[-2:]),
        references=_references(table),
        bins=tuple(float(value) for value in np.unique(low)),
    )


def _references(table: Mapping[str, NDArray[np.float64]]) -> dict[str, dict[str, NDArray[np.float64]]]:
    """Name -> the columns that an entry has, where the noisy recording is the reference that keeps everything."""
    names = [column.removesuffix("_sisdr") for column in table if column.endswith("_sisdr")]
    noisy = {f"{score}_noisy": table[f"all_foreground_{score}"] for score in ("sisdr", "sdr")}
    return {name: {**noisy, **{score: table[f"{name}_{score}"] for score in ("sisdr", "sdr")}} for name in names}
