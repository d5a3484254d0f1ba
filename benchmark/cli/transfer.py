"""`bench transfer`."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmark.cli.common import (
    Plugins,
    Results,
    add_plugins,
    check_data,
    complain,
    mean_iou,
    named_runs,
    say,
    speaking,
)
from benchmark.common.errors import UserError

if TYPE_CHECKING:
    from benchmark.transfer import Outcome


@speaking
def transfer(
    *,
    runs: Annotated[
        list[str],
        typer.Argument(help="Finished runs, by architecture, folder or the beginning of their key.", metavar="RUN..."),
    ],
    dataset: Annotated[str, typer.Option(help="The other dataset, e.g. folder.")],
    data: Annotated[Path | None, typer.Option(help="Folder that it is read from.", metavar="ROOT")] = None,
    results: Results = Path("results"),
    plugins: Plugins = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    force: Annotated[bool, typer.Option("--force", help="Do again what is finished.")] = False,
    allow_leakage: Annotated[
        bool,
        typer.Option("--allow-leakage", help="Accept what the run was trained on in the test; the record says so."),
    ] = False,
) -> None:
    """Test finished runs on other data than they were trained on, at their own settings; nothing is trained."""
    add_plugins(plugins)
    paths = named_runs(results, runs)
    check_data(dataset, data)
    from benchmark.common.progress import bars
    from benchmark.transfer import Request
    from benchmark.transfer import transfer as carry_over

    failed = 0
    for path in paths:
        # Folders are named by a word, because paths differ between machines.
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
    again = " (done before; --force does it again)" if outcome.again else ""
    leaks = f", LEAKAGE: {', '.join(found.leakage)}" if found.leakage else ""
    return (
        f"{found.architecture}, seed {found.seed}, trained on {found.trained_on.dataset}: "
        f"test IoU {100 * iou:.2f} % on {found.tested_on.label}{leaks} in {outcome.path}{again}"
    )
