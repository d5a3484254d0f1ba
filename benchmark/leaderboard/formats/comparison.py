"""A comparison of two entries as text for the terminal and as JSON, with the same rounding."""

import json
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from benchmark.common.errors import printable
from benchmark.leaderboard.compare import EntryComparison, Pair, ScoreComparison

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table as Grid

_DIGITS = 2
_STRATA = {"snr": "input SNR", "area": "mask area", "slice": "slice"}
_NOTE = (
    "won: who is better, if the 95 % interval excludes 0. Each line is tested alone, so about 1 tie in 20 looks won."
)


def print_comparisons(found: Sequence[EntryComparison], console: "Console") -> None:
    """Print the comparison of every table; long texts are folded, so nothing is cut off at 80 columns."""
    from rich.text import Text

    for number, comparison in enumerate(found):
        if number:
            console.print()
        console.print(Text(comparison.table.heading, style="bold"))
        for line in (f"A = {comparison.first.label}", f"B = {comparison.second.label}", _units(comparison)):
            console.print(Text(line))
        for score in comparison.scores:
            _print_score(score, console)


def as_json(found: Sequence[EntryComparison]) -> str:
    """A list with an object per table; numbers rounded as on the terminal, null where undefined."""
    content = [
        {
            "table": comparison.table.key,
            "title": comparison.table.heading,
            "A": comparison.first.label,
            "B": comparison.second.label,
            "units": dict(comparison.units),
            "seeds": {"A": len(comparison.first.runs), "B": len(comparison.second.runs)},
            "scores": {score.score: _score(score) for score in comparison.scores},
        }
        for comparison in found
    ]
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


# ---------------------------------------------------------------- terminal


def _units(comparison: EntryComparison) -> str:
    counts = ", ".join(f"{kind} {count}" for kind, count in comparison.units.items())
    seeds = ", ".join(
        f"{name} {len(row.runs)}{' (nothing to train)' if row.deterministic else ''}"
        for name, row in (("A", comparison.first), ("B", comparison.second))
    )
    return f"Units: {counts}; seeds: {seeds}. Images are paired, seeds are not."


def _print_score(score: ScoreComparison, console: "Console") -> None:
    from rich.text import Text

    console.print(Text(f"\n{score.title} in {score.unit}", style="bold"))
    for line in _total(score):
        console.print(Text(line))
    for title, grid, notes in (
        ("Where A wins and where B wins", _strata(score), _notes(score)),
        *((f"By {kind}: the biggest differences", _groups(score, kind), []) for kind in score.groups),
        ("The images with the biggest differences", _images(score), []),
    ):
        if grid.row_count:
            console.print(Text(f"\n{title}", style="italic"))
            console.print(grid)
            for line in notes:
                console.print(Text(line, style="dim"))


def _total(score: ScoreComparison) -> list[str]:
    total, estimate = score.total, score.total.estimate
    start = f"A {total.first:.2f}, B {total.second:.2f}: A - B = {_signed(total.difference)}"
    if estimate is None:
        lines = [f"{start}. Not tested ({total.reason})."]
    else:
        low, high = _limits(total)
        degrees = f"{estimate.degrees:.1f}" if math.isfinite(estimate.degrees) else "infinite"
        lines = [
            f"{start} ± {estimate.half_width():.2f} (95 % interval {low:.2f} to {high:.2f}); p = "
            f"{_p(estimate.p_value)}, {degrees} degrees of freedom, standard error {estimate.error:.2f}.",
            _correction(score),
        ]
    better, worse, equal = score.ahead
    return [*lines, f"Of {total.images} images A is better on {better}, B on {worse}, equal {equal}."]


def _correction(score: ScoreComparison) -> str:
    start = "This p-value is for this pair alone"
    if score.adjusted is None:
        return f"{start}: the leaderboard does not rank by {score.title}."
    if score.pairs == 1:
        return f"{start}, which is the only pair of its table."
    return f"{start}; corrected for all {score.pairs} pairs of its table (Holm) it is p = {_p(score.adjusted)}."


def _strata(score: ScoreComparison) -> "Grid":
    grid = _grid(folded=("Where",), plain=("images", "A", "B", "A - B", "won"))
    for kind, pairs in score.strata.items():
        for pair in pairs:
            reach = f" ± {pair.estimate.half_width():.2f}" if pair.estimate else ""
            difference = _signed(pair.difference) + reach
            where = f"{_STRATA[kind]} {pair.title}"
            grid.add_row(*_cells(where, pair.images, *_both(pair), difference, pair.winner or "–"))
    return grid


