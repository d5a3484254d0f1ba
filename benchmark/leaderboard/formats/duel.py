"""Say in five lines how two entries compare, and show more than two as a matrix of pairs."""

import math
import textwrap
from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING

from benchmark.common.errors import printable
from benchmark.leaderboard.board import Row, Table
from benchmark.leaderboard.columns import iou_text, test_speed
from benchmark.leaderboard.compare import EntryComparison, Pair, ScoreComparison
from benchmark.leaderboard.formats import grids
from benchmark.scores.intervals import LEVEL

if TYPE_CHECKING:
    from rich.console import Console

_UNITS = {"iou": ("Overlap", "%"), "sisdr_improvement": ("Sound", "dB")}


def print_duel(found: EntryComparison, console: "Console") -> None:
    """Print who is ahead by how much, how sure that is, where each wins, and what each costs."""
    first, second = found.first, found.second
    lines = [f"{first.label} or {second.label}? {found.table.title}; seeds: {_count(first)} and {_count(second)}."]
    lines += [_score(score, first.label, second.label) for score in found.scores]
    lines += [_where(found.scores[0], first.label, second.label), f"Cost: {_cost(first)}; {_cost(second)}."]
    for line in lines:
        _print(console, textwrap.fill(line, console.width, subsequent_indent="  ", break_on_hyphens=False))


def print_matrix(table: Table, found: Mapping[tuple[str, str], EntryComparison], console: "Console") -> None:
    """Print the difference of IoU of each pair (row minus column), with its interval and corrected p-value."""
    rows = {row.label: row for pair in found.values() for row in (pair.first, pair.second)}
    number = {label: str(index) for index, label in enumerate(rows, 1)}
    _print(console, table.title)
    for label, row in rows.items():
        _print(console, f"{number[label]} = {label}: {iou_text(row)} % IoU")
    grid = [
        [number[one], *(_cell(found[one, other]) if (one, other) in found else "" for other in [*rows][1:])]
        for one in [*rows][:-1]
    ]
    needed = [max(len(line[index]) for line in grid) + 2 for index in range(len(rows))]
    starts = [1]
    for index in range(1, len(rows)):
        if needed[0] + sum(needed[starts[-1] : index + 1]) > console.width and index > starts[-1]:
            starts.append(index)
    for start, end in pairwise([*starts, len(rows)]):
        part = [[line[0], *line[start:end]] for line in grid if any(line[start:end])]
        _print(console, "\n" + grids.draw((["", *(str(index + 1) for index in range(start, end))], part), "plain"))
    note = (
        "Row minus column in percentage points, with half the 95 % interval of the pair alone. p: corrected for all "
        "pairs of the table, as the ranks are (–: not ranked)."
    )
    _print(console, "\n" + textwrap.fill(note, console.width))


def _print(console: "Console", text: str) -> None:
    from rich.text import Text

    console.print(Text(printable(text, keep="\n")), soft_wrap=True)


def _count(row: Row) -> str:
    return "nothing to train" if row.deterministic else str(len(row.runs))


def _cell(found: EntryComparison) -> str:
    score = found.scores[0]
    half = f" ± {score.total.estimate.half_width():.1f}" if score.total.estimate else ""
    p = "–" if score.adjusted is None else f"{score.adjusted:.2g}"
    return f"{score.total.difference:+.1f}{half}, p {p}"


def _score(score: ScoreComparison, first: str, second: str) -> str:
    total, (name, unit) = score.total, _UNITS[score.score]
    if math.isnan(total.difference):
        return f"{name}: not tested ({total.reason})."
    text = f"{name}: {first} {total.first:.1f} {unit}, {second} {total.second:.1f} {unit}"
    if total.estimate is None:
        return f"{text}. Not tested ({total.reason.replace('A: ', f'{first}: ').replace('B: ', f'{second}: ')})."
    text += f". {first if total.difference > 0 else second} is ahead by {_margin(total)}"
    sure = "open" if total.winner == "open" else "clear"
    text += f"; for this pair alone that is {sure} (p = {total.estimate.p_value:.2g})"
    if score.adjusted is None or score.pairs < 2:
        return f"{text}."
    again = "clear" if score.adjusted <= 1 - LEVEL else "open"
    return f"{text}, among all {score.pairs} pairs of the table {again} ({score.adjusted:.2g})."


def _margin(pair: Pair) -> str:
    digits = 1 if pair.estimate is None or pair.estimate.half_width() >= 1 else 2
    half = f" ± {pair.estimate.half_width():.{digits}f}" if pair.estimate else ""
    return f"{abs(pair.difference):.{digits}f}{half}"


def _where(score: ScoreComparison, first: str, second: str) -> str:
    """On how many images each is better, and where it is ahead by most for sure."""
    better, worse, _ = score.ahead
    text = f"Where: of {score.total.images} images {first} is better on {better}, {second} on {worse}"
    kinds = {"snr": "input SNR", "area": "mask area", "slice": "slice"}
    for name, letter in ((first, "A"), (second, "B")):
        won = [
            (abs(pair.difference), f"{kinds[kind]} {pair.title} (by {_margin(pair)})")
            for kind, pairs in score.strata.items()
            for pair in pairs
            if pair.winner == letter
        ]
        text += f"; {name} wins most on {max(won)[1]}" if won else ""
    return f"{text}."


def _cost(row: Row) -> str:
    speed = test_speed(row)
    per_second = f", {speed:.0f} test images/s" if isinstance(speed, float) else ""
    return f"{row.label} {row.runs[0].architecture.parameter_count / 1e6:.1f} M parameters{per_second}"
