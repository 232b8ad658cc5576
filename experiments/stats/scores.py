"""What final scores and learning curves say, over tasks and runs."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import betaincinv, stdtrit

from shapegym.experiments.stats.bootstrap import (
    Interval,
    Scores,
    error_of_mean,
    finite,
    resampled,
    strata,
    studentised,
    tails,
)

Floats = NDArray[np.float64]


def iqm(x: ArrayLike, axis: int | None = None) -> Any:
    """Interquartile mean: the mean of what is left without the lowest and the highest quarter, floor(n / 4) values each.

    Args:
        x: scores.
        axis: over which to take it; None for all values.

    Raises:
        ValueError: if there are no values.

    Source: Agarwal et al. (2021), section 4.3.
    """
    values = np.sort(
        np.asarray(x, np.float64), axis=axis
    )  # twice as fast as scipy.stats.trim_mean, and half of a bootstrap
    values = values if axis is None else np.moveaxis(values, axis, -1)
    n = values.shape[-1]
    if n == 0:
        raise ValueError("The interquartile mean of no values is not defined.")
    return values[..., n // 4 : n - n // 4].mean(axis=-1)


def aggregate(
    scores: Scores,
    statistic: Callable[..., Any] = iqm,
    *,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
    within: tuple[float, float] | None = None,
) -> Interval:
    """A statistic of all runs of all tasks, with an interval that allows for how few they are (`studentised`).

    Each run counts once, so of two tasks the one with more runs weighs more.

    Args:
        scores: task -> final scores (runs,).
        statistic: such as `iqm`, `numpy.mean` or `numpy.median`, with an ``axis``.
        level: of the interval.
        resamples: of the bootstrap.
        seed: of the bootstrap; the same for all contenders, so that they see the same draws.
        within: the least and the greatest score that there can be, such as (0, 1) of a success rate; None if not known.

    Raises:
        ValueError: if a task has no runs or a score is not finite or not within its range; names the task.
    """
    tasks = strata(scores)
    least, most = min(task.min() for task in tasks), max(task.max() for task in tasks)
    if within is not None and (least < within[0] or most > within[1]):
        raise ValueError(
            f"Scores reach from {least:g} to {most:g}, and within={within} says that they cannot."
        )

    def drawn_again(drawn: list[NDArray[np.int64]]) -> Floats:
        runs = [x[i] for x, i in zip(tasks, drawn, strict=True)]
        return np.stack([statistic(np.hstack(runs), axis=-1), error_of_mean(runs)], axis=-1)

    samples, errors = resampled(tuple(map(len, tasks)), resamples, seed, drawn_again).T
    # As one row of a batch, so that constant scores have an estimate that is theirs to the last bit.
    estimate = float(statistic(np.concatenate(tasks)[None], axis=-1)[0])
    low, high = studentised(tasks, estimate, samples, errors, level, within)
    return Interval(estimate, float(low), float(high))


def probability_of_improvement(x: Scores, y: Scores, *, level: float = 0.95) -> Interval:
    """How likely a run of X beats a run of Y on a task drawn at random, ties counting half.

    P(X > Y) = 1/M Σ_m 1/(N K) Σ_ij [x_mi > y_mj] + ½ [x_mi = y_mj]

    The interval holds every p that is not too far from the estimate for its own variance, which is taken to be that of exponential
    scores, less for ties. So it has a width also where every run of X beats every one of Y.

    Args:
        x: task -> final scores (N,).
        y: task -> final scores (K,), for the same tasks; the runs of X and Y are independent.
        level: of the interval.

    Raises:
        ValueError: if the tasks differ, a task has no runs or a score is not finite; names the tasks.

    Source: Agarwal et al. (2021), section 4.3; Mann & Whitney (1947); the interval is method 5 of Newcombe (2006, *Statistics in
    Medicine* 25, 559-573), with the quantile of t and the variance averaged over tasks.
    """
    if x.keys() != y.keys():
        raise ValueError(f"Only one side has the tasks {', '.join(sorted(x.keys() ^ y.keys()))}.")
    pairs = list(zip(strata(x), strata(y), strict=True))
    wins = float(np.mean([(a[:, None] > b).mean() for a, b in pairs]))
    ties = float(np.mean([(a[:, None] == b).mean() for a, b in pairs]))
    estimate = wins + 0.5 * ties
    runs = float(np.mean([(len(a) + len(b)) / 2 for a, b in pairs]))
    # A tie is no win that might have been a loss. Ties come in groups, so that not all of that variance goes: its root stays, as
    # `shapegym study coverage` finds enough. Where all are ties, another run might be none.
    apart = 1.0 if ties == 0 else math.sqrt(max(1 - ties / (4 * estimate * (1 - estimate)), 1 / runs))

    def variance(p: float) -> float:
        shape = (1 - p) / (2 - p) + p / (1 + p)
        each = [(1 + ((len(a) + len(b)) / 2 - 1) * shape) / (len(a) * len(b)) for a, b in pairs]
        return apart * p * (1 - p) * sum(each) / len(pairs) ** 2

    z = stdtrit(sum(len(a) + len(b) - 2 for a, b in pairs) or 1, tails(level)[1])

    def excess(p: float) -> float:
        return float((estimate - p) ** 2 - z**2 * variance(p))

    near = 1e-9  # at 0 and 1 there is no variance, so the estimate itself would be a solution
    low = float(brentq(excess, 0.0, estimate - near)) if estimate > near else 0.0
    high = float(brentq(excess, estimate + near, 1.0)) if estimate < 1 - near else 1.0
    return Interval(estimate, low, high)


def performance_profile(
    scores: Scores, thresholds: ArrayLike, *, level: float = 0.95
) -> tuple[Floats, Floats, Floats]:
    """Share of runs that score above each threshold, every task weighing the same.

    F(τ) = 1/M Σ_m 1/N_m Σ_n [x_mn > τ]

    Args:
        scores: task -> final scores (N_m,).
        thresholds: τ (T,), in any order.
        level: of the pointwise intervals, the exact ones of M² / Σ_m 1/N_m runs: as wide as if all tasks had one share.

    Returns:
        The estimate (T,) and the lower and upper ends of its interval (T,).

    Raises:
        ValueError: if a task has no runs, or a score or threshold is not finite; names the task.

    Source: Agarwal et al. (2021), section 4.2, run-score distributions; Clopper & Pearson (1934).
    """
    tasks, bars = strata(scores), finite(thresholds, "Thresholds of the performance profile")
    shares = np.mean([(x[:, None] > bars).mean(axis=0) for x in tasks], axis=0)
    runs = len(tasks) ** 2 / sum(1 / len(x) for x in tasks)
    above, (alpha, upper) = shares * runs, tails(level)
    low = np.where(above > 0, betaincinv(np.maximum(above, 1e-9), runs - above + 1, alpha), 0.0)
    high = np.where(above < runs, betaincinv(above + 1, np.maximum(runs - above, 1e-9), upper), 1.0)
    return shares, low, high


def mean_band(curves: Floats, *, level: float = 0.95) -> tuple[Floats, Floats]:
    """The pointwise t interval of the mean of curves (runs, T): its ends (T,). One curve has no band: both are that curve.

    Curves of shares, all within [0, 1], have a band within it.

    Raises:
        ValueError: if there are no curves, or a value is not finite.
    """
    values = finite(curves, "Learning curves", ndim=2)
    runs, mean = len(values), values.mean(axis=0)
    if runs == 1:
        return mean, mean
    reach = stdtrit(runs - 1, tails(level)[1]) * values.std(axis=0, ddof=1) / np.sqrt(runs)
    within = (0.0, 1.0) if values.min() >= 0 and values.max() <= 1 else (-np.inf, np.inf)
    return np.clip(mean - reach, *within), np.clip(mean + reach, *within)


def area(steps: ArrayLike, values: ArrayLike, budget: float) -> Floats:
    """Mean height of learning curves over the whole budget: 1/B ∫ v(t) dt by trapezoids.

    A curve is constant before its first evaluation and after its last.

    Args:
        steps: of the evaluations (T,), increasing.
        values: (runs, T).
        budget: B, in steps; what lies beyond does not count.

    Returns:
        (runs,), in the unit of the values.

    Raises:
        ValueError: if a curve has no evaluations or one that is not finite, shapes or the order of steps do not fit, or the
            budget is not positive.
    """
    at, curves = finite(steps, "Steps of the learning curves"), finite(values, "Learning curves", ndim=2)
    if curves.shape[1] != at.size:
        raise ValueError(
            f"Learning curves with {curves.shape[1]} values do not fit {at.size} steps of evaluations."
        )
    if at[0] < 0 or (np.diff(at) <= 0).any():
        raise ValueError("Steps of the learning curves: they must increase, from zero or later.")
    if not 0 < budget < np.inf:
        raise ValueError(f"The budget must be a positive number of steps, not {budget}.")
    knots = np.concatenate([[0.0], at[(at > 0) & (at < budget)], [budget]])
    heights = np.array([np.interp(knots, at, curve) for curve in curves])
    return np.trapezoid(heights, knots, axis=1) / budget
