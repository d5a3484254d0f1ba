"""The reader `folder` on what people have: every usual layout, and messages that name the cause and the remedy."""

import unicodedata
from pathlib import Path

import numpy as np
import pytest
from benchmark.datasets import folder as folder_plugin
from helpers import blobs, save
from PIL import Image

from benchmark.common.errors import UserError

COUNTS = {"train": 2, "val": 1, "test": 1}


def fill(root: Path, images: str, masks: str, mask: str = "{}.png") -> Path:
    """Pairs of each split; `{split}` in a folder's name stands for that of the split."""
    for split, count in COUNTS.items():
        for number in range(count):
            name = f"{split}{number}"
            pixels, truth = blobs(number)
            save(root / images.format(split=split) / f"{name}.png", pixels)
            save(root / masks.format(split=split) / mask.format(name), truth)
    return root


LAYOUTS = {
    "images and masks": ("{split}/images", "{split}/masks", "{}.png"),
    "labels": ("{split}/imgs", "{split}/labels", "{}.png"),
    "annotations": ("{split}/Images", "{split}/Annotations", "{}.bmp"),
    "splits inside": ("images/{split}", "masks/{split}", "{}.png"),
    "side by side": ("{split}", "{split}", "{}_mask.png"),
    "a suffix": ("{split}/images", "{split}/masks", "{}_mask.png"),
    "nested": ("{split}/images/siteA", "{split}/masks/siteA", "{}.png"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("validation", ["val", "valid", "Validation"])
def test_every_usual_layout(tmp_path: Path, layout: str, validation: str) -> None:
    fill(tmp_path, *LAYOUTS[layout])
    for path in sorted(tmp_path.rglob("val"), reverse=True):
        path.rename(path.with_name(validation))
    found = folder_plugin.load(root=tmp_path)
    assert {split: len(samples) for split, samples in found.items()} == COUNTS
    sample = found["val"][0]
    assert sample.id == ("siteA/val0" if layout == "nested" else "val0")
    np.testing.assert_array_equal(sample.read().mask, blobs(0)[1] > 0)


def lists(root: Path, encoding: str) -> Path:
    """All files in two folders, and lists of them."""
    fill(root, "images", "masks")
    for split, count in COUNTS.items():
        names = "".join(f"{split}{number}.png\n" for number in range(count))
        (root / f"{split}.txt").write_text(names, encoding=encoding)
    return root


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_lists_of_every_editor(tmp_path: Path, encoding: str) -> None:
    found = folder_plugin.load(root=lists(tmp_path, encoding))
    assert {split: len(samples) for split, samples in found.items()} == COUNTS


def test_a_list_that_is_no_text_is_named(tmp_path: Path) -> None:
    (lists(tmp_path, "utf-8") / "val.txt").write_bytes("é\n".encode("latin-1"))
    with pytest.raises(UserError, match=r"val\.txt is not text in UTF-8 .*; save it in UTF-8"):
        folder_plugin.load(root=tmp_path)


def test_two_spellings_of_one_sign_are_one_name(tmp_path: Path) -> None:
    fill(tmp_path, *LAYOUTS["images and masks"])
    image, mask = blobs(5)
    save(tmp_path / "train" / "images" / f"{unicodedata.normalize('NFC', 'mésange')}.png", image)
    save(tmp_path / "train" / "masks" / f"{unicodedata.normalize('NFD', 'mésange')}.png", mask)
    assert len(folder_plugin.load(root=tmp_path)["train"]) == 3


def test_a_format_that_is_not_read_is_named(tmp_path: Path) -> None:
    fill(tmp_path, *LAYOUTS["images and masks"])
    image, mask = blobs(5)
    Image.fromarray(image).save(tmp_path / "train" / "images" / "a.gif")
    save(tmp_path / "train" / "masks" / "a.png", mask)
    with pytest.raises(UserError, match=r"no partner in images/, e\.g\. a\.png; 1 .* other formats .*, e\.g\. a\.gif"):
        folder_plugin.load(root=tmp_path)


def test_links_are_followed_and_litter_is_passed_over(tmp_path: Path) -> None:
    fill(tmp_path / "own", *LAYOUTS["nested"])
    fill(tmp_path / "disk", "{split}/images", "{split}/masks")
    for kind in ("images", "masks"):
        folder = tmp_path / "own" / "train" / kind
        (folder / "other").symlink_to(tmp_path / "disk" / "train" / kind)
        (folder / "loop").symlink_to(folder)
    images = tmp_path / "own" / "train" / "images"
    for name in ("@eaDir/train0.png", "$RECYCLE.BIN/x.png", "._train0.png", "Thumbs.db"):
        (images / name).parent.mkdir(exist_ok=True)
        (images / name).write_bytes(b"litter")
    found = [sample.id for sample in folder_plugin.load(root=tmp_path / "own")["train"]]
    assert found == ["other/train0", "other/train1", "siteA/train0", "siteA/train1"]


def test_what_is_missing_is_said_with_what_is_there(tmp_path: Path) -> None:
    fill(tmp_path, *LAYOUTS["images and masks"])
    (tmp_path / "val").rename(tmp_path / "held-out")
    with pytest.raises(UserError, match=r"has a folder of train, test, but none of val \(val/, valid/, validation/\)"):
        folder_plugin.load(root=tmp_path)
    for name in ("val", "valid"):
        fill(tmp_path / "two", *LAYOUTS["images and masks"])
        (tmp_path / "two" / name).mkdir(exist_ok=True)
    with pytest.raises(UserError, match=r"two has both val/ and valid/; keep one of them"):
        folder_plugin.load(root=tmp_path / "two")
    (tmp_path / "test" / "masks").rename(tmp_path / "test" / "truth")
    with pytest.raises(UserError, match=r"no folder .*test/masks, and .*test holds images/, truth/"):
        folder_plugin.load(root=tmp_path)
