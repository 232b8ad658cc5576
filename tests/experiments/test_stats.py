"""Statistics against scipy, textbook data, plain loops and their own theorems."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.stats
import stats_reference as reference
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import CensoredData

from shapegym.experiments import stats
from shapegym.experiments.stats import bootstrap, significance

# Few distinct values, so that ties are common; all exact in binary.
values = st.integers(-4, 4).map(lambda k: k / 4)
runs = st.lists(values, min_size=1, max_size=9)
censored = st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=1, max_size=12)

# Weeks of remission of leukaemia under 6-mercaptopurine and placebo: Freireich et al. (1963), as in Cox & Oakes (1984).
TREATED = np.array([6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35])
RELAPSED = np.array([1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0], bool)
PLACEBO = np.array([1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23])
ALL = np.ones(21, bool)


def censored_data(times: NDArray[Any], events: NDArray[np.bool_]) -> CensoredData:
    return CensoredData(uncensored=times[events], right=times[~events])


# ---------------------------------------------------------------------------------------------- interquartile mean


@pytest.mark.parametrize("n", range(1, 14))
def test_iqm_is_the_trimmed_mean_of_scipy(n: int) -> None:
    x = np.random.default_rng(n).normal(size=(3, n, 2))
    np.testing.assert_allclose(stats.iqm(x, axis=1), scipy.stats.trim_mean(x, 0.25, axis=1), rtol=1e-13)
    np.testing.assert_allclose(stats.iqm(x), scipy.stats.trim_mean(x, 0.25, axis=None), rtol=1e-13)
    assert stats.iqm(x[0, :, 0]) == pytest.approx(reference.iqm(x[0, :, 0].tolist()), rel=1e-13)


def test_iqm_of_eight_values_by_hand() -> None:
    assert stats.iqm([100, 1, 2, 3, 4, 5, 6, -100]) == 3.5


# ------------------------------------------------------------------------------------------------------- bootstrap


@pytest.mark.parametrize("statistic", [np.mean, np.median, stats.iqm])
def test_one_task_has_the_standard_error_of_scipys_bootstrap_and_the_quantile_of_t(
    statistic: Callable[..., Any],
) -> None:
    x = np.random.default_rng(3).normal(size=11)
    found = stats.aggregate({"only": x}, statistic, level=0.9, resamples=999, seed=5)
    theirs = scipy.stats.bootstrap((x,), statistic, n_resamples=999, rng=np.random.default_rng(5))
    spread = theirs.standard_error * np.sqrt(998 / 999 * 11 / 10)  # theirs divides by R - 1, and by n
    reach = scipy.stats.t.ppf(0.95, 10) * spread
    assert found.estimate == pytest.approx(statistic(x, axis=0), rel=1e-12)
    for side in (found.high - found.estimate, found.estimate - found.low):
        assert reach * (1 - 1e-12) <= side <= 2 * reach  # as far as t, and further where draws are skewed


def test_the_mean_of_runs_has_about_the_t_interval_of_welch() -> None:
    rng = np.random.default_rng(4)
    half = rng.normal(size=(2, 6))
    x = {"a": np.append(half[0], -half[0]), "b": 3 * np.append(half[1], -half[1])}
    found = stats.aggregate(x, np.mean, resamples=20_000)
    shares = np.array([task.var(ddof=1) / 12 for task in x.values()]) / 4
    freedom = shares.sum() ** 2 / (shares**2 / 11).sum()
    reach = scipy.stats.t.ppf(0.975, freedom) * np.sqrt(shares.sum())
    for side in (found.high - found.estimate, found.estimate - found.low):
        assert 0.97 * reach < side < 1.25 * reach


def test_runs_are_drawn_within_their_task_only() -> None:
    """Each task is constant, so within tasks there is nothing to draw; across tasks there would be."""
    found = stats.aggregate({"easy": [2.0] * 5, "hard": [-1.0] * 5}, np.mean)
    assert found == stats.Interval(0.5, 0.5, 0.5)


def test_runs_that_all_succeed_leave_room_for_some_that_fail() -> None:
    """If one run in q fails, five succeed with probability (1 - q)^5, which is 0.025 where q is 0.52."""
    found = stats.aggregate({"task": [1.0] * 5}, np.mean)
    assert (found.estimate, found.high) == (1, 1)
    assert found.low == pytest.approx(0.025 ** (1 / 5))
    many = stats.aggregate({task: [1.0] * 5 for task in "abcdef"})
    assert many.low == pytest.approx(0.025 ** (1 / 30))
    gaps = stats.aggregate({"task": [1.0] * 6}, np.mean, within=(-1.0, 1.0))
    assert 0 < gaps.low < 0.1  # six pairs that all differ are just enough, as for the sign-flip test


def test_ends_are_within_the_range_of_scores() -> None:
    scores = {"task": [0.0, 0.1, 0.9]}
    found = stats.aggregate(scores, np.mean, within=(0, 1))
    assert (found.low, found.high) == (0, 1)
    assert stats.aggregate(scores, np.mean).low < 0
    with pytest.raises(ValueError, match="cannot"):
        stats.aggregate({"task": [0.0, 2.0]}, within=(0, 1))


def test_unequal_numbers_of_runs_count_each_run_once() -> None:
    assert stats.aggregate({"a": [0.0], "b": [1.0, 1.0, 1.0]}, np.mean).estimate == 0.75


@given(st.dictionaries(st.sampled_from("abc"), runs, min_size=1), st.randoms(use_true_random=False))
@settings(max_examples=30, deadline=None)
def test_aggregates_do_not_depend_on_the_order_of_tasks(scores: dict[str, list[float]], random: Any) -> None:
    shuffled = dict(random.sample(list(scores.items()), len(scores)))
    found = stats.aggregate(scores, resamples=50)
    assert found == stats.aggregate(shuffled, resamples=50)
    assert found.low <= found.estimate <= found.high
    pooled = [score for task in scores.values() for score in task]
    assert found.estimate == pytest.approx(reference.iqm(pooled), abs=1e-12)


def test_chunks_do_not_change_one_stratum_and_bound_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = {"task": np.random.default_rng(0).normal(size=7)}
    whole = stats.aggregate(scores)
    monkeypatch.setattr(bootstrap, "_CHUNK", 70)
    sizes = []

    def mean(x: NDArray[np.float64], axis: int) -> Any:
        sizes.append(x.size)
        return np.mean(x, axis)

    assert stats.aggregate(scores) == whole
    stats.aggregate(scores, mean)
    assert max(sizes) <= 70


def test_constant_scores_without_a_known_range_have_intervals_without_width() -> None:
    scores = {"a": [-0.1] * 3, "b": [-0.1] * 7}
    for statistic in (np.mean, np.median, stats.iqm):
        found = stats.aggregate(scores, statistic)
        assert found.low == found.estimate == found.high


def test_single_runs_say_nothing_of_their_spread() -> None:
    assert stats.aggregate({"a": [0.3], "b": [0.5]}, within=(0, 1)) == stats.Interval(0.4, 0, 1)
    assert stats.aggregate({"a": [-3.0]}) == stats.Interval(-3.0, -np.inf, np.inf)
    alone, alike = ({"a": [-1.0, 0.0, 1.0], "b": b} for b in ([5.0], [4.0, 5.0, 6.0]))
    narrow, wide = (stats.aggregate(scores, np.mean, resamples=500) for scores in (alike, alone))
    assert wide.high - wide.low > narrow.high - narrow.low


@pytest.mark.parametrize(("tasks", "runs"), [(1, 5), (6, 5), (6, 3)])
def test_intervals_cover_what_they_estimate(tasks: int, runs: int) -> None:
    """95 % of the time: 300 cases, so 95 ± 1.3 %; percentiles of the bootstrap have 82 to 91 %. `coverage` is the study of it."""
    rng = np.random.default_rng(1)
    for statistic in (np.mean, stats.iqm):
        held = [
            found.low <= 0 <= found.high
            for scores in rng.normal(size=(300, tasks, runs))
            for found in [
                stats.aggregate(dict(zip("abcdef", scores, strict=False)), statistic, resamples=200)
            ]
        ]
        assert np.mean(held) > 0.925


# ------------------------------------------------------------------------------------------- probability, profiles


@given(st.lists(st.tuples(runs, runs), min_size=1, max_size=3))
@settings(max_examples=40, deadline=None)
def test_improvement_counts_pairs_and_mirrors(tasks: list[tuple[list[float], list[float]]]) -> None:
    x = {str(i): a for i, (a, _) in enumerate(tasks)}
    y = {str(i): b for i, (_, b) in enumerate(tasks)}
    found = stats.probability_of_improvement(x, y)
    assert found.estimate == pytest.approx(
        reference.improvement(list(x.values()), list(y.values())), abs=1e-12
    )
    assert found.estimate == pytest.approx(1 - stats.probability_of_improvement(y, x).estimate, abs=1e-12)
    assert 0 <= found.low <= found.estimate + 1e-12
    assert found.estimate - 1e-12 <= found.high <= 1


def test_improvement_is_the_u_of_mann_and_whitney() -> None:
    rng = np.random.default_rng(2)
    x, y = rng.integers(0, 5, 8), rng.integers(1, 6, 6)
    u = scipy.stats.mannwhitneyu(x, y, method="asymptotic").statistic
    found = stats.probability_of_improvement({"task": x}, {"task": y})
    assert found.estimate == pytest.approx(u / 48)
    assert found.low < found.estimate < found.high


def test_the_ends_of_an_improvement_are_as_far_from_it_as_their_own_variance_allows() -> None:
    """Newcombe's method 5 for one task of 6 and 8 runs, solved for what it says of its ends."""
    rng = np.random.default_rng(2)
    found = stats.probability_of_improvement({"task": rng.normal(1, 1, 6)}, {"task": rng.normal(0, 1, 8)})
    for p in (found.low, found.high):
        variance = p * (1 - p) * (1 + 6 * ((1 - p) / (2 - p) + p / (1 + p))) / 48
        assert abs(p - found.estimate) == pytest.approx(
            scipy.stats.t.ppf(0.975, 12) * np.sqrt(variance), rel=1e-5
        )


