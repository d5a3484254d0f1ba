"""The manifest of a decoded dataset: a row per sample, and the groups that splits share."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import TypeAdapter

LEAKAGE_GROUPS = ("recording", "song", "background", "pixels")
"""Kinds of group that no two splits may share; tables say of other kinds (bird, species, site) whether they do."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SoundRow:
    """The sounds behind a test image, (samples,) each: their rate in Hz and the SHA-256 of both in float32."""

    sample_rate: int
    samples: int
    sha256: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One line of the manifest. `foreground` counts mask pixels at native size (height x width).

    `sound` is given for test samples whose clean sound is known.
    """

    split: str
    id: str
    slice: str
    groups: Mapping[str, str]
    strata: Mapping[str, str | float]
    height: int
    width: int
    foreground: int
    image_sha256: str
    mask_sha256: str
    sound: SoundRow | None = None

    def line(self) -> str:
        """Canonical JSON; unknown values are left out."""
        values = {name: getattr(self, name) for name in self.__slots__}
        values["sound"] = asdict(self.sound) if self.sound else None
        return json.dumps({name: value for name, value in values.items() if value is not None}, sort_keys=True)


_ROW = TypeAdapter(Row)


def read_rows(text: str) -> list[Row]:
    """The rows of a manifest.

    Raises:
        ValueError: a line is not a row.
    """
    return [_ROW.validate_json(line) for line in text.splitlines()]


def summary(rows: Sequence[Row]) -> dict[str, Any]:
    """Sizes and groups of the data, under the names of the fields of `DatasetRecord`.

    Distinct images count as groups of the kind "pixels".
    """
    by_split = {
        split: [row for row in rows if row.split == split] for split in dict.fromkeys(row.split for row in rows)
    }
    slices = [row.slice for row in by_split["test"]]
    found = members((row.split, groups(row)) for row in rows)
    between = shared_members(found)
    return {
        "images": {split: len(inside) for split, inside in by_split.items()},
        "empty_masks": {split: sum(not row.foreground for row in inside) for split, inside in by_split.items()},
        "test_slices": {name: slices.count(name) for name in dict.fromkeys(slices)},
        "groups": {
            kind: {
                "relation": "shared" if kind in between else "disjoint",
                "counts": {split: len(inside) for split, inside in splits.items()},
            }
            for kind, splits in found.items()
        },
        "slices": {name: _slice(rows, name) for name in dict.fromkeys(slices)},
    }


def _slice(rows: Sequence[Row], name: str) -> dict[str, Any]:
    """By kind of group: the groups of a test slice, and its images whose group is not in train or val."""
    inside = [row for row in rows if row.split == "test" and row.slice == name]
    learned = [row for row in rows if row.split != "test"]
    kinds = list(dict.fromkeys(kind for row in inside for kind in row.groups))
    met = {kind: _of_kind(learned, kind) for kind in kinds}
    return {
        "groups": {kind: len(_of_kind(inside, kind)) for kind in kinds},
        "unseen": {
            kind: sum(kind in row.groups and row.groups[kind] not in met[kind] for row in inside) for kind in kinds
        },
    }


def _of_kind(rows: Sequence[Row], kind: str) -> set[str]:
    return {row.groups[kind] for row in rows if kind in row.groups}


def shared(rows: Sequence[Row]) -> dict[str, list[str]]:
    """Kind of group -> the groups that are in more than one split; kinds without such groups are left out."""
    return shared_members(members((row.split, groups(row)) for row in rows))


def shared_members(by_kind: Mapping[str, Mapping[str, set[str]]]) -> dict[str, list[str]]:
    """The same from kind -> split -> groups."""
    result = {}
    for kind, by_split in by_kind.items():
        counts = Counter(group for inside in by_split.values() for group in inside)
        if several := sorted(group for group, count in counts.items() if count > 1):
            result[kind] = several
    return result


def members(samples: Iterable[tuple[str, Mapping[str, str]]]) -> dict[str, dict[str, set[str]]]:
    """From each sample's split and groups: kind of group -> split -> groups."""
    found: dict[str, dict[str, set[str]]] = {}
    for split, named in samples:
        for kind, group in named.items():
            found.setdefault(kind, {}).setdefault(split, set()).add(group)
    return found


def leaking_groups(trained: Sequence[Row], tested: Sequence[Row]) -> dict[str, list[str]]:
    """Leakage: kind of group -> the groups that are in both; kinds without such groups are left out."""
    found = {}
    for kind in LEAKAGE_GROUPS:
        known, here = ({groups(row).get(kind) for row in rows} - {None} for rows in (trained, tested))
        if both := sorted(str(group) for group in known & here):
            found[kind] = both
    return found


def example_of_leakage(rows: Sequence[Row], kind: str, group: str) -> tuple[Row, Row]:
    """Two rows of different splits that belong to the same group."""
    inside = [row for row in rows if groups(row).get(kind) == group]
    return inside[0], next(row for row in inside if row.split != inside[0].split)


def groups(row: Row) -> dict[str, str]:
    """The groups of a sample by kind; its image counts as a group of the kind "pixels"."""
    return {**row.groups, "pixels": row.image_sha256}


def headline(slices: Sequence[str]) -> str:
    """The slice that scores are computed on: "main", or the first if none has that name."""
    return "main" if "main" in slices else slices[0]
