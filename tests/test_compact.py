"""`bench leaderboard` on one screen: what is shown, found, marked and written where."""

import csv
import io
import json
import webbrowser
from pathlib import Path

import numpy as np
import pytest
from helpers import Bench
from records import recordings, write_entry, write_manifest

from benchmark.leaderboard import tables
from benchmark.leaderboard.formats import in_readme, markdown
from benchmark.leaderboard.formats.markdown import BEGIN, END


def store(results: Path, *, tables_: int = 3, networks: int = 12) -> None:
    """Tables of as many networks, the last with one seed, and a baseline."""
    data, random = recordings(48, 24), np.random.default_rng(0)
    write_manifest(results, data)
    for table in range(tables_):
        changes = {"comparability_key": f"{table}" * 64, "protocol__name": f"proto{table}"}
        for index in range(networks):
            seeds = 1 if index == networks - 1 else 3
            ious = np.clip(0.8 - 0.02 * index + 0.1 * random.normal(size=(seeds, 48)), 0, 1)
            write_entry(results, data, f"net{index:02}", ious, **changes)
        write_entry(results, data, "gate", np.full((1, 48), 0.2), **changes, architecture__parameter_count=0)


def test_three_tables_take_one_screen(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    store(tmp_path)
    text = bench("leaderboard", "--results", tmp_path).out
    lines = text.splitlines()
    assert len(lines) <= 30
    assert max(map(len, lines)) <= 80
    for table in tables.build(tmp_path).tables:
        assert table.title in lines
        assert " ".join(table.verdict["best"].split()) in " ".join(text.split())
    assert "  bench run --arch net11 --seeds 3" in lines
    one = bench("leaderboard", "proto1", "--results", tmp_path).out
    assert all(f"net{index:02}" in one for index in range(12))
    assert "Baselines (1)" in one
    assert one.index("Baselines (1)") < one.index("Not ranked yet (1)") < one.index("  –  net11")


def test_the_filter_finds_tables_and_entries(bench: Bench, tmp_path: Path) -> None:
    store(tmp_path, tables_=2, networks=3)
    whole_table = {("proto1", label) for label in ("net00", "net01", "net02", "gate")}
    for text, expected in (("proto1", whole_table), ("NET01", {("proto0", "net01"), ("proto1", "net01")})):
        ran = bench("leaderboard", text, "--results", tmp_path, "--format", "csv")
        found = list(csv.DictReader(io.StringIO(ran.out)))
        assert {(row["protocol"], row["architecture"]) for row in found} == expected
    assert list(tmp_path.glob("leaderboard.*")) == []
    whole = [table.verdict["best"] for table in tables.build(tmp_path).tables]
    found = json.loads(bench("leaderboard", "net01", "--results", tmp_path, "--format", "json").out)["tables"]
    assert [table["verdict"][0] for table in found] == whole
    assert {row["group"] for row in found[0]["rows"]} <= {"May be the best", "Certainly behind at least one other"}
    ran = bench("leaderboard", "proto7", "--results", tmp_path)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("bench: no table or entry has 'proto7' in its name (did you mean 'proto0'?)")


def test_what_is_new_since_the_last_call_is_marked(bench: Bench, tmp_path: Path) -> None:
    store(tmp_path, tables_=1, networks=3)
    assert "←" not in bench("leaderboard", "--results", tmp_path).out
    write_entry(tmp_path, recordings(48, 24), "fresh", np.full((1, 48), 0.1), comparability_key="0" * 64,
                protocol__name="proto0")  # fmt: skip
    for _ in range(2):  # a part of the board does not count as a call
        shown = bench("leaderboard", "proto0", "--results", tmp_path).out
        assert [line.split()[1] for line in shown.splitlines() if line.endswith("←")] == ["fresh"]
    assert "fresh" in bench("leaderboard", "--results", tmp_path).out
    assert "←" not in bench("leaderboard", "--results", tmp_path).out
    (tmp_path / "leaderboard.json").write_text('{"tables": 3}')
    ran = bench("leaderboard", "--results", tmp_path)
    assert (ran.code, ran.err, "←" in ran.out) == (0, "", False)


def test_the_page_is_opened(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda address: opened.append(address) or len(opened) == 1)
    store(tmp_path, tables_=1, networks=2)
    assert bench("leaderboard", "--open", "--results", tmp_path).code == 0
    assert opened == [(tmp_path / "leaderboard.html").resolve().as_uri()]
    ran = bench("leaderboard", "--open", "--results", tmp_path)
    assert (ran.code, ran.err.startswith("bench: no browser found; open ")) == (2, True)


def test_leaderboard_md_stays_short_and_the_readme_says_the_same(tmp_path: Path) -> None:
    store(tmp_path, tables_=5, networks=40)
    board = tables.build(tmp_path)
    text = markdown(board)
    assert len(text.splitlines()) <= 80
    readme = in_readme(f"before\n{BEGIN}\nold\n{END}\nafter\n", board)
    assert readme.startswith(f"before\n{BEGIN}\n\n**Quick (proto0)**: ")
    assert readme.endswith(f"\n\n{END}\nafter\n")
    assert "old" not in readme
    assert in_readme(readme, board) == readme
    for table in board.tables[:3]:
        for shown in (text, readme):
            assert f"{table.verdict['best']}. " in shown
    assert all(f"tables/{table.name}.md" in text for table in board.tables)
