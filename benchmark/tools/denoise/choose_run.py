"""Which run's weights clean: the one that was named, or the best of a table."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmark.common.errors import UserError, first_line
from benchmark.records import store
from benchmark.records.find import again
from benchmark.records.schema import Record
from benchmark.records.store import HISTORY, RECORD, WEIGHTS
from benchmark.records.tables import read_history

BEST = "best"

Run = tuple[Path, Record]


def choose(results: Path, run: str, table: str) -> Run:
    """`run` is "best", a run's folder, or the beginning of a run's key; `table` the beginning of a table's key.

    The best is the highest validation IoU among the runs whose weights are at hand.

    Raises:
        UserError: no such run, no weights, a run that cannot clean, or runs of several tables to choose among.
    """
    if run != BEST:
        return _usable(_named(results, run))
    found = [entry for entry in store.read_all(results)[0] if entry[1].status == "finished"]
    found = [entry for entry in found if _can_clean(entry[1])]
    if not found:
        raise UserError(f"no run in {results} that could clean; train one: bench run --arch unet")
    every = _tables(found)
    found = [entry for entry in found if entry[1].comparability_key.startswith(table)]
    if not found:
        raise UserError(f"no table in {results} has a key that begins with {table}; there are {_named_tables(every)}")
    at_hand = [entry for entry in found if (entry[0] / WEIGHTS).is_file()]
    tables = _tables(at_hand or found)
    if len(tables) > 1:
        names = _named_tables(tables)
        raise UserError(f"runs of {len(tables)} tables could clean, and do not compare; choose with --table: {names}")
    best = max(at_hand or found, key=_rank)
    if not at_hand:
        raise UserError(f"no weights in {results} (they are not committed); train the best entry: {again(best[1])}")
    return best


def validation_iou(path: Path, found: Record) -> float:
    """The validation IoU of the epoch whose weights were kept.

    Raises:
        OSError, ValueError: history.csv is missing or broken.
    """
    history = read_history(path / HISTORY)
    by_epoch = dict(zip(history.epochs, history.ious, strict=True))
    if found.training.best_epoch not in by_epoch:
        raise ValueError(f"epoch {found.training.best_epoch} is missing")
    return by_epoch[found.training.best_epoch]


def _tables(entries: Sequence[Run]) -> dict[str, Record]:
    return {found.comparability_key: found for _, found in entries}


def _named_tables(tables: Mapping[str, Record]) -> str:
    return ", ".join(
        f"{key[: store.KEY_DIGITS]} ({head.protocol.name} on {head.dataset.label})" for key, head in tables.items()
    )


def _rank(entry: Run) -> tuple[float, str]:
    try:
        return validation_iou(*entry), entry[1].run_key
    except (OSError, ValueError):
        return float("-inf"), entry[1].run_key


def _can_clean(found: Record) -> bool:
    return found.architecture.parameter_count > 0 and found.dataset.rendering is not None


def _named(results: Path, run: str) -> Run:
    if (Path(run) / RECORD).is_file():
        try:
            return Path(run), store.read(Path(run))
        except (OSError, ValueError) as error:
            raise UserError(f"{run} cannot be read: {first_line(error)}") from error
    if Path(run).exists() or os.sep in run:
        raise UserError(f"{run} is no run's folder (it has no {RECORD})")
    entries: Sequence[Run] = store.read_all(results)[0]
    found = [entry for entry in entries if entry[1].run_key.startswith(run)]
    if len(found) != 1:
        raise UserError(
            f"{len(found) or 'no'} run(s) in {results} have a key that begins with '{run}'; give a run's folder, its "
            "key, or 'best'"
        )
    return found[0]


def _usable(entry: Run) -> Run:
    path, found = entry
    if found.dataset.rendering is None:
        raise UserError(f"{path}: its data ({found.dataset.label}) do not say how sound became images; it cannot clean")
    if found.architecture.parameter_count and not (path / WEIGHTS).is_file():
        raise UserError(f"{path} has no {WEIGHTS} (weights are not committed); train it again: {again(found)}")
    return entry
