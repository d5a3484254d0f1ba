"""Records -> tables -> formats, without torch and without a run."""

import csv
import io
import json
import re
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import put
from rich.console import Console

from benchmark import protocols, scores
from benchmark.common import files
from benchmark.leaderboard import columns, formats, tables
from benchmark.records import checksums, keys, schema, store
from benchmark.records.tables import write_csv

TEMPLATE: dict[str, Any] = {
    "schema": 1,
    "status": "finished",
    "run_key": "",
    "comparability_key": "a" * 64,
    "command": "bench run --arch net",
    "finished": "2026-01-01T00:00:00+00:00",
    "seed": 0,
    "protocol": {
        "name": "quick",
        "title": "Quick",
        "digest": "b" * 64,
        "revision": protocols.REVISION,
        "settings": {
            "image_size": [8, 8],
            "epochs": 3,
            "batch_size": 2,
            "optimiser": "adam",
            "learning_rate": 0.001,
            "loss": "bce",
            "weights": "none",
        },
        "overrides": {},
    },
    "dataset": {
        "label": "toy",
        "title": "Toy & co",
        "citation": "",
        "licence": "",
        "source_hash": "",
        "manifest": "c" * 64,
        "images": {"train": 4, "val": 2, "test": 6},
        "empty_masks": {"train": 0, "val": 0, "test": 1},
        "test_slices": {"main": 4, "ood": 2},
        "groups": {"species": {"relation": "disjoint", "counts": {"train": 2, "val": 1, "test": 1}}},
    },
    "architecture": {
        "name": "net",
        "label": "net",
        "parameters": {},
        "title": "Net_1 [bold]",
        "paper": "",
        "citation": "",
        "source_hash": "d" * 64,
        "weights": "random",
        "parameter_count": 1_500_000,
        "gflops": 2.0,
        "reported": [],
    },
    "device": {"kind": "CPU", "type": "cpu", "precision": "fp32", "threads": 2},
    "training": {"epochs": 3, "best_epoch": 2, "seconds": 10.0, "images_per_second": 5.0, "last_losses": [0.5]},
    "inference_images_per_second": 50.0,
    "peak_memory_bytes": 1_000_000_000,
    "environment": {},
}


def write_tables(results: Path) -> None:
    board = tables.build(results)
    for name, text in formats.files(board).items():
        (results / name).parent.mkdir(exist_ok=True)
        (results / name).write_text(text, encoding="utf-8")


def written(results: Path) -> dict[str, bytes]:
    found = [*results.glob("leaderboard.*"), *results.glob("tables/*.md")]
    return {path.relative_to(results).as_posix(): path.read_bytes() for path in found}


def write(
    results: Path, *, label: str = "net", seed: int = 0, hits: int = 6, key: str | None = None, **changes: Any
) -> Path:
    """A finished run whose images all have `hits` of 10 mask pixels and nothing else predicted."""
    content = json.loads(json.dumps(TEMPLATE))
    content["architecture"].update(name=label.partition(":")[0], label=label)
    content["seed"] = seed
    put(content, changes)
    content["run_key"] = keys.digest(
        {"label": label, "seed": seed, "key": key, **{k: str(v) for k, v in changes.items()}}
    )
    name = content["architecture"]["name"]
    folder = store.folder(results, "quick", "toy", name, content["run_key"])
    with files.atomic_folder(folder) as target:
        store.write_record(target, schema.Record.model_validate(content))
        rows = [
            [f"image-{index}", "ood" if index > 3 else "main", *_counts(hits - (2 if index > 3 else 0))]
            for index in range(6)
        ]
        write_csv(target / "images.csv", ["id", "slice", *scores.COUNT_COLUMNS], rows)
        checksums.write(target)
    return folder


def _counts(hits: int) -> list[int]:
    confusion = [hits, 0, 10 - hits, 54]
    return [*confusion, *confusion, 10, 0, 0, 54, 4, 4, 4, 4]


