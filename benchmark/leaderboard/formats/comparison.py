"""Write a comparison of two entries as JSON, and the same numbers as text for the terminal."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from benchmark.common.errors import printable
from benchmark.leaderboard.compare import EntryComparison, Pair, ScoreComparison

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table as Grid

_STRATA = {"snr": "input SNR", "area": "mask area", "slice": "slice"}
_NOTE = (
    "won: who is better, if the 95 % interval excludes 0. Each line is tested alone, so about 1 tie in 20 looks won."
)

Values = Mapping[str, Any]
"""Rounded numbers and texts by name, as JSON shows them; None where undefined."""


def as_json(found: Sequence[EntryComparison]) -> str:
    """A list with an object per table; numbers rounded, null where undefined."""
    return json.dumps([_comparison(one) for one in found], indent=1, ensure_ascii=False) + "\n"


def _comparison(found: EntryComparison) -> Values:
    return {
        "table": found.table.key,
        "title": found.table.heading,
        "A": found.first.label,
        "B": found.second.label,
        "units": dict(found.units),
        "seeds": {"A": len(found.first.runs), "B": len(found.second.runs)},
        "scores": {score.score: _score(score) for score in found.scores},
    }


def _score(score: ScoreComparison) -> Values:
    total = score.total
    return {
        **_tested(total),
        "title": score.title,
        "slice": total.title,
        "unit": score.unit,
        "standard_error": _rounded(total.estimate.error) if total.estimate else None,
        "p_corrected": None if score.adjusted is None else _p(score.adjusted),
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


def _tested(pair: Pair) -> Values:
    estimate = pair.estimate
    half = estimate.half_width() if estimate else 0.0
    limits = (pair.difference - half, pair.difference + half)
    return {
        **_means(pair),
        "half_width": _rounded(half) if estimate else None,
        "interval": [_rounded(limit) for limit in limits] if estimate else None,
        "p": _p(estimate.p_value) if estimate else None,
        "degrees_of_freedom": _rounded(estimate.degrees, 1) if estimate else None,
        "won": pair.winner or None,
        "not_tested": pair.reason or None,
    }


def _means(pair: Pair) -> Values:
    return {"title": pair.title, "images": pair.images, **_numbers(pair)}


def _numbers(pair: Pair) -> Values:
    return {"A": _rounded(pair.first), "B": _rounded(pair.second), "difference": _rounded(pair.difference)}


def _rounded(value: float, digits: int = 2) -> float | None:
    """The number without a sign if it is 0; None where it is undefined."""
    return round(value, digits) + 0.0 if math.isfinite(value) else None


def _p(value: float) -> float:
    return float(f"{value:.2g}")


# ---------------------------------------------------------------- terminal


def print_comparisons(found: Sequence[EntryComparison], console: "Console") -> None:
    """Print the comparison of every table; long texts are folded, so nothing is cut off at 80 columns."""
    from rich.text import Text

    for number, comparison in enumerate(found):
        values = _comparison(comparison)
        if number:
            console.print()
        console.print(Text(values["title"], style="bold"))
        counts = ", ".join(f"{kind} {count}" for kind, count in values["units"].items())
        seeds = ", ".join(
            f"{name} {values['seeds'][name]}{' (nothing to train)' if row.deterministic else ''}"
            for name, row in (("A", comparison.first), ("B", comparison.second))
        )
        units = f"Units: {counts}; seeds: {seeds}. Images are paired, seeds are not."
        for line in (f"A = {values['A']}", f"B = {values['B']}", units):
            console.print(Text(line))
        for score in values["scores"].values():
            _print_score(score, console)


def _print_score(score: Values, console: "Console") -> None:
    from rich.text import Text

    console.print(Text(f"\n{score['title']} in {score['unit']}", style="bold"))
    for line in _total(score):
        console.print(Text(line))
    for title, grid, notes in (
        ("Where A wins and where B wins", _strata(score), _notes(score)),
        *((f"By {kind}: the biggest differences", _groups(kind, both), []) for kind, both in score["groups"].items()),
        ("The images with the biggest differences", _images(score), []),
    ):
        if grid.row_count:
            console.print(Text(f"\n{title}", style="italic"))
            console.print(grid)
            for line in notes:
                console.print(Text(line, style="dim"))


def _total(score: Values) -> list[str]:
    start = "A {}, B {}: A - B = {}".format(*_texts(score))
    ahead = "Of {images} images A is better on {ahead[A]}, B on {ahead[B]}, equal {ahead[equal]}.".format(**score)
    if score["not_tested"]:
        return [f"{start}. Not tested ({score['not_tested']}).", ahead]
    degrees = score["degrees_of_freedom"]
    low, high = score["interval"]
    tested = (
        f"{start} ± {score['half_width']:.2f} (95 % interval {low:.2f} to {high:.2f}); p = {score['p']:.2g}, "
        f"{'infinite' if degrees is None else degrees} degrees of freedom, "
        f"standard error {score['standard_error']:.2f}."
    )
    return [tested, _correction(score), ahead]


def _correction(score: Values) -> str:
    start = "This p-value is for this pair alone"
    if score["p_corrected"] is None:
        return f"{start}: the leaderboard does not rank by {score['title']}."
    if score["pairs_corrected_for"] == 1:
        return f"{start}, which is the only pair of its table."
    return (
        f"{start}; corrected for all {score['pairs_corrected_for']} pairs of its table (Holm) it is "
        f"p = {score['p_corrected']:.2g}."
    )


def _strata(score: Values) -> "Grid":
    grid = _grid(folded=("Where",), plain=("images", "A", "B", "A - B", "won"))
    for kind, pairs in score["strata"].items():
        for pair in pairs:
            first, second, difference = _texts(pair)
            reach = "" if pair["half_width"] is None else f" ± {pair['half_width']:.2f}"
            where = f"{_STRATA[kind]} {pair['title']}"
            grid.add_row(*_cells(where, pair["images"], first, second, difference + reach, pair["won"] or "–"))
    return grid


def _notes(score: Values) -> list[str]:
    """How to read the intervals, and why strata have none, unless the reason is that of the total."""
    strata = [pair for pairs in score["strata"].values() for pair in pairs]
    reasons: dict[str, list[str]] = {}
    for pair in strata:
        if pair["not_tested"] and pair["not_tested"] != score["not_tested"]:
            reasons.setdefault(pair["not_tested"], []).append(pair["title"])
    note = [_NOTE] if any(pair["interval"] for pair in strata) else []
    return note + [f"Not tested ({reason}): {', '.join(titles)}." for reason, titles in reasons.items()]


def _groups(kind: str, both: Mapping[str, Sequence[Values]]) -> "Grid":
    grid = _grid(folded=(kind,), plain=("images", "A", "B", "A - B", "ahead"))
    for name, groups in both.items():
        for group in groups:
            title = group["title"].removeprefix(f"{kind}/")
            grid.add_row(*_cells(title, group["images"], *_texts(group), name))
    return grid


def _images(score: Values) -> "Grid":
    grid = _grid(folded=("image", *score["groups"]), plain=("SNR", "A", "B", "A - B"))
    for image in score["images_that_differ_most"]:
        groups = (image["groups"][kind].removeprefix(f"{kind}/") for kind in score["groups"])
        snr = "–" if image["snr_db"] is None else image["snr_db"]
        grid.add_row(*_cells(image["id"], *groups, snr, *_texts(image)))
    return grid


def _texts(values: Values) -> tuple[str, str, str]:
    """A, B and A - B; dashes if there is no image."""
    if values["difference"] is None:
        return "–", "–", "–"
    return f"{values['A']:.2f}", f"{values['B']:.2f}", f"{values['difference']:+.2f}"


def _grid(*, folded: Sequence[str], plain: Sequence[str]) -> "Grid":
    from rich.table import Table
    from rich.text import Text

    grid = Table(show_edge=False, pad_edge=False, box=None, header_style="bold")
    for name in folded:
        grid.add_column(Text(name), overflow="fold")
    for name in plain:
        grid.add_column(Text(name), justify="right", no_wrap=True)
    return grid


def _cells(*values: Any) -> list[Any]:
    """Cells that rich does not parse as markup: labels may hold brackets, and ids and groups anything."""
    from rich.text import Text

    return [Text(printable(str(value))) for value in values]
