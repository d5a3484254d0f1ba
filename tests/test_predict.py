"""`bench predict` and `bench export`."""

import builtins
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from helpers import Bench, blobs, save

import benchmark
from benchmark.common.errors import UserError
from benchmark.data import images
from benchmark.records.trained import TrainedNetwork
from benchmark.tools import export


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    for number, (name, size) in enumerate({"a": (40, 60), "deep/b": (33, 31)}.items()):
        save(tmp_path / "in" / f"{name}.png", blobs(number, size)[0])
    (tmp_path / "in" / "notes.txt").write_text("no image")
    return tmp_path / "in"


def test_masks_have_the_size_of_their_images(bench: Bench, tiny_run: Path, pictures: Path, tmp_path: Path) -> None:
    ran = bench("predict", pictures, "--run", "unet", "--out", tmp_path / "out", "--results", tiny_run)
    assert (ran.code, "2 mask(s)" in ran.out) == (0, True), ran.err
    network = benchmark.load("unet", results=tiny_run)
    for name in ("a", "deep/b"):
        made = images.read_image(tmp_path / "out" / f"{name}.png")
        assert np.array_equal(made, 255 * network.mask(images.read_image(pictures / f"{name}.png")))


def test_soft_masks(bench: Bench, tiny_run: Path, pictures: Path, tmp_path: Path) -> None:
    options = ("--run", "last", "--out", tmp_path / "out", "--results", tiny_run, "--soft")
    assert bench("predict", pictures / "a.png", *options).code == 0
    likely = benchmark.load("last", results=tiny_run).probability(images.read_image(pictures / "a.png"))
    assert np.array_equal(images.read_image(tmp_path / "out" / "a.png"), np.rint(255 * likely))


def test_a_bad_image_does_not_stop_the_others(bench: Bench, tiny_run: Path, pictures: Path, tmp_path: Path) -> None:
    (pictures / "0.png").write_bytes(b"no image")
    ran = bench("predict", pictures, "--run", "unet", "--out", tmp_path / "out", "--results", tiny_run)
    assert ran.code == 2
    assert "0.png is not a readable image" in ran.err
    assert sorted(path.name for path in (tmp_path / "out").rglob("*.png")) == ["a.png", "b.png"]


def test_nothing_is_overwritten(bench: Bench, tiny_run: Path, pictures: Path, tmp_path: Path) -> None:
    options = ("--run", "unet", "--results", tiny_run, "--out")
    assert "is one of the images" in bench("predict", pictures, *options, pictures, "--force").err
    before = save(tmp_path / "out" / "a.png", np.zeros((2, 2))).read_bytes()
    assert "--force" in bench("predict", pictures, *options, tmp_path / "out").err
    assert (tmp_path / "out" / "a.png").read_bytes() == before
    assert bench("predict", pictures, *options, tmp_path / "out", "--force").code == 0
    assert images.read_image(tmp_path / "out" / "a.png").shape == (40, 60)
    save(pictures / "a.bmp", np.zeros((2, 2)))
    assert "would both become" in bench("predict", pictures, *options, tmp_path / "other").err
    assert "does not exist" in bench("predict", tmp_path / "gone", *options, tmp_path / "other").err
    (tmp_path / "empty").mkdir()
    assert "no images" in bench("predict", tmp_path / "empty", *options, tmp_path / "other").err


def test_an_exported_network_and_its_metadata(bench: Bench, tiny_run: Path, tmp_path: Path) -> None:
    ran = bench("export", "unet", "-o", tmp_path / "net.onnx", "--results", tiny_run)
    assert ran.code == 0, ran.err
    network = benchmark.load("unet", results=tiny_run)
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx")
    found = session.get_modelmeta().custom_metadata_map
    rendering = network.record.dataset.rendering
    assert rendering is not None
    assert (found["architecture"], json.loads(found["image_size"])) == ("unet:width=4", [32, 32])
    assert (json.loads(found["threshold"]), json.loads(found["sample_rate"])) == (0.5, rendering.sample_rate)
    image = network.prepared(blobs(5)[0])  # uint8 (H, W)
    mean, deviation = (np.array(json.loads(found[name]))[:, None, None] for name in ("mean", "deviation"))
    (logits,) = session.run(None, {"image": ((image / 255 - mean) / deviation).astype(np.float32)[None]})
    assert np.array_equal(logits[0, 0] > 0, network.mask(image))


def test_what_differs_is_not_written(
    bench: Bench, tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = export._exported

    def spoiled(network: TrainedNetwork) -> bytes:
        model = onnx.load_model_from_string(real(network))
        weight = next(one for one in model.graph.initializer if one.name == "core.head.weight")
        weight.CopyFrom(onnx.numpy_helper.from_array(2 * onnx.numpy_helper.to_array(weight), weight.name))
        return bytes(model.SerializeToString())

    monkeypatch.setattr(export, "_exported", spoiled)
    ran = bench("export", "unet", "-o", tmp_path / "net.onnx", "--results", tiny_run)
    assert (ran.code, "differ by" in ran.err) == (2, True), ran.err
    assert not list(tmp_path.iterdir())


def test_onnx_may_be_missing(bench: Bench, tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name == "onnx":
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    ran = bench("export", "unet", "-o", tmp_path / "net.onnx", "--results", tiny_run)
    assert (ran.code, ran.err.count("\n"), "birdmask-bench[onnx]" in ran.err) == (2, 1, True)
    assert "must end in .onnx" in bench("export", "unet", "-o", tmp_path / "net", "--results", tiny_run).err


def test_a_network_that_has_no_onnx(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """In one line: torch would print the graph, in hundreds."""
    run = next((Path(__file__).parent.parent / "results" / "runs" / "quick" / "synthetic" / "otsu").iterdir())
    with pytest.raises(UserError, match=r"otsu cannot be written as ONNX: .*bincount"):
        export.export(benchmark.load(run), tmp_path / "net.onnx")
    assert capfd.readouterr().out == ""
