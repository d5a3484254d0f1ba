"""The same numbers in every format, the same bytes from the same records, LaTeX that compiles, and parts of a board."""

import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers import Bench
from records import recordings, write_entry, write_manifest, write_references, write_tables
from rich.console import Console

from benchmark.leaderboard import columns, formats, selection, tables
from benchmark.leaderboard.board import Board, Table
from benchmark.leaderboard.columns import Column

LABELS = ("net:x=1", "u_net:name=a|b", "smp:decoder=FPN,encoder=tu-convnext_tiny", "floor", "once")
"""The best first."""
STRANGE = r"net:x=1_0&%#{}~^\<>[]|$"


def store(results: Path) -> None:
    """Two tables: with sounds, slices, a manifest and entries that are ranked and not; and without all of that."""
    random = np.random.default_rng(0)
    data = recordings(48, 6, other=12)
    write_manifest(results, data)
    write_references(results, data)
    reported = {"dataset": "d", "split": "test", "metric": "IoU", "source": "A | B & C, Table 1", "comparable": "no"}
    for index, label in enumerate(LABELS):
        ious = 0.9 - 0.15 * index + 0.02 * random.normal(size=(1 if index > 2 else 3, 60))
        ious[:, 4] = np.nan
        changes = {"architecture__reported": [{**reported, "value": 62.25}]} if index == 1 else {}
        changes |= {"architecture__parameter_count": 0 if label == "floor" else 10**6 * (3 + (index * 3) % 5)}
        gains = random.normal(5 - index, 1, ious.shape)
        write_entry(results, data, label, ious, gains=gains, lost=(7,) if index == 2 else (), **changes)
    plain = recordings(6, 6, digest="d" * 64)
    ious = random.uniform(0.1, 0.9, (2, 6))
    write_entry(results, plain, "net:x=1", ious, comparability_key="f" * 64, protocol__name="other")


@pytest.fixture
def board(tmp_path: Path) -> Board:
    store(tmp_path)
    return tables.build(tmp_path)


# ---------------------------------------------------------------- the same numbers


def grids_of_markdown(text: str) -> list[list[list[str]]]:
    found: list[list[list[str]]] = []
    for block in re.split(r"\n\n", text):
        lines = block.splitlines()
        if len(lines) > 2 and re.fullmatch(r"[|:\- ]+", lines[1]):
            cells = [re.split(r"(?<!\\)\|", line)[1:-1] for line in lines if line is not lines[1]]
            found.append([[cell.strip().replace("\\|", "|") for cell in row] for row in cells])
    return found


def grids_of_latex(text: str) -> list[list[list[str]]]:
    plain = text.replace("$\\pm$", "±").replace("--", "–")
    found = []
    for block in re.findall(r"\\toprule\n(.*?)\\bottomrule", plain, re.DOTALL):
        lines = [line for line in block.splitlines() if line.strip() != "\\midrule"]
        rows = [re.split(r"(?<!\\)&", line.removesuffix("\\\\")) for line in lines]
        found.append([[_unescaped(cell.strip()) for cell in row] for row in rows])
    return found


def _unescaped(cell: str) -> str:
    cell = re.sub(r"\\(?:textbf|underline)\{([^{}]*)\}", r"\1", cell)
    for command, sign in (
        (r"\ensuremath{<}", "<"),
        (r"\ensuremath{>}", ">"),
        (r"\textbackslash{}", "\\"),
        (r"\textasciitilde{}", "~"),
        (r"\textasciicircum{}", "^"),
    ):
        cell = cell.replace(command, sign)
    return re.sub(r"\\([&%$#_{}])", r"\1", cell)


def of_table(text: str, start: str, table: Table) -> str:
    """The parts of a text, each with that start, that are of the table."""
    heading = re.escape(table.heading)
    parts = re.split(re.escape(start), text)
    return "\n\n".join(
        part for part in parts if re.match(rf"(\\centering\s+\\caption{{)?{heading}[:\n]", part.lstrip())
    )


def shown_by(table: Table) -> dict[str, Column]:
    return {column.title: column for column in columns.of(table)}


def test_every_table_of_text_says_what_the_columns_say(board: Board) -> None:
    """Each text is parsed, and every cell of every column and row compared."""
    latex = formats.latex(board)
    for table in board.tables:
        titles = shown_by(table)
        for grids in (
            grids_of_markdown(formats.pages(board)[table.name]),
            grids_of_latex(of_table(latex, "\\begin{table}", table)),
        ):
            seen = set()
            for header, *body in (grid for grid in grids if set(grid[0]) <= set(titles)):
                rows = [*table.rows, *(table.references if "SI-SDR (dB)" in header else ())]
                assert body == [[titles[title].text(row) for title in header] for row in rows]
                seen |= set(header)
            assert seen == {
                title for title, column in titles.items() if column.name not in ("comparable", "status", "group")
            }


