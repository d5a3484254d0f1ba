"""How sure is a mean? Simulated tables whose truth is known (`simulating.py`), and formulas against brute force."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats
from simulated_rules import satterthwaite
from simulating import DESIGNS, Design, below, main, simulate

from benchmark.scores import intervals, ranks

# ---------------------------------------------------------------- simulated tables: a fast part of `make simulate`


def mean(values: np.ndarray, labels: intervals.Alike) -> intervals.Estimate:
    return intervals.means([values], labels)[0]


@pytest.mark.parametrize(
    "name",
    ["5x5, 2 seeds", "10x6", "24x10, skewed", "24x10, 96 images by chance", "24x10, Zipf",
     "2, 3 and 5 seeds, spread 1:4", "every second entry untrained", "24x6, a third better by 0.5"],
)  # fmt: skip
def test_intervals_comparisons_and_ranks_keep_their_promise(name: str) -> None:
    assert simulate(DESIGNS[name], times=600, tables=(5,)).missed == []


@pytest.mark.parametrize(
    ("name", "entries", "times", "missed"),
    [
        ("48x5", 20, 250, "20 entries"),
        ("2 seeds dominate, spread 1:4", 20, 250, "20 entries"),
        ("48x20, Zipf", 2, 1000, "coverage"),
    ],
)
def test_what_the_rule_before_missed_holds(name: str, entries: int, times: int, missed: str) -> None:
    """Degrees of freedom of each kind of group on its own, and no jackknife: the same tables fail it."""
    assert missed in simulate(DESIGNS[name], times=times, tables=(entries,), rule=satterthwaite).missed
    assert simulate(DESIGNS[name], times=times, tables=(entries,)).missed == []


def test_the_table_of_designs_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--times", "20", "--designs", "5 of one"]) == 0
    assert "| 5 of one kind |" in capsys.readouterr().out
    assert main(["--times", "3", "--designs", "24 of one kind", "--rivals"]) == 0
    assert "wild bootstrap" in capsys.readouterr().out


def test_the_tables_say_something() -> None:
    assert simulate(DESIGNS["48x32"], times=500, tables=(2,)).power >= 0.65
    assert simulate(DESIGNS["48x32, 5 seeds"], times=300, tables=(2,)).power >= 0.35


def test_true_ranks_are_in_the_rank_sets() -> None:
    """Of five entries, two of them equal; all five sets together, as the table claims."""
    design = DESIGNS["48x32, 5 seeds"]
    expectations = (0.66, 0.63, 0.62, 0.60, 0.60)
    true = [(1, 1), (2, 2), (3, 3), (4, 5), (4, 5)]
    random = np.random.default_rng(10)
    missed = ordered = 0
    for _ in range(500):
        sets = ranks.rank_sets(5, intervals.differences(design.table(random, expectations), design.labels))
        missed += any(low > best or high < worst for (low, high), (best, worst) in zip(sets, true, strict=True))
        ordered += sets[0] == (1, 1)
    assert missed / 500 <= below(0.05, 500)
    assert ordered / 500 > 0.1  # it does say something


@pytest.mark.parametrize("sizes", [(24, 20, 16, 12, 10, 8, 6, 4), (5, 5, 5, 5, 4), (12, 12, 10, 8, 6, 5, 4, 3, 3, 2)])
def test_unequal_groups_err_on_the_safe_side_or_are_refused(sizes: tuple[int, ...]) -> None:
    """What `obstacle` lets pass."""
    labels = [np.repeat(np.arange(len(sizes)), sizes)]
    assert intervals.obstacle(3, labels) is None
    random = np.random.default_rng(11)
    missed = 0
    for _ in range(1500):
        values = 0.1 * random.normal(size=len(sizes))[labels[0]] + 0.1 * random.normal(size=(3, sum(sizes)))
        missed += abs(mean(values, labels).mean) > mean(values, labels).half_width()
    assert missed / 1500 <= below(0.05, 1500)


@pytest.mark.parametrize(
    ("naive", "design", "least"),
    [
        (lambda values, labels: mean(values, labels[:1]), Design(songs=48, backgrounds=8, seeds=3), 0.15),
        (
            lambda values, _: mean(values, [np.arange(values.shape[1])]),
            Design(songs=48, backgrounds=8, seeds=3),
            0.30,
        ),
        (
            lambda values, labels: mean(values.mean(0, keepdims=True), labels),
            DESIGNS["3 seeds dominate"],
            0.30,
        ),
    ],
    ids=["songs alone", "images as units", "seeds ignored"],
)
def test_the_simulations_would_show_a_wrong_unit(
    naive: Callable[[NDArray[np.float64], list[NDArray[np.int64]]], intervals.Estimate], design: Design, least: float
) -> None:
    """The same simulation fails what is known to be wrong: it can fail."""
    random = np.random.default_rng(3)
    missed = 0
    for _ in range(300):
        (values,) = design.table(random, (0.6,))
        found = naive(values, design.labels)
        missed += abs(found.mean - 0.6) > found.half_width()
    assert missed / 300 >= least


def pigeonhole(
    values: NDArray[np.float64], labels: list[NDArray[np.int64]], seed: int, against: NDArray[np.float64] | None = None
) -> float:
    """The bootstrapped standard error of the mean of (S, N) values, or of its difference to that of others (S', N).

    Groups of every kind are drawn anew, the same for both entries, and seeds, of each entry on their own (Owen 2007,
    Annals of Applied Statistics 1): an image counts as often as all its groups together.
    """
    random = np.random.default_rng(seed)
    weights = np.ones((400, values.shape[1]))
    for kind in labels:
        number = np.unique(kind, return_inverse=True)[1].ravel()
        count = int(number.max()) + 1
        weights *= random.multinomial(count, np.full(count, 1 / count), size=400)[:, number]

    def drawn(own: NDArray[np.float64]) -> NDArray[np.float64]:
        seeds = random.multinomial(len(own), np.full(len(own), 1 / len(own)), size=400) / len(own)
        return np.asarray(((weights @ own.T) * seeds).sum(1))

    sums = drawn(values) - (0 if against is None else drawn(against))
    return float((sums / weights.sum(1)).std())


def test_the_pigeonhole_bootstrap_agrees() -> None:
    """Its standard error lies between that of the formula and the half more that Owen's theorem allows it."""
    design = Design(songs=24, backgrounds=16, seeds=4)
    random = np.random.default_rng(4)
    ratios = []
    for seed in range(40):
        (values,) = design.table(random, (0.6,))
        found = mean(values, design.labels)
        ratios.append(pigeonhole(values, design.labels, seed) / found.error)
    assert 0.85 <= np.median(ratios) <= 1.25


def test_the_bootstrap_of_a_difference_draws_the_same_groups_for_both() -> None:
    """Drawn apart, what makes images hard for both would not cancel: the standard error would be twice as large."""
    design = Design(songs=24, backgrounds=16, seeds=4)
    random = np.random.default_rng(8)
    ratios = []
    for seed in range(20):
        first, second = design.table(random, (0.6, 0.6))
        error = intervals.difference(first, second, design.labels).error
        found = pigeonhole(first, design.labels, seed, against=second)
        alone = [pigeonhole(own, design.labels, seed) for own in (first, second)]
        ratios.append((found / error, math.hypot(*alone) / error))
    paired, apart = np.median(ratios, axis=0)
    assert 0.85 <= paired <= 1.3
    assert apart >= 1.7


@given(st.data())
def test_the_clustered_variance_is_the_jackknife(data: st.DataObject) -> None:
    """By brute force: the means without each of the groups."""
    count = data.draw(st.integers(6, 25))
    label = st.lists(st.integers(0, 4), min_size=count, max_size=count)
    kinds = [np.array(data.draw(label)) for _ in range(data.draw(st.integers(1, 2)))]
    kinds = [np.unique(kind, return_inverse=True)[1] if len(set(kind)) > 1 else np.arange(count) for kind in kinds]
    values = np.array(data.draw(st.lists(st.floats(0, 1), min_size=count, max_size=count)))

    def jackknife(groups: list[tuple[int, ...]]) -> float:
        without = [values[[own != group for own in groups]].mean() for group in set(groups)]
        return sum((mean - values.mean()) ** 2 for mean in without) * (len(without) - 1) / len(without)

    alone = [jackknife([(own,) for own in kind]) for kind in kinds]
    expected = alone[0]
    if len(kinds) == 2:
        expected = max(sum(alone) - jackknife(list(zip(*kinds, strict=True))), *alone)
    (found,) = intervals.clustered(values[None], intervals.Kinds.of(kinds))
    assert found == pytest.approx(expected, abs=1e-12)


def test_equal_groups_have_the_usual_factor() -> None:
    """Equation 2.3 of Cameron, Gelbach & Miller 2011, times G / (G - 1)."""
    values = np.random.default_rng(13).random(24)
    groups = np.arange(24) % 6
    sums = np.bincount(groups, values - values.mean())
    (found,) = intervals.clustered(values[None], intervals.Kinds.of([groups]))
    assert found == pytest.approx((sums**2).sum() / 24**2 * 6 / 5)


def test_few_groups_borrow_no_degrees_of_freedom() -> None:
    """However little the backgrounds vary, they are five; seeds that hardly vary weigh what they may well."""
    song, background = np.divmod(np.arange(200), 5)
    random = np.random.default_rng(14)
    values = random.normal(size=40)[song] + 0.001 * random.normal(size=5)[background] + np.zeros((3, 1))
    assert mean(values, [song, background]).degrees == pytest.approx(4)
    assert mean(values, [song]).degrees == pytest.approx(39)
    lucky = mean(values + np.array([[0.0], [0.2], [0.4]]), [song])
    assert 2 < lucky.degrees < 39


def test_one_group_an_image_is_the_ordinary_t_test() -> None:
    random = np.random.default_rng(6)
    first, second = random.normal(size=(2, 1, 12))
    found = intervals.difference(first, second, [np.arange(12)])
    expected = stats.ttest_rel(first[0], second[0])
    assert found.p_value == pytest.approx(expected.pvalue)
    assert found.degrees == pytest.approx(11)
    low, high = expected.confidence_interval(0.95)
    assert found.half_width() == pytest.approx((high - low) / 2)


def test_seeds_alone_are_welch_s_test() -> None:
    """Where all images are the same, what is left is Welch's test of the seeds."""
    random = np.random.default_rng(7)
    first, second = random.normal(size=(4, 1)), 2 * random.normal(size=(6, 1))
    found = intervals.difference(first + np.zeros((1, 8)), second + np.zeros((1, 8)), [np.arange(8)])
    expected = stats.ttest_ind(first[:, 0], second[:, 0], equal_var=False)
    assert found.mean / found.error == pytest.approx(expected.statistic)
    assert 3 <= found.degrees <= 3 + 5


def test_what_never_varies_is_certain() -> None:
    same = np.full((3, 6), 0.3)
    found = mean(same, [np.arange(6)])
    assert (found.half_width(), found.p_value) == (0.0, 0.0)
    assert intervals.difference(same, same, [np.arange(6)]).p_value == 1.0


def test_rounding_is_no_difference() -> None:
    """The same values in three seeds and in two: the means differ in their last bit."""
    values = np.random.default_rng(12).random(9)
    three, two = np.stack([values] * 3), np.stack([values] * 2)
    found = intervals.difference(three, two, [np.arange(9)])
    assert found.p_value == 1.0
    assert ranks.rank_sets(2, intervals.differences([three, two], [np.arange(9)])) == [(1, 2), (1, 2)]


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
            "5 independent groups of such unequal size that they count as 1.9, fewer than 5",
        ),
        (3, [], False, intervals.NO_GROUPS),
    ],
)
def test_what_cannot_be_ranked_says_why(
    seeds: int, labels: list[NDArray[np.int64]], deterministic: bool, said: str | None
) -> None:
    assert intervals.obstacle(seeds, labels, deterministic=deterministic) == said


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_s_correction_is_its_definition(p_values: list[float]) -> None:
    """Step down: the k-th smallest of m is rejected at a level if all before it are, and it is <= level / (m - k)."""
    adjusted = intervals.holm(p_values)
    for level in (0.01, 0.05, 0.3):
        rejected = set()
        for step, index in enumerate(sorted(range(len(p_values)), key=lambda index: p_values[index])):
            if p_values[index] * (len(p_values) - step) > level:
                break
            rejected.add(index)
        assert {index for index, p in enumerate(adjusted) if p <= level} == rejected


