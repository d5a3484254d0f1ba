"""The audit of a dataset: every kind of finding planted and found, nothing found where nothing is wrong."""

import io
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from helpers import Bench, birdsounds_tree, blobs, save
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image, ImageFilter

from benchmark.common.errors import UserError
from benchmark.common.progress import silent
from benchmark.data import layout
from benchmark.tools.audit import findings, likeness, pairs, scan, show
from benchmark.tools.audit.sample import look


def audit(root: Path) -> scan.Audit:
    return scan.scan(root, silent)


def kinds(root: Path) -> set[tuple[str, str]]:
    """What is found, beside the note that small images are not checked for symmetry."""
    found = {(one.severity, one.kind) for one in audit(root).findings}
    return found - {("note", "symmetry not checked")}


def song(seed: int, events: int = 25) -> np.ndarray:
    """A spectrogram of short tones over noise, uint8 (256, 600)."""
    random = np.random.default_rng(seed)
    image = random.rayleigh(20, (256, 600))
    for _ in range(events):
        row, column = random.integers(0, 245), random.integers(0, 560)
        image[row : row + 10, column : column + int(random.integers(10, 40))] += 180
    return np.clip(image, 0, 255).astype(np.uint8)


def jpeg(image: np.ndarray) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=90)
    return np.asarray(Image.open(file))


COPIES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "jpeg": jpeg,
    "brighter": lambda image: np.clip(image * 1.05, 0, 255).astype(np.uint8),
    "darker": lambda image: (image * 0.95).astype(np.uint8),
    "shifted": lambda image: np.roll(image, 8, axis=1),
    "padded": lambda image: np.pad(image, ((0, 0), (3, 0)))[:, :-3],
    "half as large": lambda image: np.asarray(Image.fromarray(image).resize((300, 128))),
}


def test_a_clean_tree(birdsounds: Path) -> None:
    assert kinds(birdsounds) == set()
    found = audit(birdsounds)
    assert not found.leaks
    assert [(split.name, split.images, split.masks) for split in found.splits] == [
        ("train", 4, 4),
        ("val", 2, 2),
        ("test", 2, 2),
    ]
    train = found.splits[0]
    assert train.groups == {"recording": 4}
    assert train.sizes == ((60, 40), (60, 40), (60, 40))
    assert train.balance is not None
    assert train.balance.mean == pytest.approx(13 * 20 / 2400)
    assert show.table(found).splitlines()[-1] == "Verdict: no leakage and no problem was found; 1 note."


@pytest.mark.parametrize("splits", [("train", "valid", "test"), ("train", "val", "test")])
def test_every_spelling(tmp_path: Path, splits: tuple[str, str, str]) -> None:
    birdsounds_tree(tmp_path, splits=splits, folders=("images", "masks"))
    assert [split.images for split in audit(tmp_path).splits] == [4, 2, 2]


def test_a_split_may_be_missing(birdsounds: Path) -> None:
    shutil.rmtree(birdsounds / "Valid")
    assert [split.name for split in audit(birdsounds).splits] == ["train", "test"]
    assert kinds(birdsounds) == set()


def test_folders_that_are_no_dataset(tmp_path: Path, birdsounds: Path) -> None:
    with pytest.raises(UserError, match="is not a folder; give the dataset's top folder"):
        audit(tmp_path / "nowhere")
    with pytest.raises(UserError, match="has 4 images with masks, but no splits: bench data split"):
        audit(birdsounds / "Train")
    (tmp_path / "empty" / "Train" / "Images").mkdir(parents=True)
    with pytest.raises(UserError, match="holds no image; put the images into Train/Images"):
        audit(tmp_path / "empty")


def test_worker_processes_and_progress(tmp_path: Path) -> None:
    for number in range(18):
        save(tmp_path / "Train" / "Images" / f"XC{number}.png", blobs(number)[0])
        save(tmp_path / "Train" / "Masks" / f"XC{number}.png", blobs(number)[1])
    calls: list[tuple[str, int, int, str]] = []
    found = scan.scan(tmp_path, lambda *call: calls.append(call))
    assert calls == [("auditing", done, 18, "") for done in range(19)]
    assert len(found.splits[0].foreground) == len(found.splits[0].pictures) == 18


def test_a_recording_in_two_splits(birdsounds: Path) -> None:
    for kind, pixels in zip(("Images", "Masks"), blobs(7), strict=True):
        save(birdsounds / "Valid" / kind / "XC101_left.png", pixels)
    assert kinds(birdsounds) == {("leakage", "recording in two splits")}
    found = audit(birdsounds)
    assert found.leaks
    assert found.findings[0].text == "XC101: Train/Images/XC101.png, Valid/Images/XC101_left.png"
    assert found.findings[0].paths == (Path("Train/Images/XC101.png"), Path("Valid/Images/XC101_left.png"))


