"""Choose the run whose network cleans: a named run, or the best one of a table by validation IoU."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmark.common.errors import UserError, first_line
from benchmark.common.progress import duration
from benchmark.records import find, store, tables
from benchmark.records.schema import Record
from benchmark.records.store import HISTORY, RECORD

BEST = "best"
_NEARLY = 0.8
"""A run whose validation IoU is at least this share of the best one is advised if it trains faster."""
_TRAIN = "bench run --arch unet:width=8 --epochs 2   (minutes), or better: bench run --arch unet"

Run = tuple[Path, Record]


def choose(results: Path, run: str, table: str) -> Run:
    """The run of highest validation IoU whose weights are there.

    `run` is "best" for all runs, or a run's folder, the beginning of its key, or an architecture for all runs of it.
    `table` is the beginning of a table's key.

    Raises:
        UserError: no such run, no weights, runs that cannot clean, or runs of several tables.
    """
    found = [
        entry for entry in _candidates(results, run) if entry[1].status == "finished" and entry[1].dataset.rendering
    ]
    if not found:
        name = "" if run == BEST else f" '{run}'"
        raise UserError(
            f"no finished run{name} in {results.absolute()} can clean recordings; name another folder of results with "
            f"--results, or train a network: {_TRAIN}"
        )
    every = _tables(found)
    found = [entry for entry in found if entry[1].comparability_key.startswith(table)]
    if not found:
        raise UserError(f"no table in {results} has a key that begins with {table}; there are {_named_tables(every)}")
    with_weights = [entry for entry in found if find.has_weights(*entry)]
    if not with_weights:
        raise UserError(f"no weights in {results.absolute()} (they are not committed); {_advice(found)}")
    several = _tables(with_weights)
    if len(several) > 1:
        names = _named_tables(several)
        raise UserError(f"{len(several)} tables have runs that can clean; choose one with --table: {names}")
    return max(with_weights, key=_rank)


def validation_iou(path: Path, found: Record) -> float:
    """The validation IoU of the epoch whose weights were kept.

    Raises:
        OSError, ValueError: history.csv is missing or broken.
    """
    history = tables.read_history(path / HISTORY)
    return history.ious[history.epochs.index(found.training.best_epoch)]


def _candidates(results: Path, run: str) -> Sequence[Run]:
    """All networks with parameters, or the runs that are named; a run's folder may lie anywhere."""
    if run == BEST:
        return [entry for entry in store.read_all(results)[0] if entry[1].architecture.parameter_count]
    paths = [Path(run)] if (Path(run) / RECORD).is_file() else find.named(results, run)
    try:
        return [(path, store.read(path)) for path in paths]
    except (OSError, ValueError) as error:
        raise UserError(f"{run} cannot be read: {first_line(error)}") from error


def _rank(entry: Run) -> tuple[float, str]:
    """Runs whose history is missing or broken come last."""
    try:
        return validation_iou(*entry), entry[1].run_key
    except (OSError, ValueError):
        return float("-inf"), entry[1].run_key


def _advice(entries: Sequence[Run]) -> str:
    """The commands that train the quickest good run and the best one again, the quickest first.

    Validation IoUs compare within a table only, so the table with most runs is taken, and of it the runs that need no
    folder of data, if there are some.
    """
    common = Counter(found.comparability_key for _, found in entries).most_common(1)[0][0]
    runs = [entry for entry in entries if entry[1].comparability_key == common]
    runs = [entry for entry in runs if " ROOT" not in entry[1].command] or runs
    best = max(runs, key=_rank)
    good = [entry for entry in runs if _rank(entry)[0] >= _NEARLY * _rank(best)[0]] or [best]
    quickest = min(good, key=lambda entry: (entry[1].training.seconds, entry[1].run_key))
    chosen = [quickest, *([best] if best is not quickest else [])]
    commands = [f"{find.again(found)}   (it took {duration(found.training.seconds)})" for _, found in chosen]
    return f"train one: {', or better: '.join(commands)}"


def _tables(entries: Sequence[Run]) -> dict[str, Record]:
    return {found.comparability_key: found for _, found in entries}


def _named_tables(heads: Mapping[str, Record]) -> str:
    names = Counter(_table_name(head) for head in heads.values())
    return ", ".join(
        f"{key[: store.KEY_DIGITS]} ({_table_name(head)}{_apart(head) if names[_table_name(head)] > 1 else ''})"
        for key, head in heads.items()
    )


def _table_name(head: Record) -> str:
    return f"{head.protocol.name} on {head.dataset.label}"


def _apart(head: Record) -> str:
    """What tells a table from another one of the same protocol and dataset."""
    changes = [f"{name} = {value}" for name, value in sorted(head.protocol.overrides.items())]
    size = f"{head.dataset.images.get('train', 0)} training images"
    parts = [f"revision {head.protocol.revision}", size, f"data {head.dataset.manifest[:6]}", *changes]
    return f"; {', '.join(parts)}; last run {head.finished[:16]}"
