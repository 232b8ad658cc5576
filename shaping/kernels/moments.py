"""Kernels of running moments: how many values, their mean, and the sum of squared deviations from it. Arrays are (B,)."""

from __future__ import annotations

import numpy as np

from shapegym.shaping.kernels._jit import jit


@jit
def merge_moments(values: np.ndarray, active: np.ndarray, moments: np.ndarray) -> None:
    """Add a batch to running moments, in place; inactive and non-finite values are left out.

    With batch moments (n_B, m_B, M_B), running ones (n_A, m_A, M_A) and d = m_B - m_A, the union has n = n_A + n_B,
    m = m_A + d n_B / n and M = M_A + M_B + d^2 n_A n_B / n. Source: Chan, Golub & LeVeque 1983, eq. 1.5.

    Args:
        moments: count, mean and sum of squared deviations, (3,) float64.
    """
    count = 0.0
    origin = 0.0  # deviations from the first value: equal values have exactly no variance
    total = 0.0
    for lane in range(values.shape[0]):
        if active[lane] and np.isfinite(values[lane]):
            if count == 0.0:
                origin = values[lane]
            count += 1.0
            total += values[lane] - origin
    if count == 0.0:
        return
    mean = origin + total / count
    squares = 0.0
    for lane in range(values.shape[0]):
        if active[lane] and np.isfinite(values[lane]):
            squares += (values[lane] - mean) ** 2
    share = count / (moments[0] + count)
    delta = mean - moments[1]
    moments[2] += squares + delta * delta * moments[0] * share
    moments[1] += delta * share
    moments[0] += count


@jit
def accumulate_returns(
    values: np.ndarray, first: np.ndarray, active: np.ndarray, gamma: float, returns: np.ndarray
) -> None:
    """G_t = gamma G_{t-1} + x_t for every lane, in place in ``returns``, starting from 0 at an episode's first step.

    Inactive and non-finite values leave a lane as it is, except that the first step of an episode always starts anew.
    """
    for lane in range(values.shape[0]):
        if active[lane]:
            if first[lane]:
                returns[lane] = 0.0
            if np.isfinite(values[lane]):
                returns[lane] = gamma * returns[lane] + values[lane]
