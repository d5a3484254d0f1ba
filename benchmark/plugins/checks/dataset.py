"""Check the contract of a dataset plugin on a folder that it reads. The checks run in the order of their functions."""

import pickle
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from benchmark.common import workers
from benchmark.common.errors import UserError, first_line
from benchmark.contract import DatasetSpec, Example, Sample, Splits
from benchmark.data import manifest, validate
from benchmark.data.spectrogram import Transform
from benchmark.plugins import datasets, registry
from benchmark.plugins.checks.outcome import ContractError, InapplicableError, Result, result
from benchmark.plugins.checks.signature import require_bibtex, require_keywords
from benchmark.plugins.registry import Plugin

DECODED = 4
"""Samples of each split that are read; a run reads all of them."""


class Source:
    """A dataset under examination, listed once and read in part."""

    def __init__(self, label: str, root: Path | None) -> None:
        self.plugin: Plugin = registry.load("datasets", label)
        self.spec: DatasetSpec = self.plugin.spec
        self.root = root
        validate.check_root(self.plugin.name, self.spec, root)

    def load(self) -> Splits:
        """List the splits once more."""
        return self.spec.load(root=self.root, **self.plugin.parameters)

    @cached_property
    def listing(self) -> Splits:
        """The splits as first listed."""
        return self.load()

    @cached_property
    def splits(self) -> Splits:
        """The splits as first listed, if they are valid; otherwise the check of the splits fails, and others skip."""
        try:
            return validate.checked_listing(self.listing)
        except UserError:
            raise InapplicableError("the splits are not valid") from None

    @cached_property
    def resolved(self) -> DatasetSpec:
        """The spec, refined by the folder that the dataset is read from."""
        return datasets.resolved(self.plugin, self.root)

    def samples(self) -> Iterator[tuple[str, Sample]]:
        """Every sample with its split."""
        for split, samples in self.splits.items():
            for sample in samples:
                yield split, sample

    @cached_property
    def decoded(self) -> list[tuple[str, Sample, Example]]:
        """Some samples of each split, spread evenly over it, as `read` gave them."""
        return [
            (split, samples[place], samples[place].read())
            for split, samples in self.splits.items()
            for place in sorted({int(place) for place in np.linspace(0, len(samples) - 1, DECODED)} if samples else ())
        ]


Check = Callable[[Source], str | None]


def check_dataset(label: str, root: Path | None = None, names: Sequence[str] | None = None) -> list[Result]:
    """Run all checks, or those in `names`, on one dataset, e.g. "folder:group=^[^_]+", read from `root`.

    Raises:
        UserError: the plugin cannot be found or imported, or `root` is missing or not wanted.
    """
    source = Source(label, root)
    return [result(check, source) for name, check in dataset_checks().items() if names is None or name in names]


def dataset_checks() -> dict[str, Check]:
    """All functions of this file that are called `check_...` and take a source, in their order."""
    return {
        name.removeprefix("check_"): function
        for name, function in globals().items()
        if name.startswith("check_") and function is not check_dataset
    }


# ---------------------------------------------------------------- the plugin file


def check_signature(source: Source) -> None:
    """`load(*, root, ...)`: keyword-only, further parameters with defaults."""
    require_keywords("load", source.spec.load, needed=("root",), given=())


def check_metadata(source: Source) -> None:
    """Title and licence; BibTeX that parses, or none where there is nothing to cite."""
    for name in ("title", "licence"):
        if not getattr(source.resolved, name).strip():
            raise ContractError(f"{name} is empty")
    if source.resolved.citation:
        require_bibtex(source.resolved.citation)


# ---------------------------------------------------------------- the listing


def check_splits(source: Source) -> str:
    """train, val and test and no other split, none empty, each id once, every field of a sample right."""
    validate.checked_listing(source.listing)
    unknown = [split for split in source.splits if split not in validate.SPLITS]
    if unknown:
        raise ContractError(f"unknown split '{unknown[0]}'; it must be {', '.join(validate.SPLITS)}")
    return ", ".join(f"{len(samples)} {split}" for split, samples in source.splits.items())


def check_order(source: Source) -> None:
    """`load` lists the samples in the same order the second time."""
    first, again = source.splits, source.load()
    for split, samples in first.items():
        if [sample.id for sample in samples] != [sample.id for sample in again[split]]:
            raise ContractError(f"load() lists {split} in another order the second time: sort the files")


