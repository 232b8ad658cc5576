"""The stratified percentile bootstrap: runs are drawn again within each task, never across tasks.

Source: Efron (1979); stratified by task as in Agarwal et al. (2021), *Deep Reinforcement Learning at the Edge of the
Statistical Precipice*, section 3.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Scores = Mapping[str, ArrayLike]
"""Task -> its final scores (runs,)."""
Strata = tuple[NDArray[np.float64], ...]
"""Scores (runs,) of each task, by the task's name."""

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


def tally(drawn: NDArray[np.int64]) -> NDArray[np.float64]:
    """How often each run was drawn: indices (R, runs) -> counts (R, runs), as floats for products without rounding."""
    rows, runs = drawn.shape
    flat = drawn + runs * np.arange(rows)[:, None]
    return np.bincount(flat.ravel(), minlength=rows * runs).reshape(rows, runs).astype(np.float64)


def percentiles(samples: NDArray[np.float64], level: float) -> tuple[Any, Any]:
    """The central ``level`` of samples (R, ...), each end (...).

    Raises:
        ValueError: if ``level`` is not between 0 and 1.
    """
    low, high = np.quantile(samples, tails(level), axis=0)
    return low, high


def tails(level: float) -> tuple[float, float]:
    """The probabilities that a central interval leaves below its ends.

    Raises:
        ValueError: if ``level`` is not between 0 and 1.
    """
    if not 0 < level < 1:
        raise ValueError(f"The level of an interval lies between 0 and 1, such as 0.95; this is {level}.")
    return (1 - level) / 2, (1 + level) / 2
