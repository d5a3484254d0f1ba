"""`bench leaderboard`."""

import gc
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmark.cli.common import Plugins, Results, add_plugins, complain, one_line_errors, say
from benchmark.common.errors import UserError, nearest

if TYPE_CHECKING:
    from benchmark.leaderboard.board import Board

_FORMATS = ("terminal", "md", "csv", "tex", "html", "json")


@one_line_errors
def leaderboard(
    *,
    results: Results = Path("results"),
    plugins: Plugins = None,
    format_: Annotated[
        list[str] | None,
        typer.Option("--format", help="terminal, md, csv, tex, html, json; several with commas. [default: all]"),
    ] = None,
    protocol: Annotated[list[str] | None, typer.Option(help="Only tables of this protocol. Repeatable.")] = None,
    sort: Annotated[str, typer.Option(metavar="COLUMN", help="Sort by this column, e.g. sisdr or gflops.")] = "",
    columns: Annotated[
        str,
        typer.Option(metavar="A,B,...", help="Only these columns, as leaderboard.csv names them (not in the .html)."),
    ] = "",
    by: Annotated[
        str, typer.Option(metavar="KIND", help="Print the mean IoU by kind of group instead, e.g. noise or species.")
    ] = "",
    out: Annotated[Path | None, typer.Option(help="Folder of the files. [default: the results folder]")] = None,
    width: Annotated[int | None, typer.Option(help="Width to print for. [default: the terminal's]", min=40)] = None,
    check: Annotated[
        bool,
        typer.Option(
            "--check",
            help="For CI: check every record as bench verify does, write nothing, and exit with code 2 if a record is "
            "inconsistent or a table out of date.",
        ),
    ] = False,
    private: Annotated[
        bool,
        typer.Option("--private", help="Write private/leaderboard.html, which also shows your own recordings."),
    ] = False,
) -> None:
    """Show who is best and how sure that is; write the tables.

    They go to leaderboard.html, .md, .csv, .tex and .json in the results folder. With --protocol, --sort or --columns
    the tables are only printed, unless --format or --out asks for files. Files of runs are read, not hashed: bench
    verify and --check find files that were changed.
    """
    add_plugins(plugins)
    from rich.console import Console

    from benchmark.leaderboard import formats, page

    if check:
        _check(results)
        return
    shown = _split([columns])
    names = _chosen_formats(format_, printing=bool(protocol or sort or shown) and out is None)
    console = Console(width=width, highlight=False)
    board = _board(results, protocol or [], sort, shown)
    for problem in board.problems:
        complain(f"skipped: {problem}")
    if by:
        _print_by(board, by)
        return
    # Files first: a reader of the printed tables may stop reading (| head), which ends this process.
    texts = {name: writer(board, shown) for name, writer in formats.WRITERS.items() if name in names}
    written = _write(out or results, texts)
    refusal = ""
    if "html" in names:
        try:
            text = page.rendered(board, results, sort=sort or "iou", private=private)
            written += _write((out or results) / ("private" if private else ""), {"html": text})
        except page.TooLargeError as error:
            refusal = str(error)  # the other formats are of use without it
    if "terminal" in names:
        formats.print_terminal(board, console, shown)
        console.print(f"{formats.wording.RANKS}\n{formats.wording.NOTE}", markup=False, soft_wrap=True)
    if written:
        say(f"Written: {', '.join(str(path) for path in written)}")
    if refusal:
        raise UserError(refusal)


def _print_by(board: "Board", kind: str) -> None:
    """Print a grid for each table whose test images name the kind of group.

    Raises:
        UserError: none does.
    """
    from benchmark.leaderboard.formats import grids

    named = {name for table in board.tables if table.images for name in table.images.labels}
    if kind not in named:
        raise UserError(
            f"no test images name their '{kind}'{nearest(kind, named)}; they name: {', '.join(sorted(named))}"
        )
    for table in board.tables:
        if table.images and kind in table.images.labels:
            say(f"\n{table.heading}: IoU in % by {kind}\n\n{grids.draw(grids.by_group(table, kind), 'simple')}")


def _board(results: Path, protocols: Sequence[str], sort: str, columns: Sequence[str]) -> "Board":
    """The tables that were asked for.

    Raises:
        UserError: no record can be used, or there is no such protocol or column.
    """
    from benchmark.leaderboard import selection, tables

    gc.disable()  # records stay until the end: looking for garbage among thousands takes a sixth of the time
    try:
        board = tables.build(results)
    finally:
        gc.freeze()
        gc.enable()
    if not board.tables:
        for problem in board.problems:
            complain(f"skipped: {problem}")
        raise UserError(f"no runs in {results}; begin with: bench run --arch custom_resnet34")
    return selection.select(board, protocols, sort, columns)


def _write(folder: Path, texts: Mapping[str, str]) -> list[Path]:
    """Write leaderboard.<suffix> for each suffix -> text."""
    from benchmark.common.files import write_atomically

    paths = {suffix: folder / f"leaderboard.{suffix}" for suffix in texts}
    for suffix, path in paths.items():
        write_atomically(path, partial(Path.write_text, data=texts[suffix], encoding="utf-8"))
    return list(paths.values())


def _check(results: Path) -> None:
    """Check every record, and that the written tables are those of the records.

    Raises:
        typer.Exit: something is wrong, and was printed.
    """
    from benchmark.common.progress import bars
    from benchmark.leaderboard import formats, page, tables
    from benchmark.records import verify

    with bars() as progress:
        lines = [str(finding) for finding in verify.check(results, report=progress)]
    if not lines:
        board = tables.build(results)
        lines += board.problems
        texts = {suffix: writer(board, ()) for suffix, writer in formats.WRITERS.items()}
        texts["html"] = page.rendered(board, results)
        for suffix, text in texts.items():
            path = results / f"leaderboard.{suffix}"
            if not path.is_file() or path.read_bytes() != text.encode():
                lines.append(f"{path} is not what the records give; write it again: bench leaderboard")
    for line in lines:
        complain(line)
    if lines:
        raise typer.Exit(2)
    say(f"{results}: the records are consistent, and the tables are up to date")


def _chosen_formats(given: list[str] | None, *, printing: bool) -> list[str]:
    names = _split(given or [])
    for name in names:
        if name not in _FORMATS:
            raise UserError(f"no format '{name}'{nearest(name, _FORMATS)}; there are: {', '.join(_FORMATS)}")
    return names or (["terminal"] if printing else list(_FORMATS))


def _split(texts: Sequence[str]) -> list[str]:
    return [name.strip() for text in texts for name in text.split(",") if name.strip()]
