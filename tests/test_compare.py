"""`bench compare`: numbers against brute force, lists, refusals, and what stands on the terminal."""

import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import Bench
from numpy.typing import NDArray
from records import Data, recordings, write_entry, write_manifest, write_references
from scipy import stats

from benchmark.common.errors import UserError
from benchmark.leaderboard import compare, tables
from benchmark.leaderboard.compare import EntryComparison
from benchmark.scores import intervals


def mixtures() -> Data:
    """60 mixtures of 8 songs and 6 backgrounds, the last 12 in another slice."""
    random = np.random.default_rng(0)
    number = np.arange(60)
    return recordings(
        48,
        other=12,
        groups={
            "song": [f"song/s{index % 8}" for index in number],
            "background": [f"background/b{index}" for index in random.integers(0, 6, 60)],
        },
    )


def drawn(random: np.random.Generator, middle: float, seeds: int, count: int) -> NDArray[np.float64]:
    seeds_luck, images_luck = 0.01 * random.normal(size=(seeds, 1)), 0.05 * random.normal(size=(seeds, count))
    return np.clip(middle + seeds_luck + images_luck, 0.01, 0.99)


@pytest.fixture
def stored(tmp_path: Path) -> dict[str, Any]:
    """Two entries on mixtures, one image with an empty mask, one of silence; a third one for the correction."""
    data, random = mixtures(), np.random.default_rng(1)
    write_manifest(tmp_path, data)
    write_references(tmp_path, data)
    values: dict[str, Any] = {"data": data}
    for label, middle, seeds in (("net:x=1", 0.7, 3), ("other", 0.6, 4), ("third", 0.58, 3)):
        ious, gains = drawn(random, middle, seeds, 60), random.normal(10 * middle, 1, (seeds, 60))
        ious[:, 5], gains[:, 9] = np.nan, np.nan
        values[label] = write_entry(tmp_path, data, label, ious, gains=gains)
        values[f"{label} gains"] = np.round(gains, 4)
    return values


def only(results: Path, first: str, second: str) -> EntryComparison:
    (found,) = compare.compare(tables.build(results).tables, first, second)
    return found


def test_the_difference_is_that_of_statistics(tmp_path: Path, stored: dict[str, Any]) -> None:
    data = stored["data"]
    comparison = only(tmp_path, "net:x=1", "other")
    assert [score.score for score in comparison.scores] == ["iou", "sisdr_improvement"]
    for score, suffix, scale in zip(comparison.scores, ("", " gains"), (100, 1), strict=True):
        first, second = (scale * stored[f"{label}{suffix}"] for label in ("net:x=1", "other"))
        known = np.isfinite(first).all(0)
        inside = data.main & known
        assert score.total.images == inside.sum() == 47
        expected = intervals.difference(first[:, inside], second[:, inside], data.labels(inside))
        assert score.total.difference == pytest.approx(expected.mean, abs=1e-3)
        assert score.total.estimate is not None
        for name in ("mean", "error", "degrees", "p_value"):
            assert getattr(score.total.estimate, name) == pytest.approx(getattr(expected, name), rel=1e-3)
        for tested in score.strata["snr"]:
            low = float(tested.title.split()[0])
            part = inside & (data.snr >= low) & (data.snr < low + 5)
            expected = intervals.difference(first[:, part], second[:, part], data.labels(part))
            assert (tested.images, tested.difference) == (part.sum(), pytest.approx(expected.mean, abs=1e-3))
            if intervals.obstacle(3, data.labels(part)):
                assert tested.estimate is None
                continue
            assert tested.estimate is not None
            assert tested.estimate.half_width() == pytest.approx(expected.half_width(), rel=1e-3)
        (ood,) = score.strata["slice"]
        part = ~data.main & known
        assert (ood.title, ood.images) == ("ood", 12)
        assert ood.difference == pytest.approx((first.mean(0) - second.mean(0))[part].mean(), abs=1e-3)
        assert sum(tested.images for tested in score.strata["area"]) == 47