def test_an_improvement_in_every_pair_is_not_certain() -> None:
    found = stats.probability_of_improvement({"task": [2.0, 3.0]}, {"task": [0.0, 1.0]})
    assert (found.estimate, found.high) == (1, 1)
    assert 0.1 < found.low < 0.5


@given(st.lists(runs, min_size=1, max_size=3), st.lists(values, min_size=1, max_size=4))
@settings(max_examples=40, deadline=None)
def test_profiles_count_runs_above(tasks: list[list[float]], thresholds: list[float]) -> None:
    scores = {str(i): task for i, task in enumerate(tasks)}
    estimate, low, high = stats.performance_profile(scores, thresholds)
    plain = [reference.profile(tasks, threshold) for threshold in thresholds]
    np.testing.assert_allclose(estimate, plain, atol=1e-12)
    assert ((low >= 0) & (low <= high) & (high <= 1)).all()


def test_the_band_of_a_profile_is_that_of_exact_shares() -> None:
    x = np.random.default_rng(8).normal(size=9)
    _, low, high = stats.performance_profile({"task": x}, [0.0, 9.0])
    for i, count in enumerate((int((x > 0).sum()), 0)):
        interval = scipy.stats.binomtest(count, 9).proportion_ci(method="exact")
        np.testing.assert_allclose([low[i], high[i]], interval, atol=1e-8)


