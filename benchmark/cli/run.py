"""`bench run`."""

import shlex
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from benchmark.cli.batch import run_batch
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
    complete_architecture,
    one_line_errors,
    remark,
)
from benchmark.common.errors import UserError

if TYPE_CHECKING:
    from benchmark.protocols import Protocol
    from benchmark.training.trial import Manner

_BUDGET = 5
_recipe = partial(typer.Option, rich_help_panel="Change the recipe (results go to a table of their own)")
_machine = partial(typer.Option, rich_help_panel=MANNER)
_jobs = partial(typer.Option, rich_help_panel="Many runs")


@one_line_errors
def run(
    *,
    arch: Annotated[
        list[str],
        typer.Option(
            "--arch",
            help="Network to run, e.g. unet or unet:width=32, or 'all'. Repeatable.",
            autocompletion=complete_architecture,
        ),
    ],
    protocol: Annotated[str, typer.Option(help="Protocol: its name, or a .toml file.")] = "quick",
    dataset: Annotated[
        str | None, typer.Option(help="Use this dataset instead of the protocol's, e.g. folder.")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Folder to read the dataset from.", metavar="ROOT")] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**31, help="First seed.")] = 0,
    seeds: Annotated[int, typer.Option(min=1, help="Number of seeds, counted up from --seed.")] = 1,
    results: Results = Path("results"),
    plugins: Plugins = None,
    force: Annotated[bool, typer.Option("--force", help="Repeat runs that are finished.")] = False,
    allow_leakage: Annotated[
        bool,
        typer.Option("--allow-leakage", help="Run although a recording is in two splits; the table will say so."),
    ] = False,
    epochs: Annotated[int | None, _recipe(help="Passes over the training images.")] = None,
    batch_size: Annotated[int | None, _recipe(help="Images per training step.")] = None,
    learning_rate: Annotated[float | None, _recipe("--learning-rate", "--lr", help="Step size.")] = None,
    image_size: Annotated[int | None, _recipe(help="Height and width of the images in pixels.")] = None,
    weights: Annotated[str | None, _recipe(help="Weights to start from: none or pretrained.")] = None,
    set_: Annotated[
        list[str] | None,
        _recipe(
            "--set",
            metavar="NAME=VALUE",
            help="Any setting: image_size, channels, normalisation, weights, loss, optimiser, learning_rate, "
            "learning_rates, weight_decay, gradient_clip, schedule, warm_up, epochs, batch_size, augmentation, flips, "
            "focal_gamma, tversky_missed, selection, threshold.",
        ),
    ] = None,
    tune: Annotated[
        str | None,
        _recipe(metavar="lr", help="lr: let each network choose its learning rate on the validation images."),
    ] = None,
    budget: Annotated[
        int | None,
        _recipe(
            min=2,
            max=9,
            help="Number of learning rates to try, sqrt(10) apart, around the protocol's; 5 if not given.",
        ),
    ] = None,
    device: Device = "auto",
    precision: Precision = "auto",
    threads: Threads = None,
    execution: Execution = "eager",
    micro_batch: Annotated[
        int | None,
        _machine(
            min=1,
            help="Compute the gradients of a batch this many images at a time, to save memory. Batch norm then sees "
            "only these images, so the run gets a separate row.",
        ),
    ] = None,
    deterministic: Annotated[
        bool, _machine("--deterministic", help="On CUDA, get the same bits every time (slower). CPUs always do.")
    ] = False,
    data_on: Annotated[
        Literal["auto", "device", "host"],
        _machine(
            help="Keep the decoded data on the device, or send batches from the host. auto: on the device if they take "
            "at most half of its memory."
        ),
    ] = "auto",
    checkpoint_every: Annotated[
        float,
        _machine(
            min=0,
            metavar="SECONDS",
            help="Save a checkpoint after an epoch if more than this many seconds of work would be lost. 0: after "
            "every epoch.",
        ),
    ] = 10.0,
    json_: Annotated[bool, typer.Option("--json", help="Print the results as one JSON list.")] = False,
    log: Annotated[
        Literal["none", "tensorboard"],
        typer.Option(help="tensorboard: when a run ends, write its curves into results/tensorboard/."),
    ] = "none",
    launcher: Annotated[
        str,
        _jobs(help="here: a process per run, one run per GPU at a time. slurm: a job per run, through submitit."),
    ] = "here",
    job: Annotated[
        list[str] | None,
        _jobs(
            metavar="NAME=VALUE",
            help="A submitit parameter for the jobs, e.g. timeout_min=600 or slurm_partition=gpu. Repeatable.",
        ),
    ] = None,
) -> None:
    """Train and test networks.

    Finished runs are skipped; interrupted ones continue from their last checkpoint.
    """
    add_plugins(plugins)
    from benchmark.tools import tensorboard

    given = {
        "dataset": dataset,
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "image_size": image_size,
        "weights": weights,
    }
    given = {name: value for name, value in given.items() if value is not None}
    settings, overrides = protocol_settings(protocol, given, set_ or [], rates=_rates(tune, budget), root=data)
    check_architectures(arch)
    if log == "tensorboard":
        tensorboard.require()
    if not json_:
        remark(_announcement(settings, overrides))
    if launcher != "slurm":  # its machines may have other disks
        check_data(settings.dataset, data)
    labels, broken = chosen_architectures(arch)

    from benchmark.run import Request
    from benchmark.training.trial import Manner

    fixed = _without_parameters(labels, settings) if seeds > 1 else []
    if fixed and not json_:
        remark(f"{', '.join(fixed)}: nothing to train, so every seed gives the same; run once, with seed {seed}")
    manner = Manner(
        device=device,
        precision=precision,
        threads=threads,
        execution=execution,
        micro_batch=micro_batch,
        deterministic=deterministic,
        data_on=data_on,
        checkpoint_seconds=checkpoint_every,
    )
    changes = [word for name, value in overrides.items() for word in ("--set", f"{name}={value}")]
    flags = [*changes, *_flags(manner, data=data, plugins=plugins, allow_leakage=allow_leakage)]
    requests = [
        Request(
            architecture=label,
            protocol=settings,
            overrides=overrides,
            seed=number,
            data_root=data,
            results=results,
            command=_command(label, protocol, number, flags),
            manner=manner,
            force=force,
            allow_leakage=allow_leakage,
        )
        for label in labels
        for number in range(seed, seed + (1 if label in fixed else seeds))
    ]
    write_log = partial(tensorboard.write, results) if log == "tensorboard" else None
    run_batch(requests, launcher, job or [], broken=broken, json_=json_, log=write_log)


def _without_parameters(labels: Sequence[str], settings: "Protocol") -> list[str]:
    """The entries in which there is nothing to train. One that cannot be built is left to its run."""
    from benchmark.plugins import network, registry

    found = []
    for label in labels:
        with suppress(Exception):
            sketch = network.sketch(registry.load("architectures", label), settings)
            found += [] if network.parameter_count(sketch) else [label]
    return found


def _announcement(settings: "Protocol", overrides: dict[str, Any]) -> str:
    """One line that says what the protocol is, or what was changed in it."""
    changed = ", ".join(f"{name} = {value}" for name, value in overrides.items())
    if changed:
        return f"Protocol {settings.name} with changes (results go to a table of their own): {changed}"
    return f"Protocol {settings.name}: {settings.about}"


def _flags(manner: "Manner", *, data: Path | None, plugins: Path | None, allow_leakage: bool) -> list[str]:
    """The options that repeat this run elsewhere; a word stands for each folder, because paths differ."""
    flags = [*(["--data", "ROOT"] if data else []), *(["--plugins", "DIR"] if plugins else [])]
    flags += ["--allow-leakage"] if allow_leakage else []
    flags += ["--micro-batch", str(manner.micro_batch)] if manner.micro_batch else []
    flags += ["--deterministic"] if manner.deterministic else []
    flags += ["--execution", manner.execution] if manner.execution != "eager" else []
    flags += ["--threads", str(manner.threads)] if manner.threads else []
    return flags


def _command(label: str, protocol: str, seed: int, flags: Sequence[str]) -> str:
    """The command that repeats this run; the run itself adds its device and precision."""
    return shlex.join(["bench", "run", "--arch", label, "--protocol", Path(protocol).name, "--seed", str(seed), *flags])


def _rates(tune: str | None, budget: int | None) -> int:
    """The number of learning rates to choose from; 0: the protocol decides."""
    if tune not in (None, "lr"):
        raise UserError(f"--tune {tune}: only the learning rate can be tuned; write --tune lr")
    if tune is None and budget is not None:
        raise UserError("--budget needs --tune lr")
    return (budget or _BUDGET) if tune else 0


def protocol_settings(
    name: str, given: dict[str, Any], pairs: Sequence[str], *, rates: int = 0, root: Path | None = None
) -> "tuple[Protocol, dict[str, Any]]":
    """The protocol of that name with its changes applied, and the changes themselves.

    `given` are settings by name, `pairs` are texts NAME=VALUE; `rates`: how many learning rates around the protocol's
    to choose from; `root`: the folder after which a dataset without a name is called.

    Raises:
        UserError: no such protocol or dataset, or a setting that it does not take.
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
            raise UserError(
                "--tune and --set learning_rates both list the learning rates to try; give only one of them"
            )
        own = loaded.override({**given, "learning_rates": ()}).learning_rate
        given["learning_rates"] = protocols.rates_around(own, rates)
    # A parameter of the dataset that is written out at its default does not count as a change.
    loaded, changed = (_canonical(settings, root) for settings in (loaded, loaded.override(given)))
    return changed, changed.changes_from(loaded)


def _canonical(settings: "Protocol", root: Path | None) -> "Protocol":
    """The protocol with its dataset in the canonical spelling, named after its folder if it has no name."""
    from benchmark.plugins import registry

    dataset = registry.named_after(registry.load("datasets", settings.dataset), root)
    return settings.override({"dataset": dataset.label})


def _parsed(text: str) -> Any:
    """A value as TOML would read it; a bare word is a string."""
    import tomllib

    try:
        read = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):  # not TOML, a number of 5,000 digits, nested too deep
        return text
    return read["value"] if len(read) == 1 else text  # a line break would start another setting
