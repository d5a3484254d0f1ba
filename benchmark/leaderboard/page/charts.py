"""Turn numbers into positions in a drawing. Sizes are in units of the drawing; the page scales it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, TypeAlias

from benchmark.leaderboard.board import Row

WIDTH, HEIGHT = 340.0, 230.0
LEFT, RIGHT, TOP, BOTTOM = 38.0, 12.0, 10.0, 36.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Tick:
    """A grid line at `place`, with its label."""

    place: float
    text: str


Drawing: TypeAlias = dict[str, Any]
"""The values that the template draws, by name."""


def scatter(title: str, unit: str, points: Sequence[tuple[Row, float]], *, more_is_better: bool) -> Drawing | None:
    """Plot entries by cost (logarithmic) and IoU; None if fewer than two have a cost above 0.

    `dots` are the entries with the ends of their intervals (None: unknown), `front` has the corners of the Pareto
    front, `members` the labels of its entries.
    """
    points = [(row, cost) for row, cost in points if cost > 0]
    if len(points) < 2:
        return None
    costs, ious = [cost for _, cost in points], [100 * row.scores["iou"] for row, _ in points]
    low, high = math.floor(math.log10(min(costs))), math.ceil(math.log10(max(costs)))
    high += low == high
    top = _round_up(max(_high(row) for row, _ in points))

    def x(cost: float) -> float:
        return round(LEFT + (math.log10(cost) - low) / (high - low) * (WIDTH - LEFT - RIGHT), 2)

    front = _front(costs, ious, more_is_better=more_is_better)
    dots = [
        {
            "label": row.label,
            "says": f"{row.label}: IoU {iou:.2f} %{_reach(row)}, {cost:.3g} {unit}",
            "x": x(cost),
            "y": _y(iou / top),
            "low": _y(max(0.0, iou - _half(row)) / top) if row.interval else None,
            "high": _y(min(top, iou + _half(row)) / top) if row.interval else None,
            "front": index in front,
        }
        for index, ((row, cost), iou) in enumerate(zip(points, ious, strict=True))
    ]
    ordered = [dots[index] for index in sorted(front, key=lambda index: costs[index])]
    return {
        "title": title,
        "dots": dots,
        "front": " ".join(f"{dot['x']},{dot['y']}" for dot in ordered),
        "members": [dot["label"] for dot in ordered],
        "x_ticks": [Tick(place=x(10.0**power), text=_power(power)) for power in range(low, high + 1)],
        "y_ticks": _ticks(top),
    }


def curves(title: str, runs: Sequence[tuple[int, Sequence[float], int]]) -> Drawing | None:
    """Draw runs, each a seed, its values per epoch, and the epoch that was selected (from 1).

    Each of `curves` has its `points` in SVG notation, and the position of the `selected` epoch.
    """
    # The loss of a training that diverged ends with NaN or infinity.
    runs = [(seed, list(takewhile(math.isfinite, values)), selected) for seed, values, selected in runs]
    runs = [run for run in runs if len(run[1]) > 1]
    if not runs:
        return None
    longest = max(len(values) for _, values, _ in runs)
    top = _round_up(max(max(values) for _, values, _ in runs))

    def x(epoch: int) -> float:
        return round(LEFT + (epoch - 1) / (longest - 1) * (WIDTH - LEFT - RIGHT), 2)

    drawn = []
    for seed, values, selected in runs:
        places = [(x(epoch), _y(value / top)) for epoch, value in enumerate(values, start=1)]
        chosen = places[selected - 1] if 0 < selected <= len(places) else None
        points = " ".join(f"{a},{b}" for a, b in places)
        drawn.append({"seed": seed, "points": points, "last": f"{values[-1]:.3g}", "selected": chosen})
    step = max(1, math.ceil(longest / 8))
    epochs = [Tick(place=x(epoch), text=str(epoch)) for epoch in range(1, longest + 1, step)]
    return {"title": title, "curves": drawn, "x_ticks": epochs, "y_ticks": _ticks(top)}


def whisker(row: Row, top: float) -> Drawing | None:
    """Place IoU and the ends of its interval on a scale from 0 to 100 units, which stand for `top` per cent."""
    if not row.finished or math.isnan(row.scores["iou"]):
        return None
    iou = 100 * row.scores["iou"]
    ends = (iou - _half(row), iou + _half(row)) if row.interval else (None, None)
    low, high = (None if end is None else round(100 * min(max(end, 0.0), top) / top, 2) for end in ends)
    return {"low": low, "high": high, "middle": round(100 * iou / top, 2)}


def scale_end(rows: Sequence[Row]) -> float:
    """The end of the scale of a table, in per cent."""
    return _round_up(max((_high(row) for row in rows if row.finished), default=100.0))


def _y(share: float) -> float:
    return round(TOP + (1 - share) * (HEIGHT - TOP - BOTTOM), 2)


def _half(row: Row) -> float:
    return 100 * row.interval.half_width() if row.interval else 0.0


def _high(row: Row) -> float:
    return 100 * row.scores["iou"] + _half(row)


def _reach(row: Row) -> str:
    return f" ± {_half(row):.2f}" if row.interval else ""


def _round_up(value: float) -> float:
    """Round up to the next 10, or below 10 to the next 1, 2 or 5 times a power of ten."""
    if value >= 10:
        return math.ceil(value / 10) * 10.0
    power = 10.0 ** math.floor(math.log10(value)) if value > 0 else 0.1
    return next(step * power for step in (1, 2, 5, 10) if step * power >= value)


def _ticks(top: float) -> list[Tick]:
    """Three to seven ticks at round numbers from 0 to at most `top`."""
    power = 10.0 ** math.floor(math.log10(top))
    step = next(part * power for part in (0.2, 0.5, 1, 2) if top / (part * power) < 6)
    values = [step * number for number in range(math.floor(top / step + 1e-9) + 1)]
    return [Tick(place=_y(value / top), text=f"{value:.3g}") for value in values]


def _power(power: int) -> str:
    return f"{10.0**power:g}" if -3 <= power <= 4 else f"1e{power}"


def _front(costs: Sequence[float], ious: Sequence[float], *, more_is_better: bool) -> set[int]:
    """Entries that no other beats: none is at least as cheap and as good, and better in one of the two."""

    def beats(one: int, other: int) -> bool:
        gain = costs[one] - costs[other] if more_is_better else costs[other] - costs[one]
        return gain >= 0 and ious[one] >= ious[other] and (gain > 0 or ious[one] > ious[other])

    indices = range(len(costs))
    return {index for index in indices if not any(beats(other, index) for other in indices)}