def test_the_difference_is_that_of_brute_force(tmp_path: Path, stored: dict[str, Any]) -> None:
    """The mean without each song, each background, each image of both; the seeds' variances; and Student's t."""
    data = stored["data"]
    first, second = 100 * stored["net:x=1"], 100 * stored["other"]
    inside = data.main & np.isfinite(first).all(0)
    means = (first.mean(0) - second.mean(0))[inside]
    song, background = data.labels(inside)

    def jackknife(labels: Sequence[object]) -> float:
        without = [np.mean([m for m, own in zip(means, labels, strict=True) if own != one]) for one in set(labels)]
        return sum((m - means.mean()) ** 2 for m in without) * (len(without) - 1) / len(without)

    parts = [jackknife(song.tolist()), jackknife(background.tolist())]
    groups = max(sum(parts) - jackknife(list(zip(song.tolist(), background.tolist(), strict=True))), *parts)
    fewest = min(len(means) ** 2 / sum(np.unique(kind, return_counts=True)[1] ** 2) for kind in (song, background)) - 1
    (one, of_one), (two, of_two) = [
        (own[:, inside].mean(1).var(ddof=1) / len(own), len(own) - 1) for own in (first, second)
    ]
    variance = groups + one + two
    high, of_high, low, of_low = (one, of_one, two, of_two) if one > two else (two, of_two, one, of_one)
    high *= of_high / stats.chi2.isf(max(0.75, 1 - of_high / 10), of_high)
    degrees = (groups + high + low) ** 2 / (groups**2 / fewest + high**2 / of_high + low**2 / of_low)
    degrees = min(degrees, fewest)

    score = only(tmp_path, "net:x=1", "other").scores[0]
    found = score.total.estimate
    assert found is not None
    assert found.mean == pytest.approx(means.mean())
    assert found.error == pytest.approx(math.sqrt(variance))
    assert found.degrees == pytest.approx(degrees)
    assert found.half_width() == pytest.approx(stats.t.isf(0.025, degrees) * math.sqrt(variance))
    assert found.p_value == pytest.approx(2 * stats.t.sf(means.mean() / math.sqrt(variance), degrees))
    assert found.p_value < 0.01
    assert score.total.winner == "A"


def test_the_correction_is_the_leaderboards(tmp_path: Path, stored: dict[str, Any]) -> None:
    data = stored["data"]
    labels = ["net:x=1", "other", "third"]
    inside = data.main & np.isfinite(stored["other"]).all(0)
    values = [stored[label][:, inside] for label in labels]
    expected = intervals.differences(values, data.labels(inside))
    for first, second in ((0, 1), (1, 2)):
        for names in ((first, second), (second, first)):
            score = only(tmp_path, *(labels[name] for name in names)).scores[0]
            assert score.adjusted == pytest.approx(expected[first, second][1])
            assert score.pairs == 3


def test_swapping_the_entries_turns_everything_round(tmp_path: Path, stored: dict[str, Any]) -> None:
    there, back = only(tmp_path, "net:x=1", "other").scores[0], only(tmp_path, "other", "net:x=1").scores[0]
    assert there.total.difference == pytest.approx(-back.total.difference)
    assert back.ahead == (there.ahead[1], there.ahead[0], there.ahead[2])
    assert [group.title for group in there.groups["song"][0]] == [group.title for group in back.groups["song"][1]]
    assert [image.title for image in there.images] == [image.title for image in back.images]


