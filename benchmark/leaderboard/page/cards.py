"""The three cards of a table: who may be the best, the fastest and smallest of those, what to watch out for."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from benchmark.leaderboard import groups
from benchmark.leaderboard.baseline import is_pixelwise
from benchmark.leaderboard.board import Row, Table
from benchmark.leaderboard.columns import test_speed
from benchmark.leaderboard.formats import wording
from benchmark.leaderboard.groups import Group


@dataclass(frozen=True, kw_only=True, slots=True)
class Card:
    """`kind` says what the card is about, `title` is the answer, `text` what is behind it."""

    kind: str
    title: str
    text: str


def cards(table: Table) -> list[Card]:
    """The cards that can be filled."""
    best = groups.grouped(table.rows).get(Group.BEST, ())
    found = [_best(best), _fastest(best), _watch_out(table, best)]
    return [card for card in found if card]


def next_steps(table: Table) -> list[tuple[str, str]]:
    """What a reader may want to do next, and the command."""
    about, _, command = table.verdict.get("next", "").rpartition(": ")
    steps = [
        ("Clean my recordings", "bench denoise my/recordings"),
        ("Add my network", "bench new arch my_net --to mine"),
        (about, command),
    ]
    return [(name, text) for name, text in steps if text]


def _best(best: Sequence[Row]) -> Card:
    if not best:
        return Card(kind="Best", title="Nobody yet", text="Too few runs to rank anything.")
    first = best[0]
    if len(best) == 1:
        return Card(
            kind="Best", title=first.label, text=f"{_iou(first):.1f} ± {_half(first):.1f} % IoU, clearly first."
        )
    names = ", ".join(f"{row.label} {_iou(row):.1f}{' %' if row is first else ''}" for row in best)
    return Card(
        kind="Best", title=f"{len(best)} share first place", text=f"{names}. The runs so far cannot tell them apart."
    )


def _fastest(best: Sequence[Row]) -> Card | None:
    if len(best) < 2:
        return None
    fastest, smallest = max(best, key=_speed), min(best, key=_size)
    text = f"{_iou(fastest):.1f} ± {_half(fastest):.1f} % at {_speed(fastest):,.0f} images/s"
    times = _speed(fastest) / _speed(best[0]) if _speed(best[0]) else math.nan
    text += f", {times:.0f} × {best[0].label}" if times >= 2 else ""
    if smallest is fastest:
        return Card(kind=f"Fastest and smallest of the {len(best)}", title=fastest.label, text=f"{text}.")
    size = (
        f"{_size(smallest):.1f} million parameters"
        if _size(smallest) >= 0.1
        else f"{1e6 * _size(smallest):.0f} parameters"
    )
    text += f". Smallest: {smallest.label}, {size}."
    return Card(kind=f"Fastest of the {len(best)}", title=fastest.label, text=text)


def _watch_out(table: Table, best: Sequence[Row]) -> Card | None:
    """The slice where the best fall furthest, whether they beat the floor, and entries that are ahead unranked."""
    found, title = [], ""
    falls = {place: fall for place in table.slices if (fall := _fall(best, place)) > 0}
    if falls:
        place = max(falls, key=lambda name: falls[name])
        ious = [_iou(row, place) for row in best]
        keeps = max(best, key=lambda row: _iou(row, place))
        title = wording.in_words(place).capitalize()
        found.append(f"There the best fall to {min(ious):.0f}–{max(ious):.0f} %; {keeps.label} keeps most")
    main = table.head.headline_slice
    floor = next((row for row in table.rows if is_pixelwise(row)), None)
    tested = [row for row in table.rows if main in row.above]
    if floor and tested and not any(row.above[main] for row in tested):
        title = "Nobody clearly beats the floor"
        found.insert(0, f"{floor.label}, which sees no shapes, reaches {_iou(floor):.1f} %")
        if falls:
            found[1] = f"With {wording.in_words(place)} the best fall to {min(ious):.0f}–{max(ious):.0f} %"
    ahead = [row for row in table.rows if not row.ranks and row.finished and best and _iou(row) > _iou(best[0])]
    if ahead:
        title = title or "Not ranked, but ahead"
        found.append(f"{', '.join(row.label for row in ahead)}: ahead so far, with too few runs to be ranked")
    return Card(kind="Watch out", title=title, text=f"{'. '.join(found)}.") if found else None


def _fall(best: Sequence[Row], place: str) -> float:
    known = [_iou(row) - _iou(row, place) for row in best]
    return sum(known) / len(known) if known and not math.isnan(sum(known)) else 0.0


def _iou(row: Row, place: str = "") -> float:
    scores = row.slice_scores.get(place, {}) if place else row.scores
    return 100 * scores.get("iou", math.nan)


def _half(row: Row) -> float:
    return 100 * row.interval.half_width() if row.interval else 0.0


def _speed(row: Row) -> float:
    return float(test_speed(row) or 0)


def _size(row: Row) -> float:
    return row.runs[0].architecture.parameter_count / 1e6
