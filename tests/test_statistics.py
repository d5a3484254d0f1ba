"""How sure is a mean? Simulated tables whose truth is known, and formulas against brute force.

The model: the IoU of an entry on an image is its expectation, plus what makes song, background and image hard for
every entry, plus how this entry takes them, plus the luck of its seeds.
"""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from benchmark import statistics

TIMES = 2000


@dataclass(frozen=True, kw_only=True)
class Design:
    """How many of what, and standard deviations of IoU. Every song meets every background in one image.

    `skewed`: not normal but gamma distributed, with a skewness of 1.
    """

    songs: int
    backgrounds: int
    seeds: int
    common: float = 0.10
    song: float = 0.04
    background: float = 0.04
    image: float = 0.08
    seed: float = 0.01
    skewed: bool = False

    @property
    def labels(self) -> list[NDArray[np.int64]]:
        song, background = np.divmod(np.arange(self.songs * self.backgrounds), self.backgrounds)
        return [song, background]

    def table(self, random: np.random.Generator, expectations: tuple[float, ...]) -> list[NDArray[np.float64]]:
        """Of each entry (seeds, images)."""
        song, background = self.labels
        count = self.songs * self.backgrounds

        def draw(*shape: int) -> NDArray[np.float64]:
            return (random.gamma(4, size=shape) - 4) / 2 if self.skewed else random.normal(size=shape)

        hard = self.common * (draw(self.songs)[song] + draw(self.backgrounds)[background] + draw(count))
        return [
            expected
            + hard
            + self.song * draw(self.songs)[song]
            + self.background * draw(self.backgrounds)[background]
            + self.image * draw(self.seeds, count)
            + self.seed * draw(self.seeds, 1)
            for expected in expectations
        ]


DESIGNS = {
    "the fewest: 5 x 5 x 2": Design(songs=5, backgrounds=5, seeds=2),
    "10 songs x 6 backgrounds x 3 seeds": Design(songs=10, backgrounds=6, seeds=3),
    "48 x 32 x 5": Design(songs=48, backgrounds=32, seeds=5),
    "seed-dominated": Design(songs=24, backgrounds=10, seeds=3, common=0.03, seed=0.10),
    "skewed": Design(songs=24, backgrounds=10, seeds=3, skewed=True),
}


def below(share: float) -> float:
    """What 99.9 % of such simulations stay below, if the true chance is `share`."""
    return float(stats.binom.ppf(0.999, TIMES, share)) / TIMES


NAMED = {name: design for name, design in DESIGNS.items() if not name.startswith("the fewest")}


@pytest.mark.parametrize("design", NAMED.values(), ids=NAMED)
def test_an_interval_covers_what_it_says_and_a_test_errs_as_rarely_as_it_says(design: Design) -> None:
    random = np.random.default_rng(0)
    covered = wrong = 0
    for _ in range(TIMES):
        first, second = design.table(random, (0.6, 0.6))
        found = statistics.mean(first, design.labels)
        covered += abs(found.mean - 0.6) <= found.half_width()
        wrong += statistics.difference(first, second, design.labels).p_value <= 0.05
    assert 0.93 <= covered / TIMES <= 0.97
    assert wrong / TIMES <= below(0.05)


def test_an_interval_covers_where_songs_and_backgrounds_met_by_chance() -> None:
    """As `bench data mix` draws them: 300 mixtures of 24 songs and 10 backgrounds; nothing was trained."""
    random = np.random.default_rng(1)
    songs, backgrounds = np.arange(300) % 24, random.integers(0, 10, 300)
    covered = 0
    for _ in range(TIMES):
        values = random.normal(size=24)[songs] + random.normal(size=10)[backgrounds] + random.normal(size=300)
        covered += abs(values.mean()) <= statistics.mean(values[None], [songs, backgrounds]).half_width()
    assert 0.93 <= covered / TIMES <= 0.97


@pytest.mark.parametrize("design", DESIGNS.values(), ids=DESIGNS)
def test_a_table_of_equals_is_rarely_ordered(design: Design) -> None:
    """The family-wise error: any of five entries set apart from any other."""
    random = np.random.default_rng(1)
    wrong = 0
    for _ in range(TIMES):
        pairs = statistics.differences(design.table(random, (0.6,) * 5), design.labels)
        wrong += any(ranks != (1, 5) for ranks in statistics.rank_sets(5, pairs))
    assert wrong / TIMES <= below(0.05)


