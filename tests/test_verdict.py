"""The sentences that sum a table up, against tables whose answer is known."""

import re
from pathlib import Path

import pytest
from test_baseline import build, ious
from test_ranks import terminal

from benchmark.leaderboard import tables
from benchmark.leaderboard.formats import WRITERS
from benchmark.leaderboard.verdict import verdict


def test_who_may_be_the_best_and_who_is_above_the_floor(tmp_path: Path) -> None:
    table, _ = build(
        tmp_path,
        {"net": ious(0.8, 0.4, 0), "floor": ious(0.6, 0.4, 1), "twin": ious(0.8, 0.4, 2), "low": ious(0.2, 0, 3)},
    )
    first, *others = verdict(table)
    assert re.search(r"is ahead with (79|80)\.\d ± 1\.\d % IoU", first)
    assert first.endswith(("2 of 4 ranked entries may be the best: net, twin", "may be the best: twin, net"))
    assert "Slice main: 2 of 3 are clearly above floor, which sees no shapes: net, twin" in others
    assert "Slice ood: none of 3 are clearly above floor, which sees no shapes" in others
    assert any(line.startswith("The highest on other slices: ood: 4") for line in others)


def test_one_best_one_without_rank_and_what_would_rank_it(tmp_path: Path) -> None:
    table, _ = build(tmp_path, {"net": ious(0.7, 0.4, 0), "low": ious(0.2, 0.1, 1), "new": ious(0.9, 0.4, 2)[:1]})
    found = verdict(table)
    assert found[0].endswith("it is the best of 2 ranked entries")
    assert found[-1].startswith(
        "With one seed, so not ranked: new; 1 of them are ahead so far. Next: bench run --arch new"
    )


def test_a_table_of_single_seeds_has_no_winner(tmp_path: Path) -> None:
    table, _ = build(tmp_path, {"net": ious(0.7, 0.4, 0)[:1]})
    assert verdict(table)[0].endswith("nothing is ranked yet")


@pytest.mark.parametrize("name", ["md", "json"])
def test_every_format_begins_with_it(tmp_path: Path, name: str) -> None:
    table, _ = build(tmp_path, {"net": ious(0.7, 0.4, 0), "low": ious(0.2, 0.1, 1)})
    first = verdict(table)[0]
    assert first in WRITERS[name](tables.build(tmp_path), ())
    assert first in " ".join(terminal(tmp_path).split())