def test_one_table_per_key_one_row_per_entry(tmp_path: Path) -> None:
    write(tmp_path, hits=6)
    write(tmp_path, hits=8, seed=1)
    write(tmp_path, label="net:width=2", hits=9)
    write(tmp_path, label="other", hits=3, comparability_key="e" * 64)
    write(tmp_path, label="net", hits=5, device__kind="GPU")
    board = tables.build(tmp_path)
    assert {table.key[0]: [row.label for row in table.rows] for table in board.tables} == {
        "a": ["net:width=2", "net (CPU)", "net (GPU)"],
        "e": ["other"],
    }
    row = board.tables[0].rows[1]
    assert len(row.runs) == 2
    assert row.scores["iou"] == pytest.approx(0.7)
    assert row.iou_deviation == pytest.approx(np.std([0.6, 0.8], ddof=1))
    assert row.slice_scores["ood"]["iou"] == pytest.approx(0.5)


def test_for_one_seed_the_newest_finished_run_counts(tmp_path: Path) -> None:
    write(tmp_path, hits=3, key="old")
    write(tmp_path, hits=9, key="new", finished="2026-01-02T00:00:00+00:00")
    write(tmp_path, key="broken", status="diverged", message="no", finished="2026-01-03T00:00:00+00:00")
    (row,) = tables.build(tmp_path).tables[0].rows
    assert (len(row.runs), row.status) == (1, "finished")
    assert row.scores["iou"] == pytest.approx(0.9)


def test_an_entry_that_only_diverged_is_shown_last(tmp_path: Path) -> None:
    write(tmp_path, label="lost", status="diverged", message="the loss was not finite in epoch 2")
    write(tmp_path, label="net", hits=3)
    board = tables.build(tmp_path)
    assert [row.label for row in board.tables[0].rows] == ["net", "lost"]
    text = "\n".join(formats.pages(board).values())
    assert "lost, seed 0: diverged. the loss was not finite in epoch 2." in text


def test_a_seed_that_diverged_does_not_vanish(tmp_path: Path) -> None:
    write(tmp_path, hits=7)
    write(tmp_path, hits=7, seed=1)
    write(tmp_path, seed=2, status="diverged", message="too bold")
    board = tables.build(tmp_path)
    text = "\n".join(formats.pages(board).values())
    assert "2 of 3" in text
    assert "net, seed 2: diverged. too bold." in text
    assert board.tables[0].rows[0].scores["iou"] == pytest.approx(0.7)


def test_rows_of_one_label_say_what_tells_them_apart(tmp_path: Path) -> None:
    write(tmp_path, hits=7)
    write(tmp_path, hits=3, architecture__source_hash="f" * 64)
    write(tmp_path, hits=2, architecture__source_hash="f" * 64, device__kind="GPU")
    labels = [row.label for row in tables.build(tmp_path).tables[0].rows]
    assert labels == ["net (CPU, source dddddd)", "net (CPU, source ffffff)", "net (GPU, source ffffff)"]


def test_every_format_says_the_same_and_says_it_again(tmp_path: Path) -> None:
    write(tmp_path, label="net:width=2", hits=7)
    write(tmp_path, label="u_net", hits=6, architecture__reported=[
        {
            "dataset": "d", "split": "test", "metric": "IoU", "value": 62.25, "source": "A | B, Table 1",
            "comparable": "no: other data",
        }
    ])  # fmt: skip
    write_tables(tmp_path)
    first = written(tmp_path)
    files = {"leaderboard.md", "leaderboard.csv", "leaderboard.tex", "leaderboard.json"}
    assert set(first) == files | {f"tables/{name}.md" for name in ("quick", "columns", "published")}
    write_tables(tmp_path)
    assert first == written(tmp_path)

    rows = list(csv.DictReader(io.StringIO(first["leaderboard.csv"].decode())))
    assert [(row["architecture"], row["iou"], row["iou_ood"], row["iou_sd"]) for row in rows] == [
        ("net:width=2", "70.00", "50.00", ""),
        ("u_net", "60.00", "40.00", ""),
    ]
    parsed = json.loads(first["leaderboard.json"])["tables"][0]["rows"]
    assert [(row["architecture"], row["iou"], row["published_iou"]) for row in parsed] == [
        ("net:width=2", 70.0, None),
        ("u_net", 60.0, 62.25),
    ]
    markdown, tex = (
        "".join(first[f"tables/{name}.md"].decode() for name in ("quick", "published")),
        first["leaderboard.tex"].decode(),
    )
    assert "A \\| B, Table 1" in markdown
    assert "no: other data" in markdown
    assert "u\\_net" in tex
    assert "\\toprule" in tex
    assert "Toy \\& co" in tex
    for text in (markdown, tex):
        assert "70.00" in text
        assert "62.25" in text


