r"""Write a board as LaTeX tables with booktabs: the best IoU in bold, those that may be as good underlined."""

import math
from collections.abc import Sequence

from benchmark.leaderboard.board import Board, Row, Table
from benchmark.leaderboard.columns import Column
from benchmark.leaderboard.formats import grids, wording

_BOLD, _UNDERLINED, _END = "\x02", "\x03", "\x04"
"""Placeholders for LaTeX commands: tabulate would escape the commands themselves."""


def latex(board: Board, chosen: Sequence[str] = ()) -> str:
    r"""Write the tables; a document needs `\usepackage{booktabs}` and `\usepackage{graphicx}`."""
    parts = [
        "% Made by: bench leaderboard. Needs \\usepackage{booktabs} and \\usepackage{graphicx}.\n"
        "% Bold: the highest IoU. Underlined: no ranked entry is significantly better.\n"
        + "\n".join(f"% {column.title}: {column.definition}" for column in wording.meanings(board, chosen))
    ]
    for table in board.tables:
        # The first part describes the table; the others do not repeat it.
        about = " ".join([". ".join(wording.about(table)) + ".", *wording.below(table), *wording.unranked(table)])
        for title, (columns, rows) in grids.parts(table, chosen).items():
            grid = grids.cells(columns, rows)
            body = grids.draw((grid[0], _marked(table, columns, rows, grid[1])), "latex_booktabs")
            caption = f"{table.heading}: {title.lower()}. {about if title == grids.SCORES else ''}".strip()
            caption += "".join(f" GFLOPs: {column.definition}." for column in columns if column.name == "gflops")
            parts.append(_float(_escaped(caption), body))
        if table.snr_bins and not chosen:
            body = grids.draw(grids.by_snr(table), "latex_booktabs")
            parts.append(_float(_escaped(f"{table.heading}: {wording.BY_SNR}"), body))
        parts.append("\\clearpage % LaTeX holds at most 52 floats back")
    if board.comparisons:
        lines = "\n".join(f"\\item {_escaped(wording.agreement(found))}" for found in board.comparisons)
        parts.append(f"{_escaped(wording.AGREEMENT)}\n\\begin{{itemize}}\n{lines}\n\\end{{itemize}}")
    if board.matrix:
        body = grids.draw(grids.generalisation(board.matrix), "latex_booktabs")
        parts.append(_float(_escaped(f"Trained here, tested there. {wording.GENERALISATION}"), body))
    parts.append(_float("Published elsewhere", grids.draw(grids.published(board), "latex_booktabs")))
    # Computer Modern has these signs in text only as a bitmap, or not at all.
    return "\n\n".join(parts).replace("±", r"$\pm$").replace("–", "--") + "\n"


def _float(caption: str, body: str) -> str:
    for mark, command in ((_BOLD, "\\textbf{"), (_UNDERLINED, "\\underline{"), (_END, "}")):
        body = body.replace(mark, command)
    width = "\\ifdim\\width>\\linewidth\\linewidth\\else\\width\\fi"  # do not enlarge a narrow table
    fitted = f"\\medskip\n\\resizebox{{{width}}}{{!}}{{%\n{body}}}"
    return f"\\begin{{table}}\n\\centering\n\\caption{{{caption}}}\n{fitted}\n\\end{{table}}"


def _marked(
    table: Table, columns: Sequence[Column], rows: Sequence[Row], cells: Sequence[Sequence[str]]
) -> list[list[str]]:
    scored = [row for row in table.rows if math.isfinite(row.scores.get("iou", math.nan))]
    best = max(scored, key=lambda row: row.scores["iou"], default=None)
    marks = [_BOLD if row is best else _UNDERLINED if row.ranks and row.ranks[0] == 1 else "" for row in rows]
    names = [column.name for column in columns]
    return [
        [f"{mark}{text}{_END}" if mark and name == "iou" else text for name, text in zip(names, texts, strict=True)]
        for mark, texts in zip(marks, cells, strict=True)
    ]


def _escaped(text: str) -> str:
    return text.translate(_LATEX)


_LATEX = str.maketrans(
    {sign: f"\\{sign}" for sign in "&%_#${}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
)
