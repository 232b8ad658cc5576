"""Kernels of running moments: how many values, their mean, and how far they spread from it. Arrays are (B,)."""

from __future__ import annotations

import numpy as np

from shapegym.shaping.kernels._jit import jit

LARGEST = 1e300
"""Values beyond are left out: sums of several would overflow."""


@jit
def merge_moments(values: np.ndarray, active: np.ndarray, moments: np.ndarray) -> None:
    """Add a batch to running moments, in place; inactive values are left out, and those beyond `LARGEST` or not finite.

    With batch moments (n_B, m_B, M_B), running ones (n_A, m_A, M_A) and d = m_B - m_A, the union has n = n_A + n_B,
    m = m_A + d n_B / n and M = M_A + M_B + d^2 n_A n_B / n. Source: Chan, Golub & LeVeque 1983, eq. 1.5. Kept is sqrt(M): no
    square overflows.

    Args:
        moments: count, mean, and root of the sum of squared deviations, (3,) float64.
    """
    count = 0.0
    origin = 0.0  # deviations from the first value: equal values have exactly no variance
    total = 0.0
    for lane in range(values.shape[0]):
        if active[lane] and abs(values[lane]) <= LARGEST:
            if count == 0.0:
                origin = values[lane]
            count += 1.0
            total += values[lane] - origin
    if count == 0.0:
        return
    mean = origin + total / count
    furthest = 0.0
    for lane in range(values.shape[0]):
        if active[lane] and abs(values[lane]) <= LARGEST:
            furthest = max(furthest, abs(values[lane] - mean))
    squares = 0.0  # in units of the furthest deviation
    if furthest > 0.0:
        for lane in range(values.shape[0]):
            if active[lane] and abs(values[lane]) <= LARGEST:
                squares += ((values[lane] - mean) / furthest) ** 2
    share = count / (moments[0] + count)
    delta = mean - moments[1]
    within = _hypotenuse(moments[2], furthest * np.sqrt(squares))
    moments[2] = _hypotenuse(within, abs(delta) * np.sqrt(moments[0] * share))
    moments[1] += delta * share
    moments[0] += count


@jit
def _hypotenuse(a: float, b: float) -> float:
    longer, shorter = max(a, b), min(a, b)
    return longer * np.sqrt(1.0 + (shorter / longer) ** 2) if longer > 0.0 else 0.0


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
