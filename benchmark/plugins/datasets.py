"""Load and decode the data of a dataset plugin, and refuse data on which a score means nothing."""

import inspect
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmark.common.errors import UserError
from benchmark.common.progress import Report
from benchmark.contract import DatasetSpec, Splits
from benchmark.data import cache, manifest, validate
from benchmark.data.manifest import Row
from benchmark.data.spectrogram import Transform
from benchmark.plugins.blame import blaming
from benchmark.plugins.registry import Plugin
from benchmark.protocols import Protocol


def resolved(dataset: Plugin, root: Path | None) -> DatasetSpec:
    """The dataset's spec, refined by the folder that it is read from.

    Raises:
        UserError: the plugin's `resolve` fails, or gives something else.
    """
    spec: DatasetSpec = dataset.spec
    if spec.resolve is None:
        return spec
    with blaming(dataset):
        found = _called(dataset, "resolve", spec.resolve, root)
    if not isinstance(found, DatasetSpec):
        raise UserError(f"{dataset.label}: resolve() gives a {type(found).__name__}, not a DatasetSpec")
    return found


def load_data(dataset: Plugin, settings: Protocol, root: Path | None, report: Report) -> cache.Cached:
    """The dataset, decoded at the protocol's size.

    Raises:
        UserError: the dataset needs a folder, or the folder does not hold what it should.
    """
    spec: DatasetSpec = dataset.spec
    validate.check_root(dataset.name, spec, root)
    splits = listing(dataset, root)
    folder = root.resolve().as_posix() if root is not None else ""
    return cache.prepare(
        splits,
        identity={"dataset": dataset.label, "source": dataset.source_hash, "folder": folder},
        size=settings.image_size,
        grey=settings.channels == 1,
        report=report,
        transform=Transform.of(resolved(dataset, root).rendering),
    )


def listing(dataset: Plugin, root: Path | None) -> Splits:
    """The samples of each split; none of them is read.

    Raises:
        UserError: the plugin fails, or gives something else.
    """
    spec: DatasetSpec = dataset.spec
    with blaming(dataset):
        splits = _called(dataset, "load", spec.load, root)
    return validate.checked_listing(splits)


def _called(dataset: Plugin, name: str, function: Callable[..., object], root: Path | None) -> object:
    """Call a function of the plugin with the folder and the parameters, if it takes them."""
    try:
        inspect.signature(function).bind(root=root, **dataset.parameters)
    except (TypeError, ValueError) as error:
        raise UserError(f"{dataset.label}: {name}(*, root, ...) cannot be called: {error}") from error
    return function(root=root, **dataset.parameters)


# ---------------------------------------------------------------- data on which a score would mean nothing


def check_data(cached: cache.Cached, settings: Protocol, *, allow_leakage: bool) -> None:
    """Refuse data that no run may be trained and tested on.

    Raises:
        UserError: a recording in two splits, a batch larger than the training split, a split without any foreground.
    """
    shared = manifest.shared(cached.rows)
    leaking = [kind for kind in manifest.LEAKAGE_GROUPS if kind in shared]
    if leaking and not allow_leakage:
        kind = leaking[0]
        first, second = manifest.example_of_leakage(cached.rows, kind, shared[kind][0])
        raise UserError(
            f"leakage: {first.split}/{first.id} and {second.split}/{second.id} have {_same(kind, shared[kind][0])} "
            f"({_cases(shared[kind])}); move them into one split, or run with --allow-leakage (the table will say so)"
        )
    train = cached.splits["train"]
    if settings.batch_size > len(train.rows):
        raise UserError(
            f"batch size {settings.batch_size} is larger than the training split ({len(train.rows)} images); "
            f"use --batch-size {len(train.rows)} or less"
        )
    for split in cached.splits.values():
        _check_foreground(split)


def check_transfer(
    test: cache.CachedSplit, learned: Sequence[Row], *, run: Path, allow_leakage: bool
) -> dict[str, int]:
    """Refuse data that a finished run must not be tested on; return how many groups of each kind leak, if allowed.

    `learned` are the rows that the run was trained and validated on.

    Raises:
        UserError: a recording that the run was trained or validated on, a test split without any foreground.
    """
    _check_foreground(test)
    met = manifest.leaking_groups(learned, test.rows)
    if met and not allow_leakage:
        kind, found = next(iter(met.items()))
        row = next(row for row in test.rows if manifest.groups(row).get(kind) == found[0])
        raise UserError(
            f"leakage: test/{row.id} has {_same(kind, found[0])} as an image that {run} was trained or validated on "
            f"({_cases(found)}); take it out of the test, or give --allow-leakage (the record will say so)"
        )
    return {kind: len(found) for kind, found in met.items()}


def _check_foreground(split: cache.CachedSplit) -> None:
    """A split has foreground somewhere; a test split has it in the slice that scores are computed on."""
    main = manifest.headline([row.slice for row in split.rows])
    if not any(row.foreground for row in split.rows if split.name != "test" or row.slice == main):
        raise UserError(f"every mask of split '{split.name}' is empty; add images with foreground")


def _same(kind: str, group: str) -> str:
    return "the same pixels" if kind == "pixels" else f"the same {kind} {group}"


def _cases(groups: Sequence[str]) -> str:
    return f"{len(groups)} such case{'' if len(groups) == 1 else 's'}"
