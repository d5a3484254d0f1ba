"""`bench leaderboard`."""

import gc
import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmark.cli.common import Results, complain, one_line_errors, say
from benchmark.common.errors import UserError, nearest

if TYPE_CHECKING:
    from rich.console import Console

    from benchmark.leaderboard.board import Board

_FORMATS = ("terminal", "md", "csv", "tex", "html", "json")


@one_line_errors
def leaderboard(
    text: Annotated[
        str,
        typer.Argument(metavar="TEXT", help="Only the table of this name, or tables or networks with this in theirs."),
    ] = "",
    *,
    results: Results = Path("results"),
    format_: Annotated[
        list[str] | None,
        typer.Option(
            "--format",
            help="Print csv, json, md or tex and nothing else; html, several with commas, or with --out: files.",
        ),
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
    full: Annotated[
        bool, typer.Option("--full", help="Print every row, with columns that fit, and all notes.")
    ] = False,
    open_: Annotated[bool, typer.Option("--open", help="Open leaderboard.html in the browser.")] = False,
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
    """Say who is best and how sure that is, and write leaderboard.md, .csv, .tex, .html, .json, tables/ and README.md.

    With TEXT, --protocol, --sort or --columns nothing is written, unless --format or --out asks for files. Rows that
    are new since the tables were written are marked. bench verify and --check find files that were changed.
    """
    from rich.console import Console

    from benchmark.leaderboard import formats, page

    if check:
        _check(results)
        return
    shown = _split([columns])
    part = bool(text or protocol or sort or shown)
    names = _chosen_formats(format_, printing=part and out is None)
    names += ["html"] if open_ and "html" not in names else []
    known = _known(results)
    board = _board(results, protocol or [], sort, shown, text)
    for problem in board.problems:
        complain(f"skipped: {problem}")
    if by:
        _print_by(board, by)
        return
    if format_ and out is None and len(names) == 1 and names[0] in formats.WRITERS:
        say(formats.WRITERS[names[0]](board, shown).rstrip("\n"))
        return
    # Files first: a reader of the printed tables may stop reading (| head), which ends this process.
    written = _write(out or results, formats.files(board, [name for name in names if name in formats.WRITERS], shown))
    if not part and not format_ and out is None:
        written += _write_readme(results, board)
    place = (out or results) / ("private" if private else "")
    refusal = ""
    if "html" in names:
        try:
            html = page.rendered(board, results, sort=sort or "iou", private=private)
            written += _write(place, {"leaderboard.html": html})
        except page.TooLargeError as error:
            refusal = str(error)  # the other formats are of use without it
    if "terminal" in names:
        _print(board, Console(width=width, highlight=False), shown, known, full=bool(full or sort or shown))
    if full or format_ or out:
        _say_written(written)
    _end(refusal, place / "leaderboard.html" if open_ else None)


def _say_written(paths: Sequence[Path]) -> None:
    if paths:
        say(f"Written: {', '.join(str(path) for path in paths)}")


def _end(refusal: str, page: Path | None) -> None:
    """Open the page, if there is one to open.

    Raises:
        UserError: the page could not be written, or there is no browser.
    """
    import webbrowser

    if refusal:
        raise UserError(refusal)
    if page and not webbrowser.open(page.resolve().as_uri()):
        raise UserError(f"no browser found; open {page} yourself")


def _print(board: "Board", console: "Console", shown: Sequence[str], known: frozenset[str], *, full: bool) -> None:
    """Print the tables whole, or one screen on which rows with runs that are not `known` are marked."""
    from benchmark.leaderboard import formats

    if full:
        formats.print_terminal(board, console, shown)
        console.print(f"{formats.wording.RANKS}\n{formats.wording.NOTE}", markup=False, soft_wrap=True)
        return
    runs = {run.run_key for table in board.tables for row in table.rows for run in row.runs}
    new = frozenset(runs - known) if known else frozenset[str]()
    formats.print_compact(board, console, new)
    one = f" · one table: bench leaderboard {board.tables[0].name}" if len(board.tables) > 1 else ""
    say(f"\n± and bars: 95 % interval{' · ←: new' if new else ''}{one}\neverything: --full · the page: --open")


def _known(results: Path) -> frozenset[str]:
    """The keys of the runs in leaderboard.json as it was written last; none if it is missing or broken."""
    try:
        tables = json.loads((results / "leaderboard.json").read_bytes())["tables"]
        return frozenset(run["run_key"] for table in tables for row in table["rows"] for run in row["runs"])
    except (OSError, ValueError, KeyError, TypeError):
        return frozenset()


def _readme(results: Path) -> Path | None:
    """README.md, if the results are those of the checkout and it has a place for them."""
    import benchmark
    from benchmark.leaderboard import formats

    root = Path(benchmark.__file__).resolve().parent.parent
    path = root / "README.md"
    if results.resolve() != root / "results" or not path.is_file():
        return None
    return path if formats.has_place(path.read_text(encoding="utf-8")) else None


def _write_readme(results: Path, board: "Board") -> list[Path]:
    """Write the verdict into README.md, if it has a place for it."""
    from benchmark.leaderboard import formats

    path = _readme(results)
    if path is None:
        return []
    return _write(path.parent, {path.name: formats.in_readme(path.read_text(encoding="utf-8"), board)})


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


def _board(results: Path, protocols: Sequence[str], sort: str, columns: Sequence[str], text: str) -> "Board":
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
    return selection.select(board, protocols, sort, columns, text)


def _write(folder: Path, texts: Mapping[str, str]) -> list[Path]:
    """Write each text into the file of that name below `folder`."""
    from benchmark.common.files import write_atomically

    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / name, partial(Path.write_text, data=text, encoding="utf-8"))
    return [folder / name for name in texts]


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
        texts = {results / name: text for name, text in formats.files(board).items()}
        texts[results / "leaderboard.html"] = page.rendered(board, results)
        if readme := _readme(results):
            texts[readme] = formats.in_readme(readme.read_text(encoding="utf-8"), board)
        for path, text in texts.items():
            if not path.is_file() or path.read_bytes() != text.encode():
                lines.append(f"{path} is not what the records give; write it again: bench leaderboard")
        stale = sorted({*(results / "tables").glob("*.md")} - texts.keys())
        lines += [f"{path} is of no table that the records give; delete it" for path in stale]
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
