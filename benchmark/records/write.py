"""Write the files of a run folder except run.json and SHA256SUMS (`store`), and what runs on the same data share."""

from collections.abc import Collection, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.torch import save

from benchmark import scores
from benchmark.common import files
from benchmark.data import cache, manifest
from benchmark.plugins.network import Network
from benchmark.plugins.registry import Plugin
from benchmark.protocols import REVISION
from benchmark.records import pictures, store, tables
from benchmark.scores import separation
from benchmark.training import Trained
from benchmark.training.evaluator import Evaluation


def write_manifest(results: Path, cached: cache.Cached) -> None:
    """Write the manifest, if it is missing."""
    path = store.manifest_path(results, cached.digest)
    if not path.exists():
        files.write_atomically(path, lambda temporary: temporary.write_text(cached.manifest, encoding="utf-8"))


def write_pictures(results: Path, cached: cache.Cached, *, ours: bool) -> None:
    """Write true masks and thumbnails of the test images at this size, if they are missing.

    Thumbnails of images that are not `ours` to publish go into `private/`, which git ignores.
    """
    split = cached.splits["test"]
    size = split.masks.shape[1:]
    path, private = (store.pictures_path(results, cached.digest, size, private=own) for own in (False, True))
    if path.exists() and (ours or private.exists()):
        return
    small = pictures.pack_thumbnails(split.images)
    masks = {"truth_packed": np.packbits(split.masks, axis=-1), "truth_shape": np.array(split.masks.shape)}
    files.write_atomically(path, partial(_write_arrays, arrays={**masks, **(small if ours else {})}))
    if not ours:
        files.write_atomically(private, partial(_write_arrays, arrays=small))


def _write_arrays(path: Path, arrays: Mapping[str, Any]) -> None:
    with path.open("wb") as file:  # by its path NumPy would add a suffix
        np.savez_compressed(file, **arrays)


def write_source(target: Path, plugin: Plugin) -> None:
    """Write the source of the plugin that ran."""
    (target / store.PLUGIN).write_bytes(plugin.code)
    for name, code in plugin.modules.items():
        (target / store.MODULES).mkdir(exist_ok=True)
        (target / store.MODULES / f"{name}.py").write_bytes(code)


def write_weights(target: Path, net: Network) -> None:
    """Write the weights of the selected epoch, if the network has any."""
    # Cloned, because safetensors refuses parameters that share memory (tied weights).
    if not net.core.state_dict():
        return
    weights = {name: value.detach().cpu().clone().contiguous() for name, value in net.core.state_dict().items()}
    # Not save_file: its files are readable by their owner alone.
    (target / store.WEIGHTS).write_bytes(save(weights))


def write_history(target: Path, label: str, trained: Trained | None) -> None:
    """Write and draw loss and validation IoU per epoch; with several learning rates, write those of each."""
    if trained is None:
        return
    header = ["epoch", "loss", "validation_iou", "seconds"]
    tables.write_csv(target / store.HISTORY, header, _curve(trained))
    if trained.candidates:
        rows = [[each.learning_rate, *row] for each in trained.candidates for row in _curve(each.trained)]
        tables.write_csv(target / store.CANDIDATES, ["learning_rate", *header], rows)
    if trained.history and trained.status == "finished":
        pictures.draw_curve(
            target / "examples" / "curve.png",
            label,
            [epoch.loss for epoch in trained.history],
            [epoch.validation_iou for epoch in trained.history],
            trained.best_epoch,
        )


def _curve(trained: Trained) -> list[list[Any]]:
    return [
        [epoch.epoch, f"{epoch.loss:.6f}", f"{epoch.validation_iou:.6f}", f"{epoch.seconds:.3f}"]
        for epoch in trained.history
    ]


