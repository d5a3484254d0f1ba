"""`bench curves`."""

from pathlib import Path
from typing import Annotated

import typer

from benchmark.cli.common import Results, named_runs, one_line_errors, say
from benchmark.common.errors import UserError, first_line

_SUFFIXES = (".png", ".svg", ".pdf")


@one_line_errors
def curves(
    *,
    runs: Annotated[
        list[str],
        typer.Argument(help="Runs: architectures (all their seeds), folders, or keys.", metavar="RUN..."),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The file to write: .png, .svg or .pdf.", metavar="FILE")],
    protocol: Annotated[str | None, typer.Option(help="Only runs of this protocol.")] = None,
    results: Results = Path("results"),
) -> None:
    """Draw loss and validation IoU of several runs over the epochs."""
    from benchmark.records import pictures, store, tables

    if out.suffix not in _SUFFIXES:
        raise UserError(f"-o {out}: the file's name must end in {', '.join(_SUFFIXES)}")
    drawn = {}
    for path in named_runs(results, runs):
        try:
            record = store.read(path)
            if protocol in (None, record.protocol.name) and record.architecture.parameter_count:
                drawn[path] = record, tables.read_history(path / store.HISTORY)
        except (OSError, ValueError) as error:
            raise UserError(f"{path} cannot be read ({first_line(error)}); {store.INSTEAD}") from error
    if not drawn:
        raise UserError(f"none of these runs{f' of protocol {protocol}' if protocol else ''} was trained")
    names = list(dict.fromkeys(record.protocol.name for record, _ in drawn.values()))
    if len({record.comparability_key for record, _ in drawn.values()}) > 1 and len(names) > 1:
        raise UserError(f"these runs are of several protocols; choose one with --protocol: {', '.join(names)}")
    lines: dict[str, list[tables.History]] = {}
    for record, history in drawn.values():
        changes = "".join(f", {name} = {value}" for name, value in sorted(record.protocol.overrides.items()))
        lines.setdefault(f"{record.architecture.label}{changes}", []).append(history)
    pictures.draw_curves(out, f"{names[0]}, {len(drawn)} runs", lines)
    say(f"{out}: {', '.join(f'{label} ({len(found)})' for label, found in lines.items())}")
