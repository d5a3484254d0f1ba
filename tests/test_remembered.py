"""A leaderboard that is asked for again: not made again, unless anything that it is made of has changed."""

import os
import shutil
import time
from pathlib import Path

import pytest
from helpers import Bench
from test_leaderboard import write

from benchmark import files
from benchmark.leaderboard import remembered, tables

ROOT = Path(__file__).parent.parent
COMMAND = ("leaderboard", "--format", "md,json,terminal", "--width", "120")


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    results = tmp_path / "results"
    write(results, label="good", hits=9)
    write(results, label="poor", hits=2)
    broken = write(results, label="broken", hits=3) / "images.csv"
    broken.write_text("no table\n")
    settle(results)
    # What tests and editors write beside this one is not to be waited for.
    monkeypatch.setattr(remembered, "_program", lambda: iter([]))
    return results


def settle(folder: Path, seconds: int = 60) -> None:
    """As if nothing had been written for a minute."""
    then = time.time() - seconds
    for path in (path for path in folder.rglob("*") if path.is_file()):
        os.utime(path, (then, then))


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Every time that tables are made of records."""
    calls, build = [], tables.build
    monkeypatch.setattr(tables, "build", lambda results: (calls.append(results), build(results))[1])
    return calls


def call(bench: Bench, results: Path, out: Path) -> tuple[str, str, list[bytes]]:
    shutil.rmtree(out, ignore_errors=True)
    ran = bench(*COMMAND, "--results", results, "--out", out)
    assert ran.code == 0
    return ran.out, ran.err, [path.read_bytes() for path in sorted(out.iterdir())]


def test_the_second_call_says_the_same_and_reads_no_record(
    bench: Bench, results: Path, built: list[Path], tmp_path: Path
) -> None:
    first = call(bench, results, tmp_path / "out")
    assert "broken" in first[1]
    assert call(bench, results, tmp_path / "out") == first
    assert len(built) == 1


def test_another_question_is_another_answer(bench: Bench, results: Path, built: list[Path]) -> None:
    common = ("leaderboard", "--results", results, "--format")
    answers = [
        bench(*common, "terminal", *more).out
        for more in ((), ("--sort", "gflops"), ("--columns", "dice"), ("--width", "60"), ("--protocol", "quick"))
    ]
    assert len(built) == 5
    assert bench(*common, "terminal", "--columns", "dice").out == answers[2]
    assert len(built) == 5
    assert bench(*common, "terminal", "--protocol", "none").code == 2


def test_whatever_file_changes_the_tables_are_made_anew(
    bench: Bench, results: Path, built: list[Path], tmp_path: Path
) -> None:
    call(bench, results, tmp_path / "out")
    read = [path for path in results.rglob("*") if path.is_file()]
    assert len(read) > 6
    for number, path in enumerate(read, start=2):
        os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))
        call(bench, results, tmp_path / "out")
        assert len(built) == number, path


def test_a_record_more_and_a_record_less(bench: Bench, results: Path, built: list[Path], tmp_path: Path) -> None:
    before = call(bench, results, tmp_path / "out")
    added = write(results, label="other", hits=5)
    settle(added)
    assert "other" in call(bench, results, tmp_path / "out")[0]
    shutil.rmtree(added.parent)
    assert call(bench, results, tmp_path / "out") == before
    assert len(built) == 2


def test_what_changed_a_moment_ago_is_not_trusted_to_show_it_by_its_time(
    bench: Bench, results: Path, built: list[Path], tmp_path: Path
) -> None:
    path = next(results.rglob("run.json"))
    path.touch()
    call(bench, results, tmp_path / "out")
    call(bench, results, tmp_path / "out")
    assert len(built) == 2


def test_a_damaged_memory_is_no_answer(bench: Bench, results: Path, built: list[Path], tmp_path: Path) -> None:
    first = call(bench, results, tmp_path / "out")
    for text in (b"", b"[]", b'{"problems": []}', b"\xff"):
        (kept,) = (files.cache_folder() / "leaderboards").iterdir()
        kept.write_bytes(text)
        assert call(bench, results, tmp_path / "out") == first
    assert len(built) == 5


def test_the_folder_does_not_grow(bench: Bench, results: Path) -> None:
    for width in range(60, 80):
        bench("leaderboard", "--results", results, "--format", "terminal", "--width", width)
    assert len(list((files.cache_folder() / "leaderboards").iterdir())) == 16


def test_a_cache_that_cannot_be_written_is_done_without(
    bench: Bench, results: Path, built: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "file"))
    assert call(bench, results, tmp_path / "out") == call(bench, results, tmp_path / "out")
    assert len(built) == 2


def test_the_program_and_the_plugins_are_part_of_it(tmp_path: Path) -> None:
    paths = {path for path, *_ in remembered._program()}
    for name in ("benchmark/statistics.py", "benchmark/published.toml", "architectures/unet.py"):
        assert str(ROOT / name) in paths, name
