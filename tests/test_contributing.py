"""CONTRIBUTING.md is followed literally: an outsider's network becomes a row that the check accepts."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from helpers import TINY, Bench

ROOT = Path(__file__).parent.parent
SECTION = (ROOT / "CONTRIBUTING.md").read_text().split("## A row of your own on the leaderboard")[1]


@pytest.mark.usefixtures("in_this_process")
def test_a_row_of_your_own(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its commands in their order; only the run and the check of learning are made small, and the clone's plugins."""
    commands = [line.split("#")[0].split() for line in re.findall(r"^    bench (.*)$", SECTION, re.MULTILINE)]
    assert [words[0] for words in commands] == ["new", "check", "run", "verify", "leaderboard", "leaderboard"]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "architectures").mkdir()
    small = {"new": ["--to", "."], "check": ["--plugins", "."], "run": [*TINY, "--plugins", "."]}
    for words in commands:
        words = [word for word in words if word != "--overfit"]
        ran = bench(*words, *small.get(words[0], ["--plugins", "."] if words[0] == "verify" else []))
        assert ran.code == 0, ran.err
    (table,) = json.loads((tmp_path / "results" / "leaderboard.json").read_text())["tables"]
    (row,) = table["rows"]
    assert (row["architecture"], row["seeds"], row["badge"]) == ("my_net", 3, "verified")


def test_what_is_committed_is_what_is_asked_for(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Git leaves out weights and private pictures by itself, and the check accepts what it leaves."""
    monkeypatch.chdir(tmp_path)
    assert bench("run", "--arch", "otsu", *TINY).code == 0
    assert bench("leaderboard").code == 0
    private = next(tmp_path.glob("results/runs/*/*/*/*")) / "private"
    private.mkdir()
    (private / "best.png").write_bytes(b"")
    shutil.copy(ROOT / ".gitignore", tmp_path)
    for words in (["init", "-q"], ["add", "-A"]):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    listed = subprocess.run(["git", "ls-files"], cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    assert not re.search(r"private/|\.safetensors|\.lock", listed)
    assert "results/leaderboard.html" in listed
    for path in [path for path in tmp_path.rglob("*") if path.is_file() and ".git" not in path.parts]:
        if str(path.relative_to(tmp_path)) not in listed.split():
            path.unlink()
    ran = bench("leaderboard", "--check")
    assert ran.code == 0, ran.err


@pytest.mark.parametrize("suffix", ["md", "csv", "tex", "json", "html"])
def test_a_table_edited_by_hand_is_refused(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert bench("run", "--arch", "otsu", *TINY).code == 0
    assert bench("leaderboard").code == 0
    path = tmp_path / "results" / f"leaderboard.{suffix}"
    path.write_text(path.read_text().replace("otsu", "0tsu", 1))
    ran = bench("leaderboard", "--check")
    assert ran.code == 2
    assert f"leaderboard.{suffix} is not what the records give" in ran.err
    assert ran.err.count("bench: ") == 1


def test_a_whole_table_edited_by_hand_or_left_over_is_refused(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert bench("run", "--arch", "otsu", *TINY).code == 0
    assert bench("leaderboard").code == 0
    (path,) = (tmp_path / "results" / "tables").glob("quick*.md")
    (path.parent / "left-over.md").write_text("# Of a table that was")
    path.write_text(path.read_text().replace("otsu", "0tsu", 1))
    ran = bench("leaderboard", "--check")
    assert ran.code == 2
    assert f"{path.name} is not what the records give" in ran.err
    assert "left-over.md is of no table that the records give" in ran.err
    assert ran.err.count("bench: ") == 2
