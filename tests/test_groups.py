"""The groups of the rows of a table."""

from pathlib import Path

from test_baseline import build, ious

from benchmark.leaderboard import groups
from benchmark.leaderboard.groups import Group


def test_every_row_is_in_one_group_and_no_unranked_row_comes_first(tmp_path: Path) -> None:
    table, _ = build(
        tmp_path,
        {
            "new": ious(0.95, 0.4, 0)[:1],
            "net": ious(0.8, 0.4, 1),
            "twin": ious(0.8, 0.4, 2),
            "low": ious(0.2, 0, 3),
            "floor": ious(0.9, 0.4, 4),
        },
    )
    found = {group: [row.label for row in rows] for group, rows in groups.grouped(table.rows).items()}
    assert found == {
        Group.BEHIND: ["net", "twin", "low"] if table.rows[0].label == "net" else ["twin", "net", "low"],
        Group.BASELINE: ["floor"],
        Group.UNRANKED: ["new"],
    }
    assert [row.label for row in table.rows] == [label for labels in found.values() for label in labels]
    assert groups.heading(*next(iter(groups.grouped(table.rows).items()))) == "Certainly behind at least one other (3)"


def test_who_may_be_the_best(tmp_path: Path) -> None:
    table, _ = build(tmp_path, {"net": ious(0.8, 0.4, 1), "twin": ious(0.8, 0.4, 2), "low": ious(0.2, 0, 3)})
    found = {group: {row.label for row in rows} for group, rows in groups.grouped(table.rows).items()}
    assert found == {Group.BEST: {"net", "twin"}, Group.BEHIND: {"low"}}


def test_what_has_nothing_to_train_is_a_baseline(tmp_path: Path) -> None:
    table, _ = build(tmp_path, {"gate": ious(0.4, 0.4, 1)}, architecture__parameter_count=0)
    assert [groups.of(row) for row in table.rows] == [Group.BASELINE]