def test_the_fewest_groups_and_seeds_err_on_the_safe_side() -> None:
    design = DESIGNS["the fewest: 5 x 5 x 2"]
    random = np.random.default_rng(9)
    missed = wrong = 0
    for _ in range(TIMES):
        first, second = design.table(random, (0.6, 0.6))
        found = statistics.mean(first, design.labels)
        missed += abs(found.mean - 0.6) > found.half_width()
        wrong += statistics.difference(first, second, design.labels).p_value <= 0.05
    assert missed / TIMES <= below(0.05)
    assert wrong / TIMES <= below(0.05)


def test_true_ranks_are_in_the_rank_sets() -> None:
    """Of five entries, two of them equal; all five sets together, as the table claims."""
    design = DESIGNS["48 x 32 x 5"]
    expectations = (0.66, 0.63, 0.62, 0.60, 0.60)
    true = [(1, 1), (2, 2), (3, 3), (4, 5), (4, 5)]
    random = np.random.default_rng(10)
    missed = ordered = 0
    for _ in range(500):
        sets = statistics.rank_sets(5, statistics.differences(design.table(random, expectations), design.labels))
        missed += any(low > best or high < worst for (low, high), (best, worst) in zip(sets, true, strict=True))
        ordered += sets[0] == (1, 1)
    assert missed / 500 <= stats.binom.ppf(0.999, 500, 0.05) / 500
    assert ordered / 500 > 0.1  # it does say something


@pytest.mark.parametrize("sizes", [(24, 20, 16, 12, 10, 8, 6, 4), (5, 5, 5, 5, 4), (12, 12, 10, 8, 6, 5, 4, 3, 3, 2)])
def test_unequal_groups_err_on_the_safe_side_or_are_refused(sizes: tuple[int, ...]) -> None:
    """What `obstacle` lets pass."""
    labels = [np.repeat(np.arange(len(sizes)), sizes)]
    assert statistics.obstacle(3, labels) is None
    random = np.random.default_rng(11)
    missed = 0
    for _ in range(TIMES):
        values = 0.1 * random.normal(size=len(sizes))[labels[0]] + 0.1 * random.normal(size=(3, sum(sizes)))
        missed += abs(statistics.mean(values, labels).mean) > statistics.mean(values, labels).half_width()
    assert missed / TIMES <= below(0.07)  # 93 % is the bar


def test_three_points_of_iou_are_found() -> None:
    """With the variances of a difference measured on the records: images 6-9, songs 1-4, backgrounds 0-5 points."""
    design = Design(songs=48, backgrounds=32, seeds=3, song=0.02, background=0.02, image=0.05, seed=0.007)
    random = np.random.default_rng(2)
    found = [
        statistics.difference(*design.table(random, (0.63, 0.60)), design.labels).p_value <= 0.05 for _ in range(TIMES)
    ]
    assert np.mean(found) >= 0.75


@pytest.mark.parametrize(
    ("naive", "design", "least"),
    [
        (lambda values, labels: statistics.mean(values, labels[:1]), Design(songs=48, backgrounds=8, seeds=3), 0.15),
        (
            lambda values, _: statistics.mean(values, [np.arange(values.shape[1])]),
            Design(songs=48, backgrounds=8, seeds=3),
            0.30,
        ),
        (
            lambda values, labels: statistics.mean(values.mean(0, keepdims=True), labels),
            DESIGNS["seed-dominated"],
            0.30,
        ),
    ],
    ids=["songs alone", "images as units", "seeds ignored"],
)
def test_the_simulations_would_show_a_wrong_unit(
    naive: Callable[[NDArray[np.float64], list[NDArray[np.int64]]], statistics.Estimate], design: Design, least: float
) -> None:
    """The same simulation fails what is known to be wrong: it can fail."""
    random = np.random.default_rng(3)
    missed = 0
    for _ in range(300):
        (values,) = design.table(random, (0.6,))
        found = naive(values, design.labels)
        missed += abs(found.mean - 0.6) > found.half_width()
    assert missed / 300 >= least


def test_the_pigeonhole_bootstrap_agrees() -> None:
    """Its standard error lies between that of the formula and the half more that Owen's theorem allows it."""
    design = Design(songs=24, backgrounds=16, seeds=4)
    random = np.random.default_rng(4)
    ratios = []
    for seed in range(40):
        (values,) = design.table(random, (0.6,))
        found = statistics.mean(values, design.labels)
        ratios.append(statistics.pigeonhole(values, design.labels, draws=400, seed=seed).std() / found.error)
    assert 0.85 <= np.median(ratios) <= 1.25


