"""From a plugin's name to data that may be trained on, with each mistake laid at the right door."""

import inspect
from collections.abc import Callable
from pathlib import Path

from benchmark.common.errors import UserError
from benchmark.common.progress import Report
from benchmark.contract import DatasetSpec
from benchmark.data import cache, manifest, validate
from benchmark.plugins.blame import blaming as blaming
from benchmark.plugins.registry import Plugin
from benchmark.protocols import Protocol


def resolved(dataset: Plugin, root: Path | None) -> DatasetSpec:
    """What the dataset is, with the folder that it was read from."""
    spec: DatasetSpec = dataset.spec
    if spec.resolve is None:
        return spec
    with blaming(dataset):
        found = _called(dataset, "resolve", spec.resolve, root)
    if not isinstance(found, DatasetSpec):
        raise UserError(f"{dataset.label}: resolve() gives a {type(found).__name__}, not a DatasetSpec")
    return found


def _called(dataset: Plugin, name: str, function: Callable[..., object], root: Path | None) -> object:
    """What a function of the plugin gives for the folder and the parameters, if it takes them."""
    try:
        inspect.signature(function).bind(root=root, **dataset.parameters)
    except (TypeError, ValueError) as error:
        raise UserError(f"{dataset.label}: {name}(*, root, ...) cannot be called: {error}") from error
    return function(root=root, **dataset.parameters)


def load_data(dataset: Plugin, settings: Protocol, root: Path | None, report: Report) -> cache.Cached:
    """The dataset, decoded at the protocol's size.

    Raises:
        UserError: the dataset needs a folder, or the folder does not hold what it should.
    """
    spec: DatasetSpec = dataset.spec
    validate.check_root(dataset.name, spec, root)
    with blaming(dataset):
        splits = _called(dataset, "load", spec.load, root)
    folder = root.resolve().as_posix() if root is not None else ""
    return cache.prepare(
        validate.checked_listing(splits),
        identity={"dataset": dataset.label, "source": dataset.source_hash, "folder": folder},
        size=settings.image_size,
        grey=settings.channels == 1,
        report=report,
    )


def check_data(cached: cache.Cached, settings: Protocol, *, allow_leakage: bool) -> None:
    """Refuse data on which a number would mean nothing.

    Raises:
        UserError: a recording in two splits, a batch larger than the training split, a split without any mask.
    """
    shared = manifest.shared(cached.rows)
    leaking = [kind for kind in manifest.LEAKAGE_GROUPS if kind in shared]
    if leaking and not allow_leakage:
        kind = leaking[0]
        first, second = manifest.example_of_leakage(cached.rows, kind, shared[kind][0])
        same = "the same pixels" if kind == "pixels" else f"{kind} {shared[kind][0]}"
        raise UserError(
            f"leakage: {first.split}/{first.id} and {second.split}/{second.id} are of {same} ({len(shared[kind])} such "
            "case(s)); move them into one split, or run with --allow-leakage (the table will say so)"
        )
    train = cached.splits["train"]
    if settings.batch_size > len(train.rows):
        raise UserError(
            f"batch size {settings.batch_size} is larger than the training split ({len(train.rows)} images); "
            f"use --batch-size {len(train.rows)} or less"
        )
    main = manifest.headline([row.slice for row in cached.splits["test"].rows])
    for split in cached.splits.values():
        if not any(row.foreground for row in split.rows if split.name != "test" or row.slice == main):
            raise UserError(f"every mask of split '{split.name}' is empty; add images with foreground")
