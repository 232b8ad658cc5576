"""Kernel of the elliptical bonus: how far a code lies outside of what its episode has seen, by rank-one updates of an inverse."""

from __future__ import annotations

import numpy as np

from shapegym.shaping.kernels._jit import jit


@jit
def elliptical(
    codes: np.ndarray,
    first: np.ndarray,
    active: np.ndarray,
    ridge: float,
    inverse: np.ndarray,
    scaled: np.ndarray,
    out: np.ndarray,
) -> None:
    """B = phi^T C^-1 phi for every lane; then C <- C + phi phi^T, kept as C^-1 <- C^-1 - u u^T / (1 + b) with u = C^-1 phi.

    Sherman & Morrison 1950. Every sum runs in order, and each product is symmetric, so C^-1 stays symmetric to the last bit and
    results depend neither on the batch nor on a BLAS library.

    Args:
        codes: phi, (B, d) float64.
        first: begin a lane's C anew, as ridge I, (B,) bool.
        active: (B,) bool; other lanes are left as they are.
        ridge: of C.
        inverse: C^-1, (B, d, d) float64; updated.
        scaled: scratch, (d,) float64.
        out: b, (B,) float64, 0 in lanes that are not active.
    """
    num_lanes, width = codes.shape
    for lane in range(num_lanes):
        out[lane] = 0.0
        if not active[lane]:
            continue
        if first[lane]:
            for i in range(width):
                for j in range(width):
                    inverse[lane, i, j] = 1.0 / ridge if i == j else 0.0
        for j in range(width):
            scaled[j] = 0.0
        for i in range(width):
            x = codes[lane, i]
            for j in range(width):
                scaled[j] += x * inverse[lane, i, j]
        bonus = 0.0
        for i in range(width):
            bonus += codes[lane, i] * scaled[i]
        bonus = max(bonus, 0.0)  # rounding may leave less
        out[lane] = bonus
        share = 1.0 / (1.0 + bonus)
        for i in range(width):
            x = scaled[i]
            for j in range(width):
                inverse[lane, i, j] -= x * scaled[j] * share
