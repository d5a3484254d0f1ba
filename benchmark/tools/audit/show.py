"""Print an audit as text, and draw it as a contact sheet."""

import textwrap
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import NDArray
from tabulate import tabulate

from benchmark.common import files
from benchmark.tools.audit.findings import SEVERITIES, Finding, Severity
from benchmark.tools.audit.scan import Audit, Picture, SplitAudit

_WIDTH = 100
_EXAMPLES = 3

# Okabe & Ito's colours: told apart with every kind of colour vision.
_VERMILION, _BLUE = "#D55E00", "#0072B2"
_FRAMES: Mapping[Severity, str] = {"leakage": "#CC79A7", "problem": "#E69F00", "note": "#56B4E9"}

_COLUMNS = 8
# Inches, from the left or the top of the sheet.
_TILE, _GAP, _NAME, _TITLE, _HEAD, _HISTOGRAMS, _MARGIN = (1.8, 0.9), 0.12, 0.2, 0.45, 0.75, 2.3, 0.3


def table(audit: Audit) -> str:
    """Text of at most 100 columns: the splits side by side, the findings, and a verdict as the last line."""
    heads = ["", *(split.folder for split in audit.splits)]
    columns = [_column(split) for split in audit.splits]
    names = list(dict.fromkeys(name for column in columns for name in column))
    rows = [[name, *(column.get(name, "-") for column in columns)] for name in names]
    align = ("left", *("right" for _ in columns))
    parts = [tabulate(rows, headers=heads, disable_numparse=True, colalign=align)]
    parts += [_section(kind, list(found)) for kind, found in groupby(audit.findings, lambda one: one.kind)]
    return "\n\n".join((*parts, textwrap.fill(_verdict(audit), _WIDTH)))