def test_csv_and_json_say_what_the_columns_say(board: Board) -> None:
    parsed = json.loads(formats.as_json(board))
    lines = list(csv.DictReader(io.StringIO(formats.csv(board))))
    for table, in_json in zip(board.tables, parsed["tables"], strict=True):
        shown = columns.of(table)
        for row, found in zip(table.rows, in_json["rows"], strict=True):
            assert {column.name: found[column.name] for column in shown} == {c.name: c.rounded(row) for c in shown}
            best, worst = found["interval"] or (None, None)
            if row.interval is not None:
                assert (best, worst) == pytest.approx(
                    (found["iou"] - found["iou_half_width"], found["iou"] + found["iou_half_width"]), abs=0.011
                )
        for row in (*table.rows, *table.references):
            line = lines.pop(0)
            assert line["table"] == table.key[:12]
            for column in shown:
                assert line[column.name] == ("" if column.rounded(row) is None else column.text(row))
    assert lines == []


def test_the_terminal_says_what_the_columns_say(board: Board) -> None:
    for table in board.tables:
        titles = shown_by(table)
        text = _terminal(Board(tables=(table,), published=(), comparisons=(), problems=()))
        lines = [re.split(r"  +", line.strip()) for line in text.splitlines()]
        header = next(line for line in lines if "Architecture" in line and "IoU (%)" in line)
        assert len(header) >= 15
        for row in table.rows:
            assert [titles[title].text(row) for title in header] in lines


def test_scores_by_snr_fit_the_terminal(board: Board) -> None:
    """No line is broken: what does not fit comes below."""
    (table,) = (table for table in board.tables if table.has_sounds)
    whole = Console(width=60, file=io.StringIO(), highlight=False)
    formats.print_terminal(Board(tables=(table,), published=(), comparisons=(), problems=()), whole)
    lines = whole.file.getvalue().splitlines()  # type: ignore[attr-defined]
    headers = [line for line in lines if line.startswith("Architecture") and " dB" in line and " to " in line]
    assert len(headers) > 1
    assert sum(line.count(" to ") for line in headers) == 4
    assert sum(bool(re.match(r"images +\d", line)) for line in lines) == len(headers)


def _terminal(board: Board) -> str:
    console = Console(width=400, file=io.StringIO(), highlight=False)
    formats.print_terminal(board, console)
    return console.file.getvalue()  # type: ignore[attr-defined]


# ---------------------------------------------------------------- the same bytes


def test_the_same_records_give_the_same_bytes_in_another_process(tmp_path: Path, board: Board) -> None:
    write_tables(tmp_path, tmp_path / "here")
    code = (
        "import sys\nfrom pathlib import Path\nfrom records import write_tables\nwrite_tables(*map(Path, sys.argv[1:]))"
    )
    for seed in ("1", "2"):
        subprocess.run(
            [sys.executable, "-c", code, tmp_path, tmp_path / seed],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            check=True,
        )
        for suffix in formats.WRITERS:
            name = f"leaderboard.{suffix}"
            assert (tmp_path / seed / name).read_bytes() == (tmp_path / "here" / name).read_bytes()


# ---------------------------------------------------------------- LaTeX


def test_latex_marks_the_best_and_what_is_not_significantly_worse(tmp_path: Path) -> None:
    data = recordings(48, 6)
    write_manifest(tmp_path, data)
    random = np.random.default_rng(1)
    for label, middle in (("best", 0.800), ("twin", 0.799), ("worse", 0.5)):
        write_entry(tmp_path, data, label, middle + 0.03 * random.normal(size=(3, 48)))
    board = tables.build(tmp_path)
    (table,) = board.tables
    first, second, third = (f"{100 * row.scores['iou']:.2f}" for row in table.rows)
    assert [row.ranks for row in table.rows] == [(1, 2), (1, 2), (3, 3)]
    scores = formats.latex(board).split("\\begin{table}")[1]
    assert re.findall(r"\\textbf\{(.*?)\}", scores) == [first]
    assert re.findall(r"\\underline\{(.*?)\}", scores) == [second]
    assert third in scores


def test_latex_marks_nothing_where_no_mask_has_anything_in_it(tmp_path: Path) -> None:
    data = recordings(6, 6)
    write_entry(tmp_path, data, "net", np.full((1, 6), np.nan))
    text = formats.latex(tables.build(tmp_path))
    assert "\\textbf{" not in text
    assert "\\underline{" not in text


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
@pytest.mark.parametrize("tables_", [1, 20])
def test_latex_compiles(tmp_path: Path, tables_: int) -> None:
    """With names full of what LaTeX reads as commands, and with more floats than it keeps waiting."""
    store(tmp_path)
    data = recordings(48, 6)
    for number in range(tables_):
        write_entry(
            tmp_path, data, STRANGE, np.full((2, 48), 0.5), comparability_key=f"{number:02}" * 32,
            protocol__name=f"p{number}_&%#{{}}~^", architecture__title=STRANGE, dataset__title=STRANGE,
        )  # fmt: skip
    write_tables(tmp_path, suffixes=["tex"])
    (tmp_path / "document.tex").write_text(
        "\\documentclass{article}\\usepackage{booktabs}\\usepackage{graphicx}\n"
        "\\begin{document}\n\\input{leaderboard}\n\\end{document}\n"
    )
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "document.tex"],
        cwd=tmp_path,
        capture_output=True,
        check=False,
        timeout=120,
    )
    log = (tmp_path / "document.log").read_text(encoding="utf-8", errors="replace")
    assert done.returncode == 0, log[-2000:]
    assert "LaTeX Error" not in log
    assert "Missing character" not in log
    assert (tmp_path / "document.pdf").stat().st_size > 1000


