"""`bench rm` and `bench rename`."""

import shutil
from pathlib import Path
from typing import Annotated

import typer

from benchmark.cli.common import Results, named_runs, one_line_errors, say
from benchmark.common.errors import UserError


@one_line_errors
def rm(
    *,
    runs: Annotated[
        list[str],
        typer.Argument(
            help="Runs: architecture (all its runs), folder, or first characters of the key.", metavar="RUN..."
        ),
    ],
    results: Results = Path("results"),
    yes: Annotated[bool, typer.Option("--yes", help="Remove them; without it they are only listed.")] = False,
) -> None:
    """Remove runs.

    What was tested elsewhere with them goes too, and what is left of unfinished trainings.
    """
    from benchmark.records import store, transfers
    from benchmark.records.slot import Slot

    paths = named_runs(results, runs)
    for path in paths:
        say(str(path))
    if not yes:
        raise UserError(f"{len(paths)} run(s) would be removed, with their weights; to do so: --yes")
    for path in paths:
        inside = results / path.resolve().relative_to(results.resolve())
        work = Slot(results=results, path=inside, is_finished=store.finished).work
        gone = path.with_name(f".removed-{path.name}")  # at once: a kill leaves no half of a run
        path.rename(gone)
        for folder in (gone, work, results / transfers.FOLDER / path.name):
            shutil.rmtree(folder, ignore_errors=True)
        for parent in list(inside.parents)[:3]:  # architecture, dataset, protocol
            if any(parent.iterdir()):
                break
            parent.rmdir()
    say(f"{len(paths)} run(s) removed; show the others: bench leaderboard")


@one_line_errors
def rename(
    *,
    old: Annotated[str, typer.Argument(help="Name of an architecture, as recorded.")],
    new: Annotated[str, typer.Argument(help="Name to show instead; OLD itself undoes it.")],
    results: Results = Path("results"),
) -> None:
    """Show an architecture by another name.

    Records say what ran and stay; names.toml holds the new name.

    For a plugin whose file was renamed: runs under both names with the same source are seeds of one entry.
    """
    from benchmark.plugins import registry
    from benchmark.records import renames, store

    recorded = sorted({path.parent.name for path in store.folders(results, store.RUNS)})
    if old not in recorded:
        raise UserError(f"no runs of '{old}' in {results}; there are: {', '.join(recorded) or 'none'}")
    if not registry.is_name(new):
        raise UserError(f"'{new}' cannot be a name: lower-case letters, digits and _ only")
    known = {**renames.read(results), old: new}
    renames.write(results, {before: after for before, after in known.items() if before != after})
    say(f"{old} is shown as {new}: bench leaderboard" if old != new else f"{old} is shown as recorded")
