"""Scores against brute-force NumPy written from their definitions."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from benchmark import scores
from benchmark.scores import SCORES

SHAPE = st.tuples(st.integers(1, 20), st.integers(1, 6), st.integers(1, 6))


@st.composite
def stacks(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Predictions and truths (N, H, W), some empty, some full."""
    shape = draw(SHAPE)
    pair = [draw(hnp.arrays(np.bool_, shape)) for _ in range(2)]
    for masks in pair:
        for index in range(shape[0]):
            kind = draw(st.sampled_from(["as drawn", "empty", "full"]))
            if kind != "as drawn":
                masks[index] = kind == "full"
    return pair[0], pair[1]


def counts_of(prediction: np.ndarray, truth: np.ndarray) -> dict[str, np.ndarray]:
    """Counts as the evaluator stores them, with the native size equal to the protocol's."""
    columns = dict(zip(scores.CONFUSION, scores.confusion(prediction, truth), strict=True))
    native = {f"native_{name}": values for name, values in columns.items()}
    returned = dict(
        zip((f"roundtrip_{name}" for name in scores.CONFUSION), scores.confusion(truth, truth), strict=True)
    )
    surface = dict(zip(scores.SURFACE, scores.surface(prediction, truth, 1.0), strict=True))
    return {name: np.asarray(values) for name, values in {**columns, **native, **returned, **surface}.items()}


def brute_iou(prediction: np.ndarray, truth: np.ndarray) -> float:
    union = np.logical_or(prediction, truth).sum()
    return np.logical_and(prediction, truth).sum() / union if union else 0.0


@given(stacks())
def test_iou_is_the_mean_over_images_with_a_mask(pair: tuple[np.ndarray, np.ndarray]) -> None:
    prediction, truth = pair
    expected = [brute_iou(p, t) for p, t in zip(prediction, truth, strict=True) if t.any()]
    found = SCORES["iou"].compute(counts_of(prediction, truth))
    assert math.isnan(found) if not expected else found == pytest.approx(np.mean(expected))


@given(stacks())
def test_empty_masks_stand_apart(pair: tuple[np.ndarray, np.ndarray]) -> None:
    prediction, truth = pair
    counts = counts_of(prediction, truth)
    expected = [brute_iou(p, t) if t.any() else float(not p.any()) for p, t in zip(prediction, truth, strict=True)]
    assert SCORES["iou_empty1"].compute(counts) == pytest.approx(np.mean(expected))
    empty = ~truth.any((1, 2))
    assert SCORES["empty_false_alarm_images"].compute(counts) == prediction[empty].any((1, 2)).sum()
    assert SCORES["empty_false_alarm_pixels"].compute(counts) == prediction[empty].sum()


@given(stacks())
def test_pooled_scores_count_the_split_as_one_image(pair: tuple[np.ndarray, np.ndarray]) -> None:
    prediction, truth = pair
    counts = counts_of(prediction, truth)
    if not (prediction | truth).any():
        assert math.isnan(SCORES["iou_pooled"].compute(counts))
        return
    assert SCORES["iou_pooled"].compute(counts) == pytest.approx(brute_iou(prediction, truth))
    dice = 2 * (prediction & truth).sum() / (prediction.sum() + truth.sum())
    assert SCORES["dice_pooled"].compute(counts) == pytest.approx(dice)
    both = [brute_iou(prediction, truth), 0.0 if (prediction & truth).all() else brute_iou(~prediction, ~truth)]
    assert SCORES["miou_pooled"].compute(counts) == pytest.approx(np.mean(both))


@given(stacks())
def test_batch_scores_average_batches_in_order(pair: tuple[np.ndarray, np.ndarray]) -> None:
    prediction, truth = pair
    counts = counts_of(prediction, truth)
    batches = [np.s_[start : start + 16] for start in range(0, len(truth), 16)]
    expected = [brute_iou(prediction[b], truth[b]) if (prediction[b] | truth[b]).any() else 0.0 for b in batches]
    assert SCORES["iou_batch16"].compute(counts) == pytest.approx(np.mean(expected))


@given(stacks())
def test_image_means_of_dice_precision_recall(pair: tuple[np.ndarray, np.ndarray]) -> None:
    prediction, truth = pair
    counts = counts_of(prediction, truth)
    rows = [(p, t) for p, t in zip(prediction, truth, strict=True) if t.any()]
    if not rows:
        return
    hits = [(p & t).sum() for p, t in rows]
    expected = {
        "dice": [2 * h / (p.sum() + t.sum()) for h, (p, t) in zip(hits, rows, strict=True)],
        "precision": [h / p.sum() if p.any() else 0 for h, (p, _) in zip(hits, rows, strict=True)],
        "recall": [h / t.sum() for h, (_, t) in zip(hits, rows, strict=True)],
    }
    for name, values in expected.items():
        assert SCORES[name].compute(counts) == pytest.approx(np.mean(values))


