"""`bench run`."""

import shlex
from collections.abc import Sequence
from contextlib import closing
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from benchmark.cli.common import (
    MANNER,
    Device,
    Execution,
    Plugins,
    Precision,
    Results,
    Threads,
    add_plugins,
    check_architectures,
    check_data,
    chosen_architectures,
    complain,
    mean_iou,
    option,
    say,
    speaking,
)
from benchmark.common.errors import UserError

if TYPE_CHECKING:
    from benchmark.protocols import Protocol
    from benchmark.run import Outcome, Request


_BUDGET = 5
_PROTOCOL, _JOBS = "Settings of the protocol (another table)", "Many runs"


class DataPlace(StrEnum):
    """Where the decoded data lie."""

    auto = "auto"
    device = "device"
    host = "host"


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
    results: Results = Path("results"),
    plugins: Plugins = None,
    force: Annotated[bool, typer.Option("--force", help="Run again what is finished.")] = False,
    allow_leakage: Annotated[
        bool, typer.Option("--allow-leakage", help="Accept a recording in two splits; the table says so.")
    ] = False,
    epochs: Annotated[int | None, typer.Option(rich_help_panel=_PROTOCOL)] = None,
    batch_size: Annotated[int | None, typer.Option(rich_help_panel=_PROTOCOL)] = None,
    learning_rate: Annotated[float | None, typer.Option("--learning-rate", "--lr", rich_help_panel=_PROTOCOL)] = None,
    image_size: Annotated[int | None, typer.Option(help="Height and width.", rich_help_panel=_PROTOCOL)] = None,
    weights: Annotated[str | None, typer.Option(help="none or pretrained.", rich_help_panel=_PROTOCOL)] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="Any setting: image_size, channels, normalisation, weights, loss, optimiser, "
            "learning_rate, learning_rates, weight_decay, schedule, epochs, batch_size, augmentation, selection, "
            "threshold.",
            rich_help_panel=_PROTOCOL,
        ),
    ] = None,
    tune: Annotated[
        str | None,
        typer.Option(
            metavar="lr",
            help="Let each entry choose its learning rate by its validation IoU; the test is looked at once.",
            rich_help_panel=_PROTOCOL,
        ),
    ] = None,
    budget: Annotated[
        int | None,
        typer.Option(
            min=2,
            max=9,
            help="Learning rates to choose from, by factors of sqrt(10) around the protocol's; 5 if not given.",
            rich_help_panel=_PROTOCOL,
        ),
    ] = None,
    device: Device = "auto",
    precision: Precision = "auto",
    threads: Threads = None,
    execution: Execution = "eager",
    micro_batch: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Compute a batch's gradients so many images at a time: the same batch, less memory. Batch norms "
            "average over these, so it is a row of its own.",
            rich_help_panel=MANNER,
        ),
    ] = None,
    deterministic: Annotated[
        bool,
        typer.Option(
            "--deterministic",
            help="On CUDA, only kernels whose results repeat to the bit; slower. A CPU's always do.",
            rich_help_panel=MANNER,
        ),
    ] = False,
    data_on: Annotated[
        DataPlace,
        typer.Option(
            help="Keep the decoded data on the device, or send batches from the host; auto: on the device if it takes "
            "at most half of its memory.",
            rich_help_panel=MANNER,
        ),
    ] = DataPlace.auto,
    checkpoint_every: Annotated[
        float,
        typer.Option(
            min=0,
            metavar="SECONDS",
            help="Checkpoint after an epoch as soon as a kill would lose so much work; 0: after every epoch.",
            rich_help_panel=MANNER,
        ),
    ] = 10.0,
    launcher: Annotated[
        str,
        typer.Option(
            help="here: a process per run, one per GPU at a time; slurm: a job per run, through submitit.",
            rich_help_panel=_JOBS,
        ),
    ] = "here",
    job: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="Parameter of submitit for the jobs, e.g. timeout_min=600 or slurm_partition=gpu. Repeatable.",
            rich_help_panel=_JOBS,
        ),
    ] = None,
) -> None:
    """Train and test architectures under one protocol; each run leaves a folder in the results store.

    What is finished is not run again; what was killed goes on after its last checkpoint.
    """
    add_plugins(plugins)
    given = {
        "dataset": dataset,
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "image_size": image_size,
        "weights": weights,
    }
    settings, overrides = protocol_settings(
        protocol,
        {name: value for name, value in given.items() if value is not None},
        set_ or [],
        rates=_rates(tune, budget),
    )
    check_architectures(arch)
    changed = ", ".join(f"{name} = {value}" for name, value in overrides.items())
    say(f"Protocol {settings.name}" + (f", changed, so another table: {changed}" if changed else f": {settings.about}"))
    if launcher != "slurm":  # whose machines may have other disks
        check_data(settings.dataset, data)
    labels, broken = chosen_architectures(arch)

    from benchmark.run import Request
    from benchmark.training.trial import Manner

    # Folders are named by a word, because paths differ between machines.
    flags = [*(["--data", "ROOT"] if data else []), *(["--plugins", "DIR"] if plugins else [])]
    flags += ["--allow-leakage"] if allow_leakage else []
    flags += ["--micro-batch", str(micro_batch)] if micro_batch else []
    flags += ["--deterministic"] if deterministic else []
    flags += ["--execution", execution] if execution != "eager" else []
    flags += ["--threads", str(threads)] if threads else []
    manner = Manner(
        device=device,
        precision=precision,
        threads=threads,
        execution=execution,
        micro_batch=micro_batch,
        deterministic=deterministic,
        data_on=data_on.value,
        checkpoint_seconds=checkpoint_every,
    )
    requests = [
        Request(
            architecture=label,
            protocol=settings,
            overrides=overrides,
            seed=number,
            data_root=data,
            results=results,
            command=_command(label, protocol, overrides, number, flags=flags),
            manner=manner,
            force=force,
            allow_leakage=allow_leakage,
        )
        for label in labels
        for number in range(seed, seed + seeds)
    ]
    _launch(requests, launcher, job or [], broken=broken)


