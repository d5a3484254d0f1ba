"""Turn numbers into positions in a drawing. Sizes are in units of the drawing; the page scales it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise, takewhile
from typing import Any, TypeAlias

from benchmark.leaderboard.board import Interval, Row

WIDTH, HEIGHT = 340.0, 230.0
LEFT, RIGHT, TOP, BOTTOM = 44.0, 20.0, 12.0, 38.0
_LETTER, _LINE = 5.9, 11.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Tick:
    """A grid line at `place`, with its label."""

    place: float
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Scale:
    """The vertical scale of a drawing, between two round numbers."""

    low: float
    high: float

    def y(self, value: float) -> float:
        """The place of a value; values beyond the ends lie on them."""
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return round(TOP + (1 - share) * (HEIGHT - TOP - BOTTOM), 2)

    def ticks(self) -> list[Tick]:
        """Three to seven ticks at round numbers."""
        span = self.high - self.low
        power = 10.0 ** math.floor(math.log10(span))
        step = next(part * power for part in (0.2, 0.5, 1, 2) if span / (part * power) < 6)
        first = math.ceil(self.low / step - 1e-9)
        values = [step * number for number in range(first, math.floor(self.high / step + 1e-9) + 1)]
        return [Tick(place=self.y(value), text=f"{value:.3g}") for value in values]


Drawing: TypeAlias = dict[str, Any]
"""The values that the template draws, by name."""


def iou_scale(rows: Sequence[Row]) -> Scale:
    """From a round number below the trained entries to one above the interval of the best, in per cent of IoU.

    Entries below half the median collapsed and may lie below it; whatever lies beyond an end is drawn on it.
    """
    finished = [row for row in rows if row.finished and not math.isnan(row.scores["iou"])]
    trained = sorted((row for row in finished if not row.deterministic), key=_iou)
    if not trained:
        return Scale(low=0.0, high=100.0)
    best = max(finished, key=_iou)
    usual = [_iou(row) for row in trained if _iou(row) >= _iou(trained[len(trained) // 2]) / 2]
    low = math.floor(usual[0] / 5) * 5.0
    return Scale(low=low, high=max(math.ceil((_iou(best) + half_width(best)) / 5) * 5.0, low + 10))


def scatter(
    title: str, unit: str, points: Sequence[tuple[Row, float]], scale: Scale, *, more_is_better: bool
) -> Drawing | None:
    """Plot entries by cost (logarithmic) and IoU; None if fewer than two have a cost above 0.

    `dots` are the entries with the ends of their intervals (None: unknown) and the place of their names; `front` has
    the corners of the Pareto front, a staircase.
    """
    points = [(row, cost) for row, cost in points if cost > 0]
    if len(points) < 2:
        return None
    costs, ious = [cost for _, cost in points], [_iou(row) for row, _ in points]
    low, high = math.floor(math.log10(min(costs))), math.ceil(math.log10(max(costs)))
    high += low == high

    def x(cost: float) -> float:
        return round(LEFT + (math.log10(cost) - low) / (high - low) * (WIDTH - LEFT - RIGHT), 2)

    front = _front(costs, ious, more_is_better=more_is_better)
    dots: list[Drawing] = [
        {
            "label": row.label,
            "says": f"{row.label}: IoU {iou:.1f} %{_reach(row)}, {cost:.3g} {unit}",
            "x": x(cost),
            "y": scale.y(iou),
            "low": scale.y(iou - half_width(row)) if row.interval else None,
            "high": scale.y(iou + half_width(row)) if row.interval else None,
            "front": index in front,
        }
        for index, ((row, cost), iou) in enumerate(zip(points, ious, strict=True))
    ]
    _place_names(dots)
    corners = [dots[index] for index in sorted(front, key=lambda index: costs[index])]
    return {
        "title": title,
        "dots": dots,
        "front": _staircase([(dot["x"], dot["y"]) for dot in corners], down=more_is_better),
        "x_ticks": [Tick(place=x(10.0**power), text=_power(power)) for power in range(low, high + 1)],
        "y_ticks": scale.ticks(),
    }


def curves(title: str, runs: Sequence[tuple[int, Sequence[float], int]], top: float, longest: int) -> Drawing | None:
    """Draw runs, each a seed, its values per epoch, and the epoch that was selected (from 1); from 0 to `top`.

    Each of `curves` has its `points` in SVG notation, and the position of the `selected` epoch.
    """
    runs = [(seed, finite(values), selected) for seed, values, selected in runs]
    runs = [run for run in runs if len(run[1]) > 1]
    if not runs:
        return None
    scale = Scale(low=0.0, high=round_up(top))

    def x(epoch: int) -> float:
        return round(LEFT + (epoch - 1) / (longest - 1) * (WIDTH - LEFT - RIGHT), 2)

    drawn = []
    for seed, values, selected in runs:
        places = [(x(epoch), scale.y(value)) for epoch, value in enumerate(values, start=1)]
        chosen = places[selected - 1] if 0 < selected <= len(places) else None
        drawn.append({"seed": seed, "points": _points(places), "last": f"{values[-1]:.3g}", "selected": chosen})
    step = max(1, math.ceil(longest / 8))
    epochs = [Tick(place=x(epoch), text=str(epoch)) for epoch in range(1, longest + 1, step)]
    return {"title": title, "curves": drawn, "x_ticks": epochs, "y_ticks": scale.ticks()}


def lines(title: str, x_title: str, names: Sequence[str], rows: Sequence[tuple[Row, Sequence[Interval | None]]]) -> Any:
    """Draw the IoU of entries by stratum: a line each, whose `says` has the numbers."""
    highest = max((100 * found.mean for _, strata in rows for found in strata if found), default=100.0)
    scale = Scale(low=0.0, high=max(10.0, math.ceil(highest / 10) * 10.0))
    step = (WIDTH - LEFT - RIGHT) / len(names)
    places = [round(LEFT + (number + 0.5) * step, 2) for number in range(len(names))]
    drawn = [
        {
            "label": row.label,
            "points": _points(
                [(x, scale.y(100 * found.mean)) for x, found in zip(places, strata, strict=True) if found]
            ),
            "says": f"{row.label}: " + ", ".join(f"{100 * found.mean:.1f} %" if found else "–" for found in strata),
        }
        for row, strata in rows
    ]
    ticks = [Tick(place=x, text=name) for x, name in zip(places, names, strict=True)]
    return {"title": title, "x_title": x_title, "lines": drawn, "x_ticks": ticks, "y_ticks": scale.ticks()}


def whisker(row: Row, scale: Scale) -> Drawing | None:
    """Place IoU and the ends of its interval on 0 to 100 units, the ends of the scale; `off`: it lies below."""
    if not row.finished or math.isnan(row.scores["iou"]):
        return None

    def place(value: float) -> float:
        return round(100 * (min(max(value, scale.low), scale.high) - scale.low) / (scale.high - scale.low), 2)

    iou, half = _iou(row), half_width(row)
    low, high = (place(iou - half), place(iou + half)) if row.interval else (None, None)
    return {"low": low, "high": high, "middle": place(iou), "off": iou < scale.low}


def half_width(row: Row) -> float:
    """Half the interval of IoU in per cent, 0 if there is none."""
    return 100 * row.interval.half_width() if row.interval else 0.0


def finite(values: Sequence[float]) -> list[float]:
    """The values before the first that is no number: the loss of a training that diverged ends so."""
    return list(takewhile(math.isfinite, values))


def round_up(value: float) -> float:
    """Round up to one or one and a half digits: 1, 1.2, 1.5, 2, 2.5, 3, ... times a power of ten."""
    power = 10.0 ** math.floor(math.log10(value)) if value > 0 else 0.1
    steps = (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10)
    return next(step * power for step in steps if step * power >= value * (1 - 1e-9))


def _iou(row: Row) -> float:
    return 100 * row.scores["iou"]


def _points(places: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x},{y}" for x, y in places)


def _reach(row: Row) -> str:
    return f" ± {half_width(row):.1f}" if row.interval else ""


def _power(power: int) -> str:
    return f"{10.0**power:g}" if -3 <= power <= 4 else f"1e{power}"


def _front(costs: Sequence[float], ious: Sequence[float], *, more_is_better: bool) -> set[int]:
    """Entries that no other beats: none is at least as cheap and as good, and better in one of the two."""

    def beats(one: int, other: int) -> bool:
        gain = costs[one] - costs[other] if more_is_better else costs[other] - costs[one]
        return gain >= 0 and ious[one] >= ious[other] and (gain > 0 or ious[one] > ious[other])

    indices = range(len(costs))
    return {index for index in indices if not any(beats(other, index) for other in indices)}


def _staircase(corners: Sequence[tuple[float, float]], *, down: bool) -> str:
    """Join corners by steps: between two, the IoU that can be had is that of the lower one."""
    places = list(corners[:1])
    for (x0, y0), (x1, y1) in pairwise(corners):
        places += [(x0, y1) if down else (x1, y0), (x1, y1)]
    return _points(places)


def _place_names(dots: Sequence[Drawing]) -> None:
    """Give each dot the place of its name; `named` if it covers no dot and no name before it, the front first."""
    taken = [(dot["x"] - 4, dot["y"] - 4, dot["x"] + 4, dot["y"] + 4) for dot in dots]
    for dot in sorted(dots, key=lambda dot: not dot["front"]):
        length = _LETTER * len(dot["label"])
        sides = [("start", dot["x"] + 7), ("end", dot["x"] - 7)]
        sides = sides if dot["x"] + 7 + length < WIDTH else sides[::-1]
        found = None
        for anchor, x in sides:
            for y in (dot["y"] + 3.5, dot["y"] - 6, dot["y"] + 13):
                left = x if anchor == "start" else x - length
                box = (left, y - _LINE + 2, left + length, y + 2)
                inside = left > LEFT and box[2] < WIDTH and box[1] > 0 and y < HEIGHT - BOTTOM
                if found is None and inside and not any(_overlap(box, other) for other in taken):
                    found = {"anchor": anchor, "name_x": round(x, 2), "name_y": round(y, 2), "named": True}
                    taken.append(box)
        anchor, x = sides[0]
        dot |= found or {"anchor": anchor, "name_x": round(x, 2), "name_y": round(dot["y"] - 6, 2), "named": False}


def _overlap(one: Sequence[float], other: Sequence[float]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
