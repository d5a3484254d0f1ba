"""Masks of every tool: read by a known convention, or refused with what to do; never guessed in silence."""

import csv
from pathlib import Path

import numpy as np
import pytest
from helpers import Bench, blobs, save
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from scipy import ndimage

from benchmark.common.errors import UserError
from benchmark.data import masks
from benchmark.records import checksums

BIRD = np.zeros((60, 80), bool)
BIRD[10:40, 20:50] = True
BIRD[45:50, 60:75] = True
BIRD[30, 5:15] = True


def palette(path: Path, *colours: tuple[int, int, int]) -> Path:
    """BIRD as index 1 of these colours."""
    image = Image.fromarray(BIRD.astype(np.uint8), "P")
    image.putpalette([level for colour in colours for level in colour])
    image.save(path)
    return path


def classes(values: tuple[int, ...] = tuple(range(12))) -> NDArray[np.uint8]:
    """Blocks of 8 x 8 pixels, each of one value."""
    blocks = np.resize(np.array(values, np.uint8), (8, 10))
    return blocks.repeat(8, 0).repeat(8, 1)


@pytest.mark.parametrize("pair", [(0, 1), (0, 255), (False, True), (0, 65535)])
def test_two_values_by_a_known_convention(tmp_path: Path, pair: tuple[int, int]) -> None:
    pixels = np.where(BIRD, *reversed(pair)).astype(
        np.uint16 if pair[1] == 65535 else type(pair[0]) if pair[1] is True else np.uint8
    )
    Image.fromarray(pixels).save(tmp_path / "x.png")
    np.testing.assert_array_equal(masks.read(tmp_path / "x.png")[0], BIRD)
    np.testing.assert_array_equal(masks.read(tmp_path / "x.png", (0,))[0], ~BIRD)


def test_palettes_and_colours(tmp_path: Path) -> None:
    for name, colours in {"bw": [(0, 0, 0), (255, 255, 255)], "voc": [(0, 0, 0), (128, 0, 0)]}.items():
        np.testing.assert_array_equal(masks.read(palette(tmp_path / f"{name}.png", *colours))[0], BIRD)
    red = save(tmp_path / "red.png", np.where(BIRD[..., None], [255, 0, 0], [0, 0, 0]))
    np.testing.assert_array_equal(masks.read(red)[0], BIRD)
    white = palette(tmp_path / "white.png", (255, 255, 255), (0, 0, 0))
    with pytest.raises(UserError, match=r"white\.png has a palette that does not draw 0 black.*folder:foreground=1"):
        masks.read(white)
    np.testing.assert_array_equal(masks.read(white, (1,))[0], BIRD)
    camvid = save(tmp_path / "camvid.png", np.where(BIRD[..., None], [128, 0, 0], [64, 0, 128]))
    with pytest.raises(UserError, match=r"is in colours \(#400080, #800000\)"):
        masks.read(camvid)
    np.testing.assert_array_equal(masks.read(camvid, masks.parse("#800000"))[0], BIRD)


def test_what_is_transparent_is_background(tmp_path: Path) -> None:
    image = Image.new("RGB", BIRD.shape[::-1], "white")
    image.putalpha(Image.fromarray(BIRD.astype(np.uint8) * 255))
    image.save(tmp_path / "x.png")
    np.testing.assert_array_equal(masks.read(tmp_path / "x.png")[0], BIRD)


TRIMAP = np.where(ndimage.binary_erosion(BIRD, iterations=3), 255, np.where(BIRD, 128, 0))
NO_MASKS = {
    "classes 0 to 11": classes(),
    "255 and 1": np.where(BIRD, 255, 1),
    "1 and 2": np.where(BIRD, 2, 1),
    "0 and 11": np.where(BIRD, 11, 0),
    "classes and 255 for unknown": classes((0, 5, 255, 0, 15, 20)),
    "a class and 255 for unknown": classes((0, 1, 255)),
    "classes over all levels": classes(tuple(range(0, 256, 17))),
    "trimap": TRIMAP,
    "a photograph": blobs(0, (60, 80))[0],
}


