"""`bench new`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmark.cli.common import one_line_errors, option, say

if TYPE_CHECKING:
    from benchmark.plugins.registry import Kind

new = typer.Typer(no_args_is_help=True, help="Create a new network or dataset file that already works.")

Name = Annotated[str, typer.Argument(help="Lower-case letters, digits and _.")]


@new.command("arch")
@one_line_errors
def new_architecture(
    *,
    name: Name,
    to: Annotated[Path, typer.Option(help="Folder to put architectures/NAME.py into.", metavar="DIR")] = Path(),
) -> None:
    """Write architectures/NAME.py with a small network, to be replaced by your own."""
    path, plugins = _write("architectures", name, to)
    say(f"{path} is a network that works. Replace it by your own, then:")
    say(f"  bench check {name}{plugins}")
    say(f"  bench run --arch {name}{plugins}")
    say("  bench leaderboard")


@new.command("dataset")
@one_line_errors
def new_dataset(
    *,
    name: Name,
    to: Annotated[Path, typer.Option(help="Folder to put datasets/NAME.py into.", metavar="DIR")] = Path(),
) -> None:
    """Write datasets/NAME.py with a few made-up images, to be replaced by your own."""
    path, plugins = _write("datasets", name, to)
    say(f"{path} is a dataset that works. Replace its images by your own, then:")
    say(f"  bench check --dataset {name}{plugins}")
    say(f"  bench run --arch all --dataset {name}{plugins}")
    say("  bench leaderboard")


def _write(kind: "Kind", name: str, folder: Path) -> tuple[Path, str]:
    """The new file, and the option with which commands find it."""
    from benchmark.plugins import scaffold

    path = scaffold.write(kind, name, folder)
    return path, "" if scaffold.is_found(folder) else option("--plugins", folder, "")
