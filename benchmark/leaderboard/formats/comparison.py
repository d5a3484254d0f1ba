"""A comparison of two entries, on the terminal and as JSON, with the same rounding."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from benchmark.common.errors import printable
from benchmark.leaderboard.compare import DRAWS, Contest, Duel, Means, Tested
from benchmark.scores.uncertainty import LEVEL

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table as Grid

_DIGITS = 2
_STRATA = {"snr": "input SNR", "area": "mask area", "slice": "slice"}
_NOTE = "won: by whom, where the 95 % interval leaves 0 out; for each line alone, so of 20 ties one looks won."


def print_duels(found: Sequence[Duel], console: "Console") -> None:
    """Every table's comparison, one after the other; nothing is cut off at 80 columns, what is long is folded."""
    from rich.text import Text

    for number, duel in enumerate(found):
        if number:
            console.print()
        console.print(Text(duel.table.heading, style="bold"))
        for line in (f"A = {duel.first.label}", f"B = {duel.second.label}", *_units(duel)):
            console.print(Text(line))
        for contest in duel.contests:
            _print_contest(contest, console)


def as_json(found: Sequence[Duel]) -> str:
    """A list with an object per table; numbers rounded as on the terminal, null where undefined."""
    content = [
        {
            "table": duel.table.key,
            "title": duel.table.heading,
            "A": duel.first.label,
            "B": duel.second.label,
            "units": dict(duel.units),
            "seeds": {"A": _seeds(duel)[0], "B": _seeds(duel)[1]},
            "scores": {contest.score: _contest(contest) for contest in duel.contests},
        }
        for duel in found
    ]
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _seeds(duel: Duel) -> tuple[int, int]:
    return len(duel.first.runs), len(duel.second.runs)


def _units(duel: Duel) -> list[str]:
    counts = ", ".join(f"{kind} {count}" for kind, count in duel.units.items())
    trained = [
        f"{name} {count}{' (nothing to train)' if row.deterministic else ''}"
        for name, count, row in zip("AB", _seeds(duel), (duel.first, duel.second), strict=True)
    ]
    return [f"Units: {counts or 'not known'}; seeds: {', '.join(trained)}. Paired by image, not by seed."]


# ---------------------------------------------------------------- terminal


def _print_contest(contest: Contest, console: "Console") -> None:
    from rich.text import Text

    console.print(Text(f"\n{contest.title} in {contest.unit}", style="bold"))
    for line in _total(contest):
        console.print(Text(line))
    for title, grid in (
        ("Where A wins and where B wins", _strata(contest)),
        *((f"By {kind}: where each is ahead by most", _groups(contest, kind)) for kind in contest.groups),
        ("The images that differ most", _images(contest)),
    ):
        if grid.row_count:
            console.print(Text(f"\n{title}", style="italic"))
            console.print(grid)
            for line in _reasons(contest) if title.startswith("Where") else ():
                console.print(Text(line, style="dim"))


def _total(contest: Contest) -> list[str]:
    total = contest.total
    start = f"A {total.first:.2f}, B {total.second:.2f}: A - B = {_signed(total.difference)}"
    if total.estimate is None:
        lines = [f"{start}. Not tested ({total.reason})."]
    else:
        low, high = _limits(total)
        lines = [
            f"{start} ± {total.estimate.half_width():.2f} (95 % interval {low:.2f} to {high:.2f}); p = "
            f"{_p(total.estimate.p_value)}, {_degrees(total.estimate.degrees)} degrees of freedom.",
            _correction(contest),
            f"Standard error {total.estimate.error:.2f}; as a cross-check, by the pigeonhole bootstrap ({DRAWS} "
            f"draws): {contest.bootstrap:.2f}.",
        ]
    if contest.ahead is not None:
        better, worse, equal = contest.ahead
        lines.append(f"Of {total.images} images A is better on {better}, B on {worse}, equal {equal}.")
    return lines


def _correction(contest: Contest) -> str:
    start = "This p is of this pair alone"
    if contest.adjusted is None:
        return f"{start}: the leaderboard does not rank by {contest.title}."
    pairs = f"all {contest.pairs} pairs" if contest.pairs > 1 else "its only pair"
    return f"{start}; the leaderboard corrects for {pairs} of its table (Holm): p = {_p(contest.adjusted)}."


def _strata(contest: Contest) -> "Grid":
    grid = _grid(folded=("Where",), plain=("images", "A", "B", "A - B", "won"))
    for kind, found in contest.strata.items():
        for tested in found:
            difference = _signed(tested.difference)
            if tested.estimate is not None:
                difference += f" ± {tested.estimate.half_width():.2f}"
            where = f"{_STRATA[kind]} {tested.title}"
            grid.add_row(*_cells(where, tested.images, *_pair(tested), difference, tested.winner or "–"))
    return grid


