"""`bench transfer`."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmark.cli.common import (
    Device,
    Plugins,
    Results,
    add_plugins,
    check_data,
    complain,
    mean_iou,
    named_runs,
    one_line_errors,
    say,
)
from benchmark.common.errors import UserError

if TYPE_CHECKING:
    from benchmark.transfer import Outcome


@one_line_errors
def transfer(
    *,
    runs: Annotated[
        list[str],
        typer.Argument(help="Finished runs: architecture, folder, or first characters of the key.", metavar="RUN..."),
    ],
    dataset: Annotated[str, typer.Option(help="Dataset to test on, e.g. folder.")],
    data: Annotated[Path | None, typer.Option(help="Folder to read the dataset from.", metavar="ROOT")] = None,
    results: Results = Path("results"),
    plugins: Plugins = None,
    device: Device = "auto",
    force: Annotated[bool, typer.Option("--force", help="Repeat tests that are finished.")] = False,
    allow_leakage: Annotated[
        bool,
        typer.Option("--allow-leakage", help="Test on recordings that the run was trained on; the record will say so."),
    ] = False,
) -> None:
    """Test trained networks on data they were not trained for."""
    add_plugins(plugins)
    paths = named_runs(results, runs)
    check_data(dataset, data)
    from benchmark.plugins import registry

    dataset = registry.named_after(registry.load("datasets", dataset), data).label
    from benchmark.common.progress import bars
    from benchmark.transfer import Request
    from benchmark.transfer import transfer as carry_over

    failed = 0
    for path in paths:
        # A word stands for each folder, because paths differ between machines.
        words = ["bench", "transfer", path.name, "--dataset", dataset, *(["--data", "ROOT"] if data else [])]
        words += [*(["--plugins", "DIR"] if plugins else []), *(["--allow-leakage"] if allow_leakage else [])]
        request = Request(
            results=results,
            run=path,
            dataset=dataset,
            data_root=data,
            device=device,
            command=shlex.join(words),
            force=force,
            allow_leakage=allow_leakage,
        )
        try:
            with bars() as report:
                line = _transferred(carry_over(request, report))
        except UserError as error:
            if len(paths) == 1:
                raise
            complain(f"{path}: {error}")
            failed += 1
            continue
        say(line)
    if failed:
        raise typer.Exit(2)


def _transferred(outcome: "Outcome") -> str:
    from benchmark.data import manifest

    found = outcome.found
    iou = mean_iou(outcome.path, manifest.headline(list(found.tested_on.test_slices)))
    again = " (done before; --force repeats it)" if outcome.again else ""
    leaks = f", LEAKAGE: {', '.join(found.leakage)}" if found.leakage else ""
    return (
        f"{found.architecture}, seed {found.seed}, trained on {found.trained_on.dataset}: "
        f"test IoU {100 * iou:.2f} % on {found.tested_on.label}{leaks} in {outcome.path}{again}"
    )
