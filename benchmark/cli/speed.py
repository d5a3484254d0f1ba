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
    complete_architecture,
    one_line_errors,
    say,
)
from benchmark.cli.run import protocol_settings
from benchmark.common import files
from benchmark.common.errors import UserError


@one_line_errors
def speed(
    arch: Annotated[
        list[str] | None, typer.Argument(help="Networks; by default all.", autocompletion=complete_architecture)
    ] = None,
    *,
    protocol: Annotated[str, typer.Option(help="Take sizes, loss and data from this protocol.")] = "quick",
    dataset: Annotated[str | None, typer.Option(help="Use this dataset instead of the protocol's.")] = None,
    data: Annotated[Path | None, typer.Option(help="Folder that the dataset is read from.", metavar="ROOT")] = None,
    image_size: Annotated[int | None, typer.Option(help="Height and width; by default the protocol's.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images per step; by default the protocol's.")] = None,
    seconds: Annotated[float, typer.Option(min=0.1, help="Seconds per measurement.")] = 3.0,
    device: Device = "auto",
    precision: Precision = "auto",
    threads: Threads = None,
    execution: Execution = "eager",
    plugins: Plugins = None,
    out: Annotated[Path, typer.Option(help="CSV file to write; a Markdown file is written next to it.")] = Path(
        "speed.csv"
    ),
) -> None:
    """Measure speed, latency and memory, and what limits them."""
    add_plugins(plugins)
    given = {"dataset": dataset, "image_size": image_size, "batch_size": batch_size, "weights": "none"}
    settings, _ = protocol_settings(protocol, {name: value for name, value in given.items() if value is not None}, [])
    check_architectures(arch or [])
    check_data(settings.dataset, data)
    labels, broken = chosen_architectures(arch or ["all"])

    from benchmark.common.progress import bars
    from benchmark.tools.speed import ceiling, report, session
    from benchmark.tools.speed.measure import Failure, Task

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
    with bars() as progress:
        most = session.in_fresh_process(ceiling.measure, device, precision, threads)
        results = session.measure_each(tasks, most, progress)
    written = report.write(out, shlex.join(["bench", *sys.argv[1:]]), results, most)
    say(f"{report.text(results, most)}\n")
    say(f"Written: {', '.join(str(path) for path in written)}")
    failed = [result.label for result in results if isinstance(result, Failure)]
    if failed:
        raise UserError(f"not measured: {', '.join(failed)}; see above")
    if broken:
        raise typer.Exit(2)
