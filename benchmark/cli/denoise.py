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
    """Weights as the network gives them, or cut at the protocol's threshold."""

    hard = "hard"
    soft = "soft"


class Above(StrEnum):
    """What becomes of frequencies that the network has never met."""

    remove = "remove"
    keep = "keep"


@speaking
def denoise(
    *,
    inputs: Annotated[list[Path], typer.Argument(help="WAV, FLAC, OGG or MP3 files, or folders.", metavar="IN...")],
    run: Annotated[str, typer.Option("--run", help="A run's folder or key, or 'best' by validation IoU.")] = "best",
    out: Annotated[Path, typer.Option(help="Folder of the cleaned recordings.", metavar="DIR")] = Path("denoised"),
    table: Annotated[str, typer.Option(help="The table that 'best' chooses from, by the beginning of its key.")] = "",
    mask: Annotated[Mask, typer.Option(help="Weigh, or cut at the threshold as the scores do.")] = Mask.soft,
    above: Annotated[Above, typer.Option(help="Frequencies beyond what the network has met.")] = Above.remove,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    results: Results = Path("results"),
    plugins: Plugins = None,
) -> None:
    """Clean recordings with a trained entry: WAV of the same rate, channels and length, with mask and picture."""
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
    done = "removed (--above keep keeps it)" if above == Above.remove else "kept as it is"
    header = cleaned.header
    channels = f"{header.channels} channel{'s' if header.channels > 1 else ''}"
    parts = [f"{cleaned.source.name}: {header.seconds:.1f} s, {channels}, {header.sample_rate} Hz -> {cleaned.target}"]
    parts.append("silent, and left so" if cleaned.silent else f"{100 * cleaned.kept:.1f} % of the spectrogram kept")
    if cleaned.above is not None:
        parts.append(f"above {cleaned.above / 1000:g} kHz the network has met nothing: {done}")
    return "; ".join(parts)
