"""Put the rows of a table into groups: who may be the best, who is behind, the baselines, who is not ranked yet."""

from collections.abc import Iterable
from enum import StrEnum

from benchmark.leaderboard.board import Row


class Group(StrEnum):
    """The groups in the order of every table; the value is the title."""

    BEST = "May be the best"
    BEHIND = "Certainly behind at least one other"
    BASELINE = "Baselines"
    UNRANKED = "Not ranked yet"


def is_baseline(row: Row) -> bool:
    """Whether an entry has nothing to train, or sees no shapes."""
    return row.deterministic or row.runs[0].architecture.pixelwise


def of(row: Row) -> Group:
    """The group of an entry."""
    if row.ranks is None:
        return Group.UNRANKED
    if is_baseline(row):
        return Group.BASELINE
    return Group.BEST if row.ranks[0] == 1 else Group.BEHIND


def grouped(rows: Iterable[Row]) -> dict[Group, tuple[Row, ...]]:
    """Group -> its rows in their order; only groups that have a row, in the order of the groups."""
    members: dict[Group, list[Row]] = {group: [] for group in Group}
    for row in rows:
        members[of(row)].append(row)
    return {group: tuple(found) for group, found in members.items() if found}


def ordered(rows: Iterable[Row]) -> tuple[Row, ...]:
    """The rows group by group, in their order within each."""
    return tuple(row for members in grouped(rows).values() for row in members)


def heading(group: Group, rows: tuple[Row, ...]) -> str:
    """The title of a group with the number of its rows."""
    return f"{group} ({len(rows)})"
