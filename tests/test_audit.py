"""The audit of a dataset: every kind of finding planted and found, nothing found where nothing is wrong."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from helpers import birdsounds_tree, blobs, save
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from benchmark.common.errors import UserError
from benchmark.common.progress import silent
from benchmark.data import layout
from benchmark.tools.audit import findings, pairs, scan, show
from benchmark.tools.audit.sample import examine


def audit(root: Path) -> scan.Audit:
    return scan.scan(root, silent)


def kinds(root: Path) -> set[tuple[str, str]]:
    return {(one.severity, one.kind) for one in audit(root).findings}


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
    assert train.balance["mean"] == pytest.approx(13 * 20 / 2400)
    assert show.table(found).splitlines()[-1] == "Verdict: no leakage and no problem was found."


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
    with pytest.raises(UserError, match="has no folder Train/, Valid/ or Test/; give"):
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
    assert (found.splits[0].masks, len(found.splits[0].pictured)) == (18, 18)


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
        words = dict.fromkeys(("slice", "bird", "species", "site", "song_file", "background_file"), "main")
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
    assert audit(birdsounds).splits[2].balance == {}


def test_two_images_of_one_name_share_a_mask(birdsounds: Path) -> None:
    save(birdsounds / "Train" / "Images" / "XC101.bmp", blobs(55)[0])
    save(birdsounds / "Train" / "Masks" / "XC101.png", np.zeros((40, 60)))
    found = audit(birdsounds)
    assert [one.kind for one in found.findings] == ["shared name", "empty mask"]
    assert found.splits[0].empty_masks == 1


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "I;16"])
def test_masks_of_every_mode_are_two_valued(birdsounds: Path, mode: str) -> None:
    path = birdsounds / "Train" / "Masks" / "XC101.png"
    mask = blobs(101)[1]
    image = Image.fromarray(mask.astype(np.uint16) * 257) if mode == "I;16" else Image.fromarray(mask).convert(mode)
    image.save(path)
    assert kinds(birdsounds) == set()


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
    seen = [examine(task) for split in splits for task in pairs.tasks(split)]
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
    assert paragraphs[-1].startswith("Verdict: 1 leak, 7 problems and 1 note; scores on these splits")


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
