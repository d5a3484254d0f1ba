"""`bench check`."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmark.cli.common import (
    Plugins,
    add_plugins,
    check_architectures,
    check_data,
    complain,
    complete_architecture,
    one_line_errors,
    say,
)
from benchmark.common.errors import UserError

if TYPE_CHECKING:
    from benchmark.plugins.checks import Result


@one_line_errors
def check(
    *,
    names: Annotated[
        list[str] | None,
        typer.Argument(
            help="Architectures, e.g. unet or unet:width=32, or 'all'.",
            metavar="[ARCH]...",
            autocompletion=complete_architecture,
        ),
    ] = None,
    overfit: Annotated[
        bool, typer.Option("--overfit", help="Also train on four images until it fits them, for at most 180 s.")
    ] = False,
    dataset: Annotated[str | None, typer.Option(help="Check this dataset, e.g. folder.")] = None,
    data: Annotated[Path | None, typer.Option(help="Folder of that dataset's files.", metavar="ROOT")] = None,
    plugins: Plugins = None,
) -> None:
    """Test your network or dataset file before you run it.

    Prints one line for each check.
    """
    add_plugins(plugins)
    if not names and dataset is None:
        raise UserError("name what to check: bench check ARCH, bench check all, or bench check --dataset NAME")
    if data is not None and dataset is None:
        raise UserError("--data is the folder of a dataset: name the dataset with --dataset NAME")
    labels = _labels(names or [])
    if dataset is not None:
        check_data(dataset, data)
    several = len(labels) + (dataset is not None) > 1
    failed = _check_architectures(labels, names or [], overfit=overfit, several=several)
    if dataset is not None:
        from benchmark.plugins import checks

        started = time.monotonic()
        results = checks.check_dataset(dataset, data)
        failed |= _print(dataset, results, time.monotonic() - started, several=several)
    if failed:
        raise typer.Exit(2)


def _labels(names: "Sequence[str]") -> list[str]:
    """The architectures to check; imports none of them.

    Raises:
        UserError: there is none of that name.
    """
    from benchmark.plugins import registry

    check_architectures(names)
    known = registry.find("architectures")
    return list(dict.fromkeys(label for name in names for label in (known if name == "all" else [name])))


def _check_architectures(labels: "Sequence[str]", named: "Sequence[str]", *, overfit: bool, several: bool) -> bool:
    """Check architectures and print the results; True if a check failed or "all" left out a broken architecture.

    Raises:
        UserError: an architecture that was named cannot be imported.
    """
    from benchmark.common.progress import bars
    from benchmark.plugins import checks

    failed = False
    with bars() as report:
        for place, label in enumerate(labels):
            report("checking", place, len(labels), label)
            started = time.monotonic()
            try:
                results = checks.check_architecture(label)
                results += [checks.check_overfit(label, report)] if overfit else []
            except UserError as error:
                if label in named:
                    raise
                complain(f"left out: {error}")
                failed = True
                continue
            failed |= _print(label, results, time.monotonic() - started, several=several)
            report("checking", place + 1, len(labels), label)
    return failed


def _print(label: str, results: "Sequence[Result]", seconds: float, *, several: bool) -> bool:
    """Print the checks of a plugin, without those that passed if there are several plugins; True if one failed."""
    shown = [result for result in results if not several or result.outcome != "passed" or result.check == "overfit"]
    lines = [f"{result.check:20} {result.outcome:8} {result.reason}".rstrip() for result in shown]
    counts = {name: sum(result.outcome == name for result in results) for name in ("passed", "failed", "skipped")}
    found = ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count)
    summary = f"{label:28} {found} in {seconds:.1f} s"
    for line in [summary, *(f"    {line}" for line in lines)] if several else [*lines, summary]:
        say(line)
    return counts["failed"] > 0
