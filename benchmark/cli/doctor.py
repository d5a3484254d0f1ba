"""`bench doctor`."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmark.cli.common import Plugins, Results, add_plugins, say, speaking

if TYPE_CHECKING:
    from rich.console import Console

    from benchmark.tools.doctor import Finding

_STYLES = {"ok": "green", "note": "cyan", "warning": "yellow", "problem": "bold red"}


@speaking
def doctor(
    *,
    results: Results = Path("results"),
    plugins: Plugins = None,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Say what this machine can do and what it lacks, each with its remedy (exit code 2 if no run can work)."""
    add_plugins(plugins)
    from rich.console import Console

    from benchmark.common.progress import bars
    from benchmark.tools.doctor import examine

    with bars() as report:
        found = examine(results, report)
    usable = all(finding.status != "problem" for finding in found)
    console = Console(highlight=False)
    if json_:
        say(json.dumps({"usable": usable, "findings": [asdict(finding) for finding in found]}, indent=2))
    elif console.is_terminal:
        _print_table(found, console)
    else:
        for finding in found:
            say(f"{finding.status:8} {finding.name}: {finding.found}")
            if finding.remedy:
                say(f"{'':8} -> {finding.remedy}")
    if not json_:
        say("Runs can work here." if usable else "No run can work here before the problems are mended.")
    if not usable:
        raise typer.Exit(2)


def _print_table(found: "Sequence[Finding]", console: "Console") -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, pad_edge=False)
    for finding in found:
        said = Text(finding.found)
        if finding.remedy:
            said.append(f"\n-> {finding.remedy}", style="italic")
        table.add_row(Text(finding.status, style=_STYLES[finding.status]), Text(finding.name), said)
    console.print(table)
