"""`bench data split`: from the folder that a beginner has to splits that `bench run` reads."""

from pathlib import Path

import numpy as np
import pytest
from benchmark.datasets import folder as folder_plugin
from helpers import Bench, blobs, save
from hypothesis import given
from hypothesis import strategies as st

from benchmark.common.errors import UserError
from benchmark.tools import split


def beside(root: Path, count: int = 12, suffix: str = "_mask") -> Path:
    """Photographs of four sites with their masks beside them."""
    for number in range(count):
        image, mask = blobs(number)
        save(root / f"site{number % 4}-{number}.jpg", image)
        save(root / f"site{number % 4}-{number}{suffix}.png", mask)
    return root


def apart(root: Path) -> Path:
    """The same in two folders, with a folder for each site."""
    for number in range(12):
        for kind, pixels in zip(("imgs", "Labels"), blobs(number), strict=True):
            save(root / kind / f"site{number % 4}" / f"{number}.png", pixels)
    return root


@pytest.mark.parametrize("make", [beside, apart])
def test_from_one_folder_to_a_run(bench: Bench, tmp_path: Path, make: object) -> None:
    root = make(tmp_path / "photos")  # type: ignore[operator]
    words = ("run", "--arch", "otsu", "--batch-size", "2", "--image-size", "32", "--results", tmp_path / "results")
    refused = bench(*words, "--dataset", "folder", "--data", root)
    assert refused.code == 2
    assert f"has 12 images with masks, but no splits: bench data split {root} --out {root}-split" in refused.err
    audited = bench("data", "audit", root)
    assert (audited.code, "bench data split" in audited.err) == (2, True)
    before = {path: path.read_bytes() for path in root.rglob("*.*")}
    made = bench("data", "split", root, "--out", f"{root}-split", "--group", "site[0-9]")
    assert made.out.startswith("6 train, 3 val, 3 test images in")
    assert "The test has 1 recording(s) by --group; tables rank from 5 on" in made.out
    assert {path: path.read_bytes() for path in root.rglob("*.*")} == before
    ran = bench(*words, "--dataset", "folder:group=site[0-9]", "--data", f"{root}-split")
    assert ran.code == 0, ran.err
    found = folder_plugin.load(root=Path(f"{root}-split"), group="site[0-9]")
    sites = [{sample.groups["recording"] for sample in found[name]} for name in ("train", "val", "test")]
    assert [len(part) for part in sites] == [2, 1, 1]
    assert len(set().union(*sites)) == 4
    again = bench("data", "split", root, "--out", f"{root}-split")
    assert (again.code, "exists; give another --out" in again.err) == (2, True)


def test_masks_may_have_any_suffix(tmp_path: Path) -> None:
    root = beside(tmp_path / "photos", suffix="-bird")
    with pytest.raises(
        UserError, match=r"no pairs such as x\.jpg, x_mask\.png; .* holds 24 file\(s\) \(\.jpg, \.png\)"
    ):
        split.split(root, tmp_path / "out", group="", mask_suffix="_mask", shares=(60, 20, 20), seed=0)
    made = split.split(root, tmp_path / "out", group="", mask_suffix="-bird", shares=(50, 25, 25), seed=0)
    assert {name: len(inside) for name, inside in made.items()} == {"train": 6, "val": 3, "test": 3}
    other = split.split(root, tmp_path / "other", group="", mask_suffix="-bird", shares=(50, 25, 25), seed=1)
    assert other != made


def test_the_same_image_under_two_names_stays_together(tmp_path: Path) -> None:
    root = beside(tmp_path / "photos")
    for name in ("site0-0", "site1-1"):
        save(root / f"{name}.jpg", np.full((40, 60), 7))
    made = split.split(root, tmp_path / "out", group="", mask_suffix="_mask", shares=(60, 20, 20), seed=0)
    assert sum({"site0-0", "site1-1"} <= set(inside) for inside in made.values()) == 1


def test_what_cannot_be_split(tmp_path: Path) -> None:
    root = beside(tmp_path / "photos")
    for group, message in {
        "(": "is not a regular expression",
        "^other": "does not match --group",
        "site": r"1 group\(s\) cannot be in 3 splits",
    }.items():
        with pytest.raises(UserError, match=message):
            split.split(root, tmp_path / "out", group=group, mask_suffix="_mask", shares=(60, 20, 20), seed=0)
    (root / "site0-0_mask.png").unlink()
    with pytest.raises(UserError, match=r"1 file\(s\) in .* have no partner in photos/, e\.g\. site0-0\.jpg"):
        split.split(root, tmp_path / "out", group="", mask_suffix="_mask", shares=(60, 20, 20), seed=0)
    assert not (tmp_path / "out").exists()


@given(sizes=st.lists(st.integers(1, 9), min_size=3, max_size=30), seed=st.integers(0, 9))
def test_every_name_is_in_one_split_and_groups_are_whole(sizes: list[int], seed: int) -> None:
    groups = {f"g{place}": [f"g{place}-{one}" for one in range(size)] for place, size in enumerate(sizes)}
    chosen = split.draw(groups, (60, 20, 20), seed)
    assert all(chosen.values())
    assert sorted(name for inside in chosen.values() for name in inside) == sorted(
        name for inside in groups.values() for name in inside
    )
    for names in groups.values():
        assert sum(bool(set(names) & set(inside)) for inside in chosen.values()) == 1
