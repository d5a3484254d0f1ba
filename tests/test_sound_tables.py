"""Sound scores on the leaderboard: means, references, intervals by SNR; against brute force."""

import json
from pathlib import Path

import numpy as np
import pytest
from test_leaderboard import TEMPLATE, _counts

from benchmark import scores
from benchmark.common import files
from benchmark.leaderboard import formats, tables
from benchmark.records import checksums, keys, schema, store
from benchmark.records.tables import write_csv
from benchmark.scores import intervals, separation

COUNT = 60


def write_runs(results: Path, *, seeds: int = 1, manifest: bool = True) -> dict[str, np.ndarray]:
    """Runs of an entry on 48 images of slice main and 12 of slice call, in 8 songs and 6 backgrounds, one silent."""
    random = np.random.default_rng(0)
    snr = random.uniform(-5, 15, COUNT)
    slices = np.array(["main"] * 48 + ["call"] * 12)
    noisy = snr - 1
    gains = []
    for seed in range(seeds):
        content = json.loads(json.dumps(TEMPLATE))
        content.update(seed=seed, run_key=keys.digest({"seed": seed}))
        content["dataset"].update(
            images={"train": 4, "val": 2, "test": COUNT},
            test_slices={"main": 48, "call": 12},
            slices={
                "main": {"groups": {"song": 8, "bird": 1}, "unseen": {"song": 48, "bird": 0}},
                "call": {"groups": {"song": 2, "bird": 2}, "unseen": {"song": 12, "bird": 5}},
            },
        )
        gain = 5 - 0.2 * snr + random.normal(0, 1, COUNT)
        gain[7] = np.nan  # silence has no SI-SDR
        gains.append(gain)
        columns = {"sisdr": noisy + gain, "sisdr_noisy": noisy, "sdr": noisy + gain / 2, "sdr_noisy": noisy}
        columns |= {"sdr_dvad": np.full(COUNT, 7.0), "song_kept": np.full(COUNT, -1.0), "noise_left": -10 - gain}
        target = store.folder(results, "quick", "toy", "net", content["run_key"])
        with files.atomic_folder(target) as folder:
            store.write_record(folder, schema.Record.model_validate(content))
            rows = [
                [f"i{i}", slices[i], *_counts(6), *(f"{columns[name][i]:.4f}" for name in scores.SOUND_COLUMNS)]
                for i in range(COUNT)
            ]
            write_csv(folder / "images.csv", ["id", "slice", *scores.COUNT_COLUMNS, *scores.SOUND_COLUMNS], rows)
            checksums.write(folder)
    songs, backgrounds = np.array([f"s{i % 8}" for i in range(COUNT)]), np.array([f"b{i % 6}" for i in range(COUNT)])
    if manifest:
        lines = [
            json.dumps(
                {
                    "split": "test",
                    "id": f"i{i}",
                    "slice": str(slices[i]),
                    "groups": {"song": songs[i], "background": backgrounds[i]},
                    "strata": {"snr_db": snr[i]},
                    "height": 8,
                    "width": 8,
                    "foreground": 10,
                    "image_sha256": "",
                    "mask_sha256": "",
                }
            )
            for i in range(COUNT)
        ]
        path = store.manifest_path(results, content["dataset"]["manifest"])
        path.parent.mkdir(parents=True)
        path.write_text("\n".join(lines) + "\n")
        references = store.references_path(results, content["dataset"]["manifest"], content["protocol"]["revision"])
        references.parent.mkdir(parents=True)
        names = [f"{name}_{score}" for name in ("truth_mask", "all_foreground") for score in separation.LIMITS]
        header = ["id", "slice", *names]
        rows = [
            [f"i{i}", slices[i], noisy[i] + 10, noisy[i] + 9, -1, -20, f"{noisy[i]:.4f}", f"{noisy[i]:.4f}", 0, 0]
            for i in range(COUNT)
        ]
        write_csv(references, header, rows)
    return {
        "gain": np.mean(gains, axis=0),
        "gains": np.array(gains),
        "snr": snr,
        "main": slices == "main",
        "song": songs,
        "back": backgrounds,
    }


