"""The page: what is in it, and how it behaves in a real browser."""

import base64
import io
import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from benchmark.datasets import synthetic
from helpers import Bench
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from test_baseline import build, ious
from test_leaderboard import _counts, write

from benchmark import scores
from benchmark.common.errors import UserError
from benchmark.contract import Audio
from benchmark.leaderboard import page as report
from benchmark.leaderboard import tables
from benchmark.leaderboard.page import cards, charts, encoding, gallery, page, published, sounds
from benchmark.records import pictures, store
from benchmark.records.sounds import sounds_of
from benchmark.records.tables import write_csv

EVIL = """<script>window.hacked=1</script>"'&{{ 7 * 7 }}<img src=x onerror="window.hacked=1">"""


def written(results: Path) -> Path:
    path = results / "leaderboard.html"
    path.write_text(report.rendered(tables.build(results), results), encoding="utf-8")
    return path


def furnish(results: Path) -> Path:
    """Three entries with three seeds, one with a single one, on eight images of eight recordings, with pictures.

    "good" is the best, "poor:width=2" and "bad" are certainly behind, "alone" is not ranked.
    """
    for seed in range(3):
        entry(results, "good", 8, seed)
        entry(results, "poor:width=2", 3, seed, architecture__gflops=9.0)
        entry(results, "bad", 2, seed)
    entry(results, "alone", 5, 0)
    lines = [
        {
            "split": "test",
            "id": f"image-{index}",
            "slice": "ood" if index > 5 else "main",
            "groups": {"recording": f"r{index}"},
            "strata": {"snr_db": 1.0 + 4 * index},
            "height": 8,
            "width": 8,
            "foreground": 10,
            "image_sha256": "",
            "mask_sha256": "",
        }
        for index in range(8)
    ]
    manifest = store.manifest_path(results, "c" * 64)
    manifest.parent.mkdir()
    manifest.write_text("".join(json.dumps(line) + "\n" for line in lines))
    truth = np.zeros((8, 8, 8), dtype=bool)
    truth[:, :5, :2] = True  # ten pixels
    images = np.random.default_rng(0).integers(0, 255, (8, 8, 8), dtype=np.uint8)
    path = store.pictures_path(results, "c" * 64, (8, 8))
    path.parent.mkdir()
    np.savez(
        path, truth_packed=np.packbits(truth, axis=-1), truth_shape=truth.shape, **pictures.pack_thumbnails(images)
    )
    predicted = np.zeros_like(truth)
    predicted[:, :4, :2] = True  # eight found, two missed
    predicted[:, 7, 7] = True  # one invented
    for folder in results.glob("runs/*/*/*/*"):
        np.savez(folder / "predictions.npz", packed=np.packbits(predicted, axis=-1), shape=predicted.shape)
        write_csv(
            folder / "history.csv",
            ["epoch", "loss", "validation_iou", "seconds"],
            [[1, 0.9, 0.1, 1], [2, 0.5, 0.4, 1], [3, 0.4, 0.3, 1]],
        )
    return results


def entry(results: Path, label: str, hits: int, seed: int, **changes: Any) -> None:
    """A run; every second image has one hit more, and so has every second seed."""
    images = {"train": 4, "val": 2, "test": 8}
    slices = {"main": 6, "ood": 2}
    folder = write(
        results, label=label, seed=seed, dataset__test_slices=slices, dataset__images=images, key=str(hits), **changes
    )
    rows = [
        [f"image-{index}", "ood" if index > 5 else "main", *_counts(hits + index % 2 + seed % 2)] for index in range(8)
    ]
    write_csv(folder / "images.csv", ["id", "slice", *scores.COUNT_COLUMNS], rows)


def made(results: Path) -> str:
    return page.rendered(tables.build(results), results)


# ---------------------------------------------------------------- the file


def test_the_page_asks_for_nothing_but_itself(tmp_path: Path) -> None:
    text = made(furnish(tmp_path))
    assert "default-src 'none'" in text
    links = set(re.findall(r"""(?:src|href|action|data|poster)=["']([^"']*)["']""", text))
    beside = {f"leaderboard.{suffix}" for suffix in ("csv", "json", "tex", "md")}
    assert {link for link in links if not link.startswith(("#", "data:"))} == {
        *beside,
        "../README.md",
        "../docs/add-a-network.md",
    }  # followed when they are clicked
    assert not re.search(r"""(?:src|action|poster)=["'](?!data:)""", text)
    assert not re.search(r"@import|url\(", text)