def write_evaluation(target: Path, split: cache.CachedSplit, evaluation: Evaluation, *, ours: bool) -> None:
    """Write counts, logit histograms and predicted masks per image; draw the best, the median and the worst image.

    Images that are not `ours` to publish are drawn in `private/` only, which git ignores.
    """
    write_counts(target, split, evaluation)
    numbers = range(scores.LOGIT_BINS)
    header = ["id", *(f"{name}_{number}" for name in ("background", "foreground") for number in numbers)]
    flat = evaluation.histograms.reshape(len(split.rows), -1).tolist()
    tables.write_csv(
        target / store.LOGITS, header, [[row.id, *values] for row, values in zip(split.rows, flat, strict=True)]
    )
    np.savez_compressed(
        target / store.PREDICTIONS,
        packed=np.packbits(evaluation.predictions, axis=-1),
        shape=np.array(evaluation.predictions.shape),
    )
    _draw_examples(target, split, evaluation, ours=ours)


def write_counts(target: Path, split: cache.CachedSplit, evaluation: Evaluation) -> None:
    """Write images.csv: the counts of each image, its sound scores if the clean sound is known, and its IoU."""
    columns: dict[str, list[Any]] = {name: evaluation.counts[name].tolist() for name in scores.COUNT_COLUMNS}
    columns |= _decibels({name: evaluation.sounds[name] for name in scores.SOUND_COLUMNS if evaluation.sounds})
    columns[tables.IOU] = [f"{100 * value:.4f}" for value in scores.shown_iou(evaluation.counts)]
    _write_columns(target / store.IMAGES, split, columns)


def lacks_references(results: Path, cached: cache.Cached, found: Collection[str]) -> bool:
    """Whether the sound scores of masks that need no network and of the denoisers `found` are to be computed.

    They are computed again when a denoiser has been installed since; they are never replaced by fewer.
    """
    stored = _header(store.references_path(results, cached.digest, REVISION))
    missing = not stored or stored - {"id", "slice"} < set(separation.reference_columns(found))
    return cached.splits["test"].has_sounds and missing


def write_references(results: Path, cached: cache.Cached, columns: Mapping[str, NDArray[np.float64]]) -> None:
    """Write the sound scores of masks that need no network and of denoisers, in dB by column."""
    path, split = store.references_path(results, cached.digest, REVISION), cached.splits["test"]
    files.write_atomically(path, lambda temporary: _write_columns(temporary, split, _decibels(columns)))


def _header(path: Path) -> set[str]:
    """The columns of a table; empty if there is no file."""
    if not path.exists():
        return set()
    with path.open(encoding="utf-8", errors="replace") as file:
        return set(file.readline().rstrip("\n").split(","))


def _decibels(columns: Mapping[str, NDArray[np.float64]]) -> dict[str, list[Any]]:
    return {name: [f"{value:.4f}" for value in values] for name, values in columns.items()}


def _write_columns(path: Path, split: cache.CachedSplit, columns: Mapping[str, list[Any]]) -> None:
    rows = [[row.id, row.slice, *values] for row, *values in zip(split.rows, *columns.values(), strict=True)]
    tables.write_csv(path, ["id", "slice", *columns], rows)


def _draw_examples(target: Path, split: cache.CachedSplit, evaluation: Evaluation, *, ours: bool) -> None:
    iou = scores.image_iou(evaluation.counts)
    main = manifest.headline([row.slice for row in split.rows])
    with_mask = [index for index, row in enumerate(split.rows) if row.foreground and row.slice == main]
    ranked = sorted(with_mask, key=lambda index: (-iou[index], split.rows[index].id))
    for name, index in (("best", ranked[0]), ("median", ranked[len(ranked) // 2]), ("worst", ranked[-1])):
        title = f"{name}: {split.rows[index].id}, IoU {100 * iou[index]:.1f} %"
        masks = {"truth": split.masks[index], "prediction": evaluation.predictions[index]}
        everything = {"image": split.images[index], **masks}
        if not ours:
            pictures.draw_example(target / "private" / f"{name}.png", title, everything)
        pictures.draw_example(target / "examples" / f"{name}.png", title, everything if ours else masks)
