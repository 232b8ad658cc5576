"""Kernel of a perceptron with two hidden layers, row by row: what a row gives does not depend on the batch it comes in."""

from __future__ import annotations

import numpy as np

from shapegym.shaping.kernels._jit import jit

SLOPE = 0.01
"""LeakyReLU: x if x > 0, else SLOPE x."""


@jit
def perceive(
    rows: np.ndarray,
    w1: np.ndarray,
    b1: np.ndarray,
    w2: np.ndarray,
    b2: np.ndarray,
    w3: np.ndarray,
    b3: float,
    first: np.ndarray,
    second: np.ndarray,
    out: np.ndarray,
) -> None:
    """Out = w3 . f(f(x w1 + b1) w2 + b2) + b3 with f = LeakyReLU, each sum in the order of its inputs.

    Args:
        rows: x, (B, n) float64.
        w1: (n, H) float64.
        b1: (H,).
        w2: (H, H).
        b2: (H,).
        w3: (H,).
        b3: a number.
        first: scratch, (H,).
        second: scratch, (H,).
        out: (B,) float64, written.
    """
    width, hidden = w1.shape
    for row in range(rows.shape[0]):
        first[:] = b1
        for i in range(width):
            x = rows[row, i]
            for j in range(hidden):
                first[j] += x * w1[i, j]
        second[:] = b2
        for i in range(hidden):
            x = first[i] if first[i] > 0.0 else SLOPE * first[i]
            for j in range(hidden):
                second[j] += x * w2[i, j]
        total = b3
        for i in range(hidden):
            x = second[i] if second[i] > 0.0 else SLOPE * second[i]
            total += x * w3[i]
        out[row] = total
