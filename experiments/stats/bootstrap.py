"""Intervals for a few runs a task: a stratified bootstrap for the spread, Student's t for how little is known of it.

Runs are drawn again within each task, never across tasks. Percentiles of such draws are too narrow where a task has few runs: the
variance of n runs is underestimated by (n - 1) / n, and it is itself uncertain. So `studentised` takes the bootstrap's standard
error, corrected for n, times a quantile of t with the degrees of freedom of Welch & Satterthwaite, and more where the draws, in
units of their own standard errors, are skewed. What it covers is measured: ``shapegym study coverage``.

Sources: Efron (1979); stratified by task as in Agarwal et al. (2021), *Deep Reinforcement Learning at the Edge of the Statistical
Precipice*, section 3; Welch (1947); Hesterberg (2015), *What Teachers Should Know About the Bootstrap*, section 4.3.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit

Scores = Mapping[str, ArrayLike]
"""Task -> its final scores (runs,)."""
Strata = tuple[NDArray[np.float64], ...]
"""Scores (runs,) of each task, by the task's name."""

_FARTHEST = 2.0
"""How many times as far as t an interval may reach for skewed draws: with three runs, some of them have no spread at all."""
_CHUNK = 2_000_000
"""Most numbers that are resampled at once: 16 MB."""


@dataclass(frozen=True)
class Interval:
    """An estimate and its confidence interval."""

    estimate: float  # from all runs
    low: float  # end of the interval
    high: float  # end of the interval


def strata(scores: Scores) -> Strata:
    """Check scores and bring the tasks into the order of their names, so that the order of a mapping changes nothing.

    Raises:
        ValueError: if there is no task, a task has no runs, or a score is not finite; names the task.
    """
    if not scores:
        raise ValueError("There are no tasks to compute statistics of.")
    return tuple(finite(scores[task], f"Scores of the task {task}") for task in sorted(scores))


def finite(values: ArrayLike, what: str, ndim: int = 1) -> NDArray[np.float64]:
    """Values as an array.

    Raises:
        ValueError: if they are empty, have other dimensions, or are not finite.
    """
    array = np.asarray(values, np.float64)
    if array.ndim != ndim:
        raise ValueError(f"{what}: an array of shape {array.shape} where {ndim} dimensions are expected.")
    if array.size == 0:
        raise ValueError(f"{what}: there are none.")
    if not np.isfinite(array).all():
        raise ValueError(
            f"{what}: {np.sum(~np.isfinite(array))} of {array.size} are not finite numbers. A task that does not tell success "
            "has no success rate; use the task return there."
        )
    return array


def resampled(
    sizes: tuple[int, ...], resamples: int, seed: int, statistic: Callable[[list[NDArray[np.int64]]], Any]
) -> NDArray[np.float64]:
    """Compute a statistic of many resamples.

    Args:
        sizes: number of runs in each stratum.
        resamples: how many, R.
        seed: of the draws.
        statistic: of the runs drawn in each stratum, (chunk, runs) indices; returns (chunk, ...).

    Returns:
        (R, ...), in memory that does not grow with R times the number of runs.

    Raises:
        ValueError: if ``resamples`` is not positive.
    """
    if resamples < 1:
        raise ValueError(f"The bootstrap needs at least one resample, not {resamples}.")
    rng = np.random.default_rng(seed)
    chunk = max(1, _CHUNK // sum(sizes))
    return np.concatenate(
        [
            statistic([rng.integers(0, size, (min(chunk, resamples - start), size)) for size in sizes])
            for start in range(0, resamples, chunk)
        ]
    )


def studentised(
    tasks: Strata,
    estimate: float,
    samples: NDArray[np.float64],
    errors: NDArray[np.float64],
    level: float,
    within: tuple[float, float] | None,
) -> tuple[float, float]:
    """The interval of a statistic of location, such as a mean or an interquartile mean, of the runs of all tasks.

    Args:
        tasks: the scores (runs,) of each. Where one has a single run, its runs are taken to vary as those of the others do.
        estimate: the statistic of all of them.
        samples: the same of each resample (R,).
        errors: `error_of_mean` of each resample (R,).
        level: of the interval.
        within: the least and the greatest score that there can be, None if not known. N runs leave room for another kind of run
            than theirs, in 1 - alpha^(1/N) of all, and the interval reaches as far as those could move a mean. Scores that all lie
            in [0, 1] are mostly shares: for them that is allowed for in any case.

    Returns:
        Its ends. Where every task has a single run nothing is known of their spread: they are infinite, or those of ``within``.

    Raises:
        ValueError: if ``level`` is not between 0 and 1.
    """
    alpha, upper = tails(level)
    least, most = (-np.inf, np.inf) if within is None else within
    several = [task for task in tasks if len(task) > 1]
    if not several:
        return least, most
    sizes = np.array([len(task) for task in several])
    # Equal scores have none, to the last bit.
    variances = np.array([task.var(ddof=1) if np.ptp(task) > 0 else 0.0 for task in several])
    lone, total = len(tasks) - len(several), sum(map(len, tasks))
    shares = sizes * variances
    below = above = 0.0
    if shares.any():
        freedom = shares.sum() ** 2 / (shares**2 / (sizes - 1)).sum()
        seen = (shares * (sizes - 1) / sizes).sum()
        spread = samples.std() * np.sqrt((shares.sum() + lone * variances.mean()) / seen)
        reach = float(stdtrit(freedom, upper)) * spread
        moved = samples - estimate
        with np.errstate(divide="ignore", invalid="ignore"):
            pivots = np.where(moved == 0, 0.0, moved / errors) * np.sqrt(shares.sum()) / total
        skewed = np.quantile(pivots, (alpha / 2, 1 - alpha / 2), method="closest_observation")
        below, above = (max(reach, min(float(far), _FARTHEST * reach)) for far in (skewed[1], -skewed[0]))
    lowest, highest = min(task.min() for task in tasks), max(task.max() for task in tasks)
    if within is not None or (lowest >= 0 and highest <= 1):
        bottom, top = within or (0.0, 1.0)
        unseen = 1 - alpha ** (1 / total)
        below, above = max(below, unseen * (estimate - bottom)), max(above, unseen * (top - estimate))
    return max(least, estimate - below), min(most, estimate + above)


def error_of_mean(tasks: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Standard error of the mean of all runs, from scores (..., runs) of each task: (...)."""
    total = sum(task.shape[-1] for task in tasks)
    variance = np.zeros(tasks[0].shape[:-1])
    for task in tasks:
        if task.shape[-1] > 1:
            variance += task.shape[-1] * task.var(axis=-1, ddof=1)
    return np.sqrt(variance) / total


def tails(level: float) -> tuple[float, float]:
    """The probabilities that a central interval leaves below its ends.

    Raises:
        ValueError: if ``level`` is not between 0 and 1.
    """
    if not 0 < level < 1:
        raise ValueError(f"The level of an interval lies between 0 and 1, such as 0.95; this is {level}.")
    return (1 - level) / 2, (1 + level) / 2