def test_the_bootstrap_of_a_difference_draws_the_same_groups_for_both() -> None:
    """Drawn apart, what makes images hard for both would not cancel: the standard error would be twice as large."""
    design = Design(songs=24, backgrounds=16, seeds=4)
    random = np.random.default_rng(8)
    ratios = []
    for seed in range(20):
        first, second = design.table(random, (0.6, 0.6))
        error = statistics.difference(first, second, design.labels).error
        found = statistics.pigeonhole(first, design.labels, against=second, draws=400, seed=seed).std()
        alone = [statistics.pigeonhole(own, design.labels, draws=400, seed=seed).std() for own in (first, second)]
        ratios.append((found / error, math.hypot(*alone) / error))
    paired, apart = np.median(ratios, axis=0)
    assert 0.85 <= paired <= 1.3
    assert apart >= 1.7


def test_the_bootstrap_of_one_seed_each_is_that_of_the_differences() -> None:
    design = Design(songs=10, backgrounds=6, seeds=1)
    first, second = design.table(np.random.default_rng(9), (0.6, 0.5))
    np.testing.assert_allclose(
        statistics.pigeonhole(first, design.labels, against=second, draws=50),
        statistics.pigeonhole(first - second, design.labels, draws=50),
    )


def test_the_bootstrap_of_a_difference_draws_the_seeds_of_each_on_their_own() -> None:
    """Of the same values the difference is not 0: seeds are not paired. Its variance is twice a mean's."""
    values = np.repeat([[0.0], [1.0]], 20, axis=1)
    found = statistics.pigeonhole(values, [np.arange(20)], against=values, draws=4000)
    assert set(found) == {-1, -0.5, 0, 0.5, 1}
    assert found.var() == pytest.approx(2 * 0.125, rel=0.1)


def test_the_bootstrap_repeats() -> None:
    (values,) = DESIGNS["skewed"].table(np.random.default_rng(5), (0.6,))
    draws = [statistics.pigeonhole(values, DESIGNS["skewed"].labels, draws=50) for _ in range(2)]
    np.testing.assert_array_equal(*draws)


@given(st.data())
def test_the_clustered_variance_is_the_double_sum(data: st.DataObject) -> None:
    """Equation 2.3 of the paper: the sum over all pairs of images that share a group of the products of residuals."""
    count = data.draw(st.integers(6, 25))
    label = st.lists(st.integers(0, 4), min_size=count, max_size=count)
    kinds = [np.array(data.draw(label)) for _ in range(data.draw(st.integers(1, 2)))]
    kinds = [np.unique(kind, return_inverse=True)[1] if len(set(kind)) > 1 else np.arange(count) for kind in kinds]
    values = np.array(data.draw(st.lists(st.floats(0, 1), min_size=count, max_size=count)))
    residuals = values - values.mean()

    def pairs(same: Callable[[int, int], bool], groups: int) -> float:
        total = sum(residuals[i] * residuals[j] for i, j in itertools.product(range(count), repeat=2) if same(i, j))
        return float(total) / count**2 * groups / (groups - 1)

    alone = [pairs(lambda i, j, kind=kind: kind[i] == kind[j], len(set(kind))) for kind in kinds]
    expected = alone[0]
    if len(kinds) == 2:
        cells = list(zip(*kinds, strict=True))
        both = pairs(lambda i, j: cells[i] == cells[j], len(set(cells)))
        expected = max(sum(alone) - both, *alone)
    found = sum(part for part, _ in statistics.clustered(values[None], statistics.Kinds.of(kinds)))
    assert found == pytest.approx(expected, abs=1e-12)


def test_one_group_an_image_is_the_ordinary_t_test() -> None:
    random = np.random.default_rng(6)
    first, second = random.normal(size=(2, 1, 12))
    found = statistics.difference(first, second, [np.arange(12)])
    expected = stats.ttest_rel(first[0], second[0])
    assert found.p_value == pytest.approx(expected.pvalue)
    assert found.degrees == pytest.approx(11)
    low, high = expected.confidence_interval(0.95)
    assert found.half_width() == pytest.approx((high - low) / 2)


def test_seeds_alone_are_welch_s_test() -> None:
    """Where all images are the same, what is left is Welch's test of the seeds."""
    random = np.random.default_rng(7)
    first, second = random.normal(size=(4, 1)), 2 * random.normal(size=(6, 1))
    found = statistics.difference(first + np.zeros((1, 8)), second + np.zeros((1, 8)), [np.arange(8)])
    expected = stats.ttest_ind(first[:, 0], second[:, 0], equal_var=False)
    assert found.mean / found.error == pytest.approx(expected.statistic)
    assert 3 <= found.degrees <= 3 + 5