def test_the_band_of_curves_is_that_of_students_t() -> None:
    curves = np.random.default_rng(5).normal(size=(5, 3))
    low, high = stats.mean_band(curves)
    for i, column in enumerate(curves.T):
        interval = scipy.stats.ttest_1samp(column, 0).confidence_interval()
        np.testing.assert_allclose([low[i], high[i]], interval)
    np.testing.assert_array_equal(stats.mean_band(curves[:1]), [curves[0]] * 2)
    np.testing.assert_array_equal(stats.mean_band(np.array([[0.0], [1.0]])), [[0], [1]])


# ------------------------------------------------------------------------------------------------------------ area


def test_area_by_hand() -> None:
    """Constant 0 up to 2, a ramp to 1 at 4, constant up to 8: (0 + 1 + 4) / 8."""
    np.testing.assert_allclose(stats.area([2, 4], [[0, 1], [1, 1]], 8), [5 / 8, 1])
    np.testing.assert_allclose(
        stats.area([2, 4], [[0, 1]], 3), [(1 / 4) / 3]
    )  # half of the ramp: 1 * 1/2 / 2
    np.testing.assert_allclose(stats.area([10], [[0.3]], 5), [0.3])
    np.testing.assert_allclose(stats.area([0, 10], [[0, 1]], 10), [0.5])


