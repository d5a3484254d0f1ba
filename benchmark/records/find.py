"""Find a run by its folder, its key or its architecture, and say how to train it again."""

from pathlib import Path

from benchmark.common.errors import UserError
from benchmark.records import store
from benchmark.records.schema import Record


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
    """The folders of all runs of an architecture, given its name; or of one run, as `locate` finds it.

    Raises:
        UserError: nothing matches, or more than one key begins so.
    """
    return [path for path in store.folders(results, store.RUNS) if path.parent.name == text] or [locate(results, text)]


def again(found: Record) -> str:
    """The command that trains a run once more, even if it is finished."""
    return f"{found.command} --force{' (ROOT: the folder of its data)' if ' ROOT' in found.command else ''}"
