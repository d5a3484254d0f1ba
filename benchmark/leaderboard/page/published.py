"""The published numbers as one table: a row per system, a column per score, the caveats as numbered notes."""

from collections.abc import Sequence
from typing import Any

from benchmark.leaderboard.board import Published
from benchmark.leaderboard.formats import wording


def published(found: Sequence[Published]) -> dict[str, Any]:
    """`metrics`, `rows` and `notes`. A cell has (test, validation, number of the note) for each source of a number."""
    metrics = list(dict.fromkeys(one.number.metric for one in found))
    notes: dict[tuple[str, str, str], int] = {}
    cells: dict[tuple[str, str, int], dict[str, str]] = {}
    for one in found:
        number = one.number
        note = notes.setdefault((number.dataset, number.source, number.comparable), len(notes) + 1)
        cells.setdefault((one.title, number.metric, note), {})[number.split] = f"{number.value:.1f}"
    rows = [
        (
            title,
            [
                [
                    (splits.get("test", "–"), splits.get("validation", "–"), note)
                    for (system, score, note), splits in cells.items()
                    if (system, score) == (title, metric)
                ]
                for metric in metrics
            ],
        )
        for title in sorted({one.title for one in found}, key=str.casefold)
    ]
    texts = [
        f"{source}, on {dataset}. {_sentence(wording.caveat(comparable))}." for dataset, source, comparable in notes
    ]
    return {"metrics": metrics, "rows": rows, "notes": texts}


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
