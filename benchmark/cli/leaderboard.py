"""`bench leaderboard`, `bench list`."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from benchmark.cli.common import Results, complain, say, speaking
from benchmark.common.errors import UserError, nearest

if TYPE_CHECKING:
    from rich.console import Console

    from benchmark.leaderboard.board import Board
    from benchmark.leaderboard.remembered import Memory, Said

_FORMATS = ("terminal", "md", "csv", "tex", "html", "json")


@speaking
def leaderboard(
    *,
    results: Results = Path("results"),
    format_: Annotated[
        list[str] | None,
        typer.Option("--format", help="terminal, md, csv, tex, html, json; several with commas. Default: all."),
    ] = None,
    protocol: Annotated[list[str] | None, typer.Option(help="Tables of this protocol only. Repeatable.")] = None,
    sort: Annotated[str, typer.Option(metavar="COLUMN", help="Sort by another column, e.g. sisdr or gflops.")] = "",
    columns: Annotated[
        str,
        typer.Option(metavar="A,B,...", help="These columns only, as leaderboard.csv names them (not in the .html)."),
    ] = "",
    out: Annotated[Path | None, typer.Option(help="Folder of the files. Default: the results folder.")] = None,
    width: Annotated[int | None, typer.Option(help="Columns of the terminal.", min=40)] = None,
    check: Annotated[
        bool,
        typer.Option(
            "--check",
            help="Write nothing; refuse records that contradict themselves or each other, and tables not made of them.",
        ),
    ] = False,
    private: Annotated[
        bool, typer.Option("--private", help="The .html with thumbnails of your own recordings, into private/.")
    ] = False,
) -> None:
    """Print a table per comparability key, and write leaderboard.md, .csv, .tex, .html and .json beside the runs.

    With --protocol, --sort or --columns it prints only, unless --format or --out asks for files.
    """
    from rich.console import Console

    from benchmark.leaderboard.remembered import Memory

    if check:
        _check(results)
        return
    shown = _names([columns])
    chosen = _formats(format_, printing=bool(protocol or sort or shown) and out is None)
    console = Console(width=width, highlight=False)
    asked = {"protocols": protocol or [], "sort": sort, "columns": shown}
    memory = Memory(results)
    board = cache(partial(_board, results, memory, asked))
    others = [name for name in chosen if name != "html"]
    question = {**asked, "formats": sorted(others), "console": [console.width, console.color_system, console.encoding]}
    said = memory.said(question, partial(_said, board, others, shown, console))
    for problem in said.problems:
        complain(f"skipped: {problem}")
    # Before anything is printed: the reader may have seen enough (| head).
    written = _written(out or results, said)
    refusal = ""
    if "html" in chosen:
        make = partial(_page, board, results, sort=sort or "iou", private=private)
        # Private pictures are not put into a cache.
        page = make() if private else memory.said({**asked, "formats": ["html"]}, make)
        written += _written((out or results) / ("private" if private else ""), page)
        refusal = page.refusal
    console.file.write(said.terminal)
    if written:
        say(f"Written: {', '.join(str(path) for path in written)}")
    if refusal:
        raise UserError(refusal)


def _board(results: Path, memory: "Memory", asked: Mapping[str, Any]) -> "Board":
    """The tables that were asked for.

    Raises:
        UserError: no record can be used, or there is no such protocol or column.
    """
    from benchmark.leaderboard import selection, tables

    with memory.intact() as unaltered:
        board = tables.build(results, unaltered)
    if not board.tables:
        for problem in board.problems:
            complain(f"skipped: {problem}")
        raise UserError(f"no runs in {results}; begin with: bench run --arch custom_resnet34")
    return selection.seen(
        board, selection.View(protocols=asked["protocols"], sort=asked["sort"], columns=asked["columns"])
    )


def _said(made: "Callable[[], Board]", names: Sequence[str], columns: Sequence[str], console: "Console") -> "Said":
    """Every text of these formats but the page, made of the records."""
    from benchmark.leaderboard import formats
    from benchmark.leaderboard.remembered import Said

    board = made()
    texts = {name: writer(board, columns) for name, writer in formats.WRITERS.items() if name in names}
    with console.capture() as captured:
        if "terminal" in names:
            formats.print_terminal(board, console, columns)
            console.print(f"{formats.wording.RANKS}\n{formats.wording.NOTE}", markup=False, soft_wrap=True)
    return Said(problems=list(board.problems), texts=texts, terminal=captured.get())


def _page(made: "Callable[[], Board]", results: Path, *, sort: str, private: bool) -> "Said":
    """The page, or why there is none: the other formats are of use without it."""
    from benchmark.leaderboard import page
    from benchmark.leaderboard.remembered import Said

    try:
        texts, refusal = {"html": page.rendered(made(), results, sort=sort, private=private)}, ""
    except page.TooLargeError as error:
        texts, refusal = {}, str(error)
    return Said(problems=[], texts=texts, terminal="", refusal=refusal)


def _written(folder: Path, said: "Said") -> list[Path]:
    from benchmark.common.files import write_atomically

    paths = {name: folder / f"leaderboard.{name}" for name in said.texts}
    for name, path in paths.items():
        write_atomically(path, partial(Path.write_text, data=said.texts[name], encoding="utf-8"))
    return list(paths.values())


def _check(results: Path) -> None:
    """Refuse what cannot be so.

    Raises:
        typer.Exit: something is wrong; every finding was printed.
    """
    from benchmark.common.progress import bars
    from benchmark.leaderboard import formats, page, tables
    from benchmark.records import verify

    with bars() as progress:
        findings = verify.check(results, report=progress)
    if findings:
        for finding in findings:
            complain(str(finding))
        raise typer.Exit(2)
    board = tables.build(results)
    lines = list(board.problems)
    texts = {suffix: writer(board, ()) for suffix, writer in formats.WRITERS.items()}
    texts["html"] = page.rendered(board, results)
    for suffix, text in texts.items():
        path = results / f"leaderboard.{suffix}"
        if not path.is_file() or path.read_bytes() != text.encode():
            lines.append(f"{path}: not what the records give; make it anew: bench leaderboard")
    for line in lines:
        complain(line)
    if lines:
        raise typer.Exit(2)
    say(f"{results}: the records are consistent, and the tables are theirs")


def _formats(given: list[str] | None, *, printing: bool) -> list[str]:
    names = _names(given or [])
    for name in names:
        if name not in _FORMATS:
            raise UserError(f"no format '{name}'{nearest(name, _FORMATS)}; there are: {', '.join(_FORMATS)}")
    return names or (["terminal"] if printing else list(_FORMATS))


def _names(texts: Sequence[str]) -> list[str]:
    return [name.strip() for text in texts for name in text.split(",") if name.strip()]