def contact_sheet(audit: Audit, path: Path) -> None:
    """Draw up to 24 samples of every split with their masks, and a histogram of the masks' foreground.

    Raises:
        UserError: the picture cannot be written.
    """
    splits = [split for split in audit.splits if split.pictures]
    rows = [-(-len(split.pictures) // _COLUMNS) for split in splits]
    width = 2 * _MARGIN + _COLUMNS * _TILE[0] + (_COLUMNS - 1) * _GAP
    height = _HEAD + sum(_TITLE + count * (_TILE[1] + _NAME) for count in rows) + _HISTOGRAMS
    figure = Figure(figsize=(width, height), dpi=120)
    _head(figure, audit)
    severities = _severities(audit.findings)
    top = _HEAD
    for split, count in zip(splits, rows, strict=True):
        _text(figure, _MARGIN, top + _TITLE - 0.12, _title(split), fontsize=13, weight="bold")
        top += _TITLE
        for index, picture in enumerate(split.pictures):
            row, column = divmod(index, _COLUMNS)
            left, upper = _MARGIN + column * (_TILE[0] + _GAP), top + row * (_TILE[1] + _NAME)
            _tile(_axes(figure, left, upper, *_TILE), picture, severities)
        top += count * (_TILE[1] + _NAME)
    _histograms(figure, top, [split for split in audit.splits if split.foreground])
    _save(figure, path)


def _column(split: SplitAudit) -> dict[str, str]:
    found = {"images": f"{split.images:,}", "masks": f"{split.masks:,}"}
    found |= {f"{kind}s": f"{count:,}" for kind, count in split.groups.items()}
    if split.sizes:
        names = ("smallest image, H x W", "median image, H x W", "largest image, H x W")
        found |= {name: f"{height} x {width}" for name, (width, height) in zip(names, split.sizes, strict=True)}
    if split.balance:
        balance = split.balance
        found["empty masks"] = f"{split.empty_masks:,}"
        found |= {"foreground, mean": f"{balance.mean:.1%}", "foreground, 5 %": f"{balance.low:.1%}"}
        found |= {"foreground, median": f"{balance.median:.1%}", "foreground, 95 %": f"{balance.high:.1%}"}
    return found


def _section(kind: str, found: Sequence[Finding]) -> str:
    lines = [f"{found[0].severity.upper()}: {kind} ({len(found):,})"]
    for one in found[:_EXAMPLES]:
        lines.append(textwrap.fill(one.text, _WIDTH, initial_indent="  ", subsequent_indent="    "))
    if len(found) > _EXAMPLES:
        lines.append(f"  and {len(found) - _EXAMPLES:,} more")
    return "\n".join(lines)


def _verdict(audit: Audit) -> str:
    counts = {severity: sum(one.severity == severity for one in audit.findings) for severity in SEVERITIES}
    problems, notes = _number(counts["problem"], "problem"), _number(counts["note"], "note")
    if audit.leaks:
        leaks = _number(counts["leakage"], "leak")
        return f"Verdict: {leaks}, {problems} and {notes}; scores on these splits would be too good; fix the splits."
    if counts["problem"]:
        return f"Verdict: no leakage was found; {problems} to fix, {notes}."
    return f"Verdict: no leakage and no problem was found{f'; {notes}' if counts['note'] else ''}."


def _number(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _severities(found: Sequence[Finding]) -> dict[Path, Severity]:
    """The worst severity of the findings about each file; findings come with the worst first."""
    severities: dict[Path, Severity] = {}
    for one in found:
        for path in one.paths:
            severities.setdefault(path, one.severity)
    return severities


def _head(figure: Figure, audit: Audit) -> None:
    _text(figure, _MARGIN, 0.42, audit.root.resolve().name, fontsize=18, weight="bold")
    handles = [Patch(facecolor=_VERMILION, label="mask")]
    handles += [Patch(facecolor="none", edgecolor=_FRAMES[name], linewidth=2, label=name) for name in SEVERITIES]
    corner = _position(figure, figure.get_figwidth() - _MARGIN, 0.15)
    figure.legend(handles=handles, loc="upper right", bbox_to_anchor=corner, ncols=4, frameon=False, borderaxespad=0)


def _title(split: SplitAudit) -> str:
    parts = [_number(split.images, "image")]
    parts += [_number(count, kind) for kind, count in split.groups.items()]
    if split.balance:
        parts.append(f"{split.balance.mean:.1%} foreground")
    return f"{split.folder}:  {', '.join(parts)}"


def _tile(axes: Axes, picture: Picture, severities: Mapping[Path, Severity]) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    if picture.image is None:
        axes.set_facecolor("0.9")
        axes.text(0.5, 0.5, "unreadable", transform=axes.transAxes, ha="center", va="center", color="0.4")
    else:
        axes.imshow(_composite(picture.image, picture.mask), aspect="auto", interpolation="antialiased")
    worst = next((name for name in SEVERITIES if name in {severities.get(path) for path in picture.paths}), None)
    for spine in axes.spines.values():
        spine.set(color=_FRAMES[worst] if worst else "0.75", linewidth=3 if worst else 0.5)
    name = picture.name if len(picture.name) <= 30 else f"{picture.name[:14]}…{picture.name[-15:]}"
    axes.set_xlabel(name, fontsize=7, labelpad=3, parse_math=False)


def _composite(image: NDArray[np.uint8], mask: NDArray[np.uint8] | None) -> NDArray[np.uint8]:
    """The image, its mask as a vermilion veil with an outline: uint8 (h, w[, 3]) and (h, w) -> (h, w, 3)."""
    # Shrinking averages bright specks away: a gamma below 1 makes them visible again.
    bright = 255 * (np.atleast_3d(image) / 255) ** 0.7
    colours = np.broadcast_to(bright, (*image.shape[:2], 3))
    if mask is None:
        return colours.astype(np.uint8)
    covered = mask >= 128
    inner = covered.copy()
    for axis in (0, 1):
        inner &= np.roll(covered, 1, axis) & np.roll(covered, -1, axis)
    opacity = np.where(covered & ~inner, 0.9, 0.5 * mask / 255)[..., None]
    return np.asarray((1 - opacity) * colours + opacity * 255 * np.array(to_rgb(_VERMILION)), np.uint8)


def _histograms(figure: Figure, top: float, splits: Sequence[SplitAudit]) -> None:
    """A histogram of the masks' foreground per split, all with the same axis."""
    if not splits:
        return
    end = max(0.01, *(max(split.foreground) for split in splits))
    width = (figure.get_figwidth() - 2 * _MARGIN - 0.4) / len(splits)
    for number, split in enumerate(splits):
        axes = _axes(figure, _MARGIN + 0.4 + number * width, top + 0.5, width - 0.6, _HISTOGRAMS - 1.1)
        axes.hist(split.foreground, bins=np.linspace(0, end, 25).tolist(), color=_BLUE, edgecolor="white")
        assert split.balance is not None
        axes.axvline(split.balance.median, color="0.2", linewidth=1, linestyle="--")
        axes.set_title(f"{split.folder}: foreground share, median {split.balance.median:.1%}", fontsize=10)
        axes.set_xlim(0, end)
        axes.xaxis.set_major_formatter(PercentFormatter(1))
        axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
        axes.set_ylabel("masks", fontsize=9)
        axes.tick_params(labelsize=8)
        axes.spines[["top", "right"]].set_visible(False)


def _axes(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Axes at a place in inches from the upper left corner."""
    all_width, all_height = figure.get_size_inches()
    bottom = 1 - (top + height) / all_height
    return figure.add_axes((left / all_width, bottom, width / all_width, height / all_height))


def _position(figure: Figure, left: float, top: float) -> tuple[float, float]:
    width, height = figure.get_size_inches()
    return left / width, 1 - top / height


def _text(figure: Figure, left: float, top: float, text: str, **style: Any) -> None:
    figure.text(*_position(figure, left, top), text, parse_math=False, **style)


def _save(figure: Figure, path: Path) -> None:
    draw = partial(FigureCanvasAgg(figure).print_png, metadata={"Software": None})
    files.write_atomically(path, draw)
