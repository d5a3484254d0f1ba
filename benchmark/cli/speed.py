"""`bench speed`."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from benchmark.cli.common import (
    Device,
    Execution,
    Plugins,
    Precision,
    Threads,
    add_plugins,
    check_architectures,
    check_data,
    chosen_architectures,
    say,
    speaking,
)
from benchmark.cli.run import protocol_settings
from benchmark.common import files
from benchmark.common.errors import UserError


@speaking
def speed(
    arch: Annotated[list[str] | None, typer.Argument(help="Architectures; all if none is named.")] = None,
    *,
    against: Annotated[
        list[str] | None,
        typer.Option(
            help="notebook: also time the naive loop; lightning: the same network under Lightning. Repeatable; the "
            "ratios are of runs side by side."
        ),
    ] = None,
    protocol: Annotated[str, typer.Option(help="Protocol whose sizes, loss and data are used.")] = "quick",
    dataset: Annotated[str | None, typer.Option(help="Another dataset.")] = None,
    data: Annotated[Path | None, typer.Option(help="Folder that the dataset is read from.", metavar="ROOT")] = None,
    image_size: Annotated[int | None, typer.Option(help="Height and width.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Of the training.")] = None,
    seconds: Annotated[float, typer.Option(min=0.1, help="Measure each figure for so long.")] = 3.0,
    images: Annotated[int, typer.Option(min=1, help="Images of an epoch of the contestants.")] = 64,
    rounds: Annotated[int, typer.Option(min=1, help="Turns of the contestants.")] = 3,
    device: Device = "auto",
    precision: Precision = "auto",
    threads: Threads = None,
    execution: Execution = "auto",
    plugins: Plugins = None,
    out: Annotated[Path, typer.Option(help="CSV to write; Markdown is written beside it.")] = Path("speed.csv"),
) -> None:
    """Measure cost, throughput, latency and memory of architectures; every one in a fresh process."""
    add_plugins(plugins)
    given = {"dataset": dataset, "image_size": image_size, "batch_size": batch_size, "weights": "none"}
    settings, _ = protocol_settings(protocol, {name: value for name, value in given.items() if value is not None}, [])
    check_architectures(arch or [])
    check_data(settings.dataset, data)
    labels, broken = chosen_architectures(arch or ["all"])
    from rich.console import Console

    from benchmark.common.progress import bars
    from benchmark.tools.speed import report, rivals, session
    from benchmark.tools.speed.measure import Failure, Speed, Task

    rivals.check(against or [])
    files.check_writable(out.parent, "--out")
    tasks = [
        Task(
            architecture=label,
            protocol=settings,
            data_root=data,
            device=device,
            precision=precision,
            threads=threads,
            execution=execution,
            seconds=seconds,
        )
        for label in labels
    ]
    command = shlex.join(["bench", *sys.argv[1:]])
    with bars() as progress:
        most = session.ceilings(tasks[0])
        results = session.speeds(tasks, most, progress)
        written = report.write(out, command, results, [], most)  # the races take long, and may fail
        able = {result.label for result in results if isinstance(result, Speed) and result.train}
        racing = [task for task in tasks if task.architecture in able]
        races = session.races(racing, against or [], images, rounds, progress) if against else []
    if races:
        written = report.write(out, command, results, races, most)
    console = Console(highlight=False)
    measured = [result for result in results if isinstance(result, Speed)]
    if measured:
        for line in report.heading(measured, most):
            say(line)
        for table in report.speed_tables(results):
            console.print(table)
    if races:
        console.print(report.race_table(races))
        for line in report.notes(races):
            say(line)
    say(f"Written: {', '.join(str(path) for path in written)}")
    if broken or len(measured) < len(results):
        failed = [result for result in results if isinstance(result, Failure)]
        raise UserError("; ".join(f"{failure.label}: {failure.message}" for failure in failed) or "some were left out")