def test_the_same_records_give_the_same_bytes(tmp_path: Path) -> None:
    furnish(tmp_path)
    texts = [report.rendered(tables.build(tmp_path), tmp_path) for _ in range(2)]
    assert texts[0] == texts[1]


def test_every_string_of_a_user_is_escaped(tmp_path: Path) -> None:
    write(
        tmp_path,
        label="plain",
        architecture__label=EVIL,
        architecture__title=EVIL,
        architecture__paper=EVIL,
        architecture__weights=EVIL,
        architecture__reported=[
            {"dataset": EVIL, "split": "test", "metric": "IoU", "value": 1.0, "source": EVIL, "comparable": EVIL}
        ],
        dataset__label=EVIL,
        dataset__title=EVIL,
        command=EVIL,
        device__kind=EVIL,
    )
    write(tmp_path, label="lost", status="diverged", message=EVIL)
    text = made(tmp_path)
    assert "<script>window" not in text
    assert "<img" not in text
    assert "{{ 7 * 7 }}" in text  # neither run as a template
    assert "49<" not in text


def test_ids_in_the_data_of_the_script_cannot_end_it(tmp_path: Path) -> None:
    text = made(furnish(tmp_path))
    (data,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert "<" not in data
    assert set(json.loads(data)) == {tables.build(tmp_path).tables[0].name}


def test_pictures_stand_once_and_thumbnails_of_others_only_where_asked_for(tmp_path: Path) -> None:
    furnish(tmp_path)
    own = store.pictures_path(tmp_path, "c" * 64, (8, 8))
    with np.load(own) as stored:
        everything = dict(stored)
    first = base64.b64encode(everything["thumbnails"][: everything["ends"][0]].tobytes()).decode()
    assert made(tmp_path).count(first) == 1
    secret = store.pictures_path(tmp_path, "c" * 64, (8, 8), private=True)
    secret.parent.mkdir()
    np.savez(secret, thumbnails=everything["thumbnails"], ends=everything["ends"])
    np.savez(own, truth_packed=everything["truth_packed"], truth_shape=everything["truth_shape"])
    assert first not in made(tmp_path)
    assert "bench leaderboard --private" in made(tmp_path)
    assert first in page.rendered(tables.build(tmp_path), tmp_path, private=True)


def test_without_pictures_the_rest_stands(tmp_path: Path) -> None:
    write(tmp_path, label="net")
    text = made(tmp_path)
    assert ">net</button>" in text
    assert "<canvas" not in text


def test_a_page_that_would_be_too_large_shows_fewer_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    furnish(tmp_path)
    whole = made(tmp_path)
    assert "The worst 6 images" in whole
    monkeypatch.setattr(page, "LARGEST", len(whole.encode()))
    assert "The worst 5 images" in made(tmp_path)
    bare = page._attempt(tables.build(tmp_path), tmp_path, worst=None, sort="iou", private=False)
    monkeypatch.setattr(page, "LARGEST", len(bare.encode()) + 1)
    assert made(tmp_path) == bare
    assert "<canvas" not in bare
    monkeypatch.setattr(page, "LARGEST", 1)
    with pytest.raises(UserError, match="show fewer tables"):
        made(tmp_path)


def test_failures_and_what_is_not_ranked_are_said(tmp_path: Path) -> None:
    furnish(tmp_path)
    write(tmp_path, label="lost", status="diverged", message="the loss was not finite")
    text = made(tmp_path)
    assert "seed 0: diverged. the loss was not finite" in text
    assert "Not ranked: 1 seed, fewer than 2." in text


@pytest.mark.parametrize("name", ["history.csv", "predictions.npz", "images.csv"])
@pytest.mark.parametrize("kept", [0, 10, 60])
def test_a_damaged_file_leaves_the_rest(tmp_path: Path, name: str, kept: int) -> None:
    furnish(tmp_path)
    path = next(tmp_path.glob("runs/*/*/good/*")) / name
    path.write_bytes(path.read_bytes()[:kept])
    assert 'aria-label="Compare poor:width=2"' in made(tmp_path)


def test_a_loss_that_is_no_number_ends_the_curve(tmp_path: Path) -> None:
    furnish(tmp_path)
    for path in tmp_path.glob("runs/*/*/good/*/history.csv"):
        path.write_text("epoch,loss,validation_iou,seconds\n1,0.9,0.1,1\n2,0.5,0.2,1\n3,inf,nan,1\n")
    text = made(tmp_path)
    assert "nan," not in text
    assert ",nan" not in text


def test_the_page_with_private_pictures_lies_where_nobody_commits_it(bench: Bench, tmp_path: Path) -> None:
    furnish(tmp_path)
    ran = bench("leaderboard", "--results", tmp_path, "--private", "--format", "html")
    path = tmp_path / "private" / "leaderboard.html"
    assert (ran.code, path.is_file()) == (0, True)
    assert not (tmp_path / "leaderboard.html").exists()


def test_the_committed_page_is_small() -> None:
    path = Path(__file__).parent.parent / "results" / "leaderboard.html"
    assert path.stat().st_size < page.LARGEST


# ---------------------------------------------------------------- its parts


def decoded(text: str, size: int) -> np.ndarray:
    """What the page's script does."""
    bits, at, value, run, shift = np.zeros(size, dtype=bool), 0, False, 0, 0
    for byte in base64.b64decode(text):
        run |= (byte & 127) << shift
        shift += 7
        if byte & 128:
            continue
        bits[at : at + run] = value
        at, value, run, shift = at + run, not value, 0, 0
    assert at == size
    return bits


@given(arrays(bool, st.tuples(st.integers(1, 40), st.integers(1, 40))))
def test_masks_come_back(mask: np.ndarray) -> None:
    np.testing.assert_array_equal(decoded(encoding.encode(mask), mask.size).reshape(mask.shape), mask)


def test_a_long_run_takes_several_bytes() -> None:
    mask = np.zeros((160, 160), dtype=bool)
    mask[-1, -1] = True
    np.testing.assert_array_equal(decoded(encoding.encode(mask), mask.size).reshape(mask.shape), mask)


@pytest.mark.parametrize(("shape", "expected"), [((128, 256), (80, 160)), ((512, 512), (160, 160)), ((8, 9), (8, 9))])
def test_masks_are_shrunk_to_a_thumbnail(shape: tuple[int, int], expected: tuple[int, int]) -> None:
    mask = np.zeros(shape, dtype=bool)
    mask[: shape[0] // 2] = True
    small = encoding.shrink(mask)
    assert small.shape == expected
    assert small.mean() == pytest.approx(0.5)


@given(st.lists(st.tuples(st.integers(1, 6), st.integers(0, 6)), min_size=1, max_size=12), st.booleans())
def test_the_front_is_what_nobody_beats(points: list[tuple[int, int]], more: bool) -> None:
    costs, ious = zip(*points, strict=True)
    front = charts._front(costs, ious, more_is_better=more)
    sign = 1 if more else -1
    for index, (cost, iou) in enumerate(points):
        beaten = any((sign * c >= sign * cost and i >= iou) and (c, i) != (cost, iou) for c, i in points)
        assert (index in front) == (not beaten)


@given(st.floats(0.01, 100))
def test_scales_are_round(value: float) -> None:
    top = charts.round_up(value)
    assert top >= value * 0.999999
    ticks = charts.Scale(low=0.0, high=top).ticks()
    assert 3 <= len(ticks) <= 7
    assert ticks[0].text == "0"
    assert all(tick.place >= charts.TOP - 0.01 for tick in ticks)


def test_a_collapsed_entry_does_not_stretch_the_scale(tmp_path: Path) -> None:
    for label, hits in (("a", 8), ("b", 7), ("lost", 1)):
        entry(tmp_path, label, hits, 0)
    (table,) = tables.build(tmp_path).tables
    scale = charts.iou_scale(table.rows)
    places = {row.label: charts.whisker(row, scale) for row in table.rows}
    assert scale.low > 100 * table.rows[-1].scores["iou"]
    assert [places[label]["off"] for label in ("a", "b", "lost")] == [False, False, True]
    assert places["lost"]["middle"] == 0


def test_the_cards_answer(tmp_path: Path) -> None:
    rows = {"net": ious(0.8, 0.4, 0), "floor": ious(0.6, 0.4, 1), "twin": ious(0.8, 0.3, 2), "low": ious(0.2, 0, 3)}
    (tmp_path / "sure").mkdir()
    best, fastest, watch = cards.cards(build(tmp_path / "sure", rows)[0])
    assert best.title == "2 share first place"
    assert fastest.kind == "Fastest and smallest of the 2"
    assert watch.title == "New sounds"
    assert watch.text.endswith("; net keeps most.")
    (tmp_path / "level").mkdir()
    level = {"net": ious(0.6, 0.6, 0), "floor": ious(0.6, 0.6, 1), "twin": ious(0.6, 0.6, 2)}
    *_, watch = cards.cards(build(tmp_path / "level", level)[0])
    assert watch.title == "Nobody clearly beats the floor"
    (tmp_path / "single").mkdir()
    (best,) = cards.cards(build(tmp_path / "single", {"net": ious(0.7, 0.4, 0)[:1]})[0])
    assert best.title == "Nobody yet"


def test_published_numbers_stand_once_a_row_for_each_system(tmp_path: Path) -> None:
    number = {"dataset": "theirs", "source": "paper A", "comparable": "no: other masks"}
    reported = [
        number | {"split": "test", "metric": "IoU", "value": 60.04},
        number | {"split": "validation", "metric": "IoU", "value": 61.0},
        number | {"split": "test", "metric": "IoU", "value": 65.0, "source": "paper B"},
        number | {"split": "test", "metric": "SDR", "value": 9.0},
    ]
    write(tmp_path, label="net", architecture__title="A Net", architecture__reported=reported)
    found = published.published(tables.build(tmp_path).published)
    (iou, sdr) = dict(found["rows"])["A Net"][0], dict(found["rows"])["A Net"][found["metrics"].index("SDR")]
    notes = {text: number for number, text in enumerate(found["notes"], start=1)}
    first = notes["paper A, on theirs. Not comparable: other masks."]
    second = notes["paper B, on theirs. Not comparable: other masks."]
    assert sorted(iou) == sorted([("60.0", "61.0", first), ("65.0", "–", second)])
    assert sdr == [("9.0", "–", first)]
    assert len({title for title, _ in found["rows"]}) == len(found["rows"])


def test_what_every_entry_fails_at(tmp_path: Path) -> None:
    furnish(tmp_path)
    (table,) = tables.build(tmp_path).tables
    found = gallery.gather(table, tmp_path, {row.label: row.label for row in table.rows}, worst=2, private=False)
    assert found is not None
    assert (found["failed_count"], found["trained"]) == (0, 4)
    worst = found["shelves"]["good"]["worst"][0]
    assert worst["says"] == "found 73 %, missed 18 %, invented 9 %"  # 8 of 11, 2 of 11, 1 of 11
    assert [shown["index"] for shown in found["shelves"]["good"]["worst"]] == [4, 2]
    poor = [row for row in table.rows if row.label != "good"]
    assert gallery._failed_by_all(poor, np.arange(6)) == []  # "alone" comes to 0.5
    failed = gallery._failed_by_all([row for row in poor if row.label != "alone"], np.arange(6))
    assert [index for index, _ in failed] == [0, 2, 4, 1, 3, 5]
    assert failed[0][1] == pytest.approx(1 / 3)


def test_thumbnails_are_small_webp_files() -> None:
    images = np.zeros((2, 512, 400, 3), dtype=np.uint8)
    packed = pictures.pack_thumbnails(images)
    second = packed["thumbnails"][packed["ends"][0] : packed["ends"][1]].tobytes()
    with Image.open(io.BytesIO(second)) as image:
        assert (image.format, image.size) == ("WEBP", (125, 160))


def heard(text: str) -> tuple[np.ndarray, int]:
    return soundfile.read(io.BytesIO(base64.b64decode(text)))


def test_sounds_under_masks() -> None:
    """The whole recording comes back under a mask of everything, nothing under an empty one; loudness is kept."""
    (sample,) = [sample for sample in synthetic.load(root=None, test=3, ood=0)["test"] if sample.id == "test-00002"]
    audio = sample.read().audio
    masks = {"all": np.ones((8, 16), dtype=bool), "none": np.zeros((8, 16), dtype=bool)}
    found = {name: heard(text) for name, text in sounds.players(audio, masks, synthetic.DATASET.rendering).items()}
    assert {rate for _, rate in found.values()} == {32_000}
    noisy = found["noisy"][0]
    assert np.abs(noisy).max() == pytest.approx(0.9, abs=0.03)
    np.testing.assert_allclose(found["all"][0], noisy, atol=0.06)
    assert np.abs(found["none"][0]).max() < 0.001
    ratio = np.abs(audio.clean).max() / np.abs(audio.noisy).max()
    assert np.abs(found["clean"][0]).max() == pytest.approx(0.9 * ratio, rel=0.06)


def test_sounds_are_made_again_only_if_they_are_those_of_the_manifest(tmp_path: Path) -> None:
    results = Path(__file__).parent.parent / "results"
    table = next(table for table in tables.build(results).tables if table.name == "quick")
    data = table.head.dataset
    (made,) = sounds_of(results, data, ["test-00003"]).values()
    assert made.noisy.shape == made.clean.shape == (16_448,)
    assert sounds_of(tmp_path, data, ["test-00003"]) == {}  # no manifest
    assert sounds_of(results, data.model_copy(update={"label": "dawn"}), ["test-00003"]) == {}  # not embedded
    assert sounds_of(results, data.model_copy(update={"label": "synthetic:test=2"}), ["test-00003"]) == {}


# ---------------------------------------------------------------- in a browser

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


def chromium() -> str | None:
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return os.environ.get("BENCH_CHROMIUM") or next(filter(None, map(shutil.which, names)), None)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    program = chromium()
    if program is None:
        pytest.skip("no Chromium on this machine; install it, or name one with BENCH_CHROMIUM")
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install -e '.[dev]'")
    with api.sync_playwright() as driver:
        program = driver.chromium.launch(executable_path=program, args=FLAGS)
        yield program
        program.close()


class Opened:
    """The page in the browser, and all that it said and asked for."""

    def __init__(self, browser: Any, path: Path, **options: Any) -> None:
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page = browser.new_page(**options)
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(path.as_uri())

    def names(self) -> list[str]:
        """Entries in their order, as far as they are shown."""
        return [button.inner_text() for button in self.page.locator(".open").all() if button.is_visible()]


@pytest.fixture
def opened(browser: Any, tmp_path: Path) -> Iterator[Opened]:
    furnish(tmp_path)
    found = Opened(browser, written(tmp_path))
    yield found
    assert found.said == []
    assert [url for url in found.asked if not url.startswith("data:")] == [(tmp_path / "leaderboard.html").as_uri()]
    found.page.close()


def test_sorting_stays_within_the_groups(opened: Opened) -> None:
    page = opened.page
    assert opened.names() == ["good", "poor:width=2", "bad", "alone"]  # who is not ranked comes last
    page.get_by_role("columnheader", name="Overlap, IoU (%)", exact=True).get_by_role("button").click()
    assert opened.names() == ["good", "bad", "poor:width=2", "alone"]
    head = page.get_by_role("columnheader", name="GFLOPs")
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "ascending"  # the cheapest first
    assert opened.names() == ["good", "bad", "poor:width=2", "alone"]
    head.get_by_role("button").press("Enter")  # by the keyboard, the other way round
    assert head.get_attribute("aria-sort") == "descending"
    assert opened.names() == ["good", "poor:width=2", "bad", "alone"]
    page.get_by_role("columnheader", name="Network").get_by_role("button").click()
    assert opened.names() == ["good", "bad", "poor:width=2", "alone"]
    page.get_by_role("columnheader", name="Rank").get_by_role("button").click()
    assert opened.names() == ["good", "poor:width=2", "bad", "alone"]
    assert page.locator("th[aria-sort]").count() == 1
    headings = [heading.inner_text() for heading in page.locator("tbody.group:visible").all()]
    assert [heading.split(":")[0].strip() for heading in headings] == [
        "May be the best (1)",
        "Certainly behind at least one other (2)",
        "Not ranked yet (1)",
    ]


def test_sort_and_theme_are_remembered(opened: Opened) -> None:
    page = opened.page
    page.get_by_role("columnheader", name="Network").get_by_role("button").click()
    page.get_by_role("button", name="Use dark colours").click()
    page.reload()
    opened.asked.pop()  # the same address
    assert opened.names() == ["good", "bad", "poor:width=2", "alone"]
    assert page.get_by_role("columnheader", name="Network").get_attribute("aria-sort") == "ascending"
    assert page.get_by_role("button", name="Use light colours").is_visible()


def test_filtering(opened: Opened) -> None:
    page = opened.page
    page.get_by_role("searchbox").fill("OO")
    assert opened.names() == ["good", "poor:width=2"]
    assert page.get_by_role("status").inner_text() == "2 of 4 entries"
    assert page.locator("tbody.group:visible").count() == 2  # a group without an entry is not named
    page.get_by_role("searchbox").fill("")
    assert len(opened.names()) == 4


def test_one_table_at_a_time(opened: Opened) -> None:
    page = opened.page
    first, others = page.get_by_role("tab").first, page.get_by_role("tab").all()[1:]
    assert first.get_attribute("aria-selected") == "true"
    assert [tab.get_attribute("aria-selected") for tab in others] == ["false", "false"]
    assert page.get_by_role("tabpanel").count() == 1
    first.press("ArrowRight")
    assert page.get_by_role("tab", name="Published by others").get_attribute("aria-selected") == "true"
    assert opened.names() == []
    assert page.get_by_role("heading", name="Published by others").is_visible()
    assert page.url.endswith("#published")
    page.keyboard.press("ArrowLeft")
    assert len(opened.names()) == 4
    page.keyboard.press("End")
    assert page.get_by_role("heading", name="About the scores").is_visible()


def test_without_script_every_table_stands(browser: Any, tmp_path: Path) -> None:
    furnish(tmp_path)
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(written(tmp_path).as_uri())
    for name in ("Published by others", "About the scores"):
        assert page.get_by_role("heading", name=name, exact=True).is_visible()
    assert page.locator("tbody.entry").first.is_visible()
    context.close()


def test_a_link_opens_its_row(opened: Opened) -> None:
    page = opened.page
    name = page.locator("tbody.entry").nth(1).get_attribute("id")
    assert name is not None
    assert name.endswith("/poor:width=2")
    page.evaluate("name => { location.hash = name; }", name)
    button = page.get_by_role("button", name="poor:width=2", exact=True)
    page.wait_for_function("button => button.ariaExpanded === 'true'", arg=button.element_handle())
    page.get_by_role("tab", name="Published by others").click()
    page.evaluate("location.hash = '#no-such-%row'")  # the first table
    page.wait_for_function("document.querySelector('[role=tab]').ariaSelected === 'true'")


def test_two_rows_are_compared(opened: Opened) -> None:
    page = opened.page
    region = page.get_by_role("region", name="Comparison")
    page.get_by_label("Compare good").check()
    assert not region.is_visible()
    page.get_by_label("Compare poor:width=2").check()
    text = region.inner_text()
    assert "good is ahead of poor:width=2 by" in text
    assert "This is certain: p = " in text
    assert region.locator("svg .c0").count() >= 6  # the curves of three seeds, twice
    assert region.locator("svg .c1").count() >= 6
    assert region.locator("canvas").count() == 12  # four images: the recording, and both masks
    page.get_by_label("Compare alone").check()  # takes the place of the first
    assert not page.get_by_label("Compare good").is_checked()
    assert "cannot be tested" in region.inner_text()
    page.get_by_label("Compare alone").uncheck()
    assert not region.is_visible()


def test_embedded_sounds_can_be_played(browser: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    furnish(tmp_path)
    wave = np.sin(np.arange(128 + 64 * 7))
    audio = {f"image-{index}": Audio(noisy=wave, clean=wave / 2, sample_rate=8000) for index in range(8)}
    monkeypatch.setattr(gallery, "sounds_of", lambda *_: audio)
    found = Opened(browser, written(tmp_path))
    played = found.page.get_by_label("cleaned by good").first
    seconds = played.evaluate("a => new Promise(r => { a.onloadedmetadata = () => r(a.duration); a.load(); })")
    assert seconds == pytest.approx(576 / 8000, abs=0.01)
    assert found.said == []
    found.page.close()


def test_dot_line_and_row_light_up_together(opened: Opened) -> None:
    page = opened.page
    page.locator("tbody.entry").nth(1).hover()
    lit = page.locator(".lit")
    assert {one.get_attribute("data-entry").rpartition("/")[2] for one in lit.all()} == {"poor:width=2"}
    assert page.locator("tbody.lit, g.lit .dot, g.lit .line").count() >= 3
    assert "poor:width=2: IoU" in page.locator(".says").first.inner_text()


def test_an_entry_opens_with_the_keyboard_and_shows_its_pictures(opened: Opened) -> None:
    page = opened.page
    button = page.get_by_role("button", name="good", exact=True)
    detail = page.locator(f'[id="{button.get_attribute("aria-controls")}"]')
    assert not detail.is_visible()
    button.focus()
    page.keyboard.press("Space")
    assert detail.is_visible()
    assert button.get_attribute("aria-expanded") == "true"
    assert "bench run --arch net" in detail.inner_text()
    colours = pixels(page, detail.locator('canvas[data-draw="errors"]').first)
    assert colours.shape == (24, 24, 3)  # each pixel of the mask is three by three
    colours = colours[1::3, 1::3]
    assert colours[0][0].tolist() == [244, 244, 240]  # found
    assert colours[4][0].tolist() == [86, 180, 233]  # missed
    assert colours[7][7].tolist() == [213, 94, 0]  # invented
    red, _, blue = colours[6][3].tolist()
    assert 0 < blue - red < 10  # else the recording, dark and grey
    sound = pixels(page, detail.locator('canvas[data-draw="sound"]').first)
    assert sound[0, :6].tolist() == [[255, 255, 255]] * 6  # the outline of the truth
    assert sound[20, 20].tolist() != [255, 255, 255]
    page.keyboard.press("Space")
    assert not detail.is_visible()


def pixels(page: Any, canvas: Any) -> np.ndarray:
    """The colours (H, W, 3) of a canvas, as soon as it is drawn."""
    canvas.scroll_into_view_if_needed()
    page.wait_for_function("canvas => canvas.dataset.done", arg=canvas.element_handle())
    read = "c => [c.height, c.width, ...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]"
    height, width, *values = canvas.evaluate(read)
    return np.array(values).reshape(height, width, 4)[:, :, :3]


def test_light_and_dark(opened: Opened) -> None:
    page = opened.page
    paper = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(paper)
    page.get_by_role("button", name="Use dark colours").click()
    assert page.evaluate(paper) != light
    page.get_by_role("button", name="Use light colours").click()
    assert page.evaluate(paper) == light


@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_hangs_over_the_edge(opened: Opened, width: int) -> None:
    opened.page.set_viewport_size({"width": width, "height": 800})
    opened.page.locator(".open").first.click()
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= width


def test_everything_has_a_name_for_those_who_listen(opened: Opened) -> None:
    page = opened.page
    page.locator(".open").first.click()
    nameless = page.evaluate(
        """() => [...document.querySelectorAll('button, input, canvas, svg[role=img]')].filter(
            (e) => !(e.getAttribute('aria-label') || e.textContent.trim() || e.labels?.length)).length"""
    )
    assert nameless == 0
    assert page.locator("html").get_attribute("lang") == "en"
    assert page.locator("h1").count() == 1


def test_no_string_of_a_user_runs(browser: Any, tmp_path: Path) -> None:
    write(
        tmp_path, label="plain", architecture__label=EVIL, architecture__title=EVIL, command=EVIL, dataset__label=EVIL
    )
    found = Opened(browser, written(tmp_path))
    found.page.locator(".open").first.click()
    assert found.page.evaluate("window.hacked") is None
    assert found.said == []
    assert EVIL in found.page.locator(".detail h3").inner_text()
    found.page.close()
