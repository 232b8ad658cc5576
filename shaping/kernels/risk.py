"""Kernels of what is judged by how an episode's pay varies: its Sharpe ratio, its deepest fall."""

from __future__ import annotations

import math

import numpy as np

from shapegym.shaping.kernels._jit import jit


@jit
def episode_sharpe(
    values: np.ndarray,
    first: np.ndarray,
    last: np.ndarray,
    active: np.ndarray,
    moments: np.ndarray,
    out: np.ndarray,
) -> None:
    """Write mean / sample deviation of an episode's values at its last step, and 0 elsewhere.

    0 too for an episode of one step, or whose values are equal (up to rounding).

    Args:
        values: (T, B); ``first``, ``last`` and ``active`` as well.
        moments: number, mean, sum of squared deviations (Welford 1962) and largest size of the values of each open episode, (4, B).
        out: (T, B).
    """
    num_steps, num_lanes = values.shape
    for t in range(num_steps):
        for lane in range(num_lanes):
            out[t, lane] = 0.0
            if not active[t, lane]:
                continue
            if first[t, lane]:
                moments[:, lane] = 0.0
            value = values[t, lane]
            moments[0, lane] += 1.0
            gap = value - moments[1, lane]
            moments[1, lane] += gap / moments[0, lane]
            moments[2, lane] += gap * (value - moments[1, lane])
            moments[3, lane] = max(moments[3, lane], abs(value))
            if last[t, lane] and moments[0, lane] > 1.0:
                deviation = math.sqrt(moments[2, lane] / (moments[0, lane] - 1.0))
                if deviation > 1e-12 * moments[3, lane]:
                    out[t, lane] = moments[1, lane] / deviation


@jit
def deepest_fall(
    values: np.ndarray,
    first: np.ndarray,
    last: np.ndarray,
    active: np.ndarray,
    compounded: bool,
    equity: np.ndarray,
    out: np.ndarray,
) -> None:
    """Write the deepest fall of an episode's equity from its highest so far at the last step, and 0 elsewhere.

    Args:
        values: (T, B); ``first``, ``last`` and ``active`` as well.
        compounded: equity is the product of 1 + value from 1 on, 0 once it is lost, and falls are parts of the highest; else it is
            the sum of values from 0 on.
        equity: equity, its highest and its deepest fall of each open episode, (3, B).
        out: (T, B).
    """
    num_steps, num_lanes = values.shape
    for t in range(num_steps):
        for lane in range(num_lanes):
            out[t, lane] = 0.0
            if not active[t, lane]:
                continue
            if first[t, lane]:
                equity[0, lane] = equity[1, lane] = 1.0 if compounded else 0.0
                equity[2, lane] = 0.0
            if compounded:
                equity[0, lane] *= max(1.0 + values[t, lane], 0.0)
            else:
                equity[0, lane] += values[t, lane]
            equity[1, lane] = max(equity[1, lane], equity[0, lane])
            fall = equity[1, lane] - equity[0, lane]
            if compounded:
                fall /= equity[1, lane]
            equity[2, lane] = max(equity[2, lane], fall)
            if last[t, lane]:
                out[t, lane] = equity[2, lane]