def test_lists_say_where_each_is_ahead_by_most(tmp_path: Path) -> None:
    """Made so that the answers are known: A is ahead in recordings r0 ... r5, less and less; B in r6; r7 is equal."""
    data = recordings(48, 8, snr=np.full(48, np.nan))
    write_manifest(tmp_path, data)
    ahead = np.array([0.30, 0.25, 0.20, 0.15, 0.10, 0.05, -0.12, 0.0])[np.arange(48) % 8]
    ahead[40] += 0.002  # an image of r0 that stands out
    base = np.full((2, 48), 0.5)
    write_entry(tmp_path, data, "a", base + ahead)
    write_entry(tmp_path, data, "b", base)
    score = only(tmp_path, "a", "b").scores[0]
    first, second = score.groups["recording"]
    assert [(group.title, group.images) for group in first] == [("r0", 6), ("r1", 6), ("r2", 6), ("r3", 6), ("r4", 6)]
    assert first[1].difference == pytest.approx(25)
    assert [(group.title, group.difference) for group in second] == [("r6", pytest.approx(-12))]
    assert score.ahead == (36, 6, 6)
    assert score.strata["snr"] == ()
    expected = ["image-040", *(f"image-{i:03}" for i in (0, 8, 16, 24, 32)), "image-001", "image-009", "image-017"]
    assert [image.title for image in score.images] == [*expected, "image-025"]
    assert score.images[0].groups == {"recording": "r0"}
    assert (score.images[0].first, score.images[0].second) == (pytest.approx(80.2), pytest.approx(50))
    assert math.isnan(score.images[0].snr)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"seeds": 1}, "B: 1 seed, fewer than 2"),
        ({"groups": 4}, "4 independent groups, fewer than 5"),
        ({"lost": (2,)}, "B: seed 2: diverged; the mean over the other seeds is too good"),
    ],
)
def test_what_cannot_be_tested_is_shown_with_the_reason(
    bench: Bench, tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    data = recordings(48, changes.get("groups", 8))
    write_manifest(tmp_path, data)
    random = np.random.default_rng(2)
    write_entry(tmp_path, data, "a", drawn(random, 0.7, 2, 48))
    write_entry(tmp_path, data, "b", drawn(random, 0.6, changes.get("seeds", 2), 48), lost=changes.get("lost", ()))
    comparison = only(tmp_path, "a", "b")
    (score,) = comparison.scores
    assert score.total.reason == reason
    assert score.total.estimate is score.adjusted is None
    scores = [100 * row.scores["iou"] for row in (comparison.first, comparison.second)]
    assert score.total.difference == pytest.approx(scores[0] - scores[1])
    ran = bench("compare", "a", "b", "--full", "--results", tmp_path)
    assert ran.code == 0
    text = " ".join(ran.out.split())
    assert f"A - B = {scores[0] - scores[1]:+.2f}. Not tested ({reason})." in text
    assert "±" not in text
    assert "p =" not in text
    (parsed,) = json.loads(bench("compare", "a", "b", "--results", tmp_path, "--format", "json").out)
    assert parsed["scores"]["iou"]["not_tested"] == reason
    assert parsed["scores"]["iou"]["interval"] is None


@pytest.mark.parametrize("others", [0, 12])
def test_without_the_manifest_of_the_images_nothing_is_compared(bench: Bench, tmp_path: Path, others: int) -> None:
    data = recordings(48)
    if others:
        write_manifest(tmp_path, recordings(others))
    for label in ("a", "b"):
        write_entry(tmp_path, data, label, np.full((2, 48), 0.5))
    ran = bench("compare", "a", "b", "--results", tmp_path)
    assert ran.code == 2
    assert ran.err.splitlines()[-1].startswith("bench: 'a' cannot be compared: the manifest of the data is missing")


def test_a_score_without_images_is_a_dash(bench: Bench, tmp_path: Path) -> None:
    data, random = recordings(48), np.random.default_rng(6)
    write_manifest(tmp_path, data)
    for label in ("a", "b"):
        write_entry(tmp_path, data, label, drawn(random, 0.6, 2, 48), gains=np.full((2, 48), np.nan))
    ran = bench("compare", "a", "b", "--full", "--results", tmp_path)
    assert ran.code == 0, ran.err
    assert "A –, B –: A - B = –. Not tested (no such image)." in ran.out


def test_an_entry_without_parameters_needs_no_second_seed(tmp_path: Path) -> None:
    data = recordings()
    write_manifest(tmp_path, data)
    random = np.random.default_rng(3)
    write_entry(tmp_path, data, "a", drawn(random, 0.7, 2, 48))
    write_entry(tmp_path, data, "floor", drawn(random, 0.2, 1, 48), architecture__parameter_count=0)
    score = only(tmp_path, "a", "floor").scores[0]
    assert score.total.winner == "A"


def test_every_table_that_has_both_is_shown(bench: Bench, tmp_path: Path, stored: dict[str, Any]) -> None:
    random = np.random.default_rng(4)
    for label in ("net:x=1", "other"):
        write_entry(
            tmp_path, stored["data"], label, drawn(random, 0.5, 2, 60), comparability_key="f" * 64,
            protocol__name="paper",
        )  # fmt: skip
    assert bench("compare", "net:x=1", "other", "--results", tmp_path).out.count("net:x=1 or other? ") == 2
    ran = bench("compare", "net:x=1", "other", "--results", tmp_path, "--protocol", "paper", "--format", "json")
    assert [found["title"] for found in json.loads(ran.out)] == ["paper on toy"]
    ran = bench("compare", "net:x=1", "third", "--results", tmp_path, "--format", "json")
    assert [found["title"] for found in json.loads(ran.out)] == ["quick on toy"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("net", "other"), "no entry 'net' (did you mean 'net:x=1'?); there are: far, net:x=1, other, third, lost"),
        (("other", "ohter"), "no entry 'ohter' (did you mean 'other'?)"),
        (("other", "other"), "'other' is compared with itself; name two entries"),
        (("other", "far"), "no table has both 'other' and 'far'; run both with the same protocol and data"),
        (("other", "lost"), "'lost' cannot be compared: diverged, no seed finished"),
        (("other", "third", "--protocol", "qick"), "no runs of protocol 'qick' (did you mean 'quick'?)"),
        (("other", "third", "--protocol", "paper"), "no entry 'other'"),
    ],
)
def test_a_mistake_is_one_line(
    bench: Bench, tmp_path: Path, stored: dict[str, Any], words: tuple[str, ...], message: str
) -> None:
    data = stored["data"]
    write_entry(
        tmp_path, data, "far", np.full((2, 60), 0.5), comparability_key="f" * 64, protocol__name="paper"
    )  # fmt: skip
    lost = np.full((1, 60), 0.5)
    write_entry(tmp_path, data, "lost", lost, status="diverged", message="too bold")
    ran = bench("compare", *words, "--results", tmp_path)
    assert ran.code == 2
    assert ran.out == ""
    (line,) = ran.err.splitlines()
    assert line.startswith(f"bench: {message}")


