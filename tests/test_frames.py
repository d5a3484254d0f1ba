"""`benchmark.results`, `images`, `masks` and `load`: what a notebook gets of a run."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from benchmark.datasets import synthetic
from helpers import SMALL

import benchmark
from benchmark.common.errors import UserError
from benchmark.leaderboard import tables
from benchmark.records import archives, store

COMMITTED = Path(__file__).parent.parent / "results"


def test_nothing_heavy_is_imported_before_it_is_needed() -> None:
    code = (
        "import sys, benchmark\n"
        "assert {'results', 'images', 'masks', 'load'} <= set(benchmark.__all__)\n"
        "assert not {'torch', 'pandas', 'numpy'} & set(sys.modules)\n"
        "frame = benchmark.results(sys.argv[1])\n"
        "benchmark.images(frame.path[0]), benchmark.masks(frame.path[0])\n"
        "assert 'torch' not in sys.modules\n"
    )
    ran = subprocess.run([sys.executable, "-c", code, str(COMMITTED)], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr


def test_the_rows_are_those_of_the_tables() -> None:
    frame = benchmark.results(COMMITTED)
    assert len(frame) == sum(len(row.runs) for table in tables.build(COMMITTED).tables for row in table.rows)
    table = next(table for table in tables.build(COMMITTED).tables if table.head.protocol.name == "quick")
    quick = frame[frame.table_key == table.key]
    for row in table.rows:
        mine = quick[quick.path.isin(map(str, row.folders))]
        assert mine.iou.mean() == pytest.approx(row.scores["iou"])
        assert mine.iou_ood.mean() == pytest.approx(row.slice_scores["ood"]["iou"])
        assert mine.sisdr_improvement.mean() == pytest.approx(row.scores["sisdr_improvement"])


def test_a_damaged_run_is_left_out_with_a_warning(tiny_run: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_run, tmp_path / "results")
    good = benchmark.results(tiny_run)
    (Path(str(good.path[0]).replace(str(tiny_run), str(tmp_path / "results"))) / "run.json").write_text("{")
    with pytest.warns(UserWarning, match=r"run\.json"):
        assert len(benchmark.results(tmp_path / "results")) == len(good) - 1
    with pytest.raises(UserError, match="results folder"):
        benchmark.results(tmp_path / "nowhere")


def test_images_of_a_run(tiny_run: Path) -> None:
    (run,) = benchmark.results(tiny_run).itertuples()
    frame = benchmark.images(run.path)
    assert frame.id.tolist() == store.read_counts([Path(run.path)])[0]["id"].tolist()
    main = frame[frame.slice == "main"]
    assert main.iou.mean() == pytest.approx(run.iou)
    assert frame[frame.slice == "ood"].iou.mean() == pytest.approx(run.iou_ood)
    assert main.sisdr_improvement.mean() == pytest.approx(run.sisdr_improvement)
    rows = [row for row in store.read_manifest(tiny_run, run.manifest) if row.split == "test"]
    assert frame.species.tolist() == [row.groups["species"] for row in rows]
    assert frame.snr_db.tolist() == [row.strata["snr_db"] for row in rows]


def test_masks_are_the_stored_predictions(tiny_run: Path) -> None:
    path = Path(benchmark.results(tiny_run).path[0])
    found = benchmark.masks("unet", results=tiny_run)
    assert list(found) == benchmark.images(path).id.tolist()
    assert np.array_equal(np.stack(list(found.values())), archives.read_predictions(path / "predictions.npz"))
    counts = benchmark.images("last", results=tiny_run)
    assert [mask.sum() for mask in found.values()] == (counts.tp + counts.fp).tolist()


def test_the_loaded_network_predicts_what_the_run_stored(tiny_run: Path) -> None:
    network = benchmark.load("unet", results=tiny_run)
    assert not network.training
    assert (network.image_size, network.record.architecture.label) == ((32, 32), "unet:width=4")
    sizes = dict(pair.split("=") for pair in SMALL.partition(":")[2].split(","))
    samples = synthetic.load(root=None, **{name: int(value) for name, value in sizes.items()})["test"]
    pixels = torch.from_numpy(np.stack([network.prepared(sample.read().image) for sample in samples]))
    with torch.inference_mode():
        logits = network(pixels)
    assert np.array_equal(network.mask_of(logits[:, 0]), np.stack([*benchmark.masks("unet", tiny_run).values()]))
    mean, deviation = (torch.tensor(values).view(-1, 1, 1) for values in (network.mean, network.deviation))
    torch.testing.assert_close(network.core((pixels[:, None] / 255 - mean) / deviation), logits, atol=1e-4, rtol=1e-4)


def test_an_image_of_any_size(tiny_run: Path) -> None:
    network = benchmark.load("last", results=tiny_run)
    random = np.random.default_rng(0)
    for shape in ((45, 70), (45, 70, 3)):
        image = random.integers(0, 256, shape, dtype=np.uint8)
        likely = network.probability(image)
        assert likely.shape == (45, 70)
        assert np.array_equal(likely > 0.5, network.mask(image))


def test_which_run_is_meant(tiny_run: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_run, tmp_path / "results")
    first = Path(benchmark.results(tmp_path / "results").path[0])
    second = shutil.copytree(first, first.with_name("0" * 12))
    record = json.loads((second / "run.json").read_text())
    (second / "run.json").write_text(json.dumps({**record, "seed": 7, "finished": "2999-01-01T00:00:00+00:00"}))
    with pytest.raises(UserError, match=r"2 runs of unet; give the key of one: 0{12} \(quick, seed 7\)"):
        benchmark.images("unet", results=tmp_path / "results")
    assert benchmark.load("last", results=tmp_path / "results").record.seed == 7
    (second / "model.safetensors").unlink()
    assert benchmark.load("unet", results=tmp_path / "results").record.seed == 0
    with pytest.raises(UserError, match=r"has no model\.safetensors"):
        benchmark.load(second)
    (first / "model.safetensors").unlink()
    with pytest.raises(UserError, match=r"no run of unet in .* has weights"):
        benchmark.load("unet", results=tmp_path / "results")
    with pytest.raises(UserError, match="no run"):
        benchmark.masks("nothing", results=tmp_path / "results")
