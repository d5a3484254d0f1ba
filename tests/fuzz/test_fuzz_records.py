"""A results folder with one damaged file: all other numbers stay, the damage is named, and nothing stops."""

import copy
import csv
import io
import json
import math
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fuzzing import JSON, TEXTS, cases, count, damages, outcome, require_ended, require_one_line
from helpers import TINY, Bench, birdsounds_tree
from hypothesis import example, given
from hypothesis import strategies as st

from benchmark import cli
from benchmark.leaderboard import formats, tables
from benchmark.leaderboard import page as report
from benchmark.leaderboard.board import Board
from benchmark.records import checksums, verify
from benchmark.records.verify.badges import VERIFICATION
from benchmark.tools.denoise import choose_run

DATA = (*TINY, "--dataset", "synthetic:train=6,val=3,test=4,ood=2")  # few enough to be decoded in this process


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seeds of a network, tested elsewhere and evaluated again, and a method without parameters."""
    root = tmp_path_factory.mktemp("records")
    results = root / "results"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENCH_PLUGINS", "")
        for words in (
            ["run", "--arch", "unet:width=4", *DATA],
            ["run", "--arch", "unet:width=4", "--seed", 1, *DATA],
            ["run", "--arch", "otsu", *DATA],
            ["transfer", "unet", "--dataset", "birdsounds", "--data", birdsounds_tree(root / "birdsounds")],
            ["verify", "--predict", "unet"],
        ):
            with pytest.raises(SystemExit) as end:
                cli.main([str(word) for word in (*words, "--results", results)])
            assert not end.value.code
    return results


@pytest.fixture(scope="module")
def run(store: Path) -> Path:
    """The run that is altered."""
    return min(store.glob("runs/*/*/unet/*"), key=lambda path: json.loads((path / "run.json").read_text())["seed"])


@pytest.fixture(scope="module")
def right(store: Path) -> dict[str, float]:
    """The scores of the method that nobody alters."""
    return otsu(tables.build(store))


def otsu(board: Board) -> dict[str, float]:
    (row,) = [row for table in board.tables for row in table.rows if row.label == "otsu"]
    return dict(row.scores)


@contextmanager
def changed(path: Path, content: bytes | None) -> Iterator[bool]:
    """The file with another content, or none, for as long as the block runs; whether that is another one."""
    before = path.read_bytes() if path.is_file() else None
    path.unlink(missing_ok=True)
    if content is not None:
        path.write_bytes(content)
    try:
        yield content != before
    finally:
        path.unlink(missing_ok=True)
        if before is not None:
            path.write_bytes(before)


def read_everything(store: Path, right: dict[str, float], *, other: bool, page: bool = False) -> Board:
    """Tables, files and checks of the folder: none stops, and what is said is said in lines."""

    def read() -> tuple[Board, list[verify.Finding]]:
        board = tables.build(store)
        texts = [writer(board, ()) for writer in formats.WRITERS.values()]
        texts += [report.rendered(board, store)] if page else []
        assert all(texts)
        choose_any(store)
        return board, verify.check(store)

    found = outcome(read)
    assert isinstance(found, tuple), found
    board, findings = found
    for line in [*board.problems, *map(str, findings)]:
        require_one_line(line)
    assert bool(findings) == other, "what was altered is found, and nothing else"
    np.testing.assert_equal(otsu(board), right)  # NaN is NaN
    for row in [row for table in board.tables for row in table.rows if row.finished]:
        assert 0 <= row.scores["iou"] <= 1, "no wrong number that could not be"
    return board


def choose_any(store: Path) -> None:
    for name in ("best", "0"):
        try:
            choose_run.choose(store, name, "")
        except verify.UnreadableError:
            raise
        except ValueError as error:
            require_one_line(str(error))


# ---------------------------------------------------------------- values of JSON files


def ways(content: Any) -> list[list[Any]]:
    """The ways to every value, itself a container or not."""
    inside = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    return [[name, *way] for name, value in inside for way in ([], *ways(value))]


def altered(whole: Any, number: int, how: str, value: Any) -> bytes:
    """A JSON file of which one value is another, missing, or one too many."""
    content = copy.deepcopy(whole)
    *parents, last = ways(whole)[number % len(ways(whole))]
    target = content
    for name in parents:
        target = target[name]
    if how == "remove":
        del target[last]
    elif how == "add" and isinstance(target, dict):
        target["more"] = value
    elif how == "same kind":
        target[last] = _like(target[last])
    else:
        target[last] = value
    return json.dumps(content, indent=2).encode()


def _like(value: Any) -> Any:
    """Another value of the same type."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return -1 - value
    return {str: f"{value}\n<b>\x1b[31m", list: [], dict: {}}.get(type(value))