def _reasons(contest: Contest) -> list[str]:
    """How the intervals are to be read, and why a stratum has none where that is not the reason of the whole."""
    strata = [tested for found in contest.strata.values() for tested in found]
    reasons: dict[str, list[str]] = {}
    for tested in strata:
        if tested.reason and tested.reason != contest.total.reason:
            reasons.setdefault(tested.reason, []).append(tested.title)
    note = [_NOTE] if any(tested.estimate for tested in strata) else []
    return note + [f"Not tested ({reason}): {', '.join(titles)}." for reason, titles in reasons.items()]


def _groups(contest: Contest, kind: str) -> "Grid":
    grid = _grid(folded=(kind,), plain=("images", "A", "B", "A - B", "ahead"))
    for name, found in zip("AB", contest.groups[kind], strict=True):
        for means in found:
            grid.add_row(
                *_cells(_short(kind, means.title), means.images, *_pair(means), _signed(means.difference), name)
            )
    return grid


def _images(contest: Contest) -> "Grid":
    kinds = tuple(contest.groups)
    grid = _grid(folded=("image", *kinds), plain=("SNR", "A", "B", "A - B"))
    for image in contest.images:
        snr = "–" if math.isnan(image.snr) else f"{image.snr:.1f}"
        scores = (f"{image.first:.2f}", f"{image.second:.2f}", _signed(image.difference))
        grid.add_row(*_cells(image.id, *(_short(kind, image.groups[kind]) for kind in kinds), snr, *scores))
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
    """Cells that are not read as rich's markup: labels may hold brackets, and ids and groups anything."""
    from rich.text import Text

    return [Text(printable(str(value))) for value in values]


def _short(kind: str, name: str) -> str:
    """The column says the kind already."""
    return name.removeprefix(f"{kind}/")


def _pair(means: Means) -> tuple[str, str]:
    return f"{means.first:.2f}", f"{means.second:.2f}"


# ---------------------------------------------------------------- JSON


def _contest(contest: Contest) -> dict[str, Any]:
    total = contest.total
    return {
        "title": contest.title,
        "unit": contest.unit,
        **_tested(total),
        "standard_error": _rounded(total.estimate.error) if total.estimate else None,
        "standard_error_bootstrap": _rounded(contest.bootstrap),
        "p_corrected": None if contest.adjusted is None else float(_p(contest.adjusted)),
        "pairs_corrected_for": contest.pairs or None,
        "ahead": dict(zip(("A", "B", "equal"), contest.ahead, strict=True)) if contest.ahead else None,
        "strata": {kind: [_tested(tested) for tested in found] for kind, found in contest.strata.items()},
        "groups": {
            kind: {name: [_means(means) for means in found] for name, found in zip("AB", both, strict=True)}
            for kind, both in contest.groups.items()
        },
        "images_that_differ_most": [
            {
                "id": image.id,
                "groups": dict(image.groups),
                "snr_db": _rounded(image.snr, 1),
                **_numbers(image.first, image.second),
            }
            for image in contest.images
        ],
    }


def _tested(tested: Tested) -> dict[str, Any]:
    estimate = tested.estimate
    return {
        **_means(tested),
        "half_width": _rounded(estimate.half_width()) if estimate else None,
        "interval": [_rounded(limit) for limit in _limits(tested)] if estimate else None,
        "p": float(_p(estimate.p_value)) if estimate else None,
        "degrees_of_freedom": _rounded(estimate.degrees, 1) if estimate else None,
        "won": tested.winner or None,
        "not_tested": tested.reason or None,
    }


def _means(means: Means) -> dict[str, Any]:
    return {"title": means.title, "images": means.images, **_numbers(means.first, means.second)}


def _numbers(first: float, second: float) -> Mapping[str, float | None]:
    return {"A": _rounded(first), "B": _rounded(second), "difference": _rounded(first - second)}


# ---------------------------------------------------------------- numbers


def _rounded(value: float | None, digits: int = _DIGITS) -> float | None:
    """The number as JSON shows it, 0 without a sign; None where it is unknown or undefined."""
    return round(value, digits) + 0.0 if value is not None and math.isfinite(value) else None


def _signed(value: float) -> str:
    return f"{round(value, _DIGITS) + 0.0:+.2f}"


def _limits(tested: Tested) -> tuple[float, float]:
    assert tested.estimate is not None  # asked before
    half = tested.estimate.half_width(LEVEL)
    return tested.difference - half, tested.difference + half


def _p(value: float) -> str:
    return f"{value:.2g}"


def _degrees(value: float) -> str:
    return f"{value:.1f}" if math.isfinite(value) else "infinite"
