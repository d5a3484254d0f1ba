"""Rank sets and intervals in tables, the reasons why there are none, and the agreement of two tables."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from records import Data, recordings, write_entry, write_manifest
from rich.console import Console

from benchmark.leaderboard import formats, tables
from benchmark.leaderboard.board import Row
from benchmark.scores import intervals

REASON_GROUPS = "4 independent groups, fewer than 5"
REASON_SEEDS = "1 seed, fewer than 2"
REASON_MANIFEST = "the manifest of the data is missing or has other images"
REASON_LOST = "seed 3: diverged; the mean over the other seeds is too good"


def noisy(middle: float, random: np.random.Generator, seeds: int = 3, count: int = 48) -> NDArray[np.float64]:
    return np.clip(middle + 0.01 * random.normal(size=(seeds, 1)) + 0.05 * random.normal(size=(seeds, count)), 0, 1)


def store(results: Path, data: Data, *, seeds: int = 3, **changes: Any) -> dict[str, NDArray[np.float64]]:
    """One entry that is clearly better, and two twins."""
    random = np.random.default_rng(0)
    middles = {"best": 0.9, "twin-a": 0.6, "twin-b": 0.6}
    count = len(data.slices)
    return {
        label: write_entry(results, data, label, noisy(middle, random, seeds, count), **changes)
        for label, middle in middles.items()
    }


def rows(results: Path) -> dict[str, Row]:
    (table,) = tables.build(results).tables
    return {row.label: row for row in table.rows}


def terminal(results: Path) -> str:
    console = Console(width=200, file=io.StringIO(), highlight=False)
    formats.print_terminal(tables.build(results), console)
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_the_clearly_better_is_first_and_twins_share_their_ranks(tmp_path: Path) -> None:
    data = recordings(48, 6)
    write_manifest(tmp_path, data)
    values = store(tmp_path, data)
    found = rows(tmp_path)
    assert {label: row.ranks for label, row in found.items()} == {"best": (1, 1), "twin-a": (2, 3), "twin-b": (2, 3)}
    labels = data.labels(data.main)
    for label, row in found.items():
        expected = intervals.means([values[label]], labels)[0]
        assert row.interval is not None
        assert row.interval.mean == pytest.approx(row.scores["iou"])
        assert row.interval.half_width() == pytest.approx(expected.half_width())
        assert row.unranked == ""


def test_images_of_other_slices_and_empty_masks_do_not_rank(tmp_path: Path) -> None:
    data = recordings(48, 6, other=12)
    write_manifest(tmp_path, data)
    random = np.random.default_rng(1)
    ious = noisy(0.6, random, 3, 60)
    ious[:, 3] = np.nan
    ious = write_entry(tmp_path, data, "net", ious)
    inside = data.main & np.isfinite(ious[0])
    expected = intervals.means([ious[:, inside]], data.labels(inside))[0]
    found = rows(tmp_path)["net"].interval
    assert found is not None
    assert (found.mean, found.error) == (pytest.approx(expected.mean), pytest.approx(expected.error))


@pytest.mark.parametrize(
    ("reason", "case"),
    [
        (REASON_GROUPS, {"units": 4}),
        (REASON_SEEDS, {"seeds": 1}),
        (REASON_MANIFEST, {"manifest": False}),
        (REASON_MANIFEST, {"manifest": "of other images"}),
        (REASON_LOST, {"lost": (3,)}),
    ],
)
def test_what_cannot_be_ranked_says_why_in_every_format(tmp_path: Path, reason: str, case: dict[str, Any]) -> None:
    data = recordings(48, case.get("units", 6))
    manifest = case.get("manifest", True)
    if manifest:
        write_manifest(tmp_path, recordings(6, 6) if manifest == "of other images" else data)
    store(tmp_path, data, seeds=case.get("seeds", 3), lost=case.get("lost", ()))
    found = rows(tmp_path)
    assert {(row.ranks, row.interval, row.unranked) for row in found.values()} == {(None, None, reason)}
    board = tables.build(tmp_path)
    assert f"Not ranked ({reason}): best, twin-" in "\n".join(formats.pages(board).values())
    assert f"Not ranked ({reason}): best, twin-" in formats.latex(board)
    assert f"Not ranked ({reason}): best, twin-" in " ".join(terminal(tmp_path).split())
    for line in csv.DictReader(io.StringIO(formats.csv(board))):
        assert (line["rank"], line["iou_half_width"], line["not_ranked"]) == ("", "", reason)
    for row in json.loads(formats.as_json(board))["tables"][0]["rows"]:
        assert (row["rank"], row["ranks"], row["interval"], row["not_ranked"]) == (None, None, None, reason)


def test_of_an_entry_that_only_diverged_nothing_is_ranked_and_the_others_are(tmp_path: Path) -> None:
    data = recordings(48, 6)
    write_manifest(tmp_path, data)
    store(tmp_path, data)
    write_entry(tmp_path, data, "lost", np.full((1, 48), 0.5), status="diverged", message="too bold")
    found = rows(tmp_path)
    assert found["lost"].unranked == "diverged, no seed finished"
    assert found["best"].ranks == (1, 1)


def test_an_entry_without_parameters_needs_one_seed_only(tmp_path: Path) -> None:
    data = recordings(48, 6)
    write_manifest(tmp_path, data)
    store(tmp_path, data)
    random = np.random.default_rng(2)
    write_entry(tmp_path, data, "floor", noisy(0.1, random, 1), architecture__parameter_count=0)
    write_entry(tmp_path, data, "trained-once", noisy(0.1, random, 1))
    found = rows(tmp_path)
    assert (found["floor"].ranks, found["floor"].unranked) == ((4, 4), "")
    assert (found["trained-once"].ranks, found["trained-once"].unranked) == (None, REASON_SEEDS)
    assert found["best"].ranks == (1, 1)


# ---------------------------------------------------------------- agreement


def two_tables(results: Path, orders: tuple[list[float], list[float]], *, floors: int = 0, once: int = 0) -> None:
    """Tables of protocols first and second, where entry i has those IoUs; `floors` more have nothing to train.

    The first `once` are trained once in the second table, all else twice.
    """
    data = recordings(6, 6)
    for name, key, ious in zip(("first", "second"), "ab", orders, strict=True):
        for index, iou in enumerate([*ious, *([0.01] * floors)]):
            parameters = 0 if index >= len(ious) else 1_000
            seeds = 1 if name == "second" and index < once else 2
            write_entry(
                results, data, f"net-{index}", np.full((seeds, 6), iou), architecture__parameter_count=parameters,
                comparability_key=key * 64, protocol__name=name,
            )  # fmt: skip


def test_two_tables_of_five_trained_entries_say_how_far_they_agree(tmp_path: Path) -> None:
    two_tables(tmp_path, ([0.9, 0.8, 0.7, 0.6, 0.5], [0.9, 0.8, 0.7, 0.5, 0.6]), floors=2)
    board = tables.build(tmp_path)
    (found,) = board.comparisons
    assert (found.first, found.second) == ("first on toy", "second on toy")
    assert (found.agreement.entries, found.agreement.tau) == (5, pytest.approx(0.8))  # one of ten pairs out of order
    line = "first on toy and second on toy have 5 entries in common; Kendall's tau is 0.80 ("
    assert line in "\n".join(formats.pages(board).values())
    assert line in terminal(tmp_path)
    (written,) = json.loads(formats.as_json(board))["agreement"]
    assert (written["tables"], written["tau"], written["entries"]) == (["first on toy", "second on toy"], 0.8, 5)


def test_floors_do_not_count_and_four_are_too_few(tmp_path: Path) -> None:
    two_tables(tmp_path, ([0.9, 0.8, 0.7, 0.6], [0.9, 0.8, 0.7, 0.6]), floors=3)
    assert tables.build(tmp_path).comparisons == ()


def test_an_entry_with_one_seed_does_not_count(tmp_path: Path) -> None:
    """Where it stands is luck: five entries in common, of which one was trained once, are four."""
    two_tables(tmp_path, ([0.9, 0.8, 0.7, 0.6, 0.5], [0.9, 0.8, 0.7, 0.6, 0.5]), once=1)
    assert tables.build(tmp_path).comparisons == ()


def test_an_entry_of_two_sources_is_not_counted_twice(tmp_path: Path) -> None:
    """Only what is the same in both tables is paired."""
    two_tables(tmp_path, ([0.9, 0.8, 0.7, 0.6], [0.9, 0.8, 0.7, 0.6]))
    write_entry(
        tmp_path, recordings(6, 6), "net-0", np.full((2, 6), 0.2), architecture__source_hash="e" * 64,
        comparability_key="a" * 64, protocol__name="first",
    )  # fmt: skip
    assert tables.build(tmp_path).comparisons == ()