@given(
    st.lists(st.integers(1, 9), min_size=1, max_size=5, unique=True).map(sorted),
    st.data(),
    st.integers(1, 12),
)
@settings(max_examples=50, deadline=None)
def test_area_is_that_of_trapezoids(steps: list[int], data: st.DataObject, budget: int) -> None:
    curve = data.draw(st.lists(values, min_size=len(steps), max_size=len(steps)))
    held = reference.area([0, *steps, 13], [curve[0], *curve, curve[-1]], budget)
    assert stats.area(steps, [curve], budget)[0] == pytest.approx(held, abs=1e-12)


# -------------------------------------------------------------------------------------------------------- survival


def test_leukaemia_under_treatment() -> None:
    """Medians 23 and 8 weeks; survival and log-log intervals as lifelines 0.30.3 computes them."""
    found = stats.kaplan_meier(TREATED, RELAPSED)
    assert found.median == 23
    assert stats.kaplan_meier(PLACEBO, ALL).median == 8
    at = {int(time): i for i, time in enumerate(found.times)}
    expected = {
        0: (1, 1, 1),
        6: (0.8571428571, 0.6197179553, 0.9515517476),
        10: (0.7529411765, 0.5031995108, 0.8893618352),
        23: (0.4481792717, 0.1880520060, 0.6801426285),
        35: (0.4481792717, 0.1880520060, 0.6801426285),
    }
    for time, row in expected.items():
        i = at[time]
        np.testing.assert_allclose((found.survival[i], found.low[i], found.high[i]), row, atol=1e-10)


def test_leukaemia_log_rank() -> None:
    found = stats.log_rank(TREATED, RELAPSED, PLACEBO, ALL)
    assert found.statistic == pytest.approx(16.792940989, abs=1e-9)
    assert found.p == pytest.approx(4.1688091e-05, rel=1e-7)


@pytest.mark.parametrize("seed", range(6))
def test_survival_and_log_rank_are_those_of_scipy(seed: int) -> None:
    rng = np.random.default_rng(seed)
    (ta, ea), (tb, eb) = ((rng.integers(1, 12, n), rng.random(n) < 0.6) for n in (15, 8))
    found = stats.kaplan_meier(ta, ea, level=0.9)
    theirs = scipy.stats.ecdf(censored_data(ta, ea)).sf
    np.testing.assert_array_equal(found.times[1:], theirs.quantiles)
    np.testing.assert_allclose(found.survival[1:], theirs.probabilities, atol=1e-12)
    with (
        np.errstate(all="ignore"),
        warnings.catch_warnings(action="ignore"),
    ):  # scipy's band is nan at 0 and 1
        band = theirs.confidence_interval(0.9, method="log-log")
    inside = (found.survival[1:] > 0) & (found.survival[1:] < 1)
    np.testing.assert_allclose(found.low[1:][inside], band.low.probabilities[inside], rtol=1e-10)
    np.testing.assert_allclose(found.high[1:][inside], band.high.probabilities[inside], rtol=1e-10)
    test = scipy.stats.logrank(censored_data(ta, ea), censored_data(tb, eb))
    mine = stats.log_rank(ta, ea, tb, eb)
    np.testing.assert_allclose([mine.statistic, mine.p], [test.statistic**2, test.pvalue], rtol=1e-9)


@given(censored, censored)
@settings(max_examples=100, deadline=None)
def test_survival_theorems(a: list[tuple[int, bool]], b: list[tuple[int, bool]]) -> None:
    (ta, ea), (tb, eb) = zip(*a, strict=True), zip(*b, strict=True)
    found = stats.kaplan_meier(ta, ea)
    plain = [reference.survival(ta, ea, time) for time in found.times]
    np.testing.assert_allclose(found.survival, plain, atol=1e-12)
    assert found.times[0] == 0
    assert (np.diff(found.times) > 0).all()
    assert (np.diff(found.survival) <= 0).all()
    assert (found.low >= 0).all()
    assert (found.low <= found.survival).all()
    assert (found.survival <= found.high).all()
    assert (found.high <= 1).all()
    test, mirrored = stats.log_rank(ta, ea, tb, eb), stats.log_rank(tb, eb, ta, ea)
    assert test.statistic == pytest.approx(reference.log_rank(ta, ea, tb, eb), abs=1e-9)
    assert test.p == pytest.approx(mirrored.p, abs=1e-9)
    assert 0 <= test.p <= 1


