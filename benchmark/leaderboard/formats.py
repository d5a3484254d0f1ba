"""A board as terminal tables, Markdown, CSV, LaTeX and JSON. From the same board come the same bytes."""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tabulate import tabulate

from benchmark import metrics
from benchmark.files import write_atomically
from benchmark.leaderboard import columns
from benchmark.leaderboard.columns import Column, Group
from benchmark.leaderboard.sounds import BIN_DB
from benchmark.leaderboard.tables import Board, Interval, Published, Row, Table
from benchmark.record import Isolation, SliceRecord
from benchmark.separation import REFERENCES

if TYPE_CHECKING:
    from rich.console import Console

BY_SNR = "SI-SDR gain (dB) by input SNR, with 95 % intervals (none where fewer than 5 independent groups)"
NOTE = "Numbers of different tables do not compare: each has its own protocol and its own locked data."

_GROUPS: Mapping[Group, str] = {"scores": "Scores", "sounds": "Sound", "variants": "Other averages", "cost": "Cost"}


def write_all(board: Board, results: Path) -> list[Path]:
    """Write `leaderboard.md`, `.csv`, `.tex` and `.json` into the results folder."""
    writers: Mapping[str, Callable[[Board], str]] = {"md": markdown, "csv": csv, "tex": latex, "json": as_json}
    paths = []
    for suffix, writer in writers.items():
        path = results / f"leaderboard.{suffix}"
        write_atomically(path, partial(Path.write_text, data=writer(board), encoding="utf-8"))
        paths.append(path)
    return paths


def print_terminal(board: Board, console: "Console") -> None:
    """One table per comparability key, with as many columns as the terminal is wide, the most important first."""
    from rich.table import Table as Grid
    from rich.text import Text

    for table in board.tables:
        console.print(Text(heading(table), style="bold"))
        for line in _about(table):
            console.print(Text(line, style="dim"))
        rows = [*table.rows, *table.references]
        shown = _fitting(columns.of(table), rows, console.width)
        grid = Grid(show_edge=False, pad_edge=False, box=None, header_style="bold")
        for column in shown:
            grid.add_column(Text(column.title), justify="left" if column.group == "entry" else "right", no_wrap=True)
        for row in rows:
            grid.add_row(*(Text(column.text(row)) for column in shown), style=None if row.runs else "dim")
        console.print(grid)
        hidden = len(columns.of(table)) - len(shown)
        if hidden:
            console.print(Text(f"{hidden} more columns in the files; --width 200 shows some of them", style="dim"))
        if table.snr_bins:
            console.print(Text(f"\n{BY_SNR}"))
            console.print(Text(_snr_grid(table, "plain")))
        for line in _remarks(table):
            console.print(Text(line, style="dim"))
        console.print()


def markdown(board: Board) -> str:
    """Tables of scores, of other averages and of cost, what was published, and what each score means."""
    parts = ["# Leaderboard", "Made by `bench leaderboard` from the records in `runs/`.", NOTE]
    for table in board.tables:
        parts.append(f"## {heading(table)}")
        parts.append("\n".join(f"- {line}" for line in _about(table)))
        parts += [f"### {title}\n\n{_grid(table, group, 'github')}" for group, title in _groups(table).items()]
        if table.snr_bins:
            parts.append(f"### {BY_SNR}\n\n{_snr_grid(table, 'github')}")
        parts += _remarks(table)
        commands = dict.fromkeys(row.runs[0].command for row in table.rows)
        parts.append("Made by:\n\n" + "\n".join(f"    {command}" for command in commands))
    parts.append("## Published elsewhere\n\n" + _published_grid(board.published, "github"))
    parts.append("## The scores\n\n" + "\n".join(f"- **{s.title}**: {s.definition}" for s in _scores(board)))
    if _any_sounds(board):
        found = "\n".join(f"- **{name}**: {meaning}" for name, meaning in REFERENCES.items())
        parts.append(f"## The references\n\nMasks that need no network, through the same transform:\n\n{found}")
    return "\n\n".join(parts) + "\n"


