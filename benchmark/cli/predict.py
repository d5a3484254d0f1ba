"""`bench predict`."""

from pathlib import Path
from typing import Annotated

import typer

from benchmark.cli.common import Device, Plugins, Results, add_plugins, complain, one_line_errors, say
from benchmark.common import files
from benchmark.common.errors import UserError


@one_line_errors
def predict(
    *,
    inputs: Annotated[
        list[Path],
        typer.Argument(
            help="Images like those that the network was trained on, or folders of them. (Recordings: bench denoise.)",
            metavar="IMAGES...",
        ),
    ],
    run: Annotated[str, typer.Option("--run", help="A run's folder or key, an architecture, or 'last'.")],
    out: Annotated[Path, typer.Option(help="Folder for the masks.", metavar="DIR")],
    soft: Annotated[
        bool, typer.Option("--soft", help="Write how sure the network is, 0 to 255, instead of 0 or 255.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace files that exist.")] = False,
    device: Device = "auto",
    results: Results = Path("results"),
    plugins: Plugins = None,
) -> None:
    """Predict the masks of images with a trained network.

    Each is a PNG of its image's size.
    """
    add_plugins(plugins)
    from benchmark.common.progress import bars
    from benchmark.records import find
    from benchmark.tools import predict as tool

    targets = tool.targets(inputs, out, force=force)
    files.check_writable(out, "--out")
    path, _ = find.one(results, run, with_weights=True)

    from benchmark.records import trained

    network = trained.load(path, device)
    shares, failed = [], 0
    with bars() as report:
        for number, (source, target) in enumerate(targets.items(), start=1):
            try:
                shares.append(tool.predict(network, source, target, soft=soft))
            except UserError as error:
                complain(str(error))
                failed += 1
            report("predicting", number, len(targets), "")
    if shares:
        mean = sum(shares) / len(shares)
        say(
            f"{len(shares)} mask(s) in {out} by {network.record.architecture.label} ({path}); "
            f"{100 * mean:.1f} % of an image is bird on average"
        )
    if failed:
        complain(f"{failed} of {len(targets)} image(s) could not be used")
        raise typer.Exit(2)