CHANGES = {
    "number": st.integers(0, 10**6),
    "how": st.sampled_from(["replace", "replace", "remove", "add", "same kind"]),
    "value": JSON,
}


@cases(25, cost=4, shrink=False)
@given(**CHANGES)
@example(number=0, how="add", value=1e400)
def test_a_record_of_any_values(
    store: Path, run: Path, right: dict[str, float], number: int, how: str, value: Any
) -> None:
    whole = json.loads((run / "run.json").read_text())
    with changed(run / "run.json", altered(whole, number, how, value)):
        read_everything(store, right, other=True)


@cases(12, cost=4, shrink=False)
@given(**CHANGES)
def test_a_record_of_any_values_that_is_sealed_again(
    store: Path, run: Path, right: dict[str, float], number: int, how: str, value: Any
) -> None:
    """Also with checksums that fit, nothing that reads the record stops."""
    content = altered(json.loads((run / "run.json").read_text()), number, how, value)
    with changed(run / "run.json", content), changed(run / checksums.NAME, (run / checksums.NAME).read_bytes()):
        checksums.write(run)
        board = tables.build(store)
        for writer in formats.WRITERS.values():
            writer(board, ())
        findings = verify.check(store)
    for line in [*board.problems, *map(str, findings)]:
        require_one_line(line)
    np.testing.assert_equal(otsu(board), right)
    count("result")


@cases(10, cost=8, shrink=False)
@given(**CHANGES)
def test_a_transfer_of_any_values(store: Path, right: dict[str, float], number: int, how: str, value: Any) -> None:
    path = sorted(store.glob("transfers/*/*/transfer.json"))[0]
    with changed(path, altered(json.loads(path.read_text()), number, how, value)):
        read_everything(store, right, other=True)


@cases(10, cost=8, shrink=False)
@given(**CHANGES)
def test_a_verification_of_any_values(
    store: Path, run: Path, right: dict[str, float], number: int, how: str, value: Any
) -> None:
    path = run / VERIFICATION
    whole = json.loads(path.read_text())
    content = altered(whole, number, how, value)
    with changed(path, content):
        board = tables.build(store)
        findings = verify.check(store)
        (row,) = [row for table in board.tables for row in table.rows if row.label.startswith("unet")]
        # What is said of the evaluation decides; when, by which command and on what it was are remarks.
        told = {name: value for name, value in json.loads(content).items() if whole.get(name) != value}
        assert (row.badge == "verified") == (not findings), told
    for line in map(str, findings):
        require_one_line(line)
    count("refusal" if findings else "result")


# ---------------------------------------------------------------- files of any content


@cases(25, cost=4, shrink=False)
@given(number=st.integers(0, 10**6), damage=damages())
def test_any_file_damaged(store: Path, right: dict[str, float], number: int, damage: Any) -> None:
    inside = [path for folder in ("runs/*/*/unet", "transfers") for path in store.glob(f"{folder}/**/*")]
    files = sorted(path for path in inside if path.is_file())
    path = files[number % len(files)]
    with changed(path, damage(path.read_bytes())) as other:
        read_everything(store, right, other=other, page=number % 8 == 0)


@cases(10, cost=8, shrink=False)
@given(number=st.integers(0, 10**6), damage=damages())
def test_shared_data_damaged(store: Path, number: int, damage: Any) -> None:
    files = sorted(path for name in ("manifests", "references", "pictures") for path in store.glob(f"{name}/*"))
    path = files[number % len(files)]
    with changed(path, damage(path.read_bytes())) as other:

        def read() -> list[verify.Finding]:
            board = tables.build(store)
            for writer in formats.WRITERS.values():
                writer(board, ())
            report.rendered(board, store)
            return verify.check(store)

        findings = outcome(read)
    assert isinstance(findings, list)
    for line in map(str, findings):
        require_one_line(line)
    assert findings or not other or path.parent.name in ("pictures", "references")


