"""Which run is meant, where it lies, and how it is made again."""

from pathlib import Path

from benchmark.common import files
from benchmark.common.errors import UserError
from benchmark.records import store
from benchmark.records.schema import Record

WEIGHTS = "model.safetensors"


def folders(results: Path) -> list[Path]:
    """Every folder of a run, whole or not, also where it should not lie; in the order of the paths.

    Raises:
        UserError: a folder on the way cannot be read.
    """
    anywhere = [results / "runs", *store.folders(results, ("runs", None))]
    stray = {path for path in anywhere if _has_record(path)}
    return sorted(stray | set(store.folders(results, store.RUNS)))


def _has_record(path: Path) -> bool:
    try:
        return (path / "run.json").is_file()
    except OSError as error:
        raise files.unreadable(path / "run.json", error) from error


def locate(results: Path, text: str) -> Path:
    """The folder of a run, by its path or by the beginning of its key; it need not be readable.

    Raises:
        UserError: no run, or more than one, is called so.
    """
    path = Path(text)
    if path.is_dir():
        if not path.resolve().is_relative_to((results / "runs").resolve()):
            raise UserError(f"{path} lies outside of {results / 'runs'}; name its results folder with --results")
        return path
    found = [folder for folder in folders(results) if folder.name.startswith(text)]
    if len(found) != 1:
        raise UserError(
            f"{len(found) or 'no'} run(s) in {results} have a key that begins with '{text}'; give a run's folder, its "
            "key, or the name of an architecture"
        )
    return found[0]


def named(results: Path, text: str) -> list[Path]:
    """The folders of every run of an architecture, by its name; or of one run, as `locate` finds it.

    Raises:
        UserError: no run is called so, or more than one has a key that begins so.
    """
    return [path for path in folders(results) if path.parent.name == text] or [locate(results, text)]


def again(found: Record) -> str:
    """The command that trains a run once more, also where its record is there already."""
    return f"{found.command} --force{' (ROOT: the folder of its data)' if ' ROOT' in found.command else ''}"
