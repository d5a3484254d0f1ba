"""Say in a few sentences what a table shows: who may be the best, how sure that is, where all fail, what to do next."""

import math
from collections.abc import Sequence

from benchmark.leaderboard import groups
from benchmark.leaderboard.baseline import is_pixelwise
from benchmark.leaderboard.board import Row, Table
from benchmark.leaderboard.columns import iou_text, test_speed
from benchmark.leaderboard.groups import Group
from benchmark.scores.intervals import FEWEST_SEEDS

COMMAND = "bench run "
"""Begins the command that a sentence ends with."""
_NAMED = 6
"""So many entries are named in a sentence; of more, the number is given."""
_SEEDS = {"rank": 3, "separate": 5}
"""Seeds of the commands that rank an entry, and that may tell the leaders apart."""
_FIRST = 3
"""Leaders that the command names."""
_BESIDE = ("noisereduce_stationary", "wiener", "truth_mask")


def verdict(table: Table) -> list[str]:
    """The sentences, the most important first, without their full stops."""
    return list(table.verdict.values())


def stopped(sentence: str) -> str:
    """The sentence with its full stop, unless it ends in a command."""
    return sentence if COMMAND in sentence else f"{sentence}."


def of(table: Table) -> dict[str, str]:
    """The sentences on a whole table by what they are about; only those that it has something for."""
    found = {
        "best": _best(table),
        "floor": _floor(table),
        "below": _below(table),
        "fall": _fall(table),
        "fastest": _fastest(_leaders(table)),
        "sound": _sound(table),
        "unranked": _unranked(table),
        "next": _next(table),
    }
    return {about: sentence for about, sentence in found.items() if sentence}


def _leaders(table: Table) -> list[Row]:
    """The networks that may be the best, the highest IoU first."""
    return sorted(groups.grouped(table.rows).get(Group.BEST, ()), key=lambda row: -_iou(row))


def _networks(table: Table) -> list[Row]:
    """The finished entries that are no baselines."""
    return [row for row in table.rows if row.finished and not groups.is_baseline(row)]


def _best(table: Table) -> str:
    best, ranked = _leaders(table), [row for row in table.rows if row.ranks]
    networks = [row for row in ranked if not groups.is_baseline(row)]
    if not ranked:
        return "Nothing is ranked yet" + "".join(
            f"; the highest so far is {row.label} with {_percent(row)} IoU" for row in table.rows[:1] if row.finished
        )
    if not best:
        first = max(ranked, key=_iou)
        return f"{first.label}, a baseline, is ahead with {_percent(first)} IoU; no ranked network may be the best"
    if len(best) == 1:
        text = f"{best[0].label} is the best of {len(networks)} ranked networks, with {_percent(best[0])} IoU"
        text = (
            text if len(networks) > 1 else f"{best[0].label} is the only ranked network, with {_percent(best[0])} IoU"
        )
    else:
        text = (
            f"{best[0].label} is ahead with {_percent(best[0])} IoU; {len(best)} of {len(networks)} ranked networks "
            "may be the best"
        )
    beside = [row for row in ranked if groups.is_baseline(row) and row.ranks and row.ranks[0] == 1]
    return text + (f"; so may the baseline {_names(beside)}" if beside else "")


def _fastest(best: Sequence[Row]) -> str:
    if len(best) < 2:
        return ""
    fastest = max(best, key=lambda row: float(test_speed(row) or 0))
    smallest = min(best, key=lambda row: row.runs[0].architecture.parameter_count)
    if fastest is smallest:
        return f"The fastest and smallest of those that may be the best is {fastest.label}"
    return f"The fastest of those that may be the best is {fastest.label}, the smallest {smallest.label}"


def _floor(table: Table) -> str:
    """Which networks are clearly above the pixel-wise baseline, by slice."""
    floors = [row for row in table.rows if is_pixelwise(row)]
    counts = {}
    for place in (table.head.headline_slice, *table.slices):
        tested = [row for row in _networks(table) if place in row.above]
        if tested:
            counts[place] = sum(row.above[place] for row in tested), len(tested)
    if not counts:
        return ""
    floor = f"the pixel-wise floor {floors[0].label} ({100 * _iou(floors[0]):.1f} % IoU), which sees no shapes"
    (_, (above, of)), *others = counts.items()
    everywhere = len(counts) > 1 and len(set(counts.values())) == 1
    text = f"{_share(above, of)} clearly above {floor}" + (", on any slice of the test" if everywhere else "")
    shares: dict[str, list[str]] = {}
    for place, (count, tested_there) in () if everywhere else others:
        shares.setdefault(_share(count, tested_there), []).append(place)
    said = [
        f"on {'slices' if len(places) > 1 else 'slice'} {' and '.join(places)} {share[:1].lower()}{share[1:]}"
        for share, places in shares.items()
    ]
    return "; ".join([text, *said])