def test_what_never_varies_is_certain() -> None:
    same = np.full((3, 6), 0.3)
    found = statistics.mean(same, [np.arange(6)])
    assert (found.half_width(), found.p_value) == (0.0, 0.0)
    assert statistics.difference(same, same, [np.arange(6)]).p_value == 1.0


def test_rounding_is_no_difference() -> None:
    """The same values in three seeds and in two: the means differ in their last bit."""
    values = np.random.default_rng(12).random(9)
    three, two = np.stack([values] * 3), np.stack([values] * 2)
    found = statistics.difference(three, two, [np.arange(9)])
    assert found.p_value == 1.0
    assert statistics.rank_sets(2, statistics.differences([three, two], [np.arange(9)])) == [(1, 2), (1, 2)]


@pytest.mark.parametrize(
    ("seeds", "labels", "deterministic", "said"),
    [
        (3, [np.arange(5)], False, None),
        (3, [np.arange(9), np.array([0, 1, 2, 3] * 2 + [0])], False, "4 independent groups, fewer than 5"),
        (1, [np.arange(5)], False, "1 seed, fewer than 2"),
        (1, [np.arange(5)], True, None),
        (
            3,
            [np.repeat(np.arange(5), [60, 10, 5, 5, 5])],
            False,
            "5 independent groups, so unequal that they count as 1.9, fewer than 5",
        ),
        (3, [], False, "the data name no recordings, songs or species"),
    ],
)
def test_what_cannot_be_ranked_says_why(
    seeds: int, labels: list[NDArray[np.int64]], deterministic: bool, said: str | None
) -> None:
    assert statistics.obstacle(seeds, labels, deterministic=deterministic) == said


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_s_correction_is_its_definition(p_values: list[float]) -> None:
    """Step down: the k-th smallest of m is rejected at a level if all before it are, and it is <= level / (m - k)."""
    adjusted = statistics.holm(p_values)
    for level in (0.01, 0.05, 0.3):
        rejected = set()
        for step, index in enumerate(sorted(range(len(p_values)), key=lambda index: p_values[index])):
            if p_values[index] * (len(p_values) - step) > level:
                break
            rejected.add(index)
        assert {index for index, p in enumerate(adjusted) if p <= level} == rejected


def test_rank_sets() -> None:
    sure, unsure = 0.01, 0.5
    up = statistics.Estimate(mean=0.1, error=0.01, degrees=9)
    pairs = {(0, 1): (up, unsure), (0, 2): (up, sure), (1, 2): (up, unsure)}
    assert statistics.rank_sets(3, pairs) == [(1, 2), (1, 3), (2, 3)]


def test_agreement_of_rankings() -> None:
    forward = list(range(8))
    same = statistics.agreement(forward, forward)
    assert same is not None
    assert (same.tau, same.high, same.entries) == (pytest.approx(1), pytest.approx(1), 8)
    assert 0.5 < same.low < 1
    assert statistics.agreement(forward[:4], forward[:4]) is None
    assert statistics.agreement(forward, [1] * 8) is None
    swapped = statistics.agreement(forward, [1, 0, 2, 3, 4, 5, 6, 7])
    assert swapped is not None
    assert swapped.tau == pytest.approx(stats.kendalltau(forward, [1, 0, 2, 3, 4, 5, 6, 7]).statistic)
    assert swapped.low < swapped.tau < swapped.high


@given(st.data())
def test_agreement_is_that_of_scipy_with_ties(data: st.DataObject) -> None:
    count = data.draw(st.integers(5, 12))
    scores = st.lists(st.integers(0, 4), min_size=count, max_size=count)
    first, second = data.draw(scores), data.draw(scores)
    found = statistics.agreement(first, second)
    if len(set(first)) == 1 or len(set(second)) == 1:
        assert found is None
    else:
        assert found.tau == pytest.approx(stats.kendalltau(first, second).statistic)


def test_the_interval_of_an_agreement_covers() -> None:
    """Entries whose scores are correlated normals: tau is 2 / pi * arcsin of the correlation."""
    random = np.random.default_rng(8)
    for correlation, count in itertools.product((0.0, 0.7), (8, 20)):
        tau = 2 / math.pi * math.asin(correlation)
        covered = 0
        for _ in range(400):
            x, y = random.multivariate_normal([0, 0], [[1, correlation], [correlation, 1]], size=count).T
            found = statistics.agreement(x, y)
            assert found is not None
            covered += found.low <= tau <= found.high
        assert 0.92 <= covered / 400 <= 0.995
