"""`bench list`."""

import json
from typing import Annotated

import typer

from benchmark.cli.common import Plugins, add_plugins, one_line_errors, say


@one_line_errors
def list_(
    *,
    citations: Annotated[bool, typer.Option("--citations", help="Print the BibTeX entries instead.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    plugins: Plugins = None,
) -> None:
    """List networks, datasets and protocols.

    Each with its title; networks also with their number of parameters and their paper.
    """
    add_plugins(plugins)
    from rich.console import Console

    from benchmark.common.progress import bars
    from benchmark.plugins import listing

    if json_:
        with bars() as report:
            say(json.dumps(listing.facts(report), indent=2))
        return
    if citations:
        with bars() as report:
            cited = list(listing.citations(report))
        for citation in cited:
            say(citation)
        return
    console = Console(highlight=False)
    with bars() as report:
        tables = list(listing.tables(report))
    for table in tables:
        console.print(table)
        console.print()
