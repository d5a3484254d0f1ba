"""Decoded once, locked by digests, noticed when changed."""

import os
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from benchmark.datasets import birdsounds as birdsounds_plugin
from helpers import blobs, save
from PIL import Image

from benchmark.common import workers
from benchmark.common.errors import UserError
from benchmark.common.progress import silent
from benchmark.contract import Example, Sample
from benchmark.data import build, cache, manifest, sample_keys


def prepare(root: Path, *, size: tuple[int, int] = (20, 30), grey: bool = False) -> cache.Cached:
    return cache.prepare(
        birdsounds_plugin.load(root=root), identity={"root": str(root)}, size=size, grey=grey, report=silent
    )


def test_the_cache_holds_the_resized_pixels_and_the_native_masks(birdsounds: Path) -> None:
    test = prepare(birdsounds).splits["test"]
    for index, number in enumerate((107, 108)):
        image, mask = blobs(number)
        expected = Image.fromarray(image).resize((30, 20), Image.Resampling.BILINEAR)
        np.testing.assert_array_equal(test.images[index], np.asarray(expected))
        np.testing.assert_array_equal(list(test.native_masks())[index], mask > 0)
        assert test.rows[index].foreground == (mask > 0).sum()
    assert prepare(birdsounds).splits["train"].native.size == 0