@pytest.mark.parametrize("name", NO_MASKS)
def test_other_values_are_refused_with_what_to_do(tmp_path: Path, name: str) -> None:
    path = save(tmp_path / "x.png", NO_MASKS[name])
    with pytest.raises(UserError, match=r"x\.png does not have the values 0 and 1, or 0 and 255 .*folder:foreground="):
        masks.read(path)
    values = np.unique(NO_MASKS[name])[-2:]
    found, between = masks.read(path, tuple(values.tolist()))
    np.testing.assert_array_equal(found, np.isin(NO_MASKS[name], values))
    assert between == 0


@pytest.mark.parametrize("quality", [10, 50, 95])
@pytest.mark.parametrize("suffix", ["jpg", "webp"])
def test_loss_of_compression_is_thresholded(tmp_path: Path, suffix: str, quality: int) -> None:
    Image.fromarray(BIRD.astype(np.uint8) * 255).save(tmp_path / f"x.{suffix}", quality=quality)
    found, between = masks.read(tmp_path / f"x.{suffix}")
    assert (found != BIRD).mean() < 0.01
    assert between < 100
    np.testing.assert_array_equal(masks.read(tmp_path / f"x.{suffix}", (0,))[0], ~found)


def test_smoothed_masks_say_how_many_pixels_lie_between(tmp_path: Path) -> None:
    smooth = Image.fromarray(BIRD.astype(np.uint8) * 255).filter(ImageFilter.GaussianBlur(1))
    smooth.save(tmp_path / "x.png")
    found, between = masks.read(tmp_path / "x.png")
    pixels = np.asarray(smooth)
    assert between == ((pixels > 63) & (pixels < 192)).sum() > 50
    np.testing.assert_array_equal(found, pixels >= 128)


def test_foreground_is_written_as_numbers_and_colours() -> None:
    assert masks.parse("3+11+#0000ff") == (3, 11, 255)
    assert masks.parse("") == ()
    for text in ("bird", "3,", "#ff", "-1", "3++4"):
        with pytest.raises(UserError, match=r"write the values of the bird, e\.g\. 11, 3"):
            masks.parse(text)


def own(root: Path, pixels: NDArray[np.uint8] | None = None, *, inverted: bool = False) -> Path:
    """A folder with splits; its masks are right, inverted or `pixels`."""
    for number, split in enumerate(["train"] * 4 + ["val"] * 2 + ["test"] * 2):
        image, mask = blobs(number)
        save(root / split / "images" / f"{number}.png", image)
        save(
            root / split / "masks" / f"{number}.png", pixels if pixels is not None else 255 - mask if inverted else mask
        )
    return root


def test_a_run_says_how_much_is_foreground(bench: Bench, tmp_path: Path) -> None:
    words = ("run", "--arch", "otsu", "--batch-size", "2", "--image-size", "32", "--results", tmp_path / "results")
    good = bench(*words, "--dataset", "folder", "--data", own(tmp_path / "good"))
    assert "data: foreground: 10.8% of train, 10.8% of val, 10.8% of test" in good.err
    assert "inverted" not in good.err
    inverted = own(tmp_path / "inverted", inverted=True)
    assert (
        "warning: 89% of the pixels of train are foreground: are the masks inverted?"
        in bench(*words, "--dataset", "folder", "--data", inverted).err
    )
    mended = bench(*words, "--dataset", "folder:foreground=0", "--data", inverted)
    assert "data: foreground: 10.8% of train" in mended.err