def test_both_channels_in_one_split_are_one_recording(birdsounds: Path) -> None:
    for side in ("left", "right"):
        for kind, pixels in zip(("Images", "Masks"), blobs(7 if side == "left" else 8), strict=True):
            save(birdsounds / "Train" / kind / f"XC9_{side}.png", pixels)
    assert kinds(birdsounds) == set()
    assert audit(birdsounds).splits[0].groups == {"recording": 5}


@pytest.mark.parametrize(
    ("split", "expected"),
    [("Test", ("leakage", "identical pixels in two splits")), ("Train", ("note", "identical pixels in one split"))],
)
def test_identical_pixels(birdsounds: Path, split: str, expected: tuple[str, str]) -> None:
    for kind in ("Images", "Masks"):
        pixels = np.asarray(Image.open(birdsounds / "Train" / kind / "XC102.png"))
        Image.fromarray(pixels).convert("RGB").save(birdsounds / split / kind / "XC900.png")  # other bytes
    assert kinds(birdsounds) == {expected}


def test_songs_and_backgrounds_of_mixtures(birdsounds: Path) -> None:
    def sample(split: str, stem: str, song: str, background: str) -> layout.MixedSample:
        numbers = dict.fromkeys(("song_start", "background_start", "snr_db", "gain_db", "highpass", "lowpass"), 0.0)
        shares = dict.fromkeys(("song_gain", "background_gain", "peak", "foreground", "saturated", "zero"), 0.5)
        words = dict.fromkeys(
            ("slice", "bird", "species", "site", "noise", "song_file", "background_file", "sha256"), "main"
        )
        whole = {"song_times": 1, "sample_rate": 32000, "frames": 60}
        return layout.MixedSample(
            id=stem, split=split, song=song, background=background, **numbers, **shares, **words, **whole
        )

    for image in birdsounds.glob("*/Images/*.png"):
        for kind in ("Raw_audios", "Clean_audios"):
            sound = image.parents[1] / kind / f"{image.stem}.wav"
            sound.parent.mkdir(exist_ok=True)
            sound.touch()

    stems = {"train": range(101, 105), "val": (105, 106), "test": (107, 108)}
    samples = [
        sample(split, f"XC{n}", f"song{n}", f"noise-{split}") for split, numbers in stems.items() for n in numbers
    ]
    layout.write_samples(birdsounds / "samples.csv", samples)
    assert kinds(birdsounds) == set()
    assert audit(birdsounds).splits[0].groups == {"song": 4, "background": 1}
    (birdsounds / "Test" / "Clean_audios" / "XC108.wav").unlink()
    assert kinds(birdsounds) == {("problem", "missing sound")}
    (birdsounds / "Test" / "Clean_audios" / "XC108.wav").touch()
    layout.write_samples(birdsounds / "samples.csv", [*samples[:-1], sample("test", "XC108", "song101", "noise-val")])
    assert kinds(birdsounds) == {("leakage", "song in two splits"), ("leakage", "background in two splits")}
    layout.write_samples(birdsounds / "samples.csv", [*samples[:-1], sample("test", "XC999", "song999", "noise-test")])
    texts = {one.text for one in audit(birdsounds).findings if one.severity == "problem"}
    assert texts == {
        "samples.csv lists 'XC999' of test, which has no image",
        "Test/Images/XC108.png is not in samples.csv",
    }
    (birdsounds / "samples.csv").write_text("id\nXC101\n")
    assert kinds(birdsounds) == {("problem", "samples.csv")}


def _truncate(root: Path) -> None:
    path = root / "Train/Images/XC101.png"
    path.write_bytes(path.read_bytes()[:300])


def _other_values(root: Path) -> None:
    mask = blobs(101)[1]
    mask[0, :5] = (1, 2, 3, 4, 5)
    save(root / "Train/Masks/XC101.png", mask)