@given(stacks(), st.sampled_from([0.0, 1.0, 1.5, 2.0]))
@settings(max_examples=50)
def test_surface_against_all_pairs_of_boundary_pixels(pair: tuple[np.ndarray, np.ndarray], tolerance: float) -> None:
    prediction, truth = pair

    def edge(mask: np.ndarray) -> np.ndarray:
        padded = np.pad(mask, 1)
        neighbours = [padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:]]
        return np.argwhere(mask & ~np.all(neighbours, axis=0))

    def near(these: np.ndarray, those: np.ndarray) -> int:
        if not len(these) or not len(those):
            return 0
        distance = np.linalg.norm(these[:, None] - those[None], axis=2)
        return int((distance.min(axis=1) <= tolerance).sum())

    found = scores.surface(prediction, truth, tolerance)
    for index, (p, t) in enumerate(zip(prediction, truth, strict=True)):
        p_edge, t_edge = edge(p), edge(t)
        expected = (len(p_edge), near(p_edge, t_edge), len(t_edge), near(t_edge, p_edge))
        assert tuple(int(values[index]) for values in found) == expected


@given(stacks())
@settings(max_examples=30)
def test_torch_and_numpy_count_the_same(pair: tuple[np.ndarray, np.ndarray]) -> None:
    tensors = [torch.from_numpy(masks) for masks in pair]
    for function in (scores.confusion, lambda p, t: scores.surface(p, t, 2.0)):
        for ours, theirs in zip(function(*pair), function(*tensors), strict=True):
            np.testing.assert_array_equal(ours, theirs.numpy())


def test_counting_leaves_its_input_alone() -> None:
    mask = np.ones((1, 5, 5), dtype=bool)
    scores.surface(mask, mask, 2.0)
    assert mask.all()


def test_truth_that_the_resize_deleted_scores_zero() -> None:
    counts = {name: np.array([0]) for name in scores.COUNT_COLUMNS} | {"tn": np.array([9]), "native_fn": np.array([3])}
    assert SCORES["iou"].compute(counts) == 0.0


def test_every_score_survives_an_empty_split() -> None:
    counts = {name: np.zeros(0, dtype=np.int64) for name in scores.COUNT_COLUMNS}
    for name, score in SCORES.items():
        assert math.isnan(score.compute(counts)) or name.startswith("empty_"), name


# Two images with masks and one without, with other counts at every size.
BY_HAND = {
    **dict(zip(scores.CONFUSION, ([6, 2, 0], [2, 0, 5], [2, 6, 0], [90, 92, 95]), strict=True)),
    "native_tp": [50, 30, 0],
    "native_fp": [25, 0, 40],
    "native_fn": [25, 30, 0],
    "native_tn": [300, 340, 360],
    "roundtrip_tp": [70, 54, 0],
    "roundtrip_fp": [5, 3, 0],
    "roundtrip_fn": [5, 6, 0],
    "roundtrip_tn": [320, 337, 400],
    "surface_predicted": [10, 4, 9],
    "surface_predicted_near": [8, 1, 0],
    "surface_truth": [6, 12, 0],
    "surface_truth_near": [4, 3, 0],
}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("iou", (6 / 10 + 2 / 8) / 2),
        ("iou_pooled", 8 / 23),
        ("iou_batch16", 8 / 23),
        ("miou_pooled", (8 / 23 + 277 / 292) / 2),
        ("miou_batch8", (8 / 23 + 277 / 292) / 2),
        ("iou_empty1", (6 / 10 + 2 / 8 + 0) / 3),
        ("iou_native", (50 / 100 + 30 / 60) / 2),
        ("iou_roundtrip", (70 / 80 + 54 / 63) / 2),
        ("dice", (12 / 16 + 4 / 10) / 2),
        ("dice_pooled", 16 / 31),
        ("precision", (6 / 8 + 1) / 2),
        ("recall", (6 / 8 + 2 / 8) / 2),
        ("precision_pooled", 8 / 15),
        ("recall_pooled", 8 / 16),
        ("surface_distance", (12 / 16 + 4 / 16) / 2),
        ("empty_false_alarm_images", 1),
        ("empty_false_alarm_pixels", 5),
    ],
)
def test_every_score_by_hand(name: str, expected: float) -> None:
    counts = {column: np.array(values) for column, values in BY_HAND.items()}
    assert SCORES[name].compute(counts) == pytest.approx(expected)


def test_no_score_is_forgotten_by_hand() -> None:
    assert {case[0] for case in test_every_score_by_hand.pytestmark[0].args[1]} == set(SCORES)


def test_both_classes_are_averaged_within_a_batch_first() -> None:
    """Nine images: eight full of background and nothing else, then one with foreground. The absent class counts 0."""
    counts = {name: np.zeros(9, dtype=np.int64) for name in scores.COUNT_COLUMNS}
    counts["tn"][:8], counts["tn"][8], counts["tp"][8], counts["fn"][8] = 10, 8, 1, 1
    assert SCORES["miou_batch8"].compute(counts) == pytest.approx((1 / 2 + (1 / 2 + 8 / 9) / 2) / 2)
    only_background = {name: values[:8] for name, values in counts.items()}
    assert SCORES["miou_batch8"].compute(only_background) == SCORES["miou_pooled"].compute(only_background) == 1 / 2
    assert SCORES["iou_batch16"].compute(only_background) == 0