def test_a_run_says_how_many_masks_vanish_and_were_smoothed(bench: Bench, tmp_path: Path) -> None:
    root = own(tmp_path / "own")
    speck, smooth = np.zeros((40, 60)), Image.fromarray(blobs(1)[1]).filter(ImageFilter.GaussianBlur(1))
    speck[3, 3] = 255
    for split, name in (("train", "0"), ("test", "7")):
        save(root / split / "masks" / f"{name}.png", speck)
    smooth.save(root / "train" / "masks" / "1.png")
    words = ("run", "--arch", "otsu", "--batch-size", "2", "--image-size", "16", "--results", tmp_path / "results")
    ran = bench(*words, "--dataset", "folder", "--data", root)
    assert ran.err.count("2 of 8 masks become empty at 16 x 16 pixels") == 1
    between = ((np.asarray(smooth) > 63) & (np.asarray(smooth) < 192)).sum()
    assert f"1 masks are smoothed or compressed with loss: {between} pixels" in ran.err
    board = bench("leaderboard", "--results", tmp_path / "results")
    assert board.code == 0
    text = "".join(path.read_text() for path in (tmp_path / "results" / "tables").glob("*.md"))
    assert "0 test masks are empty, 1 more become empty at 16 x 16 px (IoU 0)" in text


def test_a_run_has_the_iou_of_each_image(bench: Bench, tmp_path: Path) -> None:
    """Their mean is the number of the table, so nobody needs the rule; runs of before lack the column."""
    root = own(tmp_path / "own")
    save(root / "test" / "masks" / "7.png", np.zeros((40, 60)))
    words = ("--results", tmp_path / "results")
    bench("run", "--arch", "otsu", "--batch-size", "2", "--image-size", "32", "--dataset", "folder", "--data", root,
          *words)  # fmt: skip
    (path,) = (tmp_path / "results").rglob("images.csv")
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert rows[1]["iou"] == "nan"
    bench("leaderboard", *words)
    table = next(csv.DictReader((tmp_path / "results" / "leaderboard.csv").read_text().splitlines()))
    assert float(rows[0]["iou"]) == pytest.approx(float(table["iou"]), abs=0.01)
    assert bench("verify", *words).code == 0
    path.write_text("".join(line.rpartition(",")[0] + "\n" for line in path.read_text().splitlines()))
    checksums.write(path.parent)
    assert bench("verify", *words).code == 0


def test_classes_are_refused_before_anything_is_trained(bench: Bench, tmp_path: Path) -> None:
    root = own(tmp_path / "own", classes()[:40, :60])
    words = ("run", "--arch", "otsu", "--batch-size", "2", "--image-size", "32", "--results", tmp_path / "results")
    ran = bench(*words, "--dataset", "folder", "--data", root)
    assert ran.code == 2
    assert "does not have the values 0 and 1, or 0 and 255" in ran.err
    assert bench(*words, "--dataset", "folder:foreground=3+11", "--data", root).code == 0


def test_two_own_folders_are_two_names(bench: Bench, tmp_path: Path) -> None:
    words = ("run", "--arch", "otsu", "--batch-size", "2", "--image-size", "32", "--results", tmp_path / "results")
    for name in ("camvid", "my photos"):
        ran = bench(*words, "--dataset", "folder", "--data", own(tmp_path / name))
        assert ran.code == 0, ran.err
    bench(*words, "--dataset", "folder:name=third", "--data", own(tmp_path / "elsewhere", inverted=True))
    board = bench("leaderboard", "--full", "--results", tmp_path / "results")
    text = " ".join(board.out.split())
    for name in ("camvid", "my_photos", "third"):
        assert f"on folder:name={name}" in text
        assert f"{name} (a folder of images and masks)" in text
    assert "of a folder of your own, --dataset folder:group=REGEX finds them in the names" in text
    again = bench(*words, "--dataset", "folder", "--data", tmp_path / "camvid")
    assert "finished before" in again.out


def test_many_bad_masks_are_one_reason(bench: Bench, tmp_path: Path) -> None:
    root = own(tmp_path / "own")
    for number in range(4):
        save(root / "train" / "masks" / f"{number}.png", classes((0, number + 5))[:40, :60])
    words = ("run", "--arch", "otsu", "--batch-size", "2", "--image-size", "32", "--results", tmp_path / "results")
    ran = bench(*words, "--dataset", "folder", "--data", root)
    assert ran.err.count("does not have the values 0 and 1, or 0 and 255") == 1
    assert "4 samples cannot be used" in ran.err
    assert "and so 1, 2 and 1 more" in ran.err