PLANTED: dict[tuple[str, str], Callable[[Path], object]] = {
    ("problem", "unreadable image"): _truncate,
    ("problem", "unreadable mask"): lambda root: (root / "Train/Masks/XC101.png").write_bytes(b"GIF89a"),
    ("problem", "image without mask"): lambda root: (root / "Valid/Masks/XC105.png").unlink(),
    ("problem", "mask without image"): lambda root: (root / "Valid/Images/XC105.png").unlink(),
    ("problem", "different sizes"): lambda root: save(root / "Train/Masks/XC101.png", blobs(101, (40, 59))[1]),
    ("problem", "shared name"): lambda root: save(root / "Train/Masks/XC101.bmp", blobs(101)[1]),
    ("problem", "mask not two-valued"): _other_values,
    ("problem", "missing folder"): lambda root: shutil.rmtree(root / "Valid/Masks"),
    ("note", "no masks"): lambda root: shutil.rmtree(root / "Test/Masks"),
    ("note", "empty mask"): lambda root: save(root / "Test/Masks/XC107.png", np.zeros((40, 60))),
    ("note", "full mask"): lambda root: save(root / "Test/Masks/XC107.png", np.full((40, 60), 255)),
}


@pytest.mark.parametrize(("expected", "plant"), PLANTED.items(), ids=[kind for _, kind in PLANTED])
def test_each_planted_mistake_is_the_only_one_found(
    birdsounds: Path, expected: tuple[str, str], plant: Callable[[Path], object]
) -> None:
    plant(birdsounds)
    assert kinds(birdsounds) == {expected}
    assert sum(one.kind == expected[1] for one in audit(birdsounds).findings) == 1


def test_a_test_split_without_masks_is_one_note(birdsounds: Path) -> None:
    shutil.rmtree(birdsounds / "Test" / "Masks")
    (found,) = (one for one in audit(birdsounds).findings if one.kind == "no masks")
    assert found.text == "Test/ has no folder Masks/ (2 images)"
    assert audit(birdsounds).splits[2].balance is None


def test_two_images_of_one_name_share_a_mask(birdsounds: Path) -> None:
    save(birdsounds / "Train" / "Images" / "XC101.bmp", blobs(55)[0])
    save(birdsounds / "Train" / "Masks" / "XC101.png", np.zeros((40, 60)))
    found = audit(birdsounds)
    assert [one.kind for one in found.findings] == ["shared name", "empty mask", "symmetry not checked"]
    assert (found.splits[0].empty_masks, len(found.splits[0].foreground)) == (1, 4)


def test_masks_are_judged_as_a_run_reads_them(tmp_path: Path) -> None:
    for number, split in enumerate(["train"] * 3 + ["val"] * 2 + ["test"] * 2):
        image, mask = blobs(number)
        save(tmp_path / split / "images" / f"site{number}.png", image)
        save(tmp_path / split / "masks" / f"site{number}.png", 255 - mask if split == "val" else mask)
    save(tmp_path / "train" / "masks" / "site0.png", np.where(blobs(0)[1], 11, 3))
    smooth = Image.fromarray(blobs(1)[1]).filter(ImageFilter.GaussianBlur(1))
    smooth.save(tmp_path / "train" / "masks" / "site1.png")
    assert kinds(tmp_path) == {
        ("problem", "mask not two-valued"),
        ("problem", "mostly foreground"),
        ("note", "smoothed mask"),
    }
    (refused,) = (one for one in audit(tmp_path).findings if one.kind == "mask not two-valued")
    assert "site0.png: does not have the values 0 and 1, or 0 and 255 (but 3, 11)" in refused.text


