"""Image files of every kind, whole and damaged: the right pixels, or one line.

PNG files are written here by hand, so that what is expected owes nothing to the library that reads them.
"""

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fuzzing import cases, damages, outcome, refused
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from benchmark.common.errors import UserError
from benchmark.contract import Example, Sample
from benchmark.data import images, validate
from benchmark.data.spectrogram import PUBLISHED

GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6
DEPTHS = {GREY: (1, 2, 4, 8, 16), RGB: (8, 16), PALETTE: (1, 2, 4, 8), GREY_ALPHA: (8, 16), RGBA: (8, 16)}
CHANNELS = {GREY: 1, RGB: 3, PALETTE: 1, GREY_ALPHA: 2, RGBA: 4}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("images")


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(values: NDArray[Any], colour: int, depth: int, *extra: bytes, header: tuple[int, int] | None = None) -> bytes:
    """A PNG file of values (H, W, C) with so many bits each; `header` states another (width, height)."""
    height, width, _ = values.shape
    rows = []
    for row in values.reshape(height, -1).astype(np.uint16):
        bits = np.unpackbits(row.astype(">u2").view(np.uint8)).reshape(-1, 16)[:, 16 - depth :]
        rows.append(b"\0" + np.packbits(bits).tobytes())
    start = struct.pack(">IIBBBBB", *(header or (width, height)), depth, colour, 0, 0, 0)
    body = chunk(b"IDAT", zlib.compress(b"".join(rows)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", start) + b"".join(extra) + body + chunk(b"IEND", b"")


@st.composite
def pngs(draw: st.DrawFn) -> tuple[bytes, NDArray[Any], NDArray[Any], bool]:
    """A file, its pixels in 8 bits (H, W, 3), which of them are foreground (H, W), and whether a mask may be so."""
    colour = draw(st.sampled_from(list(DEPTHS)))
    depth = draw(st.sampled_from(DEPTHS[colour]))
    shape = (draw(st.integers(1, 9)), draw(st.integers(1, 9)), CHANNELS[colour])
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    # Few values, so that transparent ones are met; low ones, which rounding would lose.
    some = np.unique(np.minimum([0, 1, 2, 2**depth - 1, *random.integers(0, 2**depth, 3)], 2**depth - 1))
    values = random.choice(some, shape)
    extra, visible = [], np.ones(shape[:2], bool)
    transparent = draw(st.booleans()) and colour in (GREY, RGB, PALETTE)
    if colour == PALETTE:
        palette = random.choice([0, 1, 128, 255], (2**depth, 3))
        extra.append(chunk(b"PLTE", palette.astype(np.uint8).tobytes()))
        pixels = palette[values[..., 0]]
        if transparent:
            alpha = random.choice([0, 1, 255], draw(st.integers(1, 2**depth)))
            extra.append(chunk(b"tRNS", alpha.astype(np.uint8).tobytes()))
            visible = np.append(alpha, np.full(2**depth - len(alpha), 255))[values[..., 0]] > 0
        return png(values, colour, depth, *extra), pixels, (pixels > 0).any(2) & visible, True
    if transparent:
        key = random.choice(values.reshape(-1, shape[2]))
        extra.append(chunk(b"tRNS", key.astype(">u2").tobytes()))
        visible = (values != key).any(2)
    colours = values[..., :-1] if colour in (GREY_ALPHA, RGBA) else values
    if colour in (GREY_ALPHA, RGBA):
        visible = values[..., -1] > 0
    plain = depth == 8 or (colour == GREY and not transparent)
    if depth == 16:
        eight = np.round(colours / 257) if colour == GREY else colours >> 8
    else:
        eight = colours * (255 // (2**depth - 1))
    pixels = np.broadcast_to(eight, (*shape[:2], 3)).astype(np.uint8)
    return png(values, colour, depth, *extra), pixels, (colours > 0).any(2) & visible, plain


def as_colour(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.repeat(image[..., None], 3, axis=2) if image.ndim == 2 else image


@cases(150)
@given(made=pngs())
@example(made=(png(np.array([[[0], [1], [2], [3]]]), GREY, 2, chunk(b"tRNS", b"\0\1")), *([None] * 2), False))
@example(made=(png(np.array([[[5], [9]]]), GREY, 16, chunk(b"tRNS", b"\0\5")), *([None] * 2), False))
@example(made=(png(np.array([[[5, 9, 1], [0, 0, 0]]]), RGB, 16), *([None] * 2), False))
@example(made=(png(np.array([[[5, 9], [0, 7]]]), GREY_ALPHA, 16), *([None] * 2), False))
def test_a_png_of_any_kind_has_its_pixels(folder: Path, made: tuple[bytes, Any, Any, bool]) -> None:
    content, pixels, foreground, plain = made
    path = folder / "a.png"
    path.write_bytes(content)
    image, mask = (outcome(lambda read=read: read(path)) for read in (images.read_image, images.read_mask))
    assert not isinstance(image, UserError), image
    if pixels is not None:
        np.testing.assert_array_equal(as_colour(image), pixels)
        assert (image.ndim == 2) == bool((pixels == pixels[..., :1]).all())
    if plain:
        assert not isinstance(mask, UserError), mask
    if not isinstance(mask, UserError):
        np.testing.assert_array_equal(mask, foreground)


LOSSLESS = {"PNG": {}, "TIFF": {}, "BMP": {}, "WEBP": {"lossless": True, "exact": True}}
MODES = {
    "PNG": ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"),
    "TIFF": ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "I;16", "I", "F"),
    "BMP": ("1", "L", "P", "RGB"),
    "WEBP": ("RGB", "RGBA"),
    "JPEG": ("L", "RGB", "CMYK"),
}


@st.composite
def files(draw: st.DrawFn) -> tuple[str, str, bytes]:
    """Format, mode and content of a file as Pillow writes it, with all the values that a pixel may have."""
    kind = draw(st.sampled_from(list(MODES)))
    mode = draw(st.sampled_from(MODES[kind]))
    width, height = draw(st.sampled_from([(1, 1), (1, 7), (7, 1), (16, 16), (40, 25)]))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    channels = {"LA": 2, "RGB": 3, "YCbCr": 3, "LAB": 3, "RGBA": 4, "CMYK": 4}.get(mode, 1)
    values = random.integers(0, 256, (height, width, channels)).astype(np.uint8)
    if mode == "I;16":
        image = Image.fromarray(random.integers(0, 65536, (height, width)).astype(np.uint16))
    elif mode in ("I", "F"):
        numbers = random.normal(0, 1e5, (height, width))
        image = Image.fromarray(numbers.astype(np.int32 if mode == "I" else np.float32))
    elif mode in ("1", "P"):
        image = Image.fromarray(values[..., 0]).convert(mode)
    else:
        image = Image.frombytes(mode, (width, height), values.tobytes())
    held = io.BytesIO()
    options: dict[str, Any] = dict(LOSSLESS.get(kind, {}))
    if kind == "TIFF":
        options["compression"] = draw(st.sampled_from(["raw", "tiff_lzw", "tiff_adobe_deflate"]))
        if mode in ("1", "LAB", "I", "F", "I;16"):
            options["compression"] = "raw"
    image.save(held, kind, **options)
    return kind, mode, held.getvalue()


@cases(60)
@given(made=files())
def test_what_pillow_writes_is_read_or_refused_by_its_kind(folder: Path, made: tuple[str, str, bytes]) -> None:
    kind, mode, content = made
    path = folder / f"b.{kind.lower()}"
    path.write_bytes(content)
    image, mask = outcome(lambda: images.read_image(path)), outcome(lambda: images.read_mask(path))
    if mode in ("I", "F", "LAB"):
        assert isinstance(image, UserError)
    if mode == "LAB" or kind == "JPEG":
        assert isinstance(mask, UserError)
        return
    with Image.open(io.BytesIO(content)) as whole:
        values = np.asarray(whole)
    if mode in ("I", "F", "I;16"):
        assert isinstance(mask, np.ndarray)
        np.testing.assert_array_equal(mask, values > 0)
        return
    assert isinstance(image, np.ndarray)
    if mode == "RGB":
        np.testing.assert_array_equal(as_colour(image), values)
    if mode == "RGBA":
        np.testing.assert_array_equal(as_colour(image), values[..., :3])
        visible = values[..., 3] > 0 if values.shape[2] == 4 else True  # WebP drops an alpha that hides nothing
        np.testing.assert_array_equal(mask, values[..., :3].any(2) & visible)
    if mode == "L":
        np.testing.assert_array_equal(image, values)
    if mode == "1":
        np.testing.assert_array_equal(mask, values)
    if mode == "CMYK":
        # Ink takes light away: red = (1 - cyan) (1 - black).
        inks = values.astype(float) / 255
        light = 255 * (1 - inks[..., :3]) * (1 - inks[..., 3:])
        np.testing.assert_allclose(as_colour(image), light, atol=2)


@cases(150)
@given(made=files(), damage=damages())
def test_a_damaged_file_is_read_or_refused(folder: Path, made: tuple[str, str, bytes], damage: Any) -> None:
    kind, _, content = made
    path = folder / f"c.{kind.lower()}"
    path.write_bytes(content)
    whole = outcome(lambda: images.read_image(path))
    path.write_bytes(damage(content))
    image, mask = outcome(lambda: images.read_image(path)), outcome(lambda: images.read_mask(path))
    if isinstance(image, np.ndarray):
        assert image.dtype == np.uint8
        assert image.ndim == 2 or image.shape[2:] == (3,)
        assert min(image.shape[:2]) > 0
        if kind == "PNG" and isinstance(whole, np.ndarray):  # it has checksums: what passes them is what was written
            np.testing.assert_array_equal(image, whole)
    if isinstance(mask, np.ndarray):
        assert mask.dtype == np.bool_
        assert mask.ndim == 2
        assert min(mask.shape) > 0


@cases(40)
@given(content=st.binary(max_size=80), start=st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"BM", b"II*\0", b"RIFF"]))
@example(content=b"", start=b"")
@example(content=b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", start=b"")  # Pillow would start Ghostscript
@example(content=b"P6 2 2 255 123456789012", start=b"")
def test_what_is_no_image(folder: Path, content: bytes, start: bytes) -> None:
    path = folder / "d.png"
    path.write_bytes(start + content)
    for read in (images.read_image, images.read_mask):
        assert "d.png is not a readable image" in refused(lambda read=read: read(path))


@cases(20)
@given(width=st.integers(20_000, 2**31 - 1), height=st.integers(20_000, 2**31 - 1), colour=st.sampled_from([0, 2, 6]))
@example(width=60_000, height=60_000, colour=0)
def test_a_bomb_is_refused_before_it_is_unpacked(folder: Path, width: int, height: int, colour: int) -> None:
    values = np.zeros((1, 1, CHANNELS[colour]))
    path = folder / "bomb.png"
    path.write_bytes(png(values, colour, 8, header=(width, height)))
    for read in (images.read_image, images.read_mask):
        assert "bomb.png is not a readable image" in refused(lambda read=read: read(path))


@pytest.mark.parametrize("size", [(10, 30_000), (30_000, 10), (1, 1), (1, 30_000)])
def test_odd_sizes_are_no_mistake(folder: Path, size: tuple[int, int]) -> None:
    values = np.random.default_rng(0).integers(0, 256, size).astype(np.uint8)
    path = folder / "long.png"
    Image.fromarray(values).save(path)
    image, mask = outcome(lambda: images.read_image(path)), outcome(lambda: images.read_mask(path))
    np.testing.assert_array_equal(image, values)
    np.testing.assert_array_equal(mask, values > 0)
    for target in ((1, 1), (16, 24), (512, 512)):
        assert images.resize_image(values, target).shape == target
        # Its share of foreground is the file's, as far as a pixel counts as a whole: here nearly all of it is.
        assert images.resize_mask(values > 0, target).mean() >= (0.9 if size != (1, 1) else (values > 0).mean())


@cases(30)
@given(kind=st.sampled_from(["PNG", "TIFF", "WEBP", "GIF"]), count_=st.integers(2, 4), seed=st.integers(0, 99))
def test_several_images_in_a_file_are_refused(folder: Path, kind: str, count_: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    frames = [Image.fromarray(random.integers(0, 256, (6, 8)).astype(np.uint8)) for _ in range(count_)]
    path = folder / "several.png"
    frames[0].save(path, kind, save_all=True, append_images=frames[1:])
    for read in (images.read_image, images.read_mask):
        refused(lambda read=read: read(path))


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "JPEG"])
@pytest.mark.parametrize("turn", range(1, 9))
def test_an_image_that_is_to_be_turned_is_refused(folder: Path, kind: str, turn: int) -> None:
    """Its mask may have been drawn over either: viewers turn it, and Pillow turns TIFF alone."""
    values = np.random.default_rng(turn).integers(0, 256, (5, 7)).astype(np.uint8)
    exif = Image.Exif()
    exif[0x0112] = turn
    path = folder / f"turned.{kind.lower()}"
    Image.fromarray(values).save(path, kind, exif=exif, **LOSSLESS.get(kind, {}))
    if turn > 1:
        assert "must be turned" in refused(lambda: images.read_image(path))
    else:
        found = outcome(lambda: images.read_image(path))
        assert isinstance(found, np.ndarray)
        assert found.shape == values.shape


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_mask_of_what_is_no_number(folder: Path, value: float) -> None:
    Image.fromarray(np.array([[1, value]], np.float32)).save(folder / "nan.tif")
    assert "not finite numbers" in refused(lambda: images.read_mask(folder / "nan.tif"))


SIZES = st.sampled_from([(2, 3), (2, 3), (2, 3), (3, 2), (1, 1), (0, 0), (0, 3)])
DTYPES = st.sampled_from([np.uint8, np.bool_, np.float32, np.int64, np.complex64, object])


@cases(60)
@given(
    image=st.tuples(SIZES, st.sampled_from([(), (), (3,), (1,), (4,), (3, 3)]), st.just(np.uint8) | DTYPES),
    mask=st.tuples(SIZES, st.just(np.bool_) | DTYPES),
)
def test_image_and_mask_that_do_not_fit(image: Any, mask: Any) -> None:
    made = Example(image=np.zeros((*image[0], *image[1]), image[2]), mask=np.zeros(mask[0], mask[1]))
    sample = Sample(id="a\nb", groups={}, read=lambda: made)
    found = outcome(lambda: validate.check_example(sample, made, PUBLISHED))
    good = image[2] == np.uint8 and image[1] in ((), (3,)) and mask[1] == np.bool_ and image[0] == mask[0]
    assert (not isinstance(found, UserError)) == (good and min(mask[0]) > 0)
