"""Kernels over the groups of episodes that are compared with one another."""

from __future__ import annotations

import numpy as np

from shapegym.shaping.kernels._jit import jit

STANDARD, CENTRED, LEAVE_ONE_OUT = 0, 1, 2
EPSILON = 1e-8
"""Keeps a group of equal outcomes from a division by zero."""


@jit
def relative_outcomes(
    values: np.ndarray,
    first: np.ndarray,
    last: np.ndarray,
    active: np.ndarray,
    size: int,
    form: int,
    totals: np.ndarray,
    batches: np.ndarray,
    count: np.ndarray,
    paid: np.ndarray,
) -> None:
    """Write at each episode's last step its outcome relative to its group, 0 elsewhere.

    Args:
        values: (T, B), as the marks and ``paid``, the output; an episode's outcome is their sum.
        size: episodes that make a group.
        form: STANDARD, CENTRED or LEAVE_ONE_OUT.
        totals: (B,), outcome so far of each lane's open episode; updated.
        batches: (size, 3), of the latest steps at which episodes ended: how many, their mean and their sum of squared deviations.
            A ring; updated.
        count: (1,), batches ever written; updated.
    """
    num_steps, num_lanes = values.shape
    for t in range(num_steps):
        n, mean, squares = 0.0, 0.0, 0.0
        for lane in range(num_lanes):
            paid[t, lane] = 0.0
            if not active[t, lane]:
                continue
            if first[t, lane]:
                totals[lane] = 0.0
            totals[lane] += values[t, lane]
            if last[t, lane]:
                n += 1.0
                delta = totals[lane] - mean
                mean += delta / n
                squares += delta * (totals[lane] - mean)
        if n == 0.0:
            continue
        slot = int(count[0]) % size
        batches[slot, 0], batches[slot, 1], batches[slot, 2] = n, mean, squares
        count[0] += 1
        for age in range(1, min(int(count[0]), size)):
            if n >= size:
                break
            batch = (slot - age) % size
            n, mean, squares = _merge(
                n, mean, squares, batches[batch, 0], batches[batch, 1], batches[batch, 2]
            )
        for lane in range(num_lanes):
            if active[t, lane] and last[t, lane]:
                paid[t, lane] = _relative(totals[lane], n, mean, squares, form)
                totals[lane] = 0.0


@jit
def _merge(
    n: float, mean: float, squares: float, m: float, other: float, other_squares: float
) -> tuple[float, float, float]:
    """Number, mean and squared deviations of two sets together (Chan, Golub & LeVeque 1983)."""
    delta = other - mean
    total = n + m
    return total, mean + delta * m / total, squares + other_squares + delta * delta * n * m / total


@jit
def _relative(outcome: float, n: float, mean: float, squares: float, form: int) -> float:
    if n < 2.0:
        return 0.0
    if form == STANDARD:
        return (outcome - mean) / (np.sqrt(squares / n) + EPSILON)
    if form == LEAVE_ONE_OUT:
        return (outcome - mean) * n / (n - 1.0)
    return outcome - mean