def test_without_censoring_survival_is_the_share_that_is_left() -> None:
    found = stats.kaplan_meier([3, 1, 2, 4], [True] * 4)
    np.testing.assert_allclose(found.survival, [1, 0.75, 0.5, 0.25, 0])
    assert found.median == 2  # 3/4 * 2/3 is a half
    assert found.high[-1] == found.high[-2] < 1
    assert found.low[-1] == 0


def test_all_censored_and_single_runs() -> None:
    never = stats.kaplan_meier([500, 500], [False, False])
    assert never.median == np.inf
    np.testing.assert_array_equal(never.survival, [1, 1])
    np.testing.assert_array_equal([never.low, never.high], np.ones((2, 2)))
    once = stats.kaplan_meier([500], [True])
    assert once.median == 500
    assert (once.low[-1], once.survival[-1], once.high[-1]) == (0, 0, 1)
    at_once = stats.kaplan_meier([0, 5], [True, False])
    np.testing.assert_allclose(at_once.survival, [0.5, 0.5])
    test = stats.log_rank([5, 5], [False, False], [5], [False])
    assert (test.statistic, test.p) == (0, 1)


# ----------------------------------------------------------------------------------------------------------- tests


def pairs(scores: Any) -> dict[Any, float]:
    return dict(enumerate(scores))


@given(st.lists(st.tuples(values, values), min_size=1, max_size=8))
@settings(max_examples=60, deadline=None)
def test_few_pairs_try_all_signs(scores: list[tuple[float, float]]) -> None:
    x, y = zip(*scores, strict=True)
    found = stats.paired_test(pairs(x), pairs(y))
    assert found.p == reference.sign_flip([a - b for a, b in scores])
    assert found.statistic == pytest.approx(np.mean(np.array(x) - y), abs=1e-12)
    assert stats.paired_test(pairs(y), pairs(x)).p == found.p


def test_the_exact_test_is_that_of_scipy() -> None:
    rng = np.random.default_rng(6)
    x, y = rng.normal(0.7, 1, 10), rng.normal(size=10)
    theirs = scipy.stats.permutation_test(
        (x, y), lambda a, b: np.mean(a - b), permutation_type="samples", n_resamples=np.inf
    )
    found = stats.paired_test(pairs(x), pairs(y))
    np.testing.assert_allclose([found.statistic, found.p], [theirs.statistic, theirs.pvalue], rtol=1e-12)


def test_sums_that_differ_by_rounding_are_ties() -> None:
    """±(0.1 + 0.2 - 0.3) + 0.05 is 0.05 twice, but not in binary: all sixteen sums are at least as far from 0."""
    assert 0.1 + 0.2 - 0.3 + 0.05 > -0.1 - 0.2 + 0.3 + 0.05
    assert stats.paired_test(pairs([0.1, 0.2, 0.0, 0.05]), pairs([0.0, 0.0, 0.3, 0.0])).p == 1


def test_pairs_are_found_by_name_not_by_order() -> None:
    x, y = {"a": 1.0, "b": 2.0, "c": 3.0}, {"c": 2.5, "a": 0.5, "b": 1.5}
    assert stats.paired_test(x, y) == significance.Test(0.5, 0.25)


def test_many_pairs_draw_signs(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(9)
    x, y = pairs(rng.normal(0.4, 1, 15)), pairs(np.zeros(15))
    exact = stats.paired_test(x, y).p
    monkeypatch.setattr(significance, "_EXACT", 10)
    monkeypatch.setattr(significance, "_CHUNK", 1000)
    drawn = stats.paired_test(x, y)
    assert drawn.p == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / 20_000))
    assert drawn == stats.paired_test(x, y)
    assert drawn != stats.paired_test(x, y, seed=1)
    assert stats.paired_test(pairs(np.ones(40)), pairs(np.zeros(40))).p == 1 / 20_001


def test_no_difference_is_no_evidence() -> None:
    assert stats.paired_test({0: 1.0}, {0: 0.0}).p == 1
    assert stats.paired_test(pairs([0.5] * 6), pairs([0.5] * 6)) == significance.Test(0, 1)
    assert stats.paired_test(pairs([1.0] * 6), pairs([0.0] * 6)).p == 2 / 2**6


