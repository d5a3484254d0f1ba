"""`bench doctor`."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmark.cli.common import Results, one_line_errors, say

if TYPE_CHECKING:
    from benchmark.tools.doctor import Finding


@one_line_errors
def doctor(
    *,
    results: Results = Path("results"),
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Examine this machine and say how to fix what is wrong.

    Exit code 2 if no run can work.
    """
    from benchmark.tools.doctor import examine

    found = list(examine(results))
    usable = all(finding.status != "problem" for finding in found)
    if json_:
        say(json.dumps({"usable": usable, "findings": [asdict(finding) for finding in found]}, indent=2))
    else:
        _print(found)
        say("Runs can work here." if usable else "No run can work here until the problems are fixed.")
    if not usable:
        raise typer.Exit(2)


def _print(found: "Sequence[Finding]") -> None:
    for finding in found:
        say(f"{finding.status:8} {finding.name}: {finding.found}")
        if finding.remedy:
            say(f"{'':8} -> {finding.remedy}")