def test_means_references_and_intervals(tmp_path: Path) -> None:
    data = write_runs(tmp_path, seeds=3)
    board = tables.build(tmp_path)
    assert board.problems == ()
    (table,) = board.tables
    (row,) = table.rows
    main = data["main"]
    assert row.scores["sisdr_improvement"] == pytest.approx(np.nanmean(data["gain"][main]), abs=1e-3)
    assert row.scores["sdr_improvement"] == pytest.approx(np.nanmean(data["gain"][main]) / 2, abs=1e-3)
    assert row.scores["sdr_dvad"] == 7
    assert row.scores["song_kept"] == -1
    worse = (data["gains"] < -0.01)[:, main] * 1.0
    worse[:, ~np.isfinite(data["gain"][main])] = np.nan
    assert row.scores["harm"] == pytest.approx(np.nanmean(worse), abs=1e-6)
    assert [reference.scores["noise_left"] for reference in table.references] == [-20, 0]
    assert [reference.scores["harm"] for reference in table.references] == [0, 0]
    assert row.slice_scores["call"]["sisdr_improvement"] == pytest.approx(np.nanmean(data["gain"][~main]), abs=1e-3)
    assert [reference.label for reference in table.references] == ["truth_mask", "all_foreground"]
    assert table.references[0].scores["sisdr_improvement"] == pytest.approx(10, abs=1e-3)
    assert table.references[1].scores["sisdr_improvement"] == pytest.approx(0, abs=1e-3)
    assert table.snr_bins == (-5, 0, 5, 10)
    for low, found in zip(table.snr_bins, row.by_snr, strict=True):
        inside = main & (data["snr"] >= low) & (data["snr"] < low + 5) & np.isfinite(data["gain"])
        assert found is not None
        assert found.images == inside.sum()
        assert found.mean == pytest.approx(data["gain"][inside].mean(), abs=1e-3)
        labels = [data["song"][inside], data["back"][inside]]
        if intervals.obstacle(3, labels):
            assert found.half_width is None
            continue
        expected = intervals.means([data["gains"][:, inside]], labels)[0]
        assert found.half_width == pytest.approx(expected.half_width(), abs=1e-3)


def test_every_format_shows_them(tmp_path: Path) -> None:
    write_runs(tmp_path)
    board = tables.build(tmp_path)
    pages = formats.pages(board)
    markdown = pages["quick"] + pages["columns"]
    assert "## SI-SDR gain (dB) by input SNR, with 95 % intervals (none for" in markdown
    assert "| truth_mask" in markdown
    assert "- **phase_sensitive**: " in markdown
    assert "slice main: 48 images, song 8, bird 1; new to the network: song in 48 of them\n" in markdown
    assert (
        "slice call: 12 images, song 2, bird 2; new to the network: song in 12 of them, bird in 5 of them\n" in markdown
    )
    latex = formats.latex(board)
    assert r"truth\_mask" in latex
    content = json.loads(formats.as_json(board))
    (table,) = content["tables"]
    assert table["references"][0]["sisdr_improvement"] == 10
    assert [entry["low"] for entry in table["rows"][0]["by_snr"]] == [-5, 0, 5, 10]
    assert "sisdr_improvement" in formats.csv(board).splitlines()[0]


def test_references_of_other_images_are_not_believed(tmp_path: Path) -> None:
    write_runs(tmp_path)
    (path,) = (tmp_path / "references").iterdir()
    header, *lines = path.read_text().splitlines()
    path.write_text("\n".join([header, *reversed(lines)]) + "\n")
    board = tables.build(tmp_path)
    assert "has other images than the manifest" in board.problems[0]
    assert board.tables[0].references == ()


def test_without_the_manifest_the_rest_stands_and_a_line_says_so(tmp_path: Path) -> None:
    write_runs(tmp_path, manifest=False)
    board = tables.build(tmp_path)
    assert len(board.problems) == 1
    assert "no references and no scores by SNR" in board.problems[0]
    assert "sisdr_improvement" in board.tables[0].rows[0].scores