def check_groups(source: Source) -> str:
    """All samples of a split have the same kinds of groups."""
    for split, samples in source.splits.items():
        kinds = {frozenset(sample.groups) for sample in samples}
        if len(kinds) > 1:
            first, second = sorted(sorted(kind) for kind in kinds)[:2]
            raise ContractError(f"{split}: some samples have the groups {first}, some {second}")
    named = sorted({kind for _, sample in source.samples() for kind in sample.groups})
    return ", ".join(named) or "none: the table will say that recordings are unknown"


def check_leakage(source: Source) -> None:
    """No recording, song or background is in two splits."""
    members = manifest.members((split, sample.groups) for split, sample in source.samples())
    kinds = [kind for kind in manifest.LEAKAGE_GROUPS if kind in members]
    if not kinds:
        raise InapplicableError(f"no group is called {', '.join(manifest.LEAKAGE_GROUPS[:-1])}")
    for kind, groups in manifest.shared_members({kind: members[kind] for kind in kinds}).items():
        splits = [split for split, inside in members[kind].items() if groups[0] in inside]
        raise ContractError(f"{kind} {groups[0]} is in {' and in '.join(splits)}, with {len(groups) - 1} more")


def check_files(source: Source) -> None:
    """The files that `read` reads are listed and lie in the folder, so the cache notices when one changes."""
    if source.root is None:
        raise InapplicableError("reads no folder")
    root = source.root.resolve()
    for split, sample in source.samples():
        if not sample.files:
            raise ContractError(f"{split}/{sample.id} lists no files: the cache would not notice a change")
        for path in sample.files:
            if not path.is_file():
                raise ContractError(f"{split}/{sample.id}: no file {path}")
            if not (path.is_relative_to(source.root) or path.resolve().is_relative_to(root)):
                raise ContractError(f"{split}/{sample.id}: {path} lies outside {source.root}")


def check_workers(source: Source) -> None:
    """A worker process, which has listed nothing, can read a sample of every split."""
    with workers.pool(1) as pool:
        for split, samples in source.splits.items():
            try:
                pickle.dumps([sample.read for sample in samples])
            except Exception as error:
                raise ContractError(
                    f"read() of {split} cannot be sent to workers: make it a module-level function or a partial of one"
                ) from error
            try:
                pool.submit(samples[0].read).result()
            except Exception as error:
                why = f"{type(error).__name__}: {first_line(error)}"
                raise ContractError(f"a worker cannot read {split}/{samples[0].id}: {why}") from error


# ---------------------------------------------------------------- the examples


def check_examples(source: Source) -> str:
    """Images are uint8 (H, W) or (H, W, 3), masks bool (H, W), sounds as long as their image."""
    for _, sample, example in source.decoded:
        validate.check_example(sample, example, Transform.of(source.resolved.rendering))
    return f"{len(source.decoded)} samples read"


def check_repeatable(source: Source) -> None:
    """`read` gives the same pixels and sounds the second time."""
    for split, sample, example in source.decoded:
        again = sample.read()
        same = np.array_equal(example.image, again.image) and np.array_equal(example.mask, again.mask)
        if example.audio is not None and again.audio is not None:
            same &= np.array_equal(example.audio.noisy, again.audio.noisy)
            same &= np.array_equal(example.audio.clean, again.audio.clean)
        if not same or (example.audio is None) != (again.audio is None):
            raise ContractError(f"{split}/{sample.id}: the second read() differs: seed by the sample, not by the call")


def check_masks(source: Source) -> None:
    """No mask marks the whole image, and in each split at least one marks something."""
    for split in source.splits:
        shares = [example.mask.mean() for name, _, example in source.decoded if name == split]
        if shares and max(shares) == 0:
            raise ContractError(f"{split}: all {len(shares)} masks that were read are empty")
        if shares and min(shares) == 1:
            raise ContractError(f"{split}: a mask marks the whole image; is it inverted, or read as > 0 from 1 and 2?")


def check_audio(source: Source) -> None:
    """All samples of a split have sounds or none has, at the sample rate of the rendering."""
    known = [(split, sample, example.audio) for split, sample, example in source.decoded if example.audio is not None]
    if not known:
        raise InapplicableError("no sounds")
    with_sound = {split for split, _, _ in known}
    for split, sample, example in source.decoded:
        if split in with_sound and example.audio is None:
            raise ContractError(f"{split}/{sample.id} has no sound, others of its split have")
    rendering = source.resolved.rendering
    if rendering is None:
        raise ContractError("there are sounds, but the spec has no rendering, which says how images are made from them")
    for split, sample, audio in known:
        if rendering.sample_rate is not None and audio.sample_rate != rendering.sample_rate:
            raise ContractError(
                f"{split}/{sample.id}: sounds at {audio.sample_rate} Hz, rendering at {rendering.sample_rate} Hz"
            )