def test_own_folders_in_a_layout_that_a_run_reads(tmp_path: Path) -> None:
    for number, split in enumerate(["train"] * 3 + ["validation"] * 2 + ["test"] * 2):
        image, mask = blobs(number)
        save(tmp_path / split / "imgs" / f"site{number}" / "1.jpg", np.stack([image, image // 2, image // 3], axis=2))
        save(tmp_path / split / "labels" / f"site{number}" / "1_mask.png", mask)
    assert kinds(tmp_path) == set()
    found = audit(tmp_path)
    assert [(one.name, one.images, one.masks, one.groups) for one in found.splits] == [
        ("train", 3, 3, {}),
        ("val", 2, 2, {}),
        ("test", 2, 2, {}),
    ]
    picture = found.splits[0].pictures[0]
    assert picture.image is not None
    red, green, _ = np.moveaxis(show._composite(picture.image, None).astype(int), 2, 0)
    assert (red > green).mean() > 0.9, "photographs are shown in colour"


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "I;16"])
def test_masks_of_every_mode_are_two_valued(birdsounds: Path, mode: str) -> None:
    path = birdsounds / "Train" / "Masks" / "XC101.png"
    mask = blobs(101)[1]
    image = Image.fromarray(mask.astype(np.uint16) * 257) if mode == "I;16" else Image.fromarray(mask).convert(mode)
    image.save(path)
    assert kinds(birdsounds) == set()


def mirrored(axis: int) -> np.ndarray:
    """Noise of 1024 rows whose row k is row `axis` - k: uint8 (1024, 16)."""
    image = np.random.default_rng(0).integers(0, 255, (1024, 16))
    for row in range(axis // 2 + 1):
        image[axis - row] = image[row]
    return image.astype(np.uint8)


def test_symmetry(tmp_path: Path) -> None:
    image, mask = mirrored(1022), (mirrored(1023) > 128) * np.uint8(255)
    save(tmp_path / "Train/Images/XC1.png", image)
    save(tmp_path / "Train/Masks/XC1.png", mask)
    assert audit(tmp_path).findings == ()
    image[:5] = 255 - image[:5]
    mask[:10] = 255 - mask[:10]  # 5 and 10 of 1024 rows, and their mirror images: 1 % and 2 %, just at the limits
    save(tmp_path / "Train/Images/XC1.png", image)
    save(tmp_path / "Train/Masks/XC1.png", mask)
    assert audit(tmp_path).findings == ()
    image[5:7] = 255 - image[5:7]
    save(tmp_path / "Train/Images/XC1.png", image)
    assert kinds(tmp_path) == {("note", "asymmetric image")}
    mask[10:12] = 255 - mask[10:12]
    save(tmp_path / "Train/Masks/XC1.png", mask)
    assert kinds(tmp_path) == {("note", "asymmetric image"), ("note", "asymmetric mask")}


@pytest.mark.parametrize("copy", COPIES.values(), ids=COPIES)
def test_near_duplicates_are_found_and_others_are_not(tmp_path: Path, copy: Callable[[np.ndarray], np.ndarray]) -> None:
    originals = [song(seed) for seed in range(8)]
    for number, image in enumerate(originals):
        save(tmp_path / "Train/Images" / f"XC{number}.png", image)
        save(tmp_path / "Train/Masks" / f"XC{number}.png", image > 150)
    assert kinds(tmp_path) == set()
    save(tmp_path / "Test/Images/XC90.png", copy(originals[3]))
    (found,) = (one for one in audit(tmp_path).findings if one.kind == "near-duplicates in two splits")
    assert found.severity == "note"
    assert found.text == "suspected leakage: Test/Images/XC90.png, Train/Images/XC3.png"


def test_near_duplicates_within_a_split(tmp_path: Path) -> None:
    save(tmp_path / "Test/Images/XC1_left.png", song(1))
    save(tmp_path / "Test/Images/XC1_right.png", jpeg(song(1)))
    assert kinds(tmp_path) == {("note", "no masks")}  # channels of a recording are alike
    save(tmp_path / "Test/Images/XC2.png", COPIES["brighter"](song(1)))
    assert kinds(tmp_path) == {("note", "no masks"), ("note", "near-duplicates in one split")}


def test_flat_images_are_not_alike() -> None:
    grey = [np.full((30, 40), level, np.uint8) for level in (0, 7, 7, 200)]
    hashes = np.array([likeness.phash(image) for image in grey], np.uint64)
    assert likeness.alike(hashes, np.stack([likeness.outline(image) for image in grey])) == []


@given(image=arrays(np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 40))))
@settings(max_examples=50)
def test_every_image_has_a_hash_and_the_same_again(image: np.ndarray) -> None:
    assert likeness.phash(image) == likeness.phash(image.copy())
    assert 0 <= likeness.phash(image) < 2**64
    assert np.isfinite(likeness.outline(image)).all()


SONGS = [song(1), song(2), COPIES["jpeg"](song(1)), song(3), COPIES["shifted"](song(2)), COPIES["brighter"](song(1))]
HASHES = np.array([likeness.phash(image) for image in SONGS], np.uint64)
OUTLINES = np.stack([likeness.outline(image) for image in SONGS])


@given(order=st.permutations(range(6)))
@settings(max_examples=30)
def test_likeness_does_not_depend_on_the_order(order: list[int]) -> None:
    groups = likeness.alike(HASHES[order], OUTLINES[order])
    assert {frozenset(order[index] for index in group) for group in groups} == {frozenset({0, 2, 5}), frozenset({1, 4})}


def test_likeness_across_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(likeness, "_ROWS", 2)
    monkeypatch.setattr(likeness, "_PAIRS", 1)
    order = [3, 1, 0, 2, 4, 5]
    assert sorted(likeness.alike(HASHES[order], OUTLINES[order])) == [[1, 4], [2, 3, 5]]


