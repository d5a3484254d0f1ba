"""`bench denoise`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from benchmark.cli.common import Device, Plugins, Results, add_plugins, complain, one_line_errors, say
from benchmark.common import files
from benchmark.common.errors import UserError

if TYPE_CHECKING:
    from benchmark.tools.denoise.clean import Cleaned


@one_line_errors
def denoise(
    *,
    inputs: Annotated[
        list[Path], typer.Argument(help="WAV, FLAC, OGG or MP3 files, or folders of them.", metavar="IN...")
    ],
    run: Annotated[
        str, typer.Option("--run", help="A run's folder or key, an architecture, or 'best' (highest validation IoU).")
    ] = "best",
    out: Annotated[Path, typer.Option(help="Folder for the cleaned recordings.", metavar="DIR")] = Path("denoised"),
    table: Annotated[str, typer.Option(help="Choose among this table's runs (first characters of its key).")] = "",
    mask: Annotated[
        Literal["soft", "hard"],
        typer.Option(help="soft: fade by how sure the network is. hard: keep or drop."),
    ] = "soft",
    above: Annotated[
        Literal["remove", "keep"], typer.Option(help="Frequencies higher than any in training: remove or keep them.")
    ] = "remove",
    device: Device = "auto",
    results: Results = Path("results"),
    plugins: Plugins = None,
) -> None:
    """Clean recordings with a trained network. Writes a WAV, the mask and a before/after picture of each."""
    add_plugins(plugins)
    from benchmark.tools.denoise import choose_run, clean

    sources, problems = clean.targets(inputs, out)
    files.check_writable(out, "--out")
    path, found = choose_run.choose(results, run, table)

    from benchmark.common.progress import bars
    from benchmark.tools.denoise.cleaner import Cleaner

    cleaner = Cleaner(path, found, device)
    say(f"Cleaning with {found.architecture.label}, trained with {found.protocol.name} ({path})")
    for problem in problems:
        complain(str(problem))
    failed = len(problems)
    with bars() as report:
        for source, target in sources.items():
            try:
                cleaned = clean.clean(cleaner, source, target, mask=mask, above=above, report=report)
                say(_line(cleaned, above))
            except UserError as error:
                complain(str(error))
                failed += 1
    if failed:
        complain(f"{failed} of {len(sources) + len(problems)} recording(s) could not be cleaned")
        raise typer.Exit(2)


def _line(cleaned: "Cleaned", above: str) -> str:
    done = "removed (--above keep keeps them)" if above == "remove" else "kept as they are"
    header = cleaned.header
    channels = f"{header.channels} channel{'s' if header.channels > 1 else ''}"
    parts = [f"{cleaned.source.name}: {header.seconds:.1f} s, {channels}, {header.sample_rate} Hz -> {cleaned.target}"]
    parts.append("silent, left unchanged" if cleaned.silent else f"{100 * cleaned.kept:.1f} % of the spectrogram kept")
    if cleaned.above is not None:
        parts.append(f"frequencies above {cleaned.above / 1000:g} kHz were not in training: {done}")
    return "; ".join(parts)
