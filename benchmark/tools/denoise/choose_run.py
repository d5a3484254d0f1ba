"""Choose the run whose network cleans: a named run, or the best one of a table by validation IoU."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmark.common.errors import UserError, first_line
from benchmark.records import find, store, tables
from benchmark.records.schema import Record
from benchmark.records.store import HISTORY, WEIGHTS

BEST = "best"

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
        raise UserError(f"no finished run{name} in {results} can clean recordings; train one: bench run --arch unet")
    every = _tables(found)
    found = [entry for entry in found if entry[1].comparability_key.startswith(table)]
    if not found:
        raise UserError(f"no table in {results} has a key that begins with {table}; there are {_named_tables(every)}")
    with_weights = [entry for entry in found if _has_weights(*entry)]
    several = _tables(with_weights or found)
    if len(several) > 1:
        names = _named_tables(several)
        raise UserError(f"{len(several)} tables have runs that can clean; choose one with --table: {names}")
    best = max(with_weights or found, key=_rank)
    if not with_weights:
        raise UserError(f"no weights in {results} (they are not committed); train the best run: {find.again(best[1])}")
    return best


def validation_iou(path: Path, found: Record) -> float:
    """The validation IoU of the epoch whose weights were kept.

    Raises:
        OSError, ValueError: history.csv is missing or broken.
    """
    history = tables.read_history(path / HISTORY)
    return history.ious[history.epochs.index(found.training.best_epoch)]


def _candidates(results: Path, run: str) -> Sequence[Run]:
    """All networks with parameters, or the runs that are named."""
    if run == BEST:
        return [entry for entry in store.read_all(results)[0] if entry[1].architecture.parameter_count]
    paths = find.named(results, run)
    try:
        return [(path, store.read(path)) for path in paths]
    except (OSError, ValueError) as error:
        raise UserError(f"{run} cannot be read: {first_line(error)}") from error


def _has_weights(path: Path, found: Record) -> bool:
    return not found.architecture.parameter_count or (path / WEIGHTS).is_file()


def _rank(entry: Run) -> tuple[float, str]:
    """Runs whose history is missing or broken come last."""
    try:
        return validation_iou(*entry), entry[1].run_key
    except (OSError, ValueError):
        return float("-inf"), entry[1].run_key


def _tables(entries: Sequence[Run]) -> dict[str, Record]:
    return {found.comparability_key: found for _, found in entries}


def _named_tables(heads: Mapping[str, Record]) -> str:
    return ", ".join(
        f"{key[: store.KEY_DIGITS]} ({head.protocol.name} on {head.dataset.label})" for key, head in heads.items()
    )