def test_rank_sets() -> None:
    sure, unsure = 0.01, 0.5
    up = intervals.Estimate(mean=0.1, error=0.01, degrees=9)
    pairs = {(0, 1): (up, unsure), (0, 2): (up, sure), (1, 2): (up, unsure)}
    assert ranks.rank_sets(3, pairs) == [(1, 2), (1, 3), (2, 3)]


# ---------------------------------------------------------------- Kendall's tau


def test_agreement_of_rankings() -> None:
    forward = list(range(8))
    assert ranks.agreement(forward[:4], forward[:4]) is None
    assert ranks.agreement(forward, [1] * 8) is None
    assert ranks.agreement(forward, [1, 1, 1, 1, 2, 3, 4, 4]) is None  # four are told apart
    assert ranks.agreement([math.nan] * 8, forward) is None
    swapped = ranks.agreement(forward, [1, 0, 2, 3, 4, 5, 6, 7])
    assert swapped is not None
    assert (swapped.tau, swapped.entries) == (pytest.approx(1 - 4 / 56), 8)
    assert swapped.low < swapped.tau < swapped.high < 1


@pytest.mark.parametrize(("count", "low"), [(5, 0.23), (6, 0.47), (7, 0.62), (8, 0.71), (10, 0.82), (15, 0.93)])
def test_a_perfect_order_leaves_room_below(count: int, low: float) -> None:
    """The tau under which it has a chance of 2.5 %; Fieller's interval, which ends at 0.80 for seven, is too short."""
    forward = list(range(count))
    same, opposite = ranks.agreement(forward, forward), ranks.agreement(forward, forward[::-1])
    assert same is not None
    assert opposite is not None
    assert (same.tau, same.low, same.high) == (pytest.approx(1), pytest.approx(low, abs=0.008), 1)
    assert (opposite.tau, opposite.low, opposite.high) == (pytest.approx(-1), -1, pytest.approx(-low, abs=0.008))


