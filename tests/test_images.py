"""Decoding and the resampling rule."""

from pathlib import Path

import numpy as np
import pytest
from helpers import pipe, save
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from benchmark.common.errors import UserError
from benchmark.data import images


def test_grey_in_every_coat_is_grey(tmp_path: Path) -> None:
    grey = np.arange(48, dtype=np.uint8).reshape(6, 8) * 5
    kinds = {
        "L.png": Image.fromarray(grey),
        "RGB.png": Image.fromarray(np.repeat(grey[..., None], 3, axis=2)),
        "RGBA.png": Image.fromarray(np.repeat(grey[..., None], 3, axis=2)).convert("RGBA"),
        "P.png": Image.fromarray(grey).convert("P"),
        "I16.png": Image.fromarray(grey.astype(np.uint16) * 257),
        "LA.png": Image.fromarray(grey).convert("LA"),
    }
    for name, image in kinds.items():
        image.save(tmp_path / name)
        np.testing.assert_array_equal(images.read_image(tmp_path / name), grey, err_msg=name)
        np.testing.assert_array_equal(images.read_mask(tmp_path / name), grey > 0, err_msg=name)


def test_colour_stays_colour(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (5, 7, 3)).astype(np.uint8)
    np.testing.assert_array_equal(images.read_image(save(tmp_path / "c.png", pixels)), pixels)
    assert images.to_grey(pixels).shape == (5, 7)


@pytest.mark.parametrize("damage", ["truncated", "text", "empty"])
def test_a_damaged_file_is_named(tmp_path: Path, damage: str) -> None:
    path = save(tmp_path / "x.png", np.random.default_rng(0).integers(0, 255, (64, 64)))
    content = {"truncated": path.read_bytes()[:900], "text": b"not an image", "empty": b""}[damage]
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"x\.png is not a readable image"):
        images.read_image(path)


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    for read in (images.read_image, images.read_mask):
        with (
            pipe(tmp_path / "x.png") as path,
            pytest.raises(UserError, match=r"x\.png is not a regular file; remove it"),
        ):
            read(path)
        path.unlink()
    path.mkdir()
    with pytest.raises(UserError, match=r"x\.png is not a regular file"):
        images.read_image(path)


def test_masks_that_would_lie(tmp_path: Path) -> None:
    mask = np.zeros((32, 32), dtype=np.uint8)
    mask[8:20, 8:20] = 255
    save(tmp_path / "mask.jpg", mask)
    with pytest.raises(UserError, match="JPEG smears masks"):
        images.read_mask(tmp_path / "mask.jpg")
    white = Image.new("RGB", (32, 32), "white")
    white.putalpha(Image.fromarray(mask))
    white.save(tmp_path / "transparent.png")
    np.testing.assert_array_equal(images.read_mask(tmp_path / "transparent.png"), mask > 0)
    Image.fromarray(mask).save(tmp_path / "white-is-transparent.png", transparency=255)
    assert not images.read_mask(tmp_path / "white-is-transparent.png").any()


def test_a_pixel_of_a_resized_mask_is_foreground_where_half_of_its_area_is() -> None:
    """Pillow's box filter, which takes whole pixels by their centres, gives [[1, 1]] and [[1, 0]]."""
    np.testing.assert_array_equal(images.resize_mask(np.array([[False, True, True]]), (1, 2)), [[False, True]])
    np.testing.assert_array_equal(images.resize_mask(np.array([[False, True, False]]), (1, 2)), [[False, False]])


SIDES = st.tuples(st.integers(1, 7), st.integers(1, 7))


@given(hnp.arrays(np.bool_, SIDES), SIDES)
def test_a_resized_mask_is_that_of_a_grid_on_which_both_fit(mask: np.ndarray, size: tuple[int, int]) -> None:
    """Every pixel repeated until the new pixels are whole blocks of it, and the majority of each block."""
    (height, width), (rows, columns) = mask.shape, size
    fine = mask.repeat(rows, 0).repeat(columns, 1)  # (height rows, width columns)
    blocks = fine.reshape(rows, height, columns, width).mean((1, 3))
    np.testing.assert_array_equal(images.resize_mask(mask, size), blocks >= 0.5)


@given(hnp.arrays(np.bool_, st.tuples(st.integers(1, 4), st.integers(1, 4))), st.integers(1, 5))
def test_a_mask_survives_whole_factors(mask: np.ndarray, factor: int) -> None:
    large = mask.repeat(factor, 0).repeat(factor, 1)
    np.testing.assert_array_equal(images.resize_mask(large, mask.shape), mask)
    np.testing.assert_array_equal(images.resize_mask(mask, large.shape), large)


@given(hnp.arrays(np.bool_, st.just((12, 12))))
def test_half_of_the_area_makes_foreground(mask: np.ndarray) -> None:
    small = images.resize_mask(mask, (4, 4))
    share = mask.reshape(4, 3, 4, 3).mean((1, 3))
    certain = abs(share - 0.5) > 0.01
    np.testing.assert_array_equal(small[certain], (share >= 0.5)[certain])


def test_shrinking_is_antialiased() -> None:
    stripes = np.tile(np.array([0, 255], dtype=np.uint8), (64, 32))
    small = images.resize_image(stripes, (16, 16))
    assert np.abs(small[2:-2, 2:-2].astype(int) - 127).max() < 30  # picking every fourth pixel would give 0 or 255


def test_levels_without_a_known_white_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.full((4, 4), 0.5, dtype=np.float32)).save(tmp_path / "f.tif")
    Image.fromarray(np.full((4, 4), 70_000, dtype=np.int32)).save(tmp_path / "i.tif")
    for name in ("f.tif", "i.tif"):
        with pytest.raises(UserError, match="save it with 8 or 16 bits"):
            images.read_image(tmp_path / name)
        assert images.read_mask(tmp_path / name).all()


def test_two_files_of_one_name(tmp_path: Path) -> None:
    save(tmp_path / "a.png", np.zeros((2, 2)))
    save(tmp_path / "a.jpg", np.zeros((2, 2)))
    with pytest.raises(UserError, match="share a name"):
        images.files_by_stem(tmp_path)


def test_a_pillow_that_resizes_to_other_pixels_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    images.require_same_pixels()
    resize = images.resize_image
    monkeypatch.setattr(images, "resize_image", lambda image, size: resize(image, size) // 2)
    with pytest.raises(UserError, match=r"^Pillow .* resizes images to other pixels .*; install that one"):
        images.require_same_pixels()