def latex(board: Board) -> str:
    r"""The same tables with booktabs; needs `\usepackage{booktabs}`."""
    parts = ["% Made by: bench leaderboard. Needs \\usepackage{booktabs} and \\usepackage{graphicx}."]
    for table in board.tables:
        for group, title in _groups(table).items():
            caption = _escaped(". ".join([f"{heading(table)}: {title.lower()}", *_about(table)]))
            body = f"\\resizebox{{\\linewidth}}{{!}}{{%\n{_grid(table, group, 'latex_booktabs')}}}"
            parts.append(f"\\begin{{table}}\n\\centering\n\\caption{{{caption}}}\n{body}\n\\end{{table}}")
        if table.snr_bins:
            caption = _escaped(f"{heading(table)}: {BY_SNR}")
            body = _snr_grid(table, "latex_booktabs")
            parts.append(f"\\begin{{table}}\n\\centering\n\\caption{{{caption}}}\n{body}\n\\end{{table}}")
    body = f"\\resizebox{{\\linewidth}}{{!}}{{%\n{_published_grid(board.published, 'latex_booktabs')}}}"
    parts.append(f"\\begin{{table}}\n\\centering\n\\caption{{Published elsewhere}}\n{body}\n\\end{{table}}")
    return "\n\n".join(parts) + "\n"


def csv(board: Board) -> str:
    """One line per row of every table; the first columns say which table."""
    import pandas as pd

    lines = [
        {
            "table": table.key[:12],
            "protocol": table.head.protocol.name,
            "dataset": table.head.dataset.label,
            **{
                column.name: column.text(row) if column.rounded(row) is not None else "" for column in columns.of(table)
            },
        }
        for table in board.tables
        for row in (*table.rows, *table.references)
    ]
    return str(pd.DataFrame(lines).to_csv(index=False, lineterminator="\n"))


def as_json(board: Board) -> str:
    """Tables with protocol, dataset and rows; numbers rounded as in the other formats, null where undefined."""
    content = {
        "tables": [
            {
                "key": table.key,
                "title": heading(table),
                "protocol": table.head.protocol.model_dump(),
                "dataset": table.head.dataset.model_dump(),
                "rows": [
                    {
                        **{column.name: column.rounded(row) for column in columns.of(table)},
                        **({"by_snr": _by_snr(table, row)} if row.by_snr else {}),
                        "runs": _runs(row),
                    }
                    for row in table.rows
                ],
                "references": [
                    {
                        "name": row.label,
                        **{
                            column.name: column.rounded(row) for column in columns.of(table) if column.group == "sounds"
                        },
                        "by_snr": _by_snr(table, row),
                    }
                    for row in table.references
                ],
            }
            for table in board.tables
        ],
        "published": [{"title": entry.title, **entry.number.model_dump()} for entry in board.published],
        "scores": {score.name: score.definition for score in _scores(board)},
    }
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _groups(table: Table) -> Mapping[Group, str]:
    return {group: title for group, title in _GROUPS.items() if group != "sounds" or table.has_sounds}


def _scores(board: Board) -> list[metrics.Score]:
    """Those that the board shows."""
    return [*metrics.SCORES.values(), *(metrics.SOUND_SCORES.values() if _any_sounds(board) else ())]


def _by_snr(table: Table, row: Row) -> list[dict[str, float | int | None]]:
    return [
        {
            "low_db": low,
            "mean": round(found.mean, 2) if found else None,
            "half_width": round(found.half_width, 2) if found and found.half_width is not None else None,
            "images": found.images if found else 0,
        }
        for low, found in zip(table.snr_bins, row.by_snr, strict=True)
    ]


def _any_sounds(board: Board) -> bool:
    return any(table.has_sounds for table in board.tables)


def _snr_grid(table: Table, style: str) -> str:
    """SI-SDR gain of every row per interval of input SNR."""
    header = ["Architecture", *(f"{low:g} ... {low + BIN_DB:g} dB" for low in table.snr_bins)]
    shown = [row for row in (*table.rows, *table.references) if row.by_snr]
    images = [f"{found.images if found else 0}" for row in shown[:1] for found in row.by_snr]
    return _tabulate(header, [*([row.label, *map(_interval, row.by_snr)] for row in shown), ["images", *images]], style)


def _interval(found: Interval | None) -> str:
    if found is None:
        return "–"
    return f"{found.mean:.2f}" + (f" ± {found.half_width:.2f}" if found.half_width is not None else "")


def heading(table: Table) -> str:
    """Protocol, what was changed in it, and dataset."""
    protocol = table.head.protocol
    changed = ", ".join(f"{name} = {value}" for name, value in sorted(protocol.overrides.items()))
    return f"{protocol.name}{f' with {changed}' if changed else ''} on {table.head.dataset.label}"


