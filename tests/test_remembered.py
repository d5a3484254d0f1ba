"""A leaderboard that is asked for again: not made again, unless anything that it is made of has changed."""

import errno
import json
import os
import shutil
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from types import SimpleNamespace

import pytest
from helpers import Bench
from test_leaderboard import write

from benchmark.common import files
from benchmark.leaderboard import intact, remembered, tables
from benchmark.leaderboard.page import page
from benchmark.records import checksums

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
    # Nobody can set the time at which a file was changed: as if all had been written a while ago.
    monkeypatch.setattr(remembered, "_SETTLED", -(10**12))
    return results


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Every time that tables are made of records."""
    calls, build = [], tables.build
    monkeypatch.setattr(tables, "build", lambda results, *more: (calls.append(results), build(results, *more))[1])
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
    assert "other" in call(bench, results, tmp_path / "out")[0]
    shutil.rmtree(added.parent)
    assert call(bench, results, tmp_path / "out") == before
    assert len(built) == 2


def test_what_changed_a_moment_ago_is_not_trusted_to_show_it_by_its_time(
    bench: Bench, results: Path, built: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remembered, "_SETTLED", 10**9 * 3600)
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
    paths = {path for path, *_ in (*remembered._core(), *remembered._plugins())}
    for name in (
        "benchmark/scores/uncertainty.py",
        "benchmark/published.toml",
        "benchmark/leaderboard/page/templates/page.html",
        "architectures/unet.py",
    ):
        assert str(ROOT / name) in paths, name


def exchanged(path: Path, content: bytes) -> None:
    """Write other content of the same size, and set the time of the file back to what it was."""
    before = path.stat()
    assert len(content) == before.st_size
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_content_that_changes_under_a_kept_size_and_time(
    bench: Bench, results: Path, built: list[Path], tmp_path: Path
) -> None:
    first = call(bench, results, tmp_path / "out")
    path = sorted(results.glob("runs/*/*/poor/*/images.csv"))[0]
    exchanged(path, path.read_bytes().replace(b"main,2,0,8", b"main,7,0,3"))
    assert call(bench, results, tmp_path / "out")[2] != first[2]
    assert len(built) == 2


def test_a_folder_without_files_is_seen_to_come_and_to_go(
    bench: Bench, results: Path, built: list[Path], tmp_path: Path
) -> None:
    first = call(bench, results, tmp_path / "out")
    empty = results / "runs" / "quick" / "toy" / "net" / "0123456789ab"
    empty.mkdir(parents=True)
    assert f"skipped: {empty} has no run.json" in call(bench, results, tmp_path / "out")[1]
    empty.rmdir()
    empty.parent.rmdir()
    assert call(bench, results, tmp_path / "out") == first
    assert len(built) == 2


def test_another_version_of_a_library_is_another_question(
    bench: Bench, results: Path, built: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    newer, known = "", remembered.version
    monkeypatch.setattr(remembered, "version", lambda name: "99" if name == newer else known(name))
    call(bench, results, tmp_path / "out")
    for newer in ("numpy", "pandas", "scipy", "tabulate", "rich", "birdmask-bench"):
        before = len(built)
        call(bench, results, tmp_path / "out")
        assert len(built) == before + 1, newer
    monkeypatch.setattr(remembered, "sys", SimpleNamespace(version="4.0"))
    call(bench, results, tmp_path / "out")
    assert len(built) == 8


# ---------------------------------------------------------------- what cannot be looked at


def test_links_that_lead_nowhere_or_back(bench: Bench, results: Path, built: list[Path], tmp_path: Path) -> None:
    run = sorted(results.glob("runs/*/*/good/*"))[0]
    (run / "model.safetensors").symlink_to("/nowhere/at/all")
    (run / "itself").symlink_to("itself")
    (results / "runs" / "loop").symlink_to(".")
    first = call(bench, results, tmp_path / "out")
    assert call(bench, results, tmp_path / "out") == first
    assert len(built) == 1
    (run / "itself").unlink()
    call(bench, results, tmp_path / "out")
    assert len(built) == 2


def test_a_results_folder_that_is_a_link_to_itself(bench: Bench, results: Path, tmp_path: Path) -> None:
    (tmp_path / "round").symlink_to("round")
    ran = bench("leaderboard", "--format", "md", "--results", tmp_path / "round")
    assert ran.code == 2
    assert f"skipped: cannot read {tmp_path / 'round' / 'runs'}: {os.strerror(errno.ELOOP)}" in ran.err
    assert "bug" not in ran.err


def test_a_name_that_is_no_text(bench: Bench, results: Path, built: list[Path], tmp_path: Path) -> None:
    run = sorted(results.glob("runs/*/*/good/*"))[0]
    Path(os.fsdecode(bytes(run) + b"/\xff.txt")).write_text("")
    assert call(bench, results, tmp_path / "out") == call(bench, results, tmp_path / "out")
    assert len(built) == 1


def test_what_cannot_be_statted_has_a_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered.registry, "installed", lambda _: [Path("built-in")])
    assert ("built-in", -1, -1, -1, -1) in remembered._plugins()


def test_a_working_folder_that_is_gone(
    bench: Bench, results: Path, built: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    ran = bench("leaderboard", "--format", "md", "--results", "here")
    assert (ran.code, "no runs in here" in ran.err) == (2, True)


def test_a_folder_that_may_not_be_read_is_said(
    bench: Bench, results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shut = results / "runs" / "other"
    shut.mkdir()
    scandir = os.scandir

    def refusing(path: str | Path | int) -> object:  # chmod refuses a superuser nothing
        if str(path) == str(shut):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return scandir(path)

    before = call(bench, results, tmp_path / "out")
    monkeypatch.setattr(os, "scandir", refusing)
    line = f"cannot read {shut}: Permission denied; restore it, or its permissions"
    seen = call(bench, results, tmp_path / "out")
    assert f"skipped: {line}" in seen[1]
    assert seen[2] == before[2]
    for words in (("leaderboard", "--check"), ("verify",), ("verify", "good")):
        ran = bench(*words, "--results", results)
        assert (ran.code, ran.err.strip()) == (2, f"bench: {line}"), words


# ---------------------------------------------------------------- the page


def test_the_page_is_remembered(bench: Bench, results: Path, built: list[Path], tmp_path: Path) -> None:
    pages = []
    for _ in range(2):
        assert bench("leaderboard", "--results", results, "--out", tmp_path / "out").code == 0
        pages.append((tmp_path / "out" / "leaderboard.html").read_bytes())
    assert pages[0] == pages[1]
    assert len(built) == 1


def test_a_page_with_private_pictures_is_not(bench: Bench, results: Path, built: list[Path]) -> None:
    for number in range(1, 3):
        assert bench("leaderboard", "--results", results, "--private").code == 0
        assert len(built) == number
    kept = [path.read_text() for path in (files.cache_folder() / "leaderboards").iterdir()]
    assert kept
    assert not any("<html" in text for text in kept)


def test_a_page_that_is_too_large_costs_no_other_format(
    bench: Bench, results: Path, built: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "LARGEST", 1000)
    before = call(bench, results, tmp_path / "few")
    for _ in range(2):
        ran = bench("leaderboard", "--results", results, "--out", tmp_path / "out", "--width", "120")
        assert ran.code == 2
        assert ran.err.splitlines()[-1].startswith("bench: the page would have 0.")
        assert before[0].splitlines()[:5] == ran.out.splitlines()[:5]
        found = {path.suffix for path in (tmp_path / "out").iterdir()}
        assert found == {".md", ".csv", ".tex", ".json"}
        shutil.rmtree(tmp_path / "out")
    assert len(built) == 2  # the first call's, and the default's


# ---------------------------------------------------------------- badges


@pytest.fixture
def evaluated(results: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run whose weights gave its counts; and every run that is looked at is looked at by a worker."""
    monkeypatch.setattr(intact, "_MANY", 1)
    run = sorted(results.glob("runs/*/*/good/*"))[0]
    content = {
        "schema": 1,
        "verdict": "reproduced",
        "when": "",
        "command": "",
        "device": "",
        "precision": "",
        "torch": "",
        "threads": 1,
        "alike": True,
        "tolerance": 0.0,
        "images": 6,
        "largest_difference": 0,
        "largest_native_difference": 0,
        "sums": checksums.digest(run / checksums.NAME),
    }
    (run / "verification.json").write_text(json.dumps(content))
    return run