def test_only_near_hashes_are_candidates() -> None:
    for bits, expected in ((likeness.BITS, [[0, 1]]), (likeness.BITS + 1, [])):
        hashes = np.array([HASHES[0], int(HASHES[0]) ^ (2**64 - 2 ** (64 - bits))], np.uint64)
        assert likeness.alike(hashes, OUTLINES[[0, 0]]) == expected


@pytest.fixture(scope="module")
def messy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree with something of everything."""
    root = birdsounds_tree(tmp_path_factory.mktemp("audit") / "messy")
    for kind in ("Images", "Masks"):
        shutil.copy(root / "Train" / kind / "XC101.png", root / "Valid" / kind / "XC101_left.png")
    _truncate(root)
    for number in range(900, 906):
        save(root / "Train" / "Images" / f"XC{number}.png", blobs(number)[0])
    save(root / "Test" / "Masks" / "XC107.png", np.zeros((40, 60)))
    return root


@given(data=st.data())
@settings(max_examples=20)
def test_findings_do_not_depend_on_the_order_of_files(messy: Path, data: st.DataObject) -> None:
    splits = pairs.find(messy)
    seen = [look(task) for split in splits for task in pairs.tasks(split)]
    expected, found = (
        {(one.severity, one.kind, frozenset(one.paths)) for one in findings.find(messy, splits, order, None)}
        for order in (seen, data.draw(st.permutations(seen)))
    )
    assert found == expected
    assert len(found) > 8


def test_the_table(messy: Path) -> None:
    text = show.table(audit(messy))
    assert max(map(len, text.splitlines())) <= 100
    paragraphs = text.split("\n\n")
    assert paragraphs[0].split()[:3] == ["Train", "Valid", "Test"]
    assert paragraphs[1] == (
        "LEAKAGE: recording in two splits (1)\n  XC101: Train/Images/XC101.png, Valid/Images/XC101_left.png"
    )
    (without,) = (part for part in paragraphs if part.startswith("PROBLEM: image without mask (6)"))
    assert without.splitlines()[1:] == [*(f"  Train/Images/XC{n}.png" for n in (900, 901, 902)), "  and 3 more"]
    severities = [part.split(":")[0] for part in paragraphs[1:-1]]
    assert severities == sorted(severities, key=["LEAKAGE", "PROBLEM", "NOTE"].index)
    assert paragraphs[-1].startswith("Verdict: 1 leak, 7 problems and 2 notes; scores on these splits")


def test_the_contact_sheet(messy: Path, tmp_path: Path) -> None:
    path = tmp_path / "new" / "sheet.png"
    show.contact_sheet(audit(messy), path)
    assert [found.name for found in path.parent.iterdir()] == ["sheet.png"]
    counts = dict(map(reversed, Image.open(path).convert("RGB").getcolors(1 << 24)))
    # Leakage, problem, note: more than the legend shows of each.
    for colour in ((204, 121, 167), (230, 159, 0), (86, 180, 233)):
        assert counts.get(colour, 0) > 1500
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"cannot write .*sheet.png: .*"):
        show.contact_sheet(audit(messy), tmp_path / "file" / "sheet.png")


def test_the_mask_is_drawn_over_its_image() -> None:
    image, mask = np.full((20, 30), 100, np.uint8), np.zeros((20, 30), np.uint8)
    mask[5:15, 5:25] = 255
    drawn = show._composite(image, mask)
    red, green, blue = np.moveaxis(drawn.astype(int), 2, 0)
    np.testing.assert_array_equal((red != green) | (green != blue), mask > 0)
    assert red[5, 10] - blue[5, 10] > red[10, 10] - blue[10, 10] > 50  # the outline is stronger than the veil


def test_pictures_are_spread_evenly(tmp_path: Path) -> None:
    paths = tuple(tmp_path / f"{number:03}.png" for number in range(231))
    split = pairs.Split(name="train", folder=tmp_path, images=paths, masks=None)
    shown = [number for number, task in enumerate(pairs.tasks(split)) if task.picture]
    assert shown == list(range(0, 231, 10))


def test_problems_end_with_code_2_and_notes_with_0(birdsounds: Path, bench: Bench, tmp_path: Path) -> None:
    picture = ("--picture", tmp_path / "sheet.png")
    assert bench("data", "audit", birdsounds, *picture).code == 0
    (birdsounds / "Train" / "Masks" / "XC101.png").unlink()
    ran = bench("data", "audit", birdsounds, *picture)
    assert ran.code == 2
    assert "no leakage was found; 1 problem to fix" in ran.out
