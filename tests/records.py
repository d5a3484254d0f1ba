"""Records of entries whose IoU on every image is chosen, with the manifest that says what the images share."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from helpers import put
from numpy.typing import NDArray
from test_leaderboard import TEMPLATE

from benchmark import protocols, scores
from benchmark.common import files
from benchmark.leaderboard import tables
from benchmark.leaderboard.board import Board
from benchmark.leaderboard.formats import WRITERS
from benchmark.records import checksums, keys, schema, store
from benchmark.records.tables import write_csv
from benchmark.scores import separation

MASK = 1000
"""Pixels of every mask: an IoU is a whole number of thousandths."""


@dataclass(frozen=True, kw_only=True)
class Data:
    """Test images: groups by kind, slice, input SNR in dB and foreground pixels of 10 000, of each (N,)."""

    groups: Mapping[str, Sequence[str]]
    slices: Sequence[str]
    snr: NDArray[np.float64]
    area: NDArray[np.int64]
    digest: str = "c" * 64
    ids: Sequence[str] = field(default=())

    @property
    def main(self) -> NDArray[np.bool_]:
        return np.array(self.slices) == "main"

    def labels(self, inside: NDArray[np.bool_]) -> list[NDArray[np.str_]]:
        return [np.array(found)[inside] for found in self.groups.values()]

    def id(self, index: int) -> str:
        return self.ids[index] if self.ids else f"image-{index:03}"


def recordings(count: int = 48, units: int = 8, *, other: int = 0, **changes: Any) -> Data:
    """Images of `units` recordings in slice main, and `other` images of the same in slice ood."""
    number = np.arange(count + other)
    return Data(
        **{
            "groups": {"recording": [f"r{index % units}" for index in number]},
            "slices": ["main"] * count + ["ood"] * other,
            "snr": -5.0 + (number * 7) % 20,
            "area": 100 + (number * 37) % 400,
            **changes,
        }
    )


def write_tables(results: Path, folder: Path | None = None, *, suffixes: Sequence[str] = tuple(WRITERS)) -> Board:
    """Build the board and write its files, as the command does."""
    board = tables.build(results)
    (folder or results).mkdir(exist_ok=True)
    for suffix in suffixes:
        ((folder or results) / f"leaderboard.{suffix}").write_text(WRITERS[suffix](board, ()), encoding="utf-8")
    return board


def write_manifest(results: Path, data: Data) -> None:
    lines = []
    for index, place in enumerate(data.slices):
        row = {
            "split": "test",
            "id": data.id(index),
            "slice": place,
            "groups": {kind: labels[index] for kind, labels in data.groups.items()},
            "strata": {"snr_db": data.snr[index]} if np.isfinite(data.snr[index]) else {},
            "height": 100,
            "width": 100,
            "foreground": int(data.area[index]),
            "image_sha256": "",
            "mask_sha256": "",
        }
        lines.append(json.dumps(row))
    path = store.manifest_path(results, data.digest)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


def write_references(results: Path, data: Data) -> None:
    """Reference scores of the true mask and of the whole recording, which a table with sounds needs."""
    names = [f"{name}_{score}" for name in ("truth_mask", "all_foreground") for score in separation.LIMITS]
    header = ["id", "slice", *names]
    rows = [
        [data.id(index), place, snr + 12, snr + 12, -1, -20, snr, snr, 0, 0]
        for index, (place, snr) in enumerate(zip(data.slices, data.snr, strict=True))
    ]
    path = store.references_path(results, data.digest, protocols.REVISION)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_csv(path, header, rows)


def write_entry(
    results: Path,
    data: Data,
    label: str,
    ious: NDArray[np.float64],
    *,
    gains: NDArray[np.float64] | None = None,
    lost: Sequence[int] = (),
    **changes: Any,
) -> NDArray[np.float64]:
    """Runs of an entry with those IoUs (S, N), NaN for an empty mask, and SI-SDR gains in dB likewise.

    `lost` are seeds that diverged. Returns the IoUs to the pixel, as they are stored.
    """
    hits = np.rint(ious * MASK)
    for seed, row in enumerate(hits):
        _write_run(results, data, label, seed, row, None if gains is None else gains[seed], changes)
    for seed in lost:
        _write_run(results, data, label, seed, hits[0], None, {**changes, "status": "diverged", "message": "too bold"})
    return np.asarray(hits / MASK)


def _write_run(
    results: Path,
    data: Data,
    label: str,
    seed: int,
    hits: NDArray[np.float64],
    gains: NDArray[np.float64] | None,
    changes: Mapping[str, Any],
) -> None:
    content = json.loads(json.dumps(TEMPLATE))
    content["architecture"].update(name=label.partition(":")[0], label=label)
    content["dataset"].update(
        manifest=data.digest,
        images={"train": 4, "val": 2, "test": len(data.slices)},
        test_slices={place: data.slices.count(place) for place in dict.fromkeys(data.slices)},
    )
    content["seed"] = seed
    put(content, changes)
    unique = {name: str(value) for name, value in changes.items()}
    content["run_key"] = keys.digest({"label": label, "seed": seed, "data": data.digest, **unique})
    folder = store.folder(results, content["protocol"]["name"], "toy", f"a{content['run_key'][:6]}", content["run_key"])
    with files.atomic_folder(folder) as target_folder:
        store.write_record(target_folder, schema.Record.model_validate(content))
        header = ["id", "slice", *scores.COUNT_COLUMNS, *(scores.SOUND_COLUMNS if gains is not None else ())]
        rows = [
            [data.id(index), place, *_counts(hits[index]), *([] if gains is None else _sounds(data, gains, index))]
            for index, place in enumerate(data.slices)
        ]
        write_csv(target_folder / "images.csv", header, rows)
        checksums.write(target_folder)


def _counts(hits: float) -> list[int]:
    confusion = [0, 0, 0, 9000] if np.isnan(hits) else [int(hits), 0, MASK - int(hits), 9000]
    return [*confusion, *confusion, *confusion, 4, 4, 4, 4]


def _sounds(data: Data, gains: NDArray[np.float64], index: int) -> list[str]:
    noisy, gain = float(data.snr[index]), float(gains[index])
    return [f"{value:.4f}" for value in (noisy + gain, noisy, noisy + gain, noisy, -1.0, -20.0, 7.0)]
