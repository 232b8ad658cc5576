"""What final scores and learning curves say, over tasks and runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from shapegym.experiments.stats.bootstrap import (
    Interval,
    Scores,
    finite,
    percentiles,
    resampled,
    strata,
    tally,
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
) -> Interval:
    """A statistic of all runs of all tasks, with a stratified bootstrap interval.

    Each run counts once, so of two tasks the one with more runs weighs more.

    Args:
        scores: task -> final scores (runs,).
        statistic: such as `iqm`, `numpy.mean` or `numpy.median`, with an ``axis``.
        level: of the interval.
        resamples: of the bootstrap.
        seed: of the bootstrap; the same for all contenders, so that they see the same draws.

    Raises:
        ValueError: if a task has no runs or a score is not finite; names the task.
    """
    tasks = strata(scores)
    samples = resampled(
        tuple(map(len, tasks)),
        resamples,
        seed,
        lambda drawn: statistic(np.hstack([x[i] for x, i in zip(tasks, drawn, strict=True)]), axis=-1),
    )
    low, high = percentiles(samples, level)
    # As one row of a batch, so that constant scores have an interval of width zero to the last bit.
    estimate = statistic(np.concatenate(tasks)[None], axis=-1)[0]
    return Interval(float(estimate), float(low), float(high))


def probability_of_improvement(
    x: Scores, y: Scores, *, level: float = 0.95, resamples: int = 2000, seed: int = 0
) -> Interval:
    """How likely a run of X beats a run of Y on a task drawn at random, ties counting half.

    P(X > Y) = 1/M Σ_m 1/(N K) Σ_ij [x_mi > y_mj] + ½ [x_mi = y_mj]

    Args:
        x: task -> final scores (N,).
        y: task -> final scores (K,), for the same tasks.
        level: of the interval.
        resamples: of the bootstrap, which draws the runs of X and Y independently.
        seed: of the bootstrap.

    Raises:
        ValueError: if the tasks differ, a task has no runs or a score is not finite; names the tasks.

    Source: Agarwal et al. (2021), section 4.3; Mann & Whitney (1947).
    """
    if x.keys() != y.keys():
        raise ValueError(f"Only one side has the tasks {', '.join(sorted(x.keys() ^ y.keys()))}.")
    ours, theirs = strata(x), strata(y)
    wins = [
        (a[:, None] > b).astype(np.float64) + 0.5 * (a[:, None] == b)
        for a, b in zip(ours, theirs, strict=True)
    ]

    def improvement(drawn: list[NDArray[np.int64]]) -> Floats:
        pairs = zip(drawn[: len(wins)], wins, drawn[len(wins) :], strict=True)
        return np.mean(
            [np.sum((tally(i) @ won) * tally(j), axis=1) / won.size for i, won, j in pairs], axis=0
        )

    sizes = (*map(len, ours), *map(len, theirs))
    low, high = percentiles(resampled(sizes, resamples, seed, improvement), level)
    return Interval(float(np.mean([won.mean() for won in wins])), float(low), float(high))


def performance_profile(
    scores: Scores, thresholds: ArrayLike, *, level: float = 0.95, resamples: int = 2000, seed: int = 0
) -> tuple[Floats, Floats, Floats]:
    """Share of runs that score above each threshold, every task weighing the same.

    F(τ) = 1/M Σ_m 1/N_m Σ_n [x_mn > τ]

    Args:
        scores: task -> final scores (N_m,).
        thresholds: τ (T,), in any order.
        level: of the pointwise intervals.
        resamples: of the bootstrap.
        seed: of the bootstrap.

    Returns:
        The estimate (T,) and the lower and upper ends of its interval (T,).

    Raises:
        ValueError: if a task has no runs, or a score or threshold is not finite; names the task.

    Source: Agarwal et al. (2021), section 4.2, run-score distributions.
    """
    tasks, levels = strata(scores), finite(thresholds, "Thresholds of the performance profile")
    above = [(x[:, None] > levels).astype(np.float64) for x in tasks]
    samples = resampled(
        tuple(map(len, tasks)),
        resamples,
        seed,
        lambda drawn: np.mean(
            [tally(i) @ passed / len(passed) for i, passed in zip(drawn, above, strict=True)], axis=0
        ),
    )
    low, high = percentiles(samples, level)
    return np.mean([passed.mean(axis=0) for passed in above], axis=0), low, high


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
