"""`bench export`."""

from pathlib import Path
from typing import Annotated

import typer

from benchmark.cli.common import Plugins, Results, add_plugins, one_line_errors, say
from benchmark.common.errors import UserError


@one_line_errors
def export(
    *,
    run: Annotated[str, typer.Argument(help="A run's folder or key, an architecture, or 'last'.", metavar="RUN")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The file to write.", metavar="FILE.onnx")],
    results: Results = Path("results"),
    plugins: Plugins = None,
) -> None:
    """Write a trained network as ONNX.

    Rate, image size, normalisation and threshold are in its metadata.

    It is written only if onnxruntime gives the logits that torch gives.
    """
    add_plugins(plugins)
    from benchmark.records import find

    if out.suffix != ".onnx":
        raise UserError(f"-o {out}: the file's name must end in .onnx")
    path, _ = find.one(results, run, with_weights=True)

    from benchmark.records import trained
    from benchmark.tools import export as tool

    network = trained.load(path)
    difference = tool.export(network, out)
    height, width = network.image_size
    given, made = f"image (n, {network.settings.channels}, {height}, {width})", f"logits (n, 1, {height}, {width})"
    say(f"{out}: {network.record.architecture.label} ({path}); {given} -> {made}, opset {tool.OPSET}")
    say(f"onnxruntime gives torch's logits: they differ by {100 * difference:.1g} % of the largest one at most")