def test_holm_by_hand() -> None:
    np.testing.assert_allclose(stats.holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(stats.holm([0.9, 0.8]), [1, 1])
    assert stats.holm([]).shape == (0,)


@given(
    st.lists(st.integers(0, 64).map(lambda k: k / 64), max_size=8), st.integers(0, 64).map(lambda k: k / 64)
)
@settings(max_examples=100, deadline=None)
def test_holm_rejects_what_his_procedure_rejects(p: list[float], alpha: float) -> None:
    if alpha < 1:
        assert (stats.holm(p) <= alpha).tolist() == reference.holm_rejects(p, alpha)


@pytest.mark.parametrize(
    ("n", "says"), [(1, "Only 1 run each"), (4, "Only 4 runs"), (5, "5 runs each"), (9, "wide"), (10, "")]
)
def test_seed_warning(n: int, says: str) -> None:
    warning = stats.seed_warning(n)
    assert says in warning
    assert bool(warning) == (n < 10)
    assert ("unreliable" in warning) == (n < 5)


# ------------------------------------------------------------------------------------------------------- bad input

NAN, FINE = float("nan"), {"maze": [0.0, 1.0]}


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: stats.iqm([]), "no values"),
        (lambda: stats.iqm(np.zeros((3, 0)), axis=1), "no values"),
        (lambda: stats.aggregate({}), "no tasks"),
        (lambda: stats.aggregate({"maze": []}), "task maze: there are none"),
        (
            lambda: stats.aggregate({"maze": [0, NAN], "a": [1]}),
            "task maze: 1 of 2 are not finite.*task return",
        ),
        (lambda: stats.aggregate({"maze": [[0.0]]}), "task maze: an array of shape \\(1, 1\\)"),
        (lambda: stats.aggregate(FINE, level=95), "between 0 and 1"),
        (lambda: stats.aggregate(FINE, resamples=0), "at least one resample"),
        (lambda: stats.probability_of_improvement(FINE, {"key": [1.0]}), "the tasks key, maze"),
        (lambda: stats.probability_of_improvement({}, {}), "no tasks"),
        (lambda: stats.performance_profile(FINE, []), "Thresholds"),
        (lambda: stats.performance_profile({"maze": [NAN]}, [0.5]), "task maze"),
        (lambda: stats.area([], np.zeros((2, 0)), 5), "Steps of the learning curves: there are none"),
        (lambda: stats.area([1], np.zeros((0, 1)), 5), "Learning curves: there are none"),
        (lambda: stats.area([1, 2], [[0, NAN]], 5), "Learning curves: 1 of 2"),
        (lambda: stats.area([1, 2], [[0]], 5), "1 values do not fit 2 steps"),
        (lambda: stats.area([2, 2], [[0, 1]], 5), "must increase"),
        (lambda: stats.area([-1, 2], [[0, 1]], 5), "from zero"),
        (lambda: stats.area([1], [[0]], 0), "budget"),
        (lambda: stats.area([1], [[0]], NAN), "budget"),
        (lambda: stats.kaplan_meier([], []), "Times of the runs: there are none"),
        (lambda: stats.kaplan_meier([-1.0], [True]), "-1 is negative"),
        (lambda: stats.kaplan_meier([NAN], [True]), "Times of the runs"),
        (lambda: stats.kaplan_meier([1.0, 2.0], [True]), "2 times do not fit"),
        (lambda: stats.kaplan_meier([1.0], [2]), "Events are true"),
        (lambda: stats.kaplan_meier([1.0], [True], level=0), "between 0 and 1"),
        (lambda: stats.log_rank([1.0], [True], [], []), "Times of the runs"),
        (lambda: stats.paired_test({}, {}), "Scores of the pairs: there are none"),
        (lambda: stats.paired_test({1: 0.0, 2: 1.0}, {1: 0.0, 3: 1.0}), "only one side has 2, 3"),
        (lambda: stats.paired_test({1: NAN}, {1: 0.0}), "Scores of the pairs: 1 of 1"),
        (lambda: stats.holm([0.1, NAN]), "between 0 and 1"),
        (lambda: stats.holm([1.1]), "between 0 and 1"),
    ],
)
def test_bad_input_is_named(call: Callable[[], object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        call()
