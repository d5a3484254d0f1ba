"""`bench run`, `bench leaderboard`, `bench list`."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from benchmark.cli.common import (
    Plugins,
    Results,
    add_plugins,
    chosen_architectures,
    complain,
    option,
    say,
    speaking,
)
from benchmark.errors import UserError

if TYPE_CHECKING:
    from benchmark.protocol import Protocol
    from benchmark.run import Outcome, Request


@speaking
def run(
    *,
    arch: Annotated[
        list[str], typer.Option("--arch", help="Architecture, e.g. unet or unet:width=32; 'all'. Repeatable.")
    ],
    protocol: Annotated[str, typer.Option(help="Protocol by name, or a .toml file.")] = "quick",
    dataset: Annotated[str | None, typer.Option(help="Another dataset, e.g. folder.")] = None,
    data: Annotated[Path | None, typer.Option(help="Folder that the dataset is read from.", metavar="ROOT")] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**31, help="First seed.")] = 0,
    seeds: Annotated[int, typer.Option(min=1, help="Number of seeds, counted up from --seed.")] = 1,
    epochs: Annotated[int | None, typer.Option(help="Change the protocol: epochs.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Change the protocol: batch size.")] = None,
    learning_rate: Annotated[
        float | None, typer.Option("--learning-rate", "--lr", help="Change the protocol: lr.")
    ] = None,
    image_size: Annotated[int | None, typer.Option(help="Change the protocol: image height and width.")] = None,
    weights: Annotated[str | None, typer.Option(help="Change the protocol: none or pretrained.")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="Change any setting of the protocol: image_size, channels, normalisation, weights, loss, optimiser, "
            "learning_rate, weight_decay, schedule, epochs, batch_size, augmentation, selection, threshold.",
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    precision: Annotated[str, typer.Option(help="auto, bf16, tf32 or fp32.")] = "auto",
    results: Results = Path("results"),
    plugins: Plugins = None,
    force: Annotated[bool, typer.Option("--force", help="Run again what is finished.")] = False,
    allow_leakage: Annotated[
        bool, typer.Option("--allow-leakage", help="Accept a recording in two splits; the table says so.")
    ] = False,
) -> None:
    """Train and test architectures under one protocol; each run leaves a folder in the results store."""
    add_plugins(plugins)
    given = {
        "dataset": dataset,
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "image_size": image_size,
        "weights": weights,
    }
    settings, overrides = _settings(
        protocol, {name: value for name, value in given.items() if value is not None}, set_ or []
    )
    labels, broken = chosen_architectures(arch)
    changed = ", ".join(f"{name} = {value}" for name, value in overrides.items())
    say(f"Protocol {settings.name}" + (f", changed, so another table: {changed}" if changed else f": {settings.about}"))

    from benchmark.run import Request

    # Folders are named by a word, because paths differ between machines.
    flags = [*(["--data", "ROOT"] if data else []), *(["--plugins", "DIR"] if plugins else [])]
    flags += ["--allow-leakage"] if allow_leakage else []
    requests = [
        Request(
            architecture=label,
            protocol=settings,
            overrides=overrides,
            seed=number,
            data_root=data,
            device=device,
            precision=precision,
            results=results,
            command=_command(label, protocol, overrides, number, flags=flags),
            force=force,
            allow_leakage=allow_leakage,
        )
        for label in labels
        for number in range(seed, seed + seeds)
    ]
    _launch(requests, broken=broken)


@speaking
def leaderboard(
    *,
    results: Results = Path("results"),
    width: Annotated[int | None, typer.Option(help="Columns of the terminal.", min=40)] = None,
) -> None:
    """Print a table per comparability key, and write leaderboard.md, .csv, .tex and .json beside the runs."""
    from rich.console import Console

    from benchmark.leaderboard import formats, tables

    board = tables.build(results)
    for problem in board.problems:
        complain(f"skipped: {problem}")
    if not board.tables:
        raise UserError(f"no runs in {results}; begin with: bench run --arch custom_resnet34")
    written = formats.write_all(board, results)  # before anything is printed: the reader may have seen enough (| head)
    console = Console(width=width, highlight=False)
    formats.print_terminal(board, console)
    say(formats.NOTE)
    say(f"All columns: {', '.join(str(path) for path in written)}")


@speaking
def list_(
    *,
    citations: Annotated[bool, typer.Option("--citations", help="Print the BibTeX entries instead.")] = False,
    plugins: Plugins = None,
) -> None:
    """Show architectures, datasets and protocols, each with title, parameter count and paper."""
    add_plugins(plugins)
    from rich.console import Console

    from benchmark import listing
    from benchmark.progress import bars

    if citations:
        for citation in listing.citations():
            say(citation)
        return
    console = Console(highlight=False)
    with bars() as report:
        tables = list(listing.tables(report))
    for table in tables:
        console.print(table)
        console.print()


def _launch(requests: "Sequence[Request]", *, broken: bool) -> None:
    from benchmark.launch import launch

    failed = broken
    for request, outcome in launch(requests):
        if isinstance(outcome, UserError):
            if len(requests) == 1:
                raise outcome
            failed = True
            complain(f"{request.architecture}, seed {request.seed}: {outcome}")
        else:
            say(_summary(outcome))
    say(f"Compare: bench leaderboard{option('--results', requests[0].results, 'results')}")
    if failed:
        raise typer.Exit(2)


def _summary(outcome: "Outcome") -> str:
    start = f"{outcome.label}, seed {outcome.seed}: "
    if outcome.status != "finished":
        return f"{start}{outcome.status} ({outcome.message}), see {outcome.path}"
    from benchmark import metrics, record

    counts = record.read_counts([outcome.path])[0]
    headline = counts["slice"] == record.read(outcome.path).headline_slice
    iou = metrics.SCORES["iou"].compute({name: counts[name][headline] for name in metrics.COUNT_COLUMNS})
    again = " (finished before; --force runs it again)" if outcome.again else ""
    return f"{start}test IoU {100 * iou:.2f} % in {outcome.path}{again}"


def _settings(name: str, given: dict[str, Any], pairs: Sequence[str]) -> "tuple[Protocol, dict[str, Any]]":
    from benchmark import protocol

    loaded = protocol.load(name)
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise UserError(f"--set {pair}: write NAME=VALUE, e.g. --set schedule=cosine")
        given[key.strip()] = _parsed(value.strip())
    # One spelling of the dataset: a parameter written out at its default changes nothing.
    loaded, changed = (_spelled(settings) for settings in (loaded, loaded.override(given)))
    return changed, changed.changes_from(loaded)


def _spelled(settings: "Protocol") -> "Protocol":
    from benchmark import registry

    return settings.override({"dataset": registry.load("datasets", settings.dataset).label})


def _parsed(text: str) -> Any:
    """A value as TOML would read it; a bare word is a string."""
    import tomllib

    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _command(label: str, protocol: str, overrides: dict[str, Any], seed: int, *, flags: Sequence[str]) -> str:
    """The command that makes this run again; the run adds its device and arithmetic."""
    words = ["bench", "run", "--arch", label, "--protocol", Path(protocol).name, "--seed", str(seed)]
    for name, value in overrides.items():
        words += ["--set", f"{name}={value}"]
    return shlex.join([*words, *flags])
