"""The command line app, options that several commands share, and how commands print and end."""

import functools
import os
import shlex
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, ParamSpec

import typer

import benchmark
from benchmark.common import files, progress, stopping
from benchmark.common.errors import UserError, first_line, one_line, printable

app = typer.Typer(
    name="bench",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Compare networks that find the bird in a noisy recording: same data, same training, same test.",
    epilog="Start with: bench run --arch custom_resnet34, then bench leaderboard.",
)

Results = Annotated[Path, typer.Option("--results", help="Folder of the results.")]
Plugins = Annotated[
    Path | None, typer.Option("--plugins", help="A folder with your own architectures/ or datasets/.", metavar="DIR")
]

MANNER = "Machine"
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.", rich_help_panel=MANNER)]
Precision = Annotated[str, typer.Option(help="auto, bf16, tf32 or fp32.", rich_help_panel=MANNER)]
Threads = Annotated[
    int | None,
    typer.Option(min=1, help="CPU threads; all that this process may use if not given.", rich_help_panel=MANNER),
]
Execution = Annotated[str, typer.Option(help="eager, or compiled (torch.compile).", rich_help_panel=MANNER)]

P = ParamSpec("P")


def one_line_errors(command: Callable[P, None]) -> Callable[P, None]:
    """Print every error as one line. A user's mistake exits with 2, Ctrl-C with 130, SIGTERM with 143, a bug with 1."""

    @functools.wraps(command)
    def run(*arguments: P.args, **options: P.kwargs) -> None:
        try:
            with stopping.heeded():
                command(*arguments, **options)
        except UserError as error:
            if os.environ.get("BENCH_DEBUG"):
                raise
            complain(str(error))
            sys.exit(2)
        except KeyboardInterrupt as error:
            told = isinstance(error, stopping.Stopped)
            what = "told to stop" if told else "interrupted"
            complain(f"{what}; finished work is kept: give the same command again to continue")
            sys.exit(143 if told else 130)
        except (typer.Exit, typer.Abort, BrokenPipeError):
            raise  # the exit code that the command chose; a closed pipe, e.g. to `head`
        except Exception as error:
            if os.environ.get("BENCH_DEBUG"):
                raise
            if isinstance(error, OSError) and error.errno is not None:
                complain(str(files.unusable(error)))
                sys.exit(2)
            complain(f"this is a bug of birdmask-bench, or of a plugin: {_named(error)}; --debug shows the traceback")
            sys.exit(1)

    return run


def _named(error: Exception) -> str:
    """Type, message, file and line of an exception."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    place = f"({frame.filename}, line {frame.lineno})"
    return one_line(f"{type(error).__name__}: {error} {place}" if str(error) else f"{type(error).__name__} {place}")


def _version(value: bool) -> None:
    if value:
        say(f"birdmask-bench {benchmark.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    *,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print results, warnings and errors only; no bars, no remarks.")
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    del version
    if debug:
        os.environ["BENCH_DEBUG"] = "1"
    if quiet:
        os.environ[progress.QUIET] = "1"


def complete_architecture(incomplete: str) -> list[str]:
    """The architectures whose names begin so, for the shell; imports none of them."""
    from benchmark.plugins import registry

    return [name for name in registry.find("architectures") if name.startswith(incomplete)]


def add_plugins(folder: Path | None) -> None:
    """Search the user's folder for plugins as well."""
    if folder is not None:
        from benchmark.plugins import registry

        registry.add_folder(folder)


def option(name: str, value: Path, default: str) -> str:
    """An option as it is typed, with a space before it; empty if it has its default."""
    return "" if str(value) == default else f" {name} {shlex.quote(str(value))}"


def say(text: str) -> None:
    """Print one or more lines of results."""
    progress.write(printable(text, keep="\n"))


def remark(text: str) -> None:
    """Print what is no result; not under `bench -q`."""
    if not os.environ.get(progress.QUIET):
        say(text)


def complain(text: str) -> None:
    """Print a line on standard error."""
    progress.write(f"bench: {one_line(text)}", error=True)


def mean_iou(path: Path, place: str) -> float:
    """The mean IoU of a slice of the test images, from the counts in a run's folder.

    Raises:
        UserError: the counts are damaged.
    """
    from benchmark import scores
    from benchmark.records import store

    try:
        counts = store.read_counts([path])[0]
        inside = counts["slice"] == place
        return scores.SCORES["iou"].compute({name: counts[name][inside] for name in scores.COUNT_COLUMNS})
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{path / store.IMAGES} is damaged ({first_line(error)}); {store.INSTEAD}") from error


def check_data(dataset: str, root: Path | None) -> None:
    """Check the dataset's name and folder before torch is imported, which takes seconds.

    Raises:
        UserError: there is no such dataset, its folder is missing, or it reads no folder.
    """
    from benchmark.data import validate
    from benchmark.plugins import registry

    plugin = registry.load("datasets", dataset)
    validate.check_root(plugin.name, plugin.spec, root)


def check_architectures(names: Sequence[str]) -> None:
    """Check the names before any architecture is imported.

    Raises:
        UserError: a name is unknown; the message lists the known ones.
    """
    from benchmark.plugins import registry

    known = registry.find("architectures")
    for name in names:
        if name != "all" and name.partition(":")[0] not in known:
            registry.load("architectures", name)


def chosen_architectures(names: Sequence[str]) -> tuple[list[str], bool]:
    """The labels of `names`, each once, in canonical spelling, and whether "all" left out a broken architecture.

    Raises:
        UserError: an architecture that was named is unknown or broken.
    """
    from benchmark.plugins import registry

    known = registry.find("architectures")
    labels, broken = [], False
    for name in [name for name in names if name != "all"]:
        labels.append(registry.load("architectures", name).label)
    for name in known if "all" in names else ():
        try:
            labels.append(registry.load("architectures", name).label)
        except UserError as error:
            complain(f"left out: {error}")
            broken = True
    return list(dict.fromkeys(labels)), broken


def named_runs(results: Path, names: list[str]) -> list[Path]:
    """The folders of the named runs, each once, in the order of the names.

    Raises:
        UserError: there is no run of a name.
    """
    from benchmark.records import find

    return list(dict.fromkeys(path for name in names for path in find.named(results, name)))