@pytest.mark.parametrize("width", [40, 80, 120, 300])
def test_the_terminal_shows_whole_columns_at_any_width(tmp_path: Path, width: int) -> None:
    write(tmp_path, label="net:width=2")
    console = Console(width=width, file=io.StringIO(), highlight=False)
    formats.print_terminal(tables.build(tmp_path), console)
    text = console.file.getvalue()
    assert "…" not in text
    assert "net:width=2" in text
    assert "IoU (%)" in text
    assert "60.00" in text


def test_column_names_are_unique(tmp_path: Path) -> None:
    write(tmp_path)
    names = [column.name for column in columns.of(tables.build(tmp_path).tables[0])]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("file", "text", "problem"),
    [
        ("run.json", None, "has no run.json"),
        ("run.json", "{", "is not a record of schema 1"),
        ("run.json", '{"schema": 2}', r"is not a record of schema 1 \(schema"),
        ("images.csv", None, "images.csv cannot be used"),
        ("images.csv", "id,slice\n", "images.csv cannot be used: column tp is missing"),
        ("images.csv", "id,slice,tp\na,main,many\n", "images.csv cannot be used"),
        ("images.csv", "first line only", "images.csv cannot be used: it has {'main': 1} images, the record says"),
    ],
)
def test_a_broken_record_is_named_and_the_others_count(
    tmp_path: Path, file: str, text: str | None, problem: str
) -> None:
    write(tmp_path, label="good")
    broken = write(tmp_path, label="broken") / file
    if text == "first line only":
        text = "".join(broken.read_text().splitlines(keepends=True)[:2])
    broken.unlink() if text is None else broken.write_text(text)
    board = tables.build(tmp_path)
    assert [row.label for row in board.tables[0].rows] == ["good"]
    (line,) = board.problems
    assert str(broken.parent) in line
    assert re.search(problem, line)


def test_a_run_folder_is_whole_or_not_there(tmp_path: Path) -> None:
    path = tmp_path / "run"

    class StopError(Exception):
        pass

    def fail() -> None:
        with files.atomic_folder(path) as target:
            (target / "run.json").write_text("{")
            raise StopError

    with pytest.raises(StopError):
        fail()
    assert list(tmp_path.iterdir()) == []
    for text in ("first", "second"):
        with files.atomic_folder(path) as target:
            (target / "run.json").write_text(text)
        assert [(entry.name, (entry / "run.json").read_text()) for entry in tmp_path.iterdir()] == [("run", text)]


def test_a_leftover_of_a_killed_run_is_passed_over(tmp_path: Path) -> None:
    folder = write(tmp_path)
    leftover = folder.parent / ".tmp-123-4"
    leftover.mkdir()
    (leftover / "run.json").write_text("{")
    board = tables.build(tmp_path)
    assert board.problems == ()
    assert len(board.tables[0].rows) == 1


def test_the_leaderboard_needs_no_torch(tmp_path: Path) -> None:
    write(tmp_path)
    code = (
        "import sys\n"
        "class NoTorch:\n"
        "    def find_spec(self, name, *rest):\n"
        "        if name.split('.')[0] == 'torch': raise ImportError('torch was asked for')\n"
        "sys.meta_path.insert(0, NoTorch())\n"
        "from benchmark.cli import main\n"
        f"main(['leaderboard', '--results', {str(tmp_path)!r}])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "60.0" in done.stdout


def test_the_committed_leaderboard_is_what_the_committed_records_give(tmp_path: Path) -> None:
    """Nobody edited it by hand. Read from the last commit, so that runs of one's own do not matter."""
    root = Path(__file__).parent.parent
    archive = subprocess.run(["git", "archive", "HEAD", "results"], cwd=root, capture_output=True, check=False)
    if archive.returncode != 0:
        pytest.skip("this is no git checkout with results")
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
        files.extractall(tmp_path, filter="data")
    committed = written(tmp_path / "results")
    board = tables.build(tmp_path / "results")
    assert board.tables
    assert board.problems == ()
    write_tables(tmp_path / "results")
    assert written(tmp_path / "results") == committed