def test_an_empty_folder_is_one_line(bench: Bench, tmp_path: Path) -> None:
    ran = bench("compare", "a", "b", "--results", tmp_path)
    assert ran.code == 2
    assert ran.err.startswith("bench: no runs in")


def test_nothing_is_found_in_no_tables() -> None:
    with pytest.raises(UserError, match="no entry 'a'"):
        compare.compare([], "a", "b")


def test_the_terminal_is_80_columns_wide_and_says_what_json_says(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With names that are too long for a line; every number of JSON stands in the text."""
    monkeypatch.setenv("COLUMNS", "80")
    long = mixtures()
    data = recordings(
        48,
        other=12,
        groups={kind: [f"{name}-{'x' * 40}" for name in names] for kind, names in long.groups.items()},
        ids=[f"a-very-long-name-of-an-image-{'y' * 50}-{index}" for index in range(60)],
    )
    write_manifest(tmp_path, data)
    random = np.random.default_rng(5)
    labels = ["smp:decoder=FPN,encoder=tu-convnext_tiny,name=[bold]" + "z" * 40, "b"]
    for label, middle in zip(labels, (0.7, 0.65), strict=True):
        gains = random.normal(10 * middle, 1, (3, 60))
        write_entry(tmp_path, data, label, drawn(random, middle, 3, 60), gains=gains)
    text = bench("compare", *labels, "--full", "--results", tmp_path).out
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
    flat = re.sub(r"\s+", "", text)
    assert labels[0] in flat
    (found,) = json.loads(bench("compare", *labels, "--results", tmp_path, "--format", "json").out)
    assert (found["A"], found["B"], found["units"]) == (*labels, {"song": 8, "background": 6})
    assert "Units:song8,background6;seeds:A3,B3." in flat
    rows = [line.split() for line in text.splitlines()]
    named = {name: (score["title"], score["slice"]) for name, score in found["scores"].items()}
    assert named == {"iou": ("IoU", "main"), "sisdr_improvement": ("SI-SDR gain", "main")}
    for score in found["scores"].values():
        low, high = score["interval"]
        assert (
            f"A{score['A']:.2f},B{score['B']:.2f}:A-B={score['difference']:+.2f}±{score['half_width']:.2f}"
            f"(95%interval{low:.2f}to{high:.2f});p={score['p']:.2g},{score['degrees_of_freedom']:.1f}degrees"
            f"offreedom,standarderror{score['standard_error']:.2f}."
        ) in flat
        ahead = score["ahead"]
        assert f"Of48imagesAisbetteron{ahead['A']},Bon{ahead['B']},equal{ahead['equal']}." in flat
        for tested in (found for kind in ("snr", "area", "slice") for found in score["strata"][kind]):
            line = [*tested["title"].split(), f"{tested['images']}", f"{tested['A']:.2f}", f"{tested['B']:.2f}"]
            line.append(f"{tested['difference']:+.2f}")
            line += ["–"] if tested["won"] is None else ["±", f"{tested['half_width']:.2f}", tested["won"]]
            assert line in [row[-len(line) :] for row in rows]
        for both in score["groups"].values():
            for name, groups in both.items():
                for group in groups:
                    numbers = [f"{group['A']:.2f}", f"{group['B']:.2f}", f"{group['difference']:+.2f}", name]
                    assert [str(group["images"]), *numbers] in [row[-5:] for row in rows]
        for image in score["images_that_differ_most"]:
            numbers = [f"{image['snr_db']:.1f}", f"{image['A']:.2f}", f"{image['B']:.2f}"]
            assert [*numbers, f"{image['difference']:+.2f}"] in [row[-4:] for row in rows]
    assert "which is the only pair of its table" in " ".join(text.split())


def test_five_lines_begin_with_names(bench: Bench, tmp_path: Path, stored: dict[str, Any]) -> None:
    del stored
    text = " ".join(bench("compare", "other", "net:x=1", "--results", tmp_path).out.split())
    score = only(tmp_path, "other", "net:x=1").scores[0]
    assert score.total.estimate is not None
    difference, half = -score.total.difference, score.total.estimate.half_width()
    assert text.startswith("other or net:x=1? Quick (quick); seeds: 4 and 3. Overlap: other ")
    assert f"net:x=1 is ahead by {difference:.1f} ± {half:.1f}; for this pair alone that is clear (p = " in text
    assert "among all 3 pairs of the table clear (" in text
    assert f"of 47 images other is better on {score.ahead[0]}, net:x=1 on {score.ahead[1]}." in text
    assert "Cost: other 1.5 M parameters, 50 test images/s; net:x=1 1.5 M" in text
    assert "A = " not in text


def test_three_names_give_a_matrix_of_pairs(bench: Bench, tmp_path: Path, stored: dict[str, Any]) -> None:
    del stored
    labels = ["net:x=1", "other", "third"]
    lines = bench("compare", *labels, "--results", tmp_path).out.splitlines()
    assert [line.partition(":")[0] for line in lines[1:4]] == ["1 = net", "2 = other", "3 = third"]
    cells = {}
    for one, other in ((0, 1), (0, 2), (1, 2)):
        score = only(tmp_path, labels[one], labels[other]).scores[0]
        assert score.total.estimate is not None
        half = score.total.estimate.half_width()
        cells[one, other] = f"{score.total.difference:+.1f} ± {half:.1f}, p {score.adjusted:.2g}"
    first, second = (re.split("  +", line.strip()) for line in lines[6:8])
    assert first == ["1", cells[0, 1], cells[0, 2]]
    assert second == ["2", cells[1, 2]]
    found = json.loads(bench("compare", *labels, "--results", tmp_path, "--format", "json").out)
    assert [(one["A"], one["B"]) for one in found] == [
        (labels[0], labels[1]),
        (labels[0], labels[2]),
        (labels[1], labels[2]),
    ]


def test_one_name_is_not_enough(bench: Bench, tmp_path: Path) -> None:
    ran = bench("compare", "a", "--results", tmp_path)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("bench: name two networks to compare")
