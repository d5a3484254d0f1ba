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
        list[Path],
        typer.Argument(help="WAV, FLAC, OGG, Opus, MP3, AIFF or CAF files, or folders of them.", metavar="IN..."),
    ],
    run: Annotated[
        str,
        typer.Option(
            "--run",
            help="'shipped' (the network that ships), a run's folder or key, an architecture, or 'best' (highest "
            "validation IoU).",
        ),
    ] = "shipped",
    out: Annotated[Path, typer.Option(help="Folder for the cleaned recordings.", metavar="DIR")] = Path("denoised"),
    table: Annotated[str, typer.Option(help="Choose among this table's runs (first characters of its key).")] = "",
    strength: Annotated[
        float, typer.Option(help="How much is removed: 1 all that the network takes for noise, 0 nothing.")
    ] = 1.0,
    residue: Annotated[bool, typer.Option("--residue", help="Write what was removed, as NAME.residue.wav.")] = False,
    labels: Annotated[
        Literal["none", "raven", "audacity"],
        typer.Option(help="Write the regions of the mask: a Raven selection table or an Audacity label track."),
    ] = "none",
    mask: Annotated[
        Literal["soft", "hard"],
        typer.Option(help="soft: fade by how sure the network is. hard: keep or drop."),
    ] = "soft",
    above: Annotated[
        Literal["remove", "keep"], typer.Option(help="Frequencies higher than any in training: remove or keep them.")
    ] = "remove",
    force: Annotated[bool, typer.Option("--force", help="Clean again what is cleaned already.")] = False,
    device: Device = "auto",
    results: Results = Path("results"),
    plugins: Plugins = None,
) -> None:
    """Clean recordings with a trained network; one ships.

    Writes a WAV, the mask and a before/after picture of each, and a report of all. What was cleaned with the same
    settings is kept.
    """
    add_plugins(plugins)
    from benchmark.tools.denoise import inputs as given
    from benchmark.tools.denoise import trained, warn
    from benchmark.tools.denoise.settings import Settings

    settings = Settings(mask=mask, above=above, strength=strength, residue=residue, labels=labels)
    sources, problems = given.targets(inputs, out, residue=residue)
    files.check_writable(out, "--out")
    chosen = trained.named(results, run, table)

    from benchmark.common.progress import bars
    from benchmark.tools.denoise import clean
    from benchmark.tools.denoise.cleaner import Cleaner
    from benchmark.tools.denoise.report import PAGE, Report

    book = Report(out)
    cleaner = Cleaner(chosen, device)
    say(f"Cleaning with {chosen.label}, {chosen.origin}")
    general = warn.of_network(chosen.title)
    for warning in general:
        complain(f"warning: {warning}")
    if others := given.passed_over(inputs, out):
        complain(f"passed over, no recordings by their names: {others}")
    for problem in problems:
        complain(str(problem))
    failed, kept = len(problems), 0
    network = f"{chosen.label} {chosen.key[:12]}"
    try:
        with bars() as report:
            for source, target in sources.items():
                try:
                    key = settings.key(source, chosen.key)
                    if not force and book.done(target, key, settings):
                        kept += 1
                        continue
                    cleaned = clean.clean(cleaner, source, target, settings, report=report)
                    warnings = warn.of_recording(cleaned, cleaner.highest(cleaned.header.sample_rate))
                    book.add(cleaned, [*warnings, *general], key, settings, network)
                    say(_line(cleaned, above))
                    for warning in warnings:
                        complain(f"warning: {source.name}: {warning}")
                except UserError as error:
                    complain(str(error))
                    book.refuse(source, target, error)
                    failed += 1
    finally:
        book.save()
    if kept:
        say(f"{kept} of {len(sources)} recording(s) were cleaned already with these settings (--force cleans again)")
    say(f"Report: {out / PAGE}")
    if failed:
        complain(f"{failed} of {len(sources) + len(problems)} recording(s) could not be cleaned")
        raise typer.Exit(2)


def _line(cleaned: "Cleaned", above: str) -> str:
    done = "removed (--above keep keeps them)" if above == "remove" else "kept as they are"
    header = cleaned.header
    channels = f"{header.channels} channel{'s' if header.channels > 1 else ''}"
    parts = [f"{cleaned.source.name}: {header.seconds:.1f} s, {channels}, {header.sample_rate} Hz -> {cleaned.target}"]
    kept = f"{100 * cleaned.kept:.1f} % of the spectrogram that the network knows kept"
    parts.append("silent, left unchanged" if cleaned.silent else kept)
    if cleaned.above is not None:
        parts.append(f"frequencies above {cleaned.above / 1000:g} kHz were not in training: {done}")
    return "; ".join(parts)
