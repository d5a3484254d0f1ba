"""`bench new`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmark.cli.common import option, say, speaking

if TYPE_CHECKING:
    from benchmark.plugins.registry import Kind


new = typer.Typer(no_args_is_help=True, help="Write a new plugin file that keeps the contract as it stands.")


@new.command("arch")
@speaking
def new_architecture(
    *,
    name: Annotated[str, typer.Argument(help="Lower-case letters, digits and _.")],
    to: Annotated[Path, typer.Option(help="The folder that holds architectures/.", metavar="DIR")] = Path(),
) -> None:
    """Write architectures/NAME.py: a small network to put your own in the place of."""
    path, plugins = _write("architectures", name, to)
    say(f"{path} keeps the contract as it stands. Put your network into it, then:")
    say(f"  bench check {name}{plugins}")
    say(f"  bench run --arch {name}{plugins}")
    say("  bench leaderboard")


@new.command("dataset")
@speaking
def new_dataset(
    *,
    name: Annotated[str, typer.Argument(help="Lower-case letters, digits and _.")],
    to: Annotated[Path, typer.Option(help="The folder that holds datasets/.", metavar="DIR")] = Path(),
) -> None:
    """Write datasets/NAME.py: a few made images to put your own in the place of."""
    path, plugins = _write("datasets", name, to)
    say(f"{path} keeps the contract as it stands. Put your data into it, then:")
    say(f"  bench check --dataset {name}{plugins}")
    say(f"  bench run --arch all --dataset {name}{plugins}")
    say("  bench leaderboard")


def _write(kind: "Kind", name: str, folder: Path) -> tuple[Path, str]:
    from benchmark.plugins import scaffold

    path = scaffold.write(kind, name, folder)
    return path, "" if scaffold.is_found(folder) else option("--plugins", folder, "")
