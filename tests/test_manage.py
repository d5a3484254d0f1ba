"""Removing runs, and showing an architecture by another name: records stay what they were."""

import csv
import hashlib
from pathlib import Path

from helpers import NEW_PLUGIN, TINY, Bench


def content(folder: Path) -> dict[Path, str]:
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*") if path.is_file()}


def shown(results: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((results / "leaderboard.csv").read_text().splitlines()))


def test_rm(bench: Bench, tmp_path: Path) -> None:
    results = tmp_path / "results"
    words = ("--results", results)
    for name in ("otsu", "all_background"):
        assert bench("run", "--arch", name, *TINY, *words).code == 0
    before = content(results / "runs")
    (run,) = (results / "runs").glob("*/*/otsu/*")
    tested = results / "transfers" / run.name / "x"
    tested.mkdir(parents=True)
    listed = bench("rm", "otsu", *words)
    assert (listed.code, str(run) in listed.out, "1 run(s) would be removed" in listed.err) == (2, True, True)
    assert content(results / "runs") == before
    assert bench("rm", run.name[:6], *words, "--yes").code == 0
    assert not run.parent.exists()
    assert not tested.exists()
    assert content(results / "runs") == {path: text for path, text in before.items() if run not in path.parents}
    assert bench("verify", *words).code == 0
    assert bench("rm", "otsu", *words).code == 2
    assert bench("rm", "all_background", *words, "--yes").code == 0
    assert not list((results / "runs").iterdir())


def test_rename_a_plugin_and_go_on(bench: Bench, tmp_path: Path) -> None:
    results, folder = tmp_path / "results", tmp_path / "mine" / "architectures"
    folder.mkdir(parents=True)
    (folder / "older_toy.py").write_text(NEW_PLUGIN)
    words = ("--results", results)
    assert bench("run", "--arch", "older_toy", *TINY, *words, "--plugins", tmp_path / "mine").code == 0
    before = content(results / "runs")
    (folder / "older_toy.py").rename(folder / "newer_toy.py")
    assert bench("rename", "older_toy", "newer_toy", *words).code == 0
    again = bench("run", "--arch", "newer_toy", "--seed", "1", *TINY, *words, "--plugins", tmp_path / "mine")
    assert again.code == 0, again.err
    assert bench("leaderboard", *words, "--plugins", tmp_path / "mine").code == 0
    (row,) = [row for row in shown(results) if row["seeds"]]
    assert (row["architecture"], row["seeds"]) == ("newer_toy", "2")  # one source, one entry
    assert any("newer_toy is recorded as older_toy." in path.read_text() for path in results.glob("tables/*.md"))
    assert {path: text for path, text in content(results / "runs").items() if path in before} == before
    assert bench("verify", *words).code == 0
    assert bench("rename", "older_toy", "older_toy", *words).code == 0
    assert not (results / "names.toml").exists()
    for bad, message in ((("x", "y"), "no runs of 'x'"), (("older_toy", "../y"), "cannot be a name")):
        refused = bench("rename", *bad, *words)
        assert (refused.code, message in refused.err) == (2, True)