def _notes(score: ScoreComparison) -> list[str]:
    """How to read the intervals, and why strata have none, unless the reason is that of the total."""
    strata = [pair for pairs in score.strata.values() for pair in pairs]
    reasons: dict[str, list[str]] = {}
    for pair in strata:
        if pair.reason and pair.reason != score.total.reason:
            reasons.setdefault(pair.reason, []).append(pair.title)
    note = [_NOTE] if any(pair.estimate for pair in strata) else []
    return note + [f"Not tested ({reason}): {', '.join(titles)}." for reason, titles in reasons.items()]


def _groups(score: ScoreComparison, kind: str) -> "Grid":
    grid = _grid(folded=(kind,), plain=("images", "A", "B", "A - B", "ahead"))
    for name, pairs in zip("AB", score.groups[kind], strict=True):
        for pair in pairs:
            grid.add_row(*_cells(_short(kind, pair.title), pair.images, *_both(pair), _signed(pair.difference), name))
    return grid


def _images(score: ScoreComparison) -> "Grid":
    kinds = tuple(score.groups)
    grid = _grid(folded=("image", *kinds), plain=("SNR", "A", "B", "A - B"))
    for image in score.images:
        snr = "–" if math.isnan(image.snr) else f"{image.snr:.1f}"
        groups = (_short(kind, image.groups[kind]) for kind in kinds)
        grid.add_row(*_cells(image.title, *groups, snr, *_both(image), _signed(image.difference)))
    return grid


def _grid(*, folded: Sequence[str], plain: Sequence[str]) -> "Grid":
    from rich.table import Table
    from rich.text import Text

    grid = Table(show_edge=False, pad_edge=False, box=None, header_style="bold")
    for name in folded:
        grid.add_column(Text(name), overflow="fold")
    for name in plain:
        grid.add_column(Text(name), justify="right", no_wrap=True)
    return grid


def _cells(*values: str | int) -> list[Any]:
    """Cells that rich does not parse as markup: labels may hold brackets, and ids and groups anything."""
    from rich.text import Text

    return [Text(printable(str(value))) for value in values]


def _short(kind: str, name: str) -> str:
    """The name of a group without its kind, which the column's title says."""
    return name.removeprefix(f"{kind}/")


def _both(pair: Pair) -> tuple[str, str]:
    return f"{pair.first:.2f}", f"{pair.second:.2f}"


# ---------------------------------------------------------------- JSON


def _score(score: ScoreComparison) -> dict[str, Any]:
    total = score.total
    return {
        "title": score.title,
        "unit": score.unit,
        **_tested(total),
        "standard_error": _rounded(total.estimate.error) if total.estimate else None,
        "p_corrected": None if score.adjusted is None else float(_p(score.adjusted)),
        "pairs_corrected_for": score.pairs or None,
        "ahead": dict(zip(("A", "B", "equal"), score.ahead, strict=True)),
        "strata": {kind: [_tested(pair) for pair in pairs] for kind, pairs in score.strata.items()},
        "groups": {
            kind: {name: [_means(pair) for pair in pairs] for name, pairs in zip("AB", both, strict=True)}
            for kind, both in score.groups.items()
        },
        "images_that_differ_most": [
            {"id": image.title, "groups": dict(image.groups), "snr_db": _rounded(image.snr, 1), **_numbers(image)}
            for image in score.images
        ],
    }


def _tested(pair: Pair) -> dict[str, Any]:
    estimate = pair.estimate
    return {
        **_means(pair),
        "half_width": _rounded(estimate.half_width()) if estimate else None,
        "interval": [_rounded(limit) for limit in _limits(pair)] if estimate else None,
        "p": float(_p(estimate.p_value)) if estimate else None,
        "degrees_of_freedom": _rounded(estimate.degrees, 1) if estimate else None,
        "won": pair.winner or None,
        "not_tested": pair.reason or None,
    }


def _means(pair: Pair) -> dict[str, Any]:
    return {"title": pair.title, "images": pair.images, **_numbers(pair)}


def _numbers(pair: Pair) -> dict[str, float | None]:
    return {"A": _rounded(pair.first), "B": _rounded(pair.second), "difference": _rounded(pair.difference)}


# ---------------------------------------------------------------- numbers


def _rounded(value: float, digits: int = _DIGITS) -> float | None:
    """The number as JSON shows it, 0 without a sign; None where it is undefined."""
    return round(value, digits) + 0.0 if math.isfinite(value) else None


def _signed(value: float) -> str:
    return f"{round(value, _DIGITS) + 0.0:+.2f}"


def _limits(pair: Pair) -> tuple[float, float]:
    assert pair.estimate is not None  # callers check
    half = pair.estimate.half_width()
    return pair.difference - half, pair.difference + half


def _p(value: float) -> str:
    return f"{value:.2g}"
