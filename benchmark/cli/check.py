"""`bench check`, `bench new`: for who writes a plugin."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmark.cli.common import Plugins, add_plugins, check_architectures, check_data, complain, say, speaking
from benchmark.common.errors import UserError

if TYPE_CHECKING:
    from benchmark.plugins.checks import Result


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
    from benchmark.common.progress import bars
    from benchmark.plugins import checks

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
    from benchmark.plugins import registry

    check_architectures(names)
    known = registry.find("architectures")
    return list(dict.fromkeys(label for name in names for label in (known if name == "all" else [name])))


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
