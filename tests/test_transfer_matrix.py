"""Trained here, tested there: transfers beside the tables."""

import json
from pathlib import Path

import pytest
from helpers import Bench
from test_leaderboard import TEMPLATE, _counts, write

from benchmark import scores
from benchmark.leaderboard import formats, tables
from benchmark.records import checksums, schema, store, transfers
from benchmark.records.tables import write_csv


def carry(results: Path, run: Path, *, hits: int, digest: str = "9" * 64, label: str = "wild:x=1") -> Path:
    """A run's transfer to two images of slice main and one of slice far, `hits` of ten pixels found (far: one less)."""
    own = store.read(run)
    data = {**TEMPLATE["dataset"], "label": label, "manifest": digest, "test_slices": {"main": 2, "far": 1}}
    made = transfers.TransferRecord(
        run_key=own.run_key,
        run_sums=checksums.digest(run / checksums.NAME),
        architecture=own.architecture.label,
        seed=own.seed,
        source_hash=own.architecture.source_hash,
        trained_on=transfers.trained_on(own),
        tested_on=schema.DatasetRecord.model_validate(data),
        protocol_digest="8" * 64,
        revision=1,
        settings=own.protocol.settings,
        leakage={},
        command="bench transfer",
        finished="2026-01-01T00:00:00+00:00",
        device=own.device,
        images_per_second=1.0,
        environment={},
    )
    path = transfers.folder(results, own.run_key, digest)
    path.mkdir(parents=True)
    transfers.write(path, made)
    rows = [[f"i{i}", "far" if i == 2 else "main", *_counts(hits - (i == 2))] for i in range(3)]
    write_csv(path / "images.csv", ["id", "slice", *scores.COUNT_COLUMNS], rows)
    return path


def test_every_entry_with_a_transfer_on_every_test(tmp_path: Path) -> None:
    for seed, hits in ((0, 8), (1, 6)):
        carry(tmp_path, write(tmp_path, label="net", hits=hits, seed=seed), hits=4 + seed)
    write(tmp_path, label="stayed_at_home")
    elsewhere = write(tmp_path, label="net", hits=9, comparability_key="e" * 64, dataset__manifest="9" * 64,
                      dataset__label="wild:x=1")  # fmt: skip
    carry(tmp_path, elsewhere, hits=2, digest="c" * 64, label="toy")
    board = tables.build(tmp_path)
    assert board.problems == ()
    assert board.matrix is not None
    assert board.matrix.tests == ("toy", "toy, ood", "wild", "wild, ood", "toy, far", "wild, far")
    found = {row.trained_on: [cell and (round(cell.iou, 3), cell.seeds, cell.at_home) for cell in row.cells]
             for row in board.matrix.rows}  # fmt: skip
    assert found == {
        "quick on toy": [(0.7, 2, True), (0.5, 2, True), (0.45, 2, False), None, None, (0.35, 2, False)],
        "quick on wild": [(0.2, 1, False), None, (0.9, 1, True), (0.7, 1, True), (0.1, 1, False), None],
    }


def test_every_format_shows_it(tmp_path: Path) -> None:
    carry(tmp_path, write(tmp_path, label="net", hits=8), hits=4)
    board = tables.build(tmp_path)
    line = next(line for line in formats.pages(board)["across"].splitlines() if line.startswith("| quick on toy"))
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells == ["quick on toy", "net", "(80.00)", "(60.00)", "40.00", "30.00"]
    assert "## Trained here, tested there" in formats.pages(board)["across"]
    assert "(80.00)" in formats.latex(board)
    cells = json.loads(formats.as_json(board))["generalisation"]
    assert [(cell["tested_on"], cell["iou"], cell["at_home"]) for cell in cells] == [
        ("toy", 80.0, True),
        ("toy, ood", 60.0, True),
        ("wild", 40.0, False),
        ("wild, far", 30.0, False),
    ]


def test_without_transfers_nothing_is_said(tmp_path: Path) -> None:
    write(tmp_path)
    board = tables.build(tmp_path)
    assert board.matrix is None
    assert "across" not in formats.pages(board)


@pytest.mark.parametrize("file", ["transfer.json", "images.csv"])
def test_a_broken_transfer_is_named_and_the_rest_stands(tmp_path: Path, bench: Bench, file: str) -> None:
    path = carry(tmp_path, write(tmp_path), hits=4)
    (path / file).write_text("{")
    board = tables.build(tmp_path)
    assert len(board.tables) == 1
    (line,) = board.problems
    assert str(path / file) in line
    ran = bench("leaderboard", "--results", tmp_path)
    assert ran.code == 0
    assert str(path / file) in ran.err


def test_what_was_trained_anew_since_is_not_shown(tmp_path: Path) -> None:
    run = write(tmp_path, label="net", hits=8)
    carry(tmp_path, run, hits=4)
    (run / checksums.NAME).write_text("another training")
    board = tables.build(tmp_path)
    assert board.matrix is None
    (line,) = board.problems
    assert "bench transfer --force" in line


def test_leakage_and_missing_seeds_are_said(tmp_path: Path) -> None:
    runs = [write(tmp_path, label="net", hits=8, seed=seed) for seed in range(2)]
    path = carry(tmp_path, runs[0], hits=4)
    made = json.loads((path / transfers.NAME).read_text())
    (path / transfers.NAME).write_text(json.dumps({**made, "leakage": {"recording": 1}}))
    assert "40.00 [1/2], leakage" in formats.pages(tables.build(tmp_path))["across"]