@cases(10, cost=8, shrink=False)
@given(
    name=st.sampled_from(["run.json", "images.csv", "history.csv", "SHA256SUMS", VERIFICATION, "predictions.npz"]),
    kind=st.sampled_from(["missing", "folder", "empty", "link", "list", "null", "deep", "other"]),
)
def test_something_else_where_a_file_should_be(
    store: Path, run: Path, right: dict[str, float], name: str, kind: str
) -> None:
    contents = {
        "empty": b"",
        "list": b"[1, 2]",
        "null": b"null",
        "deep": b"[" * 99_999,
        "other": (run / "plugin.py").read_bytes(),
    }
    path = run / name
    with changed(path, contents.get(kind)):
        if kind == "folder":
            path.mkdir()
        if kind == "link":
            path.symlink_to("/nowhere/at/all")
        try:
            read_everything(store, right, other=not (kind in ("missing", "link") and name == VERIFICATION))
        finally:
            if kind == "folder":
                path.rmdir()


# ---------------------------------------------------------------- tables


CELLS = TEXTS | st.sampled_from(
    ["-1", "1.5", "1e3", "nan", "inf", "", " 7", "0x10", "1_000", "٣", "9" * 15, "9" * 18, "9" * 19, "9" * 400, "True"]
)


@cases(25, cost=4, shrink=False)
@given(
    name=st.sampled_from(["images.csv", "images.csv", "logits.csv", "history.csv"]),
    row=st.integers(0, 99),
    column=st.integers(0, 10**4),
    cell=CELLS,
    how=st.sampled_from(
        ["cell", "cell", "cell", "drop column", "double column", "drop row", "double row", "swap rows"]
    ),
)
@example(name="images.csv", row=1, column=3, cell="-1", how="cell")
@example(name="images.csv", row=1, column=3, cell="9" * 18, how="cell")
@example(name="images.csv", row=0, column=3, cell="", how="cell")
def test_a_table_with_another_cell(
    store: Path, run: Path, right: dict[str, float], name: str, row: int, column: int, cell: str, how: str
) -> None:
    lines = list(csv.reader((run / name).read_text().splitlines()))
    row, column = row % len(lines), column % len(lines[0])
    if how == "cell":
        lines[row][column] = cell
    elif how == "drop column":
        lines = [line[:column] + line[column + 1 :] for line in lines]
    elif how == "double column":
        lines = [[*line, line[column]] for line in lines]
    elif how == "drop row":
        del lines[row]
    elif how == "double row":
        lines.insert(row, lines[row])
    else:
        lines[row], lines[-1] = lines[-1], lines[row]
    held = io.StringIO()
    csv.writer(held, lineterminator="\n").writerows(lines)
    with changed(run / name, held.getvalue().encode("utf-8", "replace")) as other:
        board = read_everything(store, right, other=other)
    for line in [line for table in board.tables for line in table.rows if line.finished]:
        assert all(math.isfinite(value) or math.isnan(value) for value in line.scores.values())


@cases(10, cost=4, shrink=False)
@given(
    name=TEXTS
    | st.sampled_from(["../../../x", "/etc/passwd", "run.json", "..", ".", "a/../run.json", "\0", "x" * 999]),
    digest=st.sampled_from(["0" * 64, "f" * 64, "g" * 64, "0" * 63, ""]),
    space=st.sampled_from(["  ", " ", " *", "\t"]),
)
def test_checksums_of_any_names(
    store: Path, run: Path, right: dict[str, float], name: str, digest: str, space: str
) -> None:
    line = f"{digest}{space}{name}\n".encode("utf-8", "replace")
    with changed(run / checksums.NAME, (run / checksums.NAME).read_bytes() + line):
        read_everything(store, right, other=True)


# ---------------------------------------------------------------- the commands


@cases(3, cost=40, shrink=False)
@given(number=st.integers(0, 10**6), damage=damages(), value=JSON)
def test_the_commands(bench: Bench, store: Path, number: int, damage: Any, value: Any) -> None:
    files = sorted(path for path in store.rglob("*") if path.is_file())
    path = files[number % len(files)]
    content = damage(path.read_bytes())
    if path.suffix == ".json" and path.name != "leaderboard.json" and number % 2:
        content = altered(json.loads(path.read_text()), number, "replace", value)
    with changed(path, content) as other:
        for words in (
            ("leaderboard", "--format", "terminal,md,csv,tex,json,html", "--out", store.parent / "out"),
            ("compare", "unet:width=4", "otsu"),
            ("verify",),
            ("verify", path.parent.name),
            ("denoise", store.parent / "birdsounds", "--out", store.parent / "denoised"),
        ):
            ran = bench(*words, "--results", store)
            require_ended(ran.code, ran.err)
            if words == ("verify",) and path.parent.name not in ("references", "pictures", store.name):
                assert ran.code == (2 if other else 0), f"{path}: {ran.out}{ran.err}"
    shutil.rmtree(store.parent / "out", ignore_errors=True)
