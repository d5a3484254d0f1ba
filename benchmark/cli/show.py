"""`bench show`."""

import json
from pathlib import Path
from typing import Annotated

import typer

from benchmark.cli.common import Results, one_line_errors, say


@one_line_errors
def show(
    *,
    run: Annotated[
        str, typer.Argument(help="A run's folder or key, an architecture with one run, or 'last'.", metavar="RUN")
    ] = "last",
    results: Results = Path("results"),
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show one run: scores, training, cost and files."""
    from benchmark.leaderboard import one_run
    from benchmark.records import find

    found = one_run.show(results, *find.one(results, run))
    say(json.dumps(one_run.as_json(found), indent=2) if json_ else "\n".join(one_run.lines(found)))
