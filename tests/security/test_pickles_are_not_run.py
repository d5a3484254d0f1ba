"""A real pickle, laid where checkpoints, weights, masks, pictures and the cache are read, is refused and not run."""

import os
from pathlib import Path

import huggingface_hub
import pytest
from bombs import KINDS, lay
from test_leaderboard import write

from benchmark import protocols
from benchmark.common.errors import UserError
from benchmark.common.progress import silent
from benchmark.data import cache
from benchmark.leaderboard import tables
from benchmark.leaderboard.page import page
from benchmark.plugins import network, registry
from benchmark.records import archives, store, verify
from benchmark.records import weights as stored
from benchmark.training import checkpoints
from benchmark.training.checkpoints import Checkpoints, Snapshot

PAPER = protocols.load("paper")


@pytest.mark.parametrize("kind", [*KINDS, "npz"])
def test_a_checkpoint(tmp_path: Path, marker: Path, kind: str) -> None:
    warned: list[str] = []
    snapshots = Checkpoints(tmp_path / "work", {"a": 1}, warned.append)
    snapshots.write(Snapshot(number=3, tensors={}, notes={}))
    (path,) = tmp_path.rglob("*.safetensors")
    lay(path, marker, kind)
    assert list(snapshots.newest_first()) == []
    assert ["is damaged" in line for line in warned] == [True]
    assert checkpoints.conditions(tmp_path) == {}


@pytest.mark.parametrize("kind", [*KINDS, "npz"])
def test_stored_weights(tmp_path: Path, marker: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plugin = registry.load("architectures", "unet:width=4")
    settings = PAPER.override({"weights": "none"})
    count = network.parameter_count(network.build(plugin, settings, 0))
    folder = write(tmp_path, label="unet:width=4", architecture__parameter_count=count)
    lay(folder / "model.safetensors", marker, kind)
    monkeypatch.setattr(stored, "require", lambda *_: plugin)
    with pytest.raises(UserError, match=r"model\.safetensors cannot be used \(.*\); train it again") as caught:
        stored.load(folder, store.read(folder), settings)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("kind", [*KINDS, "npz", "npy"])
def test_masks_and_pictures(tmp_path: Path, marker: Path, kind: str) -> None:
    path = lay(tmp_path / "predictions.npz", marker, kind)
    with pytest.raises((OSError, ValueError)):
        archives.read_predictions(path)
    folder = write(tmp_path)
    lay(folder / "predictions.npz", marker, kind)
    lay(store.pictures_path(tmp_path, "c" * 64, (8, 8)), marker, kind)
    assert ">net</button>" in page.rendered(tables.build(tmp_path), tmp_path)
    assert verify.check(tmp_path)


@pytest.mark.parametrize("name", ["test.images.npy", "train.masks.npy"])
@pytest.mark.parametrize("kind", ["npy", "npz", "pickle", "torch"])
def test_an_entry_of_the_cache(
    birdsounds: Path, tmp_path: Path, marker: Path, monkeypatch: pytest.MonkeyPatch, kind: str, name: str
) -> None:
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))

    def prepare() -> cache.Cached:
        splits = registry.load("datasets", "birdsounds").spec.load(root=birdsounds)
        return cache.prepare(splits, identity={}, size=(16, 16), grey=False, report=silent)

    prepare()
    (path,) = (tmp_path / "cache").glob(f"*/{name}")
    lay(path, marker, kind)
    with pytest.raises(UserError, match=r"in the cache is damaged .*; remove it, and the next run") as caught:
        prepare()
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["custom_resnet34", "deeplabv3", "torchvision_segmentation"])
def test_weights_in_torch_home(
    tmp_path: Path, marker: Path, monkeypatch: pytest.MonkeyPatch, kind: str, name: str
) -> None:
    """torch.hub itself would run them."""
    from torchvision.models import ResNet34_Weights, ResNet50_Weights, ResNet101_Weights

    for weights in (ResNet34_Weights.IMAGENET1K_V1, *ResNet50_Weights, *ResNet101_Weights):
        lay(tmp_path / "hub" / "checkpoints" / weights.url.rsplit("/", 1)[1], marker, kind)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(UserError, match="cannot be loaded") as caught:
        network.build(registry.load("architectures", name), PAPER, 0)
    assert len(str(caught.value).splitlines()) == 1
    assert "TORCH_FORCE_WEIGHTS_ONLY_LOAD" not in os.environ


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("file", ["pytorch_model.bin", "model.safetensors"])
@pytest.mark.parametrize("name", ["smp:encoder=tu-resnet18.a1_in1k", "fpn"])
def test_weights_in_hf_home(
    tmp_path: Path, marker: Path, monkeypatch: pytest.MonkeyPatch, kind: str, file: str, name: str
) -> None:
    """As timm and segmentation-models-pytorch ask for them: whatever they ask for, this is what they get."""
    path = lay(tmp_path / file, marker, kind)
    (tmp_path / "config.json").write_text("{}")
    asked: list[str] = []

    def downloaded(repo_id: str = "", filename: str = "", **_: object) -> str:
        asked.append(filename)
        if filename == "config.json":
            return str(tmp_path / filename)
        if filename != file and "tu-" in name:
            raise huggingface_hub.utils.LocalEntryNotFoundError("no such file")
        return str(path)

    monkeypatch.setattr("timm.models._hub.hf_hub_download", downloaded)
    monkeypatch.setattr("segmentation_models_pytorch.encoders.hf_hub_download", downloaded)
    with pytest.raises(UserError, match="cannot be loaded") as caught:
        network.build(registry.load("architectures", name), PAPER, 0)
    assert len(str(caught.value).splitlines()) == 1
    assert asked
