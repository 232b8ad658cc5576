"""Kernel of the elliptical bonus: how far a code lies outside of what its episode has seen, by rank-one updates of an inverse."""

from __future__ import annotations

import numpy as np

from shapegym.shaping.kernels._jit import jit


@jit
def elliptical(
    before: np.ndarray,
    after: np.ndarray,
    first: np.ndarray,
    active: np.ndarray,
    ridge: float,
    inverse: np.ndarray,
    out: np.ndarray,
) -> None:
    """B = phi^T C^-1 phi of s_{t+1} for every lane; then C takes it in. At a lane's first step C is ridge I, and takes in s_t.

    Args:
        before: phi of s_t, (B, d) float64, or (0, d) where there are none: then s_0 is not taken in.
        after: phi of s_{t+1}, (B, d) float64.
        first: (B,) bool.
        active: (B,) bool; other lanes are left as they are.
        ridge: of C.
        inverse: C^-1, (B, d, d) float64; updated.
        out: b, (B,) float64, 0 in lanes that are not active.
    """
    num_lanes, width = after.shape
    scaled = np.empty(width)
    for lane in range(num_lanes):
        out[lane] = 0.0
        if not active[lane]:
            continue
        if first[lane]:
            for i in range(width):
                for j in range(width):
                    inverse[lane, i, j] = 1.0 / ridge if i == j else 0.0
            if before.shape[0] > 0:
                _take_in(before[lane], inverse[lane], scaled)
        out[lane] = _take_in(after[lane], inverse[lane], scaled)


@jit
def _take_in(code: np.ndarray, inverse: np.ndarray, scaled: np.ndarray) -> float:
    """Return b, and C <- C + phi phi^T, kept as C^-1 <- C^-1 - u u^T / (1 + b) with u = C^-1 phi (Sherman & Morrison 1950).

    Every sum runs in order, and each product is symmetric, so C^-1 stays symmetric to the last bit and results depend neither on
    the batch nor on a BLAS library.
    """
    width = code.shape[0]
    for j in range(width):
        scaled[j] = 0.0
    for i in range(width):
        x, row = code[i], inverse[i]
        for j in range(width):
            scaled[j] += x * row[j]
    bonus = 0.0
    for i in range(width):
        bonus += code[i] * scaled[i]
    bonus = max(bonus, 0.0)  # rounding may leave less
    share = 1.0 / (1.0 + bonus)
    for i in range(width):
        x, row = scaled[i], inverse[i]
        for j in range(width):
            row[j] -= x * scaled[j] * share
    return bonus