@given(st.data())
def test_agreement_is_that_of_scipy_with_ties(data: st.DataObject) -> None:
    count = data.draw(st.integers(5, 12))
    scores = st.lists(st.integers(0, 7), min_size=count, max_size=count)
    first, second = data.draw(scores), data.draw(scores)
    found = ranks.agreement(first, second)
    if min(len(set(first)), len(set(second))) < 5:
        assert found is None
    else:
        assert found.tau == pytest.approx(stats.kendalltau(first, second).statistic)
        assert found.low <= found.tau + 1e-9
        assert found.high >= found.tau - 1e-9


@pytest.mark.parametrize(("tau", "count"), [(0.0, 8), (0.49, 8), (0.49, 20), (0.8, 7), (0.9, 10), (0.95, 15)])
def test_the_interval_of_an_agreement_covers(tau: float, count: int) -> None:
    """Entries whose scores are correlated normals: tau is 2 / pi * arcsin of the correlation."""
    correlation = math.sin(math.pi / 2 * tau)
    random = np.random.default_rng(8)
    covered = 0
    for _ in range(400):
        x, y = random.multivariate_normal([0, 0], [[1, correlation], [correlation, 1]], size=count).T
        found = ranks.agreement(x.tolist(), y.tolist())
        assert found is not None
        covered += found.low <= tau <= found.high
    assert covered / 400 >= 0.93
