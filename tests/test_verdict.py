"""The sentences that sum a table up, against tables whose answer is known."""

import re
from pathlib import Path

import pytest
from records import recordings, write_entry
from test_baseline import MAIN, OTHER, build, ious
from test_ranks import terminal

from benchmark.leaderboard import tables
from benchmark.leaderboard.formats import WRITERS
from benchmark.leaderboard.verdict import verdict


def test_who_may_be_the_best_and_who_is_above_the_floor(tmp_path: Path) -> None:
    table, _ = build(
        tmp_path,
        {"net": ious(0.8, 0.4, 0), "floor": ious(0.6, 0.4, 1), "twin": ious(0.8, 0.4, 2), "low": ious(0.2, 0, 3)},
    )
    said = table.verdict
    assert re.search(r"is ahead with (79|80)\.\d ± 1\.\d % IoU", said["best"])
    assert "2 of 3 ranked networks may be the best" in said["best"]
    assert said["floor"].startswith("2 of 3 networks are clearly above the pixel-wise floor floor (6")
    assert said["floor"].endswith("which sees no shapes; on slice ood no network is")
    assert said["below"] == "Not clearly above that floor: low"
    assert re.match(
        r"The greatest fall is on slice ood: the best network there is \w+ with 4\d\.\d % IoU", said["fall"]
    )
    assert said["next"] == "More seeds may tell the first of them apart: " + said["next"].partition(": ")[2]
    assert said["next"].endswith(" --seeds 5")
    assert verdict(table) == list(said.values())


def test_no_network_beats_a_floor_that_may_be_the_best(tmp_path: Path) -> None:
    table, _ = build(tmp_path, {"net": ious(0.6, 0.6, 0), "floor": ious(0.6, 0.6, 1), "twin": ious(0.6, 0.6, 2)})
    assert table.verdict["best"].endswith("; so may the baseline floor")
    assert table.verdict["floor"].startswith("No network is clearly above the pixel-wise floor floor (")
    assert table.verdict["floor"].endswith("on any slice of the test")


def test_a_floor_that_is_ahead_of_all(tmp_path: Path) -> None:
    table, _ = build(tmp_path, {"net": ious(0.5, 0.4, 0), "floor": ious(0.9, 0.4, 1)})
    assert table.verdict["best"].startswith("floor, a baseline, is ahead with")
    assert table.verdict["best"].endswith("no ranked network may be the best")


def test_one_best_one_without_rank_and_what_would_rank_it(tmp_path: Path) -> None:
    command = "bench run --arch new --protocol quick --seed 0 --set lr=0.1 --threads 2 --device cpu"
    table, _ = build(
        tmp_path,
        {
            "net": ious(0.7, 0.4, 0),
            "low": ious(0.2, 0.1, 1),
            "new": ious(0.9, 0.4, 2)[:1],
            "newer": ious(0.3, 0.4, 3)[:1],
        },
        command=command,
    )
    assert table.verdict["best"].startswith("net is the best of 2 ranked networks, with ")
    assert table.verdict["next"] == (
        "Not ranked yet, with one seed: new, newer; 1 of them higher than all that are. Next: "
        "bench run --arch new --arch newer --protocol quick --set lr=0.1 --device cpu --seeds 3"
    )


def test_who_is_not_ranked_for_another_reason_is_named_with_it(tmp_path: Path) -> None:
    build(tmp_path, {"net": ious(0.7, 0.4, 0), "low": ious(0.2, 0.1, 1)})
    data = recordings(MAIN, 24, other=OTHER)
    write_entry(tmp_path, data, "bold", ious(0.7, 0.4, 3), lost=(7,))
    (table,) = tables.build(tmp_path).tables
    assert table.verdict["unranked"].startswith("Not ranked: bold (seed 7: diverged")


def test_a_table_of_single_seeds_has_no_winner(tmp_path: Path) -> None:
    table, _ = build(tmp_path, {"net": ious(0.7, 0.4, 0)[:1]})
    assert verdict(table)[0].startswith("Nothing is ranked yet; the highest so far is net with 7")


@pytest.mark.parametrize("name", ["md", "json"])
def test_every_format_begins_with_it(tmp_path: Path, name: str) -> None:
    table, _ = build(tmp_path, {"net": ious(0.7, 0.4, 0), "low": ious(0.2, 0.1, 1)})
    first = verdict(table)[0]
    assert first in WRITERS[name](tables.build(tmp_path), ())
    assert first in " ".join(terminal(tmp_path).split())
