"""The contract of a dataset plugin, check by check, on a folder that it reads. Their order is that of the functions."""

import math
import pickle
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import combinations
from numbers import Real
from pathlib import Path

import numpy as np

from benchmark.common import workers
from benchmark.common.errors import first_line
from benchmark.contract import DatasetSpec, Example, Sample, Splits
from benchmark.data import manifest, validate
from benchmark.plugins import registry
from benchmark.plugins.checks.outcome import ContractError, InapplicableError, Result, result
from benchmark.plugins.checks.signature import require_bibtex, require_keywords
from benchmark.plugins.registry import Plugin

DECODED = 4
"""Samples of each split that are read; all of them are when a run begins."""


class Source:
    """A dataset under examination, listed once and read in part."""

    def __init__(self, label: str, root: Path | None) -> None:
        self.plugin: Plugin = registry.load("datasets", label)
        self.spec: DatasetSpec = self.plugin.spec
        self.root = root
        validate.check_root(self.plugin.name, self.spec, root)

    def load(self) -> Splits:
        """The splits, listed anew."""
        return self.spec.load(root=self.root, **self.plugin.parameters)

    @cached_property
    def splits(self) -> Splits:
        """The splits as first listed."""
        return self.load()

    @cached_property
    def resolved(self) -> DatasetSpec:
        """What the dataset is, with the folder that it was read from."""
        if self.spec.resolve is None:
            return self.spec
        return self.spec.resolve(root=self.root, **self.plugin.parameters)

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
    """Every check (or those of these names) on one dataset, e.g. "folder:group=^[^_]+", read from `root`.

    Raises:
        UserError: the plugin cannot be found or imported, or `root` is missing or one too many.
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


# ---------------------------------------------------------------- what is written in the file


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


# ---------------------------------------------------------------- what is listed


def check_splits(source: Source) -> str:
    """train, val and test, none empty, each id once, each a Sample."""
    validate.checked_listing(source.splits)
    unknown = [split for split in source.splits if split not in validate.SPLITS]
    if unknown:
        raise ContractError(f"split '{unknown[0]}' is none of {', '.join(validate.SPLITS)}")
    for split, sample in source.samples():
        if not isinstance(sample, Sample):
            raise ContractError(f"{split} holds a {type(sample).__name__}, not a Sample")
        if not (isinstance(sample.id, str) and sample.id.strip() and sample.id.isprintable()):
            raise ContractError(f"{split}: {sample.id!r} is no id; write one line of printable characters")
    return ", ".join(f"{len(samples)} {split}" for split, samples in source.splits.items())


def check_order(source: Source) -> None:
    """Listed twice, the samples stand in the same order."""
    again = source.load()
    for split, samples in source.splits.items():
        if [sample.id for sample in samples] != [sample.id for sample in again[split]]:
            raise ContractError(f"two listings of {split} differ in order: sort the files")


def check_groups(source: Source) -> str:
    """Sources of dependence are named alike for every sample of a split."""
    for split, samples in source.splits.items():
        kinds = {frozenset(sample.groups) for sample in samples}
        if len(kinds) > 1:
            first, second = sorted(sorted(kind) for kind in kinds)[:2]
            raise ContractError(f"{split}: some samples name the groups {first}, some {second}")
        for sample in samples:
            unnamed = [kind for kind, group in sample.groups.items() if not (isinstance(group, str) and group)]
            if unnamed:
                raise ContractError(f"{split}/{sample.id}: group {unnamed[0]} is no name")
    named = sorted({kind for _, sample in source.samples() for kind in sample.groups})
    return ", ".join(named) or "none: nothing is known of recordings, and the table will say so"


def check_leakage(source: Source) -> None:
    """No recording, song or background stands in two splits."""
    members: dict[tuple[str, str], set[str]] = {}
    for split, sample in source.samples():
        for kind, group in sample.groups.items():
            members.setdefault((kind, split), set()).add(group)
    kinds = [kind for kind in manifest.LEAKAGE_GROUPS if any(kind == named for named, _ in members)]
    if not kinds:
        raise InapplicableError(f"no group is called {', '.join(manifest.LEAKAGE_GROUPS[:-1])}")
    for kind in kinds:
        for one, other in combinations(source.splits, 2):
            both = members.get((kind, one), set()) & members.get((kind, other), set())
            if both:
                raise ContractError(f"{kind} {min(both)} stands in {one} and in {other}, with {len(both) - 1} more")


def check_strata(source: Source) -> None:
    """Slices are named; covariates are words or finite numbers."""
    for split, sample in source.samples():
        if not (isinstance(sample.slice, str) and sample.slice):
            raise ContractError(f"{split}/{sample.id}: its slice has no name")
        strata: Mapping[str, object] = sample.strata
        for name, value in strata.items():
            if not isinstance(value, str) and not (isinstance(value, Real) and math.isfinite(value)):
                raise ContractError(f"{split}/{sample.id}: stratum {name} is {value!r}, no word or finite number")


def check_files(source: Source) -> None:
    """The files that `read` reads exist, inside the folder: so the cache notices when one changes."""
    if source.root is None:
        raise InapplicableError("reads no folder")
    root = source.root.resolve()
    for split, sample in source.samples():
        if not sample.files:
            raise ContractError(f"{split}/{sample.id} names no files: a changed one would go unnoticed")
        for path in sample.files:
            if not path.is_file():
                raise ContractError(f"{split}/{sample.id}: no file {path}")
            if not (path.is_relative_to(source.root) or path.resolve().is_relative_to(root)):
                raise ContractError(f"{split}/{sample.id}: {path} lies outside {source.root}")


def check_workers(source: Source) -> None:
    """Another process, which has listed nothing, can read a sample of every split."""
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


# ---------------------------------------------------------------- what is read


def check_examples(source: Source) -> str:
    """Images are uint8 (H, W) or (H, W, 3), masks bool (H, W), sounds as long as their image."""
    for split, sample, example in source.decoded:
        if not isinstance(example, Example):
            raise ContractError(f"read() of {split}/{sample.id} gives a {type(example).__name__}, not an Example")
        validate.check_example(sample, example)
    return f"{len(source.decoded)} samples read"


def check_repeatable(source: Source) -> None:
    """Read again, an example is the same to the pixel and to the sample."""
    for split, sample, example in source.decoded:
        again = sample.read()
        same = np.array_equal(example.image, again.image) and np.array_equal(example.mask, again.mask)
        if example.audio is not None and again.audio is not None:
            same &= np.array_equal(example.audio.noisy, again.audio.noisy)
            same &= np.array_equal(example.audio.clean, again.audio.clean)
        if not same or (example.audio is None) != (again.audio is None):
            raise ContractError(f"{split}/{sample.id}: read twice, it differs: seed by the sample, not by the call")


def check_masks(source: Source) -> None:
    """A mask marks something, but not everything; in each split at least one does."""
    for split in source.splits:
        shares = [example.mask.mean() for name, _, example in source.decoded if name == split]
        if shares and max(shares) == 0:
            raise ContractError(f"{split}: all {len(shares)} masks that were read are empty")
        if shares and min(shares) == 1:
            raise ContractError(f"{split}: a mask marks the whole image; is it inverted, or read as > 0 from 1 and 2?")


def check_audio(source: Source) -> None:
    """A split knows the sound of all its samples or of none, at the rate that its rendering says."""
    known = [(split, sample, example.audio) for split, sample, example in source.decoded if example.audio is not None]
    if not known:
        raise InapplicableError("no sounds")
    with_sound = {split for split, _, _ in known}
    for split, sample, example in source.decoded:
        if split in with_sound and example.audio is None:
            raise ContractError(f"{split}/{sample.id} has no sound, others of its split have")
    rendering = source.resolved.rendering
    if rendering is None:
        raise ContractError("there are sounds, but the spec's rendering does not say how images were made of them")
    for split, sample, audio in known:
        if audio.sample_rate <= 0:
            raise ContractError(f"{split}/{sample.id}: a sample rate of {audio.sample_rate} Hz")
        if rendering.sample_rate is not None and audio.sample_rate != rendering.sample_rate:
            raise ContractError(
                f"{split}/{sample.id}: sounds at {audio.sample_rate} Hz, rendering at {rendering.sample_rate} Hz"
            )