# ---------------------------------------------------------------- parts of a board


def shown_labels(text: str) -> list[str]:
    """The entries of the table with sounds, in the order of the lines."""
    found = [label for line in text.splitlines() for label in LABELS if re.search(rf"(^|  ){re.escape(label)}  ", line)]
    return list(dict.fromkeys(found))


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("iou", [0, 1, 2, 3, 4]),
        ("parameters_m", [3, 0, 2, 4, 1]),  # 0, 3, 4, 5 and 6 million
        ("sisdr_improvement", [0, 1, 2, 3, 4]),
        ("architecture", [3, 0, 4, 2, 1]),
        ("seeds", [0, 1, 2, 3, 4]),  # 3, 3, "3 of 4", 1, 1
        ("rank", [0, 1, 3, 2, 4]),  # the last two have none
    ],
)
def test_tables_are_sorted_by_a_column(bench: Bench, tmp_path: Path, sort: str, expected: list[int]) -> None:
    store(tmp_path)
    ran = bench("leaderboard", "--results", tmp_path, "--protocol", "quick", "--sort", sort, "--columns", "iou,gflops")
    assert (ran.code, ran.err) == (0, "")
    found = shown_labels(ran.out)
    if sort == "seeds":
        assert set(found[3:]) == {"floor", "once"}
    else:
        assert found == [LABELS[index] for index in expected]


def test_ranks_are_sorted_as_numbers(tmp_path: Path) -> None:
    """The tenth comes after the ninth."""
    data = recordings(48, 6)
    write_manifest(tmp_path, data)
    random = np.random.default_rng(3)
    for index in range(11):
        write_entry(tmp_path, data, f"n{index:02}", 0.95 - 0.08 * index + 0.002 * random.normal(size=(3, 48)))
    seen = selection.select(tables.build(tmp_path), sort="rank")
    assert [row.ranks for row in seen.tables[0].rows] == [(rank, rank) for rank in range(1, 12)]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--protocol", "qick"), "no runs of protocol 'qick' (did you mean 'quick'?); there are runs of: quick, other"),
        (("--sort", "gflop"), "no column 'gflop' (did you mean 'gflops'?); there are: rank, architecture"),
        (("--columns", "iou,dise"), "no column 'dise' (did you mean 'dice'?)"),
        (("--format", "cvs"), "no format 'cvs' (did you mean 'csv'?); there are: terminal, md"),
        (("--protocol", "other", "--columns", "sisdr"), "no column 'sisdr'"),
    ],
)
def test_an_unknown_name_is_one_line(bench: Bench, tmp_path: Path, words: tuple[str, ...], message: str) -> None:
    store(tmp_path)
    ran = bench("leaderboard", "--results", tmp_path, *words)
    assert (ran.code, ran.out) == (2, "")
    (line,) = ran.err.splitlines()
    assert line.startswith(f"bench: {message}")
    assert list(tmp_path.glob("leaderboard.*")) == []


def test_chosen_columns_are_shown_alone(bench: Bench, tmp_path: Path) -> None:
    store(tmp_path)
    words = ("--results", tmp_path, "--protocol", "quick", "--columns", "gflops, iou")
    assert re.search(r"^Architecture +GFLOPs +IoU \(%\)$", bench("leaderboard", *words).out, re.MULTILINE)
    assert bench("leaderboard", *words, "--format", "csv", "--out", tmp_path / "part").code == 0
    (path,) = (tmp_path / "part").iterdir()
    assert path.read_text().splitlines()[0] == "table,protocol,dataset,architecture,gflops,iou"


@pytest.mark.parametrize("words", [("--protocol", "quick"), ("--sort", "gflops"), ("--columns", "iou")])
def test_a_part_of_the_board_overwrites_no_file_unless_asked(
    bench: Bench, tmp_path: Path, words: tuple[str, ...]
) -> None:
    store(tmp_path)
    bench("leaderboard", "--results", tmp_path)
    whole = {path.name: path.read_bytes() for path in tmp_path.glob("leaderboard.*")}
    assert len(whole) >= 4

    def files(folder: Path = tmp_path) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in folder.glob("leaderboard.*")}

    ran = bench("leaderboard", "--results", tmp_path, *words)
    assert "Written" not in ran.out
    assert "net:x=1" in ran.out
    assert files() == whole
    bench("leaderboard", "--results", tmp_path, *words, "--out", tmp_path / "part")
    assert files() == whole
    assert set(files(tmp_path / "part")) == set(whole)
    ran = bench("leaderboard", "--results", tmp_path, *words, "--format", "csv")
    assert ran.out.startswith("table,protocol,dataset,")
    assert files() == whole
    bench("leaderboard", "--results", tmp_path, *words, "--format", "csv", "--out", tmp_path)
    assert {name for name, content in files().items() if content != whole[name]} == {"leaderboard.csv"}
