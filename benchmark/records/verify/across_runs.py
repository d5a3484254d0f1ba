"""Checks between runs: what runs of one table, and of one row, must have in common, and what they cannot."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.records.schema import Record
from benchmark.records.verify.run_files import DAMAGED, Fault, Subject, UnreadableError

_TRUTH = ("tp + fn", "surface_truth", "sisdr_noisy", "sdr_noisy")
_DB_ROUNDING = 0.05
"""dB by which the same sound may score otherwise on another machine."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Essence:
    """What is kept of a run to compare it by: hashes, and columns (N,) that depend on the data alone."""

    path: Path
    record: Record
    settings: Mapping[str, Any]
    truth: Mapping[str, NDArray[Any]]
    predictions: str | None
    """Hash of the predicted masks; None where they are all alike, as those of a collapsed network are."""
    logits: str | None
    """Hash of their histograms; None as there: those of collapsed networks may be alike too."""

    @property
    def row(self) -> tuple[str, ...]:
        """The leaderboard's row."""
        found = self.record
        entry, device = found.architecture, found.device
        return found.comparability_key, entry.label, device.kind, device.arithmetic, entry.source_hash


def essence(subject: Subject) -> Essence | None:
    """What is kept of a finished run; None where its files do not allow it, which other checks say."""
    try:
        if subject.record.status != "finished":
            return None
        counts, sounds = subject.images.counts, subject.images.sounds
        masks, logits = subject.predictions, subject.logits.histograms
        settings = subject.settings.model_dump(mode="json")
    except (UnreadableError, *DAMAGED):
        return None
    varied = masks.any() and not masks.all()
    truth: dict[str, NDArray[Any]] = {"tp + fn": counts["tp"] + counts["fn"], "surface_truth": counts["surface_truth"]}
    truth |= {name: values for name, values in sounds.items() if name in _TRUTH}
    return Essence(
        path=subject.path,
        record=subject.record,
        settings={name: value for name, value in settings.items() if name not in ("name", "title", "about")},
        truth=truth,
        predictions=_hash(masks) if varied else None,
        logits=_hash(logits) if varied else None,
    )


def check_between(runs: Sequence[Essence]) -> Iterator[tuple[Path, Fault]]:
    """Faults by run's folder."""
    for table in _groups(runs, lambda run: run.record.comparability_key):
        yield from _check_table(table)
    for row in _groups(runs, lambda run: run.row):
        yield from _check_row(row)
        yield from _check_copies(row)


def _check_table(runs: Sequence[Essence]) -> Iterator[tuple[Path, Fault]]:
    """Runs of one table have one protocol, one dataset, and one truth."""
    parts: dict[str, Callable[[Essence], Any]] = {
        "protocol.settings": lambda run: run.settings,
        "protocol.revision": lambda run: run.record.protocol.revision,
        "dataset.manifest": lambda run: run.record.dataset.manifest,
        "dataset.label": lambda run: run.record.dataset.label,
        "dataset.rendering": lambda run: str(run.record.dataset.rendering),
    }
    for name, part in parts.items():
        yield from _odd_ones(runs, "run.json", name, part, "the other runs of its table")
    for name in _TRUTH:
        having = [run for run in runs if name in run.truth]
        if not having:
            continue
        # Data of another size are no reason to stop: that they claim this table's key is found above.
        usual = Counter(len(run.truth[name]) for run in having).most_common(1)[0][0]
        having = [run for run in having if len(run.truth[name]) == usual]
        middle = np.median(np.stack([run.truth[name] for run in having]), axis=0)
        for run in having:
            off = ~np.isclose(run.truth[name], middle, rtol=0, atol=_DB_ROUNDING, equal_nan=True)
            if off.any():
                text = f"{name} of row {int(off.argmax()) + 1} is the data's alone, and the table's other runs differ"
                yield run.path, Fault("images.csv", text)


def _check_row(runs: Sequence[Essence]) -> Iterator[tuple[Path, Fault]]:
    """Seeds of one entry have the same network."""
    for name in ("parameter_count", "gflops", "weights", "title", "paper", "citation", "reported"):
        yield from _odd_ones(
            runs,
            "run.json",
            f"architecture.{name}",
            lambda run, name=name: str(getattr(run.record.architecture, name)),  # type: ignore[misc]
            "the other seeds of its row",
        )


def _check_copies(runs: Sequence[Essence]) -> Iterator[tuple[Path, Fault]]:
    """Two trained seeds never predict the same masks, or the same logits."""
    trained = [run for run in runs if run.record.training.epochs]
    for file, mark in (("predictions.npz", "predictions"), ("logits.csv", "logits")):
        first: dict[str, Essence] = {}
        for run in trained:
            value = getattr(run, mark)
            if value is None:
                continue
            other = first.setdefault(value, run)
            if other.record.seed != run.record.seed:
                remedy = f"remove the copy, and run seed {run.record.seed} again with --force"
                yield run.path, Fault(file, f"it is that of seed {other.record.seed} ({other.path.name})", remedy)


def _odd_ones(
    runs: Sequence[Essence], file: str, name: str, part: Callable[[Essence], Any], others: str
) -> Iterator[tuple[Path, Fault]]:
    """Runs that differ from most; where there is no most, all but the first."""
    texts = [str(part(run)) for run in runs]
    usual = Counter(texts).most_common(1)[0][0]
    for run, text in zip(runs, texts, strict=True):
        if text != usual:
            yield run.path, Fault(file, f"{name} is not that of {others}")


def _groups(runs: Iterable[Essence], by: Callable[[Essence], Hashable]) -> list[list[Essence]]:
    groups: dict[Hashable, list[Essence]] = defaultdict(list)
    for run in runs:
        groups[by(run)].append(run)
    return [group for group in groups.values() if len(group) > 1]


def _hash(array: NDArray[Any]) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).reshape(-1).data).hexdigest()
