"""What the leaderboard calls architectures that were renamed since: names.toml in the results folder.

A record says what ran and is never changed, so a renamed architecture keeps its records, and is shown by its new name.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path

from benchmark.common import files
from benchmark.common.errors import UserError
from benchmark.records.schema import Record

NAME = "names.toml"


def read(results: Path) -> Mapping[str, str]:
    """Recorded name -> shown name; empty if nothing was renamed.

    Raises:
        UserError: the file is damaged.
    """
    path = results / NAME
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}); write it again with bench rename, or remove it") from error
    return {old: new for old, new in found.items() if isinstance(new, str) and new.isprintable()}


def write(results: Path, names: Mapping[str, str]) -> None:
    """Write the names; without any the file is removed."""
    path = results / NAME
    if not names:
        path.unlink(missing_ok=True)
        return
    text = "# Recorded name = shown name: bench rename\n" + "".join(
        f'{old} = "{names[old]}"\n' for old in sorted(names)
    )
    files.write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def shown(record: Record, names: Mapping[str, str]) -> Record:
    """The record with the label of its architecture's new name; its `name` stays the recorded one."""
    entry = record.architecture
    if entry.name not in names:
        return record
    label = names[entry.name] + entry.label.removeprefix(entry.name)
    return record.model_copy(update={"architecture": entry.model_copy(update={"label": label})})
