"""Results for notebooks and scripts: `benchmark.results`, `benchmark.images` and `benchmark.masks`.

A share (IoU, Dice, ...) is a number from 0 to 1, a score of sound is in dB.
"""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from benchmark.common.errors import UserError, first_line
from benchmark.leaderboard.scoring import Scored, score_all
from benchmark.records import archives, find, store
from benchmark.scores import SOUND_COLUMNS, image_iou, improvement, truth_is_empty

if TYPE_CHECKING:
    import pandas as pd


def results(path: str | Path = "results") -> "pd.DataFrame":
    """A row for every finished run of a results folder, sorted by protocol, dataset, architecture and seed.

    Columns: `architecture` (the label, with its parameters), `protocol`, `dataset`, `seed`; all scores on the ranked
    slice (`iou`, `dice`, ..., `sisdr_improvement`, ...; NaN without sounds), `iou_<slice>` on the others;
    `parameters`, `gflops`, `train_seconds`, `test_images_per_second`, `peak_memory_bytes`, `device`, `arithmetic`,
    `best_epoch`, `finished` (UTC); `path`, `run_key`, `table_key` (runs that compare share it) and `manifest` (of the
    data). A run that cannot be read is left out with a warning.

    Raises:
        UserError: the folder does not exist or cannot be read.
    """
    import pandas as pd

    folder = Path(path)
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder; give the results folder, e.g. benchmark.results('results')")
    found, problems = store.read_all(folder)
    rows = [_row(run) for run in score_all([run for run in found if run[1].status == "finished"], problems)]
    for problem in problems:
        warnings.warn(f"left out: {problem}", stacklevel=2)
    if not rows:
        return pd.DataFrame()
    order = ["protocol", "dataset", "architecture", "seed", "run_key"]
    return pd.DataFrame(rows).sort_values(order, ignore_index=True)


def _row(run: Scored) -> dict[str, Any]:
    record = run.record
    return {
        "architecture": record.architecture.label,
        "protocol": record.protocol.name,
        "dataset": record.dataset.label,
        "seed": record.seed,
        **run.scores,
        **{
            name: scores["iou"]
            for place, scores in run.slice_scores.items()
            if (name := f"iou_{place}") not in run.scores
        },
        "parameters": record.architecture.parameter_count,
        "gflops": record.architecture.gflops,
        "train_seconds": record.training.seconds,
        "test_images_per_second": record.inference_images_per_second,
        "peak_memory_bytes": record.peak_memory_bytes,
        "device": record.device.kind,
        "arithmetic": record.device.arithmetic,
        "best_epoch": record.training.best_epoch,
        "finished": record.finished,
        "path": str(run.folder),
        "run_key": record.run_key,
        "table_key": record.comparability_key,
        "manifest": record.dataset.manifest,
    }


def images(run: str | Path, results: str | Path = "results") -> "pd.DataFrame":
    """A row for every test image of a run, in the order of the predictions.

    `run` is its folder, the beginning of its key, "last", or an architecture with one run in `results`. Columns: `id`,
    `slice`, `iou` (NaN where the true mask is empty: the table leaves such images out), `sisdr_improvement` and the
    sound columns of images.csv (if there are sounds), `snr_db` (NaN: not stated), `foreground` (share of the file's
    pixels), `height` and `width` of the file, a column for each kind of group, e.g. `species`, and the counts.

    Raises:
        UserError: there is no such run, or a file of it is missing or damaged.
    """
    import pandas as pd

    path, record = find.one(Path(results), str(run))
    try:
        counts = store.read_counts([path])[0]
        manifest = store.read_manifest(path.absolute().parents[4], record.dataset.manifest)
        rows = [row for row in manifest if row.split == "test"]
        if [row.id for row in rows] != counts["id"].tolist():
            raise ValueError("images.csv has other images than the manifest")
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read: {first_line(error)}; {store.INSTEAD}") from error
    with_sounds = SOUND_COLUMNS[0] in counts
    kinds = dict.fromkeys(kind for row in rows for kind in row.groups)
    columns: dict[str, Any] = {
        "id": counts["id"],
        "slice": np.asarray(counts["slice"], dtype=object),
        "iou": np.where(truth_is_empty(counts), np.nan, image_iou(counts)),
        **({"sisdr_improvement": improvement(counts, "sisdr")} if with_sounds else {}),
        "snr_db": [_number(row.strata.get("snr_db")) for row in rows],
        "foreground": [row.foreground / (row.height * row.width) for row in rows],
        "height": [row.height for row in rows],
        "width": [row.width for row in rows],
        **{kind: [row.groups.get(kind) for row in rows] for kind in kinds},
    }
    others = {name: values for name, values in counts.items() if name not in columns}
    return pd.DataFrame({**columns, **others})


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else float("nan")


def masks(run: str | Path, results: str | Path = "results") -> dict[str, NDArray[np.bool_]]:
    """The predicted masks of a run by the id of the test image: bool (H, W) at the size of the protocol.

    `run` is as for `images`.

    Raises:
        UserError: there is no such run, or a file of it is missing or damaged.
    """
    path, _ = find.one(Path(results), str(run))
    try:
        predicted = archives.read_predictions(path / store.PREDICTIONS)
        ids = store.read_counts([path])[0]["id"].tolist()
        return dict(zip(ids, predicted, strict=True))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read: {first_line(error)}; {store.INSTEAD}") from error
