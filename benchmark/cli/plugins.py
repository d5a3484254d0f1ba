"""`bench check`, `bench new`: for who writes a plugin."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmark.cli.common import Plugins, add_plugins, check_architectures, check_data, complain, option, say, speaking
from benchmark.errors import UserError

if TYPE_CHECKING:
    from benchmark.checks import Result
    from benchmark.registry import Kind

new = typer.Typer(no_args_is_help=True, help="Write a new plugin file that keeps the contract as it stands.")


@speaking
def check(
    *,
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Architectures, e.g. unet or unet:width=32, or 'all'.", metavar="[ARCH]..."),
    ] = None,
    overfit: Annotated[
        bool, typer.Option("--overfit", help="Also: learns four images by heart, at most 180 s each.")
    ] = False,
    dataset: Annotated[str | None, typer.Option(help="Check a dataset, e.g. folder.")] = None,
    data: Annotated[Path | None, typer.Option(help="Folder that the dataset is read from.", metavar="ROOT")] = None,
    plugins: Plugins = None,
) -> None:
    """Check that plugins keep the contract: a reason in one line for each check that fails."""
    add_plugins(plugins)
    if not names and dataset is None:
        raise UserError("say what to check: bench check ARCH, bench check all, or bench check --dataset NAME")
    if data is not None and dataset is None:
        raise UserError("--data names a dataset's folder: say which dataset with --dataset NAME")
    labels, failed = _labels(names or []), False
    if dataset is not None:
        check_data(dataset, data)
    from benchmark import checks
    from benchmark.progress import bars

    several = len(labels) + (dataset is not None) > 1
    with bars() as report:
        for place, label in enumerate(labels):
            report("checking", place, len(labels), label)
            started = time.monotonic()
            try:
                results = checks.check_architecture(label)
                results += [checks.check_overfit(label, report)] if overfit else []
            except UserError as error:
                if label in (names or []):
                    raise
                complain(f"left out: {error}")
                failed = True
                continue
            failed |= _print(label, results, time.monotonic() - started, several=several)
            report("checking", place + 1, len(labels), label)
    if dataset is not None:
        started = time.monotonic()
        results = checks.check_dataset(dataset, data)
        failed |= _print(dataset, results, time.monotonic() - started, several=several)
    if failed:
        raise typer.Exit(2)


def _labels(names: "Sequence[str]") -> list[str]:
    """The architectures to check; none is imported yet.

    Raises:
        UserError: there is none of that name.
    """
    from benchmark import registry

    check_architectures(names)
    known = registry.find("architectures")
    return list(dict.fromkeys(label for name in names for label in (known if name == "all" else [name])))


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
    from benchmark import scaffold

    path = scaffold.write(kind, name, folder)
    return path, "" if scaffold.is_found(folder) else option("--plugins", folder, "")


def _print(label: str, results: "Sequence[Result]", seconds: float, *, several: bool) -> bool:
    """Every check of one plugin; of several a line each, and what failed or was skipped. True where one failed."""
    told = [result for result in results if not several or result.outcome != "passed" or result.check == "overfit"]
    lines = [f"{result.check:20} {result.outcome:8} {result.reason}".rstrip() for result in told]
    counts = {name: sum(result.outcome == name for result in results) for name in ("passed", "failed", "skipped")}
    found = ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count)
    summary = f"{label:28} {found} in {seconds:.1f} s"
    for line in [summary, *(f"    {line}" for line in lines)] if several else [*lines, summary]:
        say(line)
    return counts["failed"] > 0