def _below(table: Table) -> str:
    """The networks that are not clearly above the pixel-wise baseline, if others are."""
    tested = [(row, row.above[table.head.headline_slice]) for row in _networks(table) if row.above]
    below = [row for row, above in tested if not above]
    return (
        f"Not clearly above that floor: {', '.join(row.label for row in below)}" if 0 < len(below) < len(tested) else ""
    )


def _share(count: int, of: int) -> str:
    if of == 1:
        return "The network is" if count else "The network is not"
    return (
        "No network is"
        if not count
        else f"All {of} networks are"
        if count == of
        else f"{count} of {of} networks {'is' if count == 1 else 'are'}"
    )


def _fall(table: Table) -> str:
    """The slice of the test on which the best network loses most."""
    networks = _networks(table)
    best = {
        place: max(known, key=lambda row: _iou(row, place))
        for place in table.slices
        if (known := [row for row in networks if not math.isnan(_iou(row, place))])
    }
    if not best:
        return ""
    place = min(best, key=lambda place: _iou(best[place], place))
    there, main = _iou(best[place], place), max(_iou(row) for row in networks)
    if not there < main:
        return ""
    return (
        f"The greatest fall is on slice {place}: the best network there is {best[place].label} with "
        f"{100 * there:.1f} % IoU, where the best on {table.head.headline_slice} has {100 * main:.1f}"
    )


def _sound(table: Table) -> str:
    known = [row for row in table.rows if row.finished and not math.isnan(_gain(row))]
    if not known:
        return ""
    best = max(known, key=_gain)
    beside = [f"{row.label} {_gain(row):.1f}" for row in table.references if row.label in _BESIDE]
    return f"The sound gains most under the masks of {best.label}: {_gain(best):.1f} dB SI-SDR" + (
        f" ({', '.join(beside)})" if beside else ""
    )


def _few(table: Table) -> list[Row]:
    """The entries that are not ranked only because they have too few seeds, the highest IoU first."""
    few = [row for row in table.rows if not row.ranks and row.complete and len(row.runs) < FEWEST_SEEDS]
    return sorted((row for row in few if not row.deterministic), key=lambda row: -_iou(row))


def _unranked(table: Table) -> str:
    """The entries that are not ranked for other reasons than few seeds."""
    few = _few(table)
    reasons: dict[str, list[Row]] = {}
    for row in table.rows:
        if row.unranked and row not in few:
            reasons.setdefault(row.unranked, []).append(row)
    found = [f"{_names(rows)} ({reason})" for reason, rows in reasons.items()]
    return f"Not ranked: {'; '.join(found)}" if found else ""


def _next(table: Table) -> str:
    """The command that ranks the entries that have too few seeds, or else that may tell the leaders apart."""
    few, best = _few(table), _leaders(table)
    if few:
        ahead = [row for row in few if best and _iou(row) > _iou(best[0])]
        higher = f"; {len(ahead)} of them higher than all that are" if ahead else ""
        return f"Not ranked yet, with one seed: {_names(few)}{higher}. Next: {_command(few, _SEEDS['rank'])}"
    if len(best) > 1 and max(len(row.runs) for row in best) < _SEEDS["separate"]:
        return f"More seeds may tell the first of them apart: {_command(best[:_FIRST], _SEEDS['separate'])}"
    return ""


def _command(rows: Sequence[Row], seeds: int) -> str:
    """The recorded command of the first row, with more seeds, for all rows that differ from it by the network only."""
    commands = [_settings(row.runs[0].command) for row in rows]
    same = [row for row, settings in zip(rows, commands, strict=True) if settings == commands[0]]
    names = dict.fromkeys(f"--arch {row.runs[0].architecture.label}" for row in same)
    return COMMAND + " ".join([*names, *commands[0], f"--seeds {seeds}"])


def _settings(command: str) -> list[str]:
    """The options of a recorded command but those of the network, the seed and the threads."""
    words = command.split()
    dropped = {index + step for index, word in enumerate(words) for step in (0, 1) if word in _DROPPED}
    return [word for index, word in enumerate(words) if index > 1 and index not in dropped]


_DROPPED = ("--arch", "--seed", "--seeds", "--threads")


def _iou(row: Row, place: str = "") -> float:
    scores = row.slice_scores.get(place, {}) if place else row.scores
    return scores.get("iou", math.nan)


def _gain(row: Row) -> float:
    return row.scores.get("sisdr_improvement", math.nan)


def _percent(row: Row) -> str:
    return f"{iou_text(row)} %"


def _names(rows: Sequence[Row]) -> str:
    names = [row.label for row in rows[:_NAMED]]
    return ", ".join(names) + (f" and {len(rows) - _NAMED} more" if len(rows) > _NAMED else "")
