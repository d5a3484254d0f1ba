"""`bench denoise`."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmark.cli.common import Plugins, Results, add_plugins, complain, say, speaking
from benchmark.common import files
from benchmark.common.errors import UserError

if TYPE_CHECKING:
    from benchmark.tools.denoise.clean import Cleaned


class Mask(StrEnum):
    """The mask: weights as the network gives them, or cut at the protocol's threshold."""

    hard = "hard"
    soft = "soft"


class Above(StrEnum):
    """What happens to frequencies above those that the network was trained on."""

    remove = "remove"
    keep = "keep"


@speaking
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
        Mask, typer.Option(help="soft: fade by how sure the network is. hard: keep or drop, as in the scores.")
    ] = Mask.soft,
    above: Annotated[
        Above, typer.Option(help="Frequencies higher than any in training: remove or keep them.")
    ] = Above.remove,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
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
                cleaned = clean.clean(cleaner, source, target, mask=mask.value, above=above.value, report=report)
                say(_line(cleaned, above))
            except UserError as error:
                complain(str(error))
                failed += 1
    if failed:
        complain(f"{failed} of {len(sources) + len(problems)} recording(s) could not be cleaned")
        raise typer.Exit(2)


def _line(cleaned: "Cleaned", above: Above) -> str:
    done = "removed (--above keep keeps them)" if above == Above.remove else "kept as they are"
    header = cleaned.header
    channels = f"{header.channels} channel{'s' if header.channels > 1 else ''}"
    parts = [f"{cleaned.source.name}: {header.seconds:.1f} s, {channels}, {header.sample_rate} Hz -> {cleaned.target}"]
    parts.append("silent, left unchanged" if cleaned.silent else f"{100 * cleaned.kept:.1f} % of the spectrogram kept")
    if cleaned.above is not None:
        parts.append(f"frequencies above {cleaned.above / 1000:g} kHz were not in training: {done}")
    return "; ".join(parts)
