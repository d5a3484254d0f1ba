"""The test images as the results store describes them: slice, groups, input SNR, mask area."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from benchmark.data.manifest import Row, headline, read_rows
from benchmark.records.store import first_problem, manifest_path

BIN_DB = 5.0
_CLUSTERS = ("recording", "song", "background")
"""Kinds of groups within which images resemble each other. If none is stated, the species is used."""
_MANY_SPECIES = 24
"""From so many species on, the species takes the place of the song: its songs resemble each other, too."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stratum:
    """Test images of the headline slice that have something in common: `inside` (N,) bool."""

    title: str
    low: float
    inside: NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, slots=True)
class Images:
    """Facts of the N test images: id, slice, groups, input SNR in dB (NaN: not stated), share of foreground.

    `groups` are the labels (N,) of each of the `kinds`, one or two, and `labels` those of every kind that all test
    images name. `places` are the slices, the headline slice first.
    """

    ids: tuple[str, ...]
    slices: NDArray[np.str_]
    places: tuple[str, ...]
    kinds: tuple[str, ...]
    groups: tuple[NDArray[np.str_], ...]
    snr: NDArray[np.float64]
    area: NDArray[np.float64]
    labels: Mapping[str, NDArray[np.str_]]

    @property
    def main(self) -> NDArray[np.bool_]:
        """The images in the headline slice: (N,) bool."""
        return np.asarray(self.slices == self.places[0])

    def by_snr(self) -> list[Stratum]:
        """Intervals of input SNR, 5 dB each."""
        known = self.main & np.isfinite(self.snr)
        lows = np.unique(np.floor(self.snr[known] / BIN_DB) * BIN_DB)
        return [
            Stratum(
                title=f"{low:g} to {low + BIN_DB:g} dB",
                low=float(low),
                inside=known & (self.snr >= low) & (self.snr < low + BIN_DB),
            )
            for low in lows
        ]

    def by_area(self) -> list[Stratum]:
        """Quarters of the images with a mask, by the share of the image that it covers."""
        kept = self.main & (self.area > 0)
        if not kept.any():
            return []
        edges = np.unique(np.quantile(self.area[kept], [0, 0.25, 0.5, 0.75, 1]))
        found = []
        for number, (low, high) in enumerate(itertools.pairwise(edges)):
            last = number == len(edges) - 2
            inside = kept & (self.area >= low) & ((self.area <= high) if last else (self.area < high))
            found.append(Stratum(title=f"{100 * low:.1f} to {100 * high:.1f} %", low=float(low), inside=inside))
        return found


def load(results: Path, digest: str) -> Images:
    """Read the test images of the data of that manifest.

    Raises:
        OSError, ValueError: the manifest is missing, damaged, or has no test split.
    """
    path = manifest_path(results, digest)
    try:
        rows = [row for row in read_rows(path.read_text(encoding="utf-8")) if row.split == "test"]
    except ValidationError as error:
        raise ValueError(f"{path} is damaged ({first_problem(error)})") from error
    if not rows:
        raise ValueError(f"{path} has no test split")
    return _images(rows)


def _images(rows: Sequence[Row]) -> Images:
    slices = np.array([row.slice for row in rows])
    places = list(dict.fromkeys(slices.tolist()))
    first = headline(places)
    common = set.intersection(*(set(row.groups) for row in rows))
    kinds = [kind for kind in _CLUSTERS if kind in common]
    kinds = kinds or [kind for kind in ("species",) if kind in common]
    species = {row.groups.get("species", "") for row in rows if row.slice == first}
    if "song" in kinds and "" not in species and len(species) >= _MANY_SPECIES:
        kinds[kinds.index("song")] = "species"
    return Images(
        ids=tuple(row.id for row in rows),
        slices=slices,
        places=(first, *(place for place in places if place != first)),
        kinds=tuple(kinds[-2:]),
        groups=tuple(np.array([row.groups[kind] for row in rows]) for kind in kinds[-2:]),
        snr=np.array([_number(row.strata.get("snr_db")) for row in rows]),
        area=np.array([row.foreground / (row.height * row.width) for row in rows]),
        labels={kind: np.array([row.groups[kind] for row in rows]) for kind in sorted(common)},
    )


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else float("nan")
