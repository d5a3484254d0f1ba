"""Write a board as CSV and as JSON, for other programs."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from benchmark.leaderboard import columns
from benchmark.leaderboard.board import Board, Interval, Matrix, Row, Table
from benchmark.leaderboard.columns import Column
from benchmark.leaderboard.formats import wording
from benchmark.leaderboard.strata import Stratum
from benchmark.leaderboard.verdict import verdict


def csv(board: Board, chosen: Sequence[str] = ()) -> str:
    """Write one line per row of every table; the first columns name the table."""
    import pandas as pd

    lines = [
        {
            "table": table.key[:12],
            "protocol": _inert(table.head.protocol.name),
            "dataset": _inert(table.head.dataset.label),
            **{column.name: _cell(column, row) for column in shown},
            **({} if chosen else {"not_ranked": row.unranked}),
        }
        for table, shown in ((table, _shown(table, chosen)) for table in board.tables)
        for row in (*table.rows, *(() if chosen else table.references))
    ]
    return str(pd.DataFrame(lines).to_csv(index=False, lineterminator="\n"))


def _cell(column: Column, row: Row) -> str:
    value = column.rounded(row)
    if value is None:
        return ""
    return _inert(value) if isinstance(value, str) else column.written(value)


def _inert(text: str) -> str:
    """Put an apostrophe before a text that a spreadsheet would compute."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text


def as_json(board: Board, chosen: Sequence[str] = ()) -> str:
    """Write tables with protocol, dataset and rows; numbers rounded as in the other formats, null where undefined."""
    content = {
        "tables": [
            {
                "key": table.key,
                "title": table.heading,
                "verdict": verdict(table),
                "protocol": table.head.protocol.model_dump(),
                "dataset": table.head.dataset.model_dump(),
                "units": list(table.images.kinds) if table.images else [],
                "rows": [_row(row, table, _shown(table, chosen)) for row in table.rows],
                "references": [
                    {
                        "name": row.label,
                        **{
                            column.name: column.rounded(row)
                            for column in _shown(table, chosen)
                            if column.group == "sounds"
                        },
                        "by_snr": _strata(table.images.by_snr(), row.by_snr, 1.0) if table.images else [],
                    }
                    for row in table.references
                ],
            }
            for table in board.tables
        ],
        "agreement": [
            {
                "tables": [found.first, found.second],
                **{
                    name: round(value, 3) if isinstance(value, float) else value
                    for name, value in asdict(found.agreement).items()
                },
            }
            for found in board.comparisons
        ],
        "generalisation": _matrix(board.matrix),
        "published": [{"title": entry.title, **asdict(entry.number)} for entry in board.published],
        "columns": {column.name: column.definition for column in wording.meanings(board, chosen)},
    }
    return _laid_out(content, 4) + "\n"


def _laid_out(value: Any, levels: int) -> str:
    """JSON with a line for each row of a table; the indentation of Python's own encoder takes many times longer."""
    if not levels or not value or not isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, list):
        return "[\n" + ",\n".join(_laid_out(item, levels - 1) for item in value) + "\n]"
    items = (f"{json.dumps(name, ensure_ascii=False)}: {_laid_out(item, levels - 1)}" for name, item in value.items())
    return "{\n" + ",\n".join(items) + "\n}"


def _matrix(matrix: Matrix | None) -> list[dict[str, Any]]:
    """An object per row and test: mean IoU in per cent."""
    return [
        {
            "trained_on": row.trained_on,
            "architecture": row.entry,
            "tested_on": test,
            "iou": None if math.isnan(cell.iou) else round(100 * cell.iou, 2),
            "seeds": cell.seeds,
            "at_home": cell.at_home,
            "leakage": cell.leaking,
        }
        for row in (matrix.rows if matrix else ())
        for test, cell in zip(matrix.tests if matrix else (), row.cells, strict=True)
        if cell is not None
    ]


def _shown(table: Table, chosen: Sequence[str]) -> list[Column]:
    return columns.chosen(table, chosen) if chosen else columns.of(table)


def _row(row: Row, table: Table, shown: Sequence[Column]) -> dict[str, Any]:
    strata = {"snr": table.images.by_snr(), "area": table.images.by_area()} if table.images and row.aligned else {}
    return {
        **{column.name: column.rounded(row) for column in shown},
        "ranks": row.ranks,
        "interval": _limits(row),
        "not_ranked": row.unranked or None,
        **({"by_snr": _strata(strata["snr"], row.by_snr, 1.0)} if row.by_snr else {}),
        **{f"iou_by_{kind}": _strata(strata[kind], found, 100.0) for kind, found in row.strata.items() if found},
        "runs": [{"seed": run.seed, "run_key": run.run_key, "command": run.command} for run in row.runs],
    }


def _limits(row: Row) -> list[float] | None:
    """The 95 % interval of the mean IoU in per cent."""
    if row.interval is None:
        return None
    half = row.interval.half_width()
    return [round(100 * (row.interval.mean + sign * half), 2) for sign in (-1, 1)]


def _strata(strata: Sequence[Stratum], found: Sequence[Interval | None], scale: float) -> list[dict[str, Any]]:
    return [
        {
            "stratum": stratum.title,
            "low": round(stratum.low, 4),
            "mean": round(scale * value.mean, 2) if value else None,
            "half_width": round(scale * value.half_width, 2) if value and value.half_width is not None else None,
            "images": value.images if value else 0,
        }
        for stratum, value in zip(strata, found, strict=True)
    ]