def badge(bench: Bench, results: Path, out: Path) -> str:
    assert bench("leaderboard", "--format", "json", "--results", results, "--out", out).code == 0
    (table,) = json.loads((out / "leaderboard.json").read_text())["tables"]
    return str({row["architecture"]: row["badge"] for row in table["rows"]}["good"])


def test_a_badge_is_remembered_until_a_file_of_the_run_changes(
    bench: Bench, results: Path, evaluated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert badge(bench, results, tmp_path) == "verified"
    write(results, label="more", hits=4)  # the tables are made anew
    hashed: list[Path] = []
    look = intact.verify.unaltered
    monkeypatch.setattr(intact, "_MANY", 10**9)
    monkeypatch.setattr(intact.verify, "unaltered", lambda path: (hashed.append(path), look(path))[1])
    assert badge(bench, results, tmp_path) == "verified"
    assert hashed == []
    path = evaluated / "run.json"
    exchanged(path, path.read_bytes().replace(b'"threads": 2', b'"threads": 3'))
    assert badge(bench, results, tmp_path) == "self-reported"
    assert hashed == [evaluated]
    exchanged(path, path.read_bytes().replace(b'"threads": 3', b'"threads": 2'))
    assert badge(bench, results, tmp_path) == "verified"


def test_without_workers_the_runs_are_looked_at_here(
    bench: Bench, results: Path, evaluated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise BrokenProcessPool("killed")

    monkeypatch.setattr(intact.workers._Pool, "submit", broken)
    assert badge(bench, results, tmp_path) == "verified"


def test_a_worker_sees_what_was_altered(bench: Bench, results: Path, evaluated: Path, tmp_path: Path) -> None:
    (evaluated / "run.json").write_text((evaluated / "run.json").read_text() + " ")
    assert badge(bench, results, tmp_path) == "self-reported"
