"""Rows of the references: sound scores of masks that need no network, and of denoisers."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmark.leaderboard.board import Row
from benchmark.leaderboard.strata import Images
from benchmark.leaderboard.stratum_means import stratum_means
from benchmark.records.store import references_path
from benchmark.records.tables import Columns, read_references
from benchmark.scores import SOUND_SCORES, improvement, separation

SCORES = tuple(name for name in SOUND_SCORES if name != "sdr_dvad")


def references(results: Path, digest: str, revision: int, images: Images) -> tuple[Row, ...]:
    """The references for the data of a manifest: scores on the headline slice and on the others, gain by SNR.

    Raises:
        OSError, ValueError: the stored scores are missing, broken, or of other images.
    """
    path = references_path(results, digest, revision)
    table = read_references(path)
    if table["id"].tolist() != list(images.ids):
        raise ValueError(f"{path} has other images than the manifest; remove it and run any network again")
    return tuple(_row(name, columns, images) for name, columns in _by_name(table).items())


def _by_name(table: Columns) -> dict[str, Columns]:
    """Name -> the columns that an entry has, where the noisy recording is the reference that keeps everything."""
    names = [column.removesuffix("_sisdr") for column in table if column.endswith("_sisdr")]
    noisy = {f"{score}_noisy": table[f"all_foreground_{score}"] for score in ("sisdr", "sdr")}
    return {name: {**noisy, **{score: table[f"{name}_{score}"] for score in separation.LIMITS}} for name in names}


def _row(name: str, columns: Mapping[str, NDArray[np.float64]], images: Images) -> Row:
    scores = {}
    for place in images.places:
        part = {key: values[images.slices == place] for key, values in columns.items()}
        scores[place] = {score: SOUND_SCORES[score].compute(part) for score in SCORES}
    gains = improvement(columns, "sisdr")[None]
    row = Row(label=name, status="reference", scores=scores.pop(images.places[0]), slice_scores=scores)
    return replace(row, by_snr=stratum_means([(row, gains)], images, images.by_snr())[0])
