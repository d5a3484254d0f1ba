"""Readers of folders: every layout, and one clear line for each mistake."""

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from benchmark.datasets import birdsounds as birdsounds_plugin
from benchmark.datasets import folder as folder_plugin
from helpers import birdsounds_tree, blobs, save

from benchmark.common.errors import UserError
from benchmark.data.cache import Cached
from benchmark.plugins import datasets


@pytest.mark.parametrize("splits", [("Train", "Valid", "Test"), ("train", "valid", "test"), ("train", "val", "test")])
@pytest.mark.parametrize("folders", [("Images", "Masks"), ("images", "masks")])
def test_birdsounds_in_every_spelling(tmp_path: Path, splits: tuple[str, str, str], folders: tuple[str, str]) -> None:
    found = birdsounds_plugin.load(root=birdsounds_tree(tmp_path, splits=splits, folders=folders))
    assert [len(found[name]) for name in ("train", "val", "test")] == [4, 2, 2]
    sample = found["train"][0]
    image, mask = blobs(101)
    np.testing.assert_array_equal(sample.read().image, image)
    np.testing.assert_array_equal(sample.read().mask, mask > 0)
    assert sample.groups == {"recording": "XC101"}


def test_both_channels_are_one_recording(birdsounds: Path) -> None:
    for side in ("left", "right"):
        for kind in ("Images", "Masks"):
            shutil.copy(birdsounds / "Train" / kind / "XC101.png", birdsounds / "Train" / kind / f"XC7_{side}.png")
    groups = {sample.id: sample.groups["recording"] for sample in birdsounds_plugin.load(root=birdsounds)["train"]}
    assert groups["XC7_left"] == groups["XC7_right"] == "XC7"


def test_the_public_test_split_has_no_masks(birdsounds: Path) -> None:
    shutil.rmtree(birdsounds / "Test" / "Masks")
    with pytest.raises(UserError, match=r"Test has no masks: the public test split has none.*split=public-1500"):
        birdsounds_plugin.load(root=birdsounds)


def test_birdsounds_mistakes(birdsounds: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has no folder Train/ or train/"):
        birdsounds_plugin.load(root=tmp_path / "birdsounds" / "Train")
    (birdsounds / "Valid" / "Masks" / "XC105.png").unlink()
    with pytest.raises(UserError, match=r"1 image\(s\) of .* have no mask in Masks/, e\.g\. XC105\.png"):
        birdsounds_plugin.load(root=birdsounds)


def test_data_for_a_transfer_are_refused_if_the_run_has_met_them(cached: Cached) -> None:
    test, train = cached.splits["test"], list(cached.splits["train"].rows)
    run = Path("runs/unet")
    assert datasets.check_transfer(test, train, run=run, allow_leakage=False) == {}
    met = [*train, replace(test.rows[0], split="val", id="other")]
    with pytest.raises(UserError, match=r"test/XC107 has the same recording XC107 .* runs/unet was trained or"):
        datasets.check_transfer(test, met, run=run, allow_leakage=False)
    assert datasets.check_transfer(test, met, run=run, allow_leakage=True) == {"recording": 1, "pixels": 1}
    empty = replace(test, rows=tuple(replace(row, foreground=0) for row in test.rows))
    with pytest.raises(UserError, match="every mask of split 'test' is empty"):
        datasets.check_transfer(empty, train, run=run, allow_leakage=False)


def flat(root: Path, count: int = 6) -> Path:
    for number in range(count):
        image, mask = blobs(number)
        save(root / "images" / f"site{number // 2}_{number}.png", image)
        save(root / "masks" / f"site{number // 2}_{number}.png", mask)
    return root


def test_folder_with_lists(tmp_path: Path) -> None:
    root = flat(tmp_path)
    (root / "train.txt").write_text("site0_0.png\nsite0_1\n\n")
    (root / "val.txt").write_text("site1_2\n")
    (root / "test.txt").write_text("site2_5\nsite2_4\n")
    found = folder_plugin.load(root=root, group="^site[0-9]+")
    assert [sample.id for sample in found["test"]] == ["site2_5", "site2_4"]
    assert {sample.groups["recording"] for sample in found["train"]} == {"site0"}
    (root / "val.txt").write_text("nowhere\n")
    with pytest.raises(UserError, match="lists 'nowhere', which is not in images/"):
        folder_plugin.load(root=root)


def test_folder_with_folders(tmp_path: Path) -> None:
    for split in ("train", "val", "test"):
        flat(tmp_path / split, count=2)
    found = folder_plugin.load(root=tmp_path)
    assert found["train"][0].groups == {}  # nothing is known, nothing is claimed
    assert found["train"][0].read().mask.dtype == bool


def test_folder_mistakes(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="neither the folders train/, val/, test/"):
        folder_plugin.load(root=tmp_path)
    for split in ("train", "val", "test"):
        flat(tmp_path / split, count=2)
    with pytest.raises(UserError, match="is not a regular expression"):
        folder_plugin.load(root=tmp_path, group="(")
    with pytest.raises(UserError, match="does not match group"):
        folder_plugin.load(root=tmp_path, group="^XC")
    (tmp_path / "val" / "images" / "site0_0.png").unlink()
    with pytest.raises(UserError, match=r"1 file\(s\) in .*masks have no partner in images/, e\.g\. site0_0\.png"):
        folder_plugin.load(root=tmp_path)


def public(root: Path, *, train: int = 1_100, valid: int = 500) -> Path:
    """The names of a public dataset: some recordings with two channels, some in both folders."""
    for split, first, count in (("Train", 1, train), ("Valid", 1_000, valid)):
        for number in range(first, first + count):
            for name in [f"XC{number}_left", f"XC{number}_right"] if number % 3 == 0 else [f"XC{number}"]:
                for kind in ("Images", "Masks"):
                    path = root / split / kind / f"{name}.png"
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.touch()
    return root


def test_public_1500_is_a_pure_function_of_the_names(tmp_path: Path) -> None:
    found = birdsounds_plugin.load(root=public(tmp_path), split="public-1500")
    assert [len(found[split]) for split in ("train", "val", "test")] == [1_000, 200, 300]
    recordings = {name: [sample.groups["recording"] for sample in part] for name, part in found.items()}
    assert len(set(recordings["test"])) == 300
    for one, other in (("train", "val"), ("train", "test"), ("val", "test")):
        assert not set(recordings[one]) & set(recordings[other])
    # By hand: the order is that of the SHA-256 of "public-1500 XC...".
    order = sorted(
        {f"XC{number}" for number in range(1_000, 1_500)},
        key=lambda name: hashlib.sha256(f"public-1500 {name}".encode()).hexdigest(),
    )
    assert set(recordings["test"]) == set(order[:300])
    assert not any(sample.id.endswith("_right") for sample in found["test"])
    assert {Path(str(sample.files[0])).parts[-3] for sample in found["train"]} == {"Train"}
    assert {Path(str(sample.files[0])).parts[-3] for sample in (*found["val"], *found["test"])} == {"Valid"}


def test_public_1500_needs_the_whole_dataset(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"split=public-1500 wants 200 images to val and finds 0"):
        birdsounds_plugin.load(root=public(tmp_path, valid=200), split="public-1500")
    with pytest.raises(UserError, match=r"split = 'mine': write split=folders"):
        birdsounds_plugin.load(root=tmp_path, split="mine")
