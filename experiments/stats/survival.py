"""Steps until an event that some runs never reach. A run that ends without it is censored at its budget, not left out."""

from __future__ import annotations

from dataclasses import dataclass
from warnings import catch_warnings

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import CensoredData, ecdf, logrank

from shapegym.experiments.stats.bootstrap import finite, tails
from shapegym.experiments.stats.significance import Test

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Survival:
    """The share of runs that have not had the event: a step function, which has each value from its time on."""

    times: Floats  # (K,), increasing: 0 and every time at which a run had the event or was censored
    survival: Floats  # (K,)
    low: Floats  # (K,) pointwise interval
    high: Floats  # (K,) pointwise interval

    @property
    def median(self) -> float:
        """The first time at which at most half of the runs are without the event; infinite if that is never so."""
        reached = self.times[
            self.survival <= 0.5 + 1e-12
        ]  # a product that should be a half may be rounded up
        return float(reached[0]) if reached.size else np.inf


def kaplan_meier(times: ArrayLike, events: ArrayLike, *, level: float = 0.95) -> Survival:
    """The product-limit estimate S(t) = Π_{t_i ≤ t} (1 - d_i / n_i), d_i events among n_i runs at risk.

    The interval is S^exp(±z √V / log S) with Greenwood's V = Σ d_i / (n_i (n_i - d_i)), which stays between 0 and 1. It has no
    width before the first event. Where S is 0 the formula has no value: there it reaches from 0 to the upper end before.

    Args:
        times: of the event, or of censoring (runs,), in steps; of equal times, events come first.
        events: whether it happened (runs,).
        level: of the interval.

    Raises:
        ValueError: if there are no runs, a time is negative or not finite, or an event is neither true nor false.

    Source: Kaplan & Meier (1958); Greenwood (1926); Kalbfleisch & Prentice (1980), section 1.3.
    """
    curve = ecdf(_observed(times, events)).sf
    with catch_warnings(action="ignore"):  # of the places without a value
        band = curve.confidence_interval(tails(level)[1] - tails(level)[0], method="log-log")
    survival, (low, high) = curve.probabilities, (side.probabilities for side in (band.low, band.high))
    certain, none_left = survival == 1, survival == 0
    before = high[~(certain | none_left)]
    low = np.where(certain, 1.0, np.where(none_left, 0.0, low))
    high = np.where(certain, 1.0, np.where(none_left, before[-1] if before.size else 1.0, high))
    start = 1 if curve.quantiles[0] > 0 else 0  # a value at 0, unless something happened there
    return Survival(
        np.append([0.0] * start, curve.quantiles),
        *(np.append([1.0] * start, each) for each in (survival, low, high)),
    )


def log_rank(times_a: ArrayLike, events_a: ArrayLike, times_b: ArrayLike, events_b: ArrayLike) -> Test:
    """Whether two groups of runs reach an event equally soon; two-sided.

    χ² = (Σ_i d_ai - n_ai d_i / n_i)² / Σ_i n_ai n_bi d_i (n_i - d_i) / (n_i² (n_i - 1)), with one degree of freedom.

    Args:
        times_a: of the event, or of censoring (runs,), in steps.
        events_a: whether it happened (runs,).
        times_b: the same of the other group.
        events_b: the same of the other group.

    Returns:
        χ² and its p-value; 0 and 1 where no time tells the groups apart, for one where no run had the event.

    Raises:
        ValueError: as `kaplan_meier`.

    Source: Mantel (1966).
    """
    with np.errstate(invalid="ignore"):  # 0 / 0 where no time tells them apart
        test = logrank(_observed(times_a, events_a), _observed(times_b, events_b))
    return (
        Test(float(test.statistic) ** 2, float(test.pvalue))
        if np.isfinite(test.statistic)
        else Test(0.0, 1.0)
    )


def _observed(times: ArrayLike, events: ArrayLike) -> CensoredData:
    when, happened = finite(times, "Times of the runs"), np.asarray(events)
    if (when < 0).any():
        raise ValueError(f"Times of the runs: {when.min():g} is negative.")
    if happened.shape != when.shape:
        raise ValueError(f"{when.size} times do not fit events of shape {happened.shape}.")
    if not np.isin(happened, (0, 1)).all():
        raise ValueError("Events are true where a run had the event and false where it was censored.")
    return CensoredData.right_censored(when, happened == 0)