def _launch(requests: "Sequence[Request]", launcher: str, parameters: Sequence[str], *, broken: bool) -> None:
    from benchmark.launch import launch

    failed = broken
    with closing(launch(requests, launcher, parameters)) as outcomes:  # whatever ends this ends the runs
        for request, outcome in outcomes:
            try:
                say(_summary(outcome))
            except UserError as error:
                if len(requests) == 1:
                    raise
                failed = True
                complain(f"{request.architecture}, seed {request.seed}: {error}")
    say(f"Compare: bench leaderboard{option('--results', requests[0].results, 'results')}")
    if failed:
        raise typer.Exit(2)


def _summary(outcome: "Outcome | UserError") -> str:
    """What came of a run.

    Raises:
        UserError: it could not be done, or what was finished before is damaged.
    """
    if isinstance(outcome, UserError):
        raise outcome
    start = f"{outcome.label}, seed {outcome.seed}: "
    if outcome.status != "finished":
        return f"{start}{outcome.status} ({outcome.message}), see {outcome.path}"
    from benchmark.records import store

    iou = mean_iou(outcome.path, store.read(outcome.path).headline_slice)
    again = " (finished before; --force runs it again)" if outcome.again else ""
    return f"{start}test IoU {100 * iou:.2f} % in {outcome.path}{again}"


def _rates(tune: str | None, budget: int | None) -> int:
    """How many learning rates there are to choose from; 0: the protocol decides."""
    if tune not in (None, "lr"):
        raise UserError(f"--tune {tune}: what can be tuned is the learning rate, --tune lr")
    if tune is None and budget is not None:
        raise UserError("--budget is for --tune lr")
    return (budget or _BUDGET) if tune else 0


def protocol_settings(
    name: str, given: dict[str, Any], pairs: Sequence[str], *, rates: int = 0
) -> "tuple[Protocol, dict[str, Any]]":
    """The protocol of that name with what was changed, and the changes alone.

    `given` are options, `pairs` NAME=VALUE; `rates`: so many learning rates to choose from, around the protocol's.
    """
    from benchmark import protocols

    loaded = protocols.load(name)
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise UserError(f"--set {pair}: write NAME=VALUE, e.g. --set schedule=cosine")
        given[key.strip()] = _parsed(value.strip())
    if rates:
        if "learning_rates" in given:
            raise UserError("--tune and --set learning_rates both say what there is to choose from: give one of them")
        own = loaded.override({**given, "learning_rates": ()}).learning_rate
        given["learning_rates"] = protocols.rates_around(own, rates)
    # One spelling of the dataset: a parameter written out at its default changes nothing.
    loaded, changed = (_spelled(settings) for settings in (loaded, loaded.override(given)))
    return changed, changed.changes_from(loaded)


def _spelled(settings: "Protocol") -> "Protocol":
    from benchmark.plugins import registry

    return settings.override({"dataset": registry.load("datasets", settings.dataset).label})


def _parsed(text: str) -> Any:
    """A value as TOML would read it; a bare word is a string."""
    import tomllib

    try:
        read = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):  # no TOML, a number of 5,000 digits, nested too deep
        return text
    return read["value"] if len(read) == 1 else text  # a line break would end the value, and begin another setting


def _command(label: str, protocol: str, overrides: dict[str, Any], seed: int, *, flags: Sequence[str]) -> str:
    """The command that makes this run again; the run adds its device and arithmetic."""
    words = ["bench", "run", "--arch", label, "--protocol", Path(protocol).name, "--seed", str(seed)]
    for name, value in overrides.items():
        words += ["--set", f"{name}={value}"]
    return shlex.join([*words, *flags])