def _about(table: Table) -> list[str]:
    dataset, settings = table.head.dataset, table.head.protocol.settings
    size = " x ".join(str(side) for side in settings["image_size"])
    counts = "/".join(str(dataset.images[split]) for split in ("train", "val", "test"))
    return [
        f"{dataset.title}: {counts} images to train/validate/test; {dataset.empty_masks['test']} test masks are empty",
        *_slices(table),
        *(_met(name, part) for name, part in dataset.slices.items()),
        f"{size} px, {settings['epochs']} epochs, batch {settings['batch_size']}, {settings['optimiser']} "
        f"{settings['learning_rate']:g}, {settings['loss']}, weights {settings['weights']}",
        "groups in train/validate/test, all its slices together: "
        + ("" if len(dataset.groups) > 1 else "recordings not stated, ")
        + ", ".join(_isolation(kind, found) for kind, found in dataset.groups.items()),
        f"table {table.key[:12]}: protocol {table.head.protocol.digest[:12]}, manifest {dataset.manifest[:12]}",
    ]


def _slices(table: Table) -> list[str]:
    """Which part of the test split the scores are of, where it has parts."""
    if len(table.head.dataset.test_slices) == 1:
        return []
    headline = table.head.headline_slice
    others = {name: count for name, count in table.head.dataset.test_slices.items() if name != headline}
    own = ", ".join(f"IoU {name} is of {count} others" for name, count in others.items())
    return [f"scores are of the {table.head.dataset.test_slices[headline]} test images of slice {headline}; {own}"]


def _met(name: str, part: SliceRecord) -> str:
    """What of a slice's groups a network had met before the test."""
    groups = ", ".join(f"{kind} {count}" for kind, count in part.groups.items()) or "groups not stated"
    unseen = f"; unseen: {', '.join(part.unseen)}" if part.unseen else ""
    return f"slice {name}: {groups}{unseen}; seen in training: {', '.join(part.seen) or 'nothing stated'}"


def _isolation(kind: str, found: Isolation) -> str:
    name = "distinct images" if kind == "pixels" else kind
    return f"{name} {'/'.join(str(count) for count in found.counts.values())} {found.relation}"


def _remarks(table: Table) -> list[str]:
    lines = []
    for row in table.rows:
        number = columns.published_iou(row.runs[0])
        if number is not None:
            lines.append(
                f"{row.label}: published IoU {number.value:.2f} % ({number.source}). Comparable: {number.comparable}."
            )
        lines += [f"{row.label}, seed {run.seed}: {run.status}. {run.message}." for run in row.failed]
    return lines


def _grid(table: Table, group: Group, style: str) -> str:
    rows = [*table.rows, *(table.references if group == "sounds" else ())]
    shown = [column for column in columns.of(table) if column.group == group and column.name != "comparable"]
    shown = [column for column in columns.of(table) if column.name in ("architecture", "seeds")] + shown
    if group == "cost":
        shown.append(next(column for column in columns.of(table) if column.name == "weights"))
    return _tabulate([column.title for column in shown], [[c.text(row) for c in shown] for row in rows], style)


def _published_grid(published: Sequence[Published], style: str) -> str:
    header = ["System", "Metric", "Split", "Value", "Dataset", "Source", "Comparable"]
    rows = [
        [entry.title, n.metric, n.split, f"{n.value:.2f}", n.dataset, n.source, n.comparable]
        for entry in published
        for n in (entry.number,)
    ]
    return _tabulate(header, rows, style)


def _tabulate(header: Sequence[str], rows: Sequence[Sequence[str]], style: str) -> str:
    if style == "github":
        rows = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    aligned = ["left" if index == 0 or not _numeric(rows, index) else "right" for index in range(len(header))]
    return tabulate(rows, header, tablefmt=style, disable_numparse=True, colalign=aligned if rows else None)


def _numeric(rows: Sequence[Sequence[str]], index: int) -> bool:
    return all(row[index].replace(".", "").replace("-", "").isdigit() or row[index] == "–" for row in rows)


def _fitting(candidates: Sequence[Column], rows: Sequence[Row], width: int) -> list[Column]:
    chosen: list[Column] = []
    left = width
    for column in sorted((column for column in candidates if column.rank < 99), key=lambda column: column.rank):
        cells = [column.text(row) for row in rows]
        needed = 2 + max(len(text) for text in (column.title, *cells))
        empty = all(column.rounded(row) is None for row in rows)
        if needed <= left and not empty:
            chosen.append(column)
            left -= needed
    return sorted(chosen, key=candidates.index)


def _runs(row: Row) -> list[dict[str, Any]]:
    return [{"seed": run.seed, "run_key": run.run_key, "command": run.command} for run in row.runs]


def _escaped(text: str) -> str:
    return text.translate(_LATEX)


_LATEX = str.maketrans(
    {sign: f"\\{sign}" for sign in "&%_#${}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
)
