"""Say in a few sentences what a table shows: who may be the best, how sure that is, where all fail, what to do next."""

import math
from collections.abc import Sequence

from benchmark.leaderboard.baseline import is_pixelwise
from benchmark.leaderboard.board import Row, Table
from benchmark.leaderboard.columns import test_speed

_NAMED = 6
"""So many entries are named in a sentence; of more, the number is given."""


def verdict(table: Table) -> list[str]:
    """The sentences, the most important first."""
    found = [_best(table), _fastest(_candidates(table)), *_floor(table), *_places(table), _sound(table), _next(table)]
    return [sentence for sentence in found if sentence]


def _candidates(table: Table) -> list[Row]:
    """The entries that may be the best, the highest IoU first."""
    return sorted((row for row in table.rows if row.ranks and row.ranks[0] == 1), key=lambda row: -_iou(row))


def _best(table: Table) -> str:
    title = table.head.protocol.title
    best = _candidates(table)
    ranked = sum(row.ranks is not None for row in table.rows)
    if not best:
        return f"{title}: nothing is ranked yet"
    first = f"{best[0].label} is ahead with {_percent(best[0])} IoU"
    if len(best) == 1:
        return f"{title}: {first}; it is the best of {ranked} ranked entries"
    return f"{title}: {first}; {len(best)} of {ranked} ranked entries may be the best: {_names(best)}"


def _fastest(best: Sequence[Row]) -> str:
    if len(best) < 2:
        return ""
    fastest = max(best, key=lambda row: float(test_speed(row) or 0))
    smallest = min(best, key=lambda row: row.runs[0].architecture.parameter_count)
    if fastest is smallest:
        return f"The fastest and smallest of them is {fastest.label}"
    return f"The fastest of them is {fastest.label}, the smallest {smallest.label}"


def _floor(table: Table) -> list[str]:
    """How many networks are clearly above the pixel-wise baseline, by slice."""
    floors = [row for row in table.rows if is_pixelwise(row)]
    if not floors:
        return []
    found = {}
    for place in (table.head.headline_slice, *table.slices):
        tested = [row for row in table.rows if place in row.above]
        above = [row for row in tested if row.above[place]]
        if tested:
            names = f": {_names(above)}" if 0 < len(above) <= _NAMED else ""
            count = f"{len(above) or 'none'} of {len(tested)}"
            found[place] = f"{count} are clearly above {floors[0].label}, which sees no shapes{names}"
    if len(found) > 1 and len(set(found.values())) == 1:
        return [f"On every slice of the test {next(iter(found.values()))}"]
    return [
        f"Slice {place}: {text}" if len(found) > 1 else text[:1].upper() + text[1:] for place, text in found.items()
    ]


def _places(table: Table) -> list[str]:
    """The best IoU on each further slice of the test."""
    finished = [row for row in table.rows if row.finished]
    sentences = []
    for place in table.slices:
        known = [row for row in finished if not math.isnan(_iou(row, place))]
        if place != table.head.headline_slice and known:
            best = max(known, key=lambda row: _iou(row, place))
            sentences.append(f"{place}: {100 * _iou(best, place):.1f} % IoU ({best.label})")
    return [f"The highest on other slices: {'; '.join(sentences)}"] if sentences else []


def _sound(table: Table) -> str:
    known = [row for row in table.rows if row.finished and not math.isnan(_gain(row))]
    if not known:
        return ""
    best = max(known, key=_gain)
    beside = [f"{row.label} {_gain(row):.1f}" for row in table.references if row.label in _BESIDE]
    return f"The sound gains most under the masks of {best.label}: {_gain(best):.1f} dB SI-SDR" + (
        f" ({', '.join(beside)})" if beside else ""
    )


_BESIDE = ("noisereduce_stationary", "wiener", "truth_mask")


def _next(table: Table) -> str:
    """The entries that have too few seeds, and the command that ranks the first of them."""
    few = [row for row in table.rows if row.runs and not row.ranks and len(row.runs) == 1 and not row.deterministic]
    if not few:
        return ""
    few.sort(key=lambda row: -_iou(row))
    best = _candidates(table)
    ahead = [row for row in few if best and _iou(row) > _iou(best[0])]
    start = f"With one seed, so not ranked: {_names(few)}" + (
        f"; {len(ahead)} of them are ahead so far" if ahead else ""
    )
    return f"{start}. Next: bench run --arch {few[0].label} --seeds 3 --protocol {table.head.protocol.name}"


def _iou(row: Row, place: str = "") -> float:
    scores = row.slice_scores.get(place, {}) if place else row.scores
    return scores.get("iou", math.nan)


def _gain(row: Row) -> float:
    return row.scores.get("sisdr_improvement", math.nan)


def _percent(row: Row) -> str:
    text = f"{100 * _iou(row):.1f}"
    return f"{text} ± {100 * row.interval.half_width():.1f} %" if row.interval else f"{text} %"


def _names(rows: Sequence[Row]) -> str:
    names = [row.label for row in rows[:_NAMED]]
    return ", ".join(names) + (f" and {len(rows) - _NAMED} more" if len(rows) > _NAMED else "")
