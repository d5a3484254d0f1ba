"""Find a run by its folder, its key or its architecture, and say how to train it again."""

from pathlib import Path

from benchmark.common.errors import UserError, first_line
from benchmark.records import store
from benchmark.records.schema import Record

LAST = "last"
"""Instead of a name: the run that finished last."""
_BEGIN = "bench run --arch custom_resnet34"
_NAMED = 4
"""Runs that a message names."""


def locate(results: Path, text: str) -> Path:
    """The folder of one run, given its path or the first characters of its key. Its files are not read.

    Raises:
        UserError: no run, or more than one, matches.
    """
    path = Path(text)
    if path.is_dir():
        if not path.resolve().is_relative_to((results / "runs").resolve()):
            raise UserError(f"{path} lies outside of {results / 'runs'}; name its results folder with --results")
        return path
    found = [folder for folder in store.folders(results, store.RUNS) if folder.name.startswith(text)]
    if len(found) != 1:
        raise UserError(
            f"{len(found) or 'no'} run(s) in {results} have a key that begins with '{text}'; give a run's folder, its "
            "key, or the name of an architecture"
        )
    return found[0]


def named(results: Path, text: str) -> list[Path]:
    """The folders of all runs of an architecture, given its name; or of one run, "last" or as `locate` finds it.

    Raises:
        UserError: nothing matches, or more than one key begins so.
    """
    if text == LAST:
        return [_newest(results, with_weights=False)[0]]
    return [path for path in store.folders(results, store.RUNS) if path.parent.name == text] or [locate(results, text)]


def one(results: Path, text: str, *, with_weights: bool = False) -> tuple[Path, Record]:
    """One run and its record: by its folder, which may lie anywhere, as `named` finds it, or "last", the newest one.

    With `with_weights` only runs whose weights are there count, unless the folder or the key is given.

    Raises:
        UserError: no run, or more than one, matches, or its record cannot be read.
    """
    if text == LAST:
        return _newest(results, with_weights=with_weights)
    inside = (Path(text) / store.RECORD).is_file()
    runs = [_read(path) for path in ([Path(text)] if inside else named(results, text))]
    if len(runs) > 1 and with_weights:
        able = [run for run in runs if has_weights(*run)]
        if not able:
            raise UserError(
                f"no run of {text} in {results} has weights (they are not committed); train one: {again(runs[0][1])}"
            )
        runs = able
    if len(runs) > 1:
        each = ", ".join(f"{path.name} ({run.protocol.name}, seed {run.seed})" for path, run in runs[:_NAMED])
        more = f" and {len(runs) - _NAMED} more" if len(runs) > _NAMED else ""
        raise UserError(f"{results} has {len(runs)} runs of {text}; give the key of one: {each}{more}")
    return runs[0]


def _newest(results: Path, *, with_weights: bool) -> tuple[Path, Record]:
    found = [run for run in store.read_all(results)[0] if not with_weights or has_weights(*run)]
    if not found:
        raise UserError(f"no runs{' with weights' if with_weights else ''} in {results}; begin with: {_BEGIN}")
    return max(found, key=lambda run: run[1].finished)


def has_weights(path: Path, found: Record) -> bool:
    """Whether the run can be loaded: its weights are there, or it needs none."""
    return found.status == "finished" and (not found.architecture.parameter_count or (path / store.WEIGHTS).is_file())


def _read(path: Path) -> tuple[Path, Record]:
    try:
        return path, store.read(path)
    except (OSError, ValueError) as error:
        raise UserError(f"{path / store.RECORD} cannot be read ({first_line(error)}); {store.INSTEAD}") from error


def again(found: Record) -> str:
    """The command that trains a run once more, even if it is finished."""
    return f"{found.command} --force{' (ROOT: the folder of its data)' if ' ROOT' in found.command else ''}"