def test_decoded_once(birdsounds: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = prepare(birdsounds)
    monkeypatch.setattr(build, "build", lambda *_, **__: pytest.fail("decoded again"))
    assert prepare(birdsounds).digest == first.digest


def test_one_changed_pixel_is_another_manifest(birdsounds: Path) -> None:
    before = prepare(birdsounds)
    path = birdsounds / "Test" / "Masks" / "XC107.png"
    mask = np.array(Image.open(path))
    mask[0, 0] ^= 255
    save(path, mask)
    after = prepare(birdsounds)
    changed = [row.id for row, other in zip(after.rows, before.rows, strict=True) if row != other]
    assert changed == ["XC107"]
    assert after.digest != before.digest


def test_two_masks_of_equal_size_and_time_that_are_swapped(birdsounds: Path) -> None:
    folder = birdsounds / "Test" / "Masks"
    paths = [folder / "XC107.bmp", folder / "XC108.bmp"]  # of one size, whatever they show
    for number, path in enumerate(paths, start=107):
        save(path, blobs(number)[1])
        path.with_suffix(".png").unlink()
        os.utime(path, ns=(1, 1))  # as unpacked from an archive
    before, keys = prepare(birdsounds).splits["test"], _keys(birdsounds)
    paths[0].rename(folder / "away")
    paths[1].rename(paths[0])
    (folder / "away").rename(paths[1])
    assert [(path.stat().st_size, path.stat().st_mtime_ns) for path in paths] == [(paths[0].stat().st_size, 1)] * 2
    assert keys.isdisjoint(_keys(birdsounds))
    after = prepare(birdsounds).splits["test"]
    np.testing.assert_array_equal(after.masks, before.masks[::-1])
    assert [row.mask_sha256 for row in after.rows] == [row.mask_sha256 for row in before.rows[::-1]]


def _keys(root: Path) -> set[str]:
    """Of the test's samples."""
    return {one.key for one in sample_keys.keyed_samples(birdsounds_plugin.load(root=root)) if one.split == "test"}


@pytest.mark.parametrize("name", ["manifest.py", "recordings.py", "build.py", "cache.py"])
def test_code_that_decodes_is_part_of_the_key_and_its_comments_are_not(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = Path.read_bytes
    added = b""
    monkeypatch.setattr(Path, "read_bytes", lambda path: read(path) + (added if path.name == name else b""))
    before = cache._settings_digest({})
    added = b"\n\n# Why it is so.\n"
    assert cache._settings_digest({}) == before
    added = b"\n\nLIMIT = 1\n"
    assert cache._settings_digest({}) != before


def test_the_manifest_does_not_depend_on_the_size(birdsounds: Path) -> None:
    assert prepare(birdsounds).digest == prepare(birdsounds, size=(8, 8)).digest


def test_one_image_in_colour_makes_the_split_colour(birdsounds: Path) -> None:
    path = birdsounds / "Train" / "Images" / "XC103.png"
    save(path, np.random.default_rng(0).integers(0, 255, (40, 60, 3)))
    assert prepare(birdsounds).splits["train"].images.shape == (4, 20, 30, 3)
    assert prepare(birdsounds).splits["val"].images.shape == (2, 20, 30)
    assert prepare(birdsounds, grey=True).splits["train"].images.shape == (4, 20, 30)


@pytest.mark.parametrize(
    ("kind", "pixels", "message"),
    [
        ("Masks", np.zeros((10, 10)), r"XC105\.png: the image is 40 x 60, its mask 10 x 10 pixels"),
        ("Images", None, r"XC105\.png is not a readable image"),
    ],
)
def test_a_bad_pair_is_named_and_no_entry_is_left(
    birdsounds: Path,
    kind: str,
    pixels: np.ndarray | None,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    path = birdsounds / "Valid" / kind / "XC105.png"
    if pixels is None:
        path.write_bytes(path.read_bytes()[:100])
    else:
        save(path, pixels)
    with pytest.raises(UserError, match=message):
        prepare(birdsounds)
    assert not list((tmp_path / "cache").glob("[!.]*/"))


def read(seed: int) -> Example:
    image, mask = blobs(seed)
    return Example(image=image, mask=mask > 0)


def test_workers_decode_what_this_process_would(monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmark.datasets import synthetic

    splits = synthetic.load(root=None, train=17, val=2, test=2, ood=1)
    decode = partial(cache.prepare, splits, identity={"test": "workers"}, size=(32, 32), grey=True, report=silent)
    spawned = decode()
    monkeypatch.setattr(workers, "IN_PROCESS", 1000)
    here = cache.prepare(splits, identity={"test": "here"}, size=(32, 32), grey=True, report=silent)
    assert here.digest == spawned.digest
    np.testing.assert_array_equal(here.splits["train"].images, spawned.splits["train"].images)


def test_read_must_be_picklable() -> None:
    def sample(number: int) -> Sample:
        return Sample(id=str(number), groups={}, read=lambda: read(number))

    splits = {name: [sample(number) for number in range(9)] for name in ("train", "val", "test")}
    with pytest.raises(UserError, match="cannot be sent to workers"):
        cache.prepare(splits, identity={}, size=(8, 8), grey=False, report=silent)


@pytest.mark.parametrize(
    ("splits", "message"),
    [
        ({"train": [], "val": []}, "split 'train' is empty"),
        ({"train": [1], "val": [2]}, "no split 'test'"),
        ({"train": [1, 1], "val": [2], "test": [3]}, "split 'train' has two samples '1'"),
    ],
)
def test_an_impossible_listing(splits: dict[str, list[int]], message: str) -> None:
    made = {
        name: [Sample(id=str(number), groups={}, read=partial(read, number)) for number in numbers]
        for name, numbers in splits.items()
    }
    with pytest.raises(UserError, match=message):
        cache.prepare(made, identity={}, size=(8, 8), grey=False, report=silent)


def test_a_slice_says_how_many_of_its_images_have_a_group_that_training_never_met() -> None:
    """Not whether any of its groups was met: of three images with noise one has a known one."""

    def row(split: str, number: int, **groups: str) -> manifest.Row:
        fixed = {"slice": "main", "strata": {}, "height": 8, "width": 8, "foreground": 1}
        digest = f"{split}{number}"
        return manifest.Row(split=split, id=digest, groups=groups, image_sha256=digest, mask_sha256=digest, **fixed)

    rows = [
        *(row("train", 0, noise="rain", bird="a"), row("val", 0, noise="wind", bird="b")),
        *(row("test", 0, noise="rain", bird="c"), row("test", 1, noise="hum", bird="b"), row("test", 2, noise="hum")),
    ]
    assert manifest.summary(rows)["slices"]["main"] == {
        "groups": {"noise": 2, "bird": 2},
        "unseen": {"noise": 2, "bird": 1},
    }


def test_groups_are_counted_and_shared_ones_found(birdsounds: Path) -> None:
    rows = prepare(birdsounds).rows
    assert manifest.summary(rows)["groups"]["recording"]["counts"] == {"train": 4, "val": 2, "test": 2}
    assert manifest.shared(rows) == {}
    for kind in ("Images", "Masks"):
        content = (birdsounds / "Train" / kind / "XC101.png").read_bytes()
        (birdsounds / "Test" / kind / "XC900.png").write_bytes(content)
    rows = prepare(birdsounds).rows
    assert list(manifest.shared(rows)) == ["pixels"]
