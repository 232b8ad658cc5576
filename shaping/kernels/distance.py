"""Kernels of distances between rows, and of the shapes that turn a distance into a value.

Arrays are C-contiguous float64. B lanes, W columns. A NaN distance stays NaN, so that the engine reports it.
"""

from __future__ import annotations

import math

import numpy as np

from shapegym.shaping.kernels._jit import jit

L1, L2, LINF, L2_SQUARED = range(4)


@jit
def row_distances(of: np.ndarray, to: np.ndarray, norm: int, out: np.ndarray) -> None:
    """Write the distance of each row of ``of`` (B, W) to its row of ``to``, (B, W) or one row (1, W), to ``out`` (B,).

    One function on purpose: a call for each row, which passes arrays, would take twenty times as long.
    """
    shared = to.shape[0] == 1
    for lane in range(out.shape[0]):
        row = 0 if shared else lane
        total = 0.0
        if norm == L1:
            for column in range(of.shape[1]):
                total += abs(of[lane, column] - to[row, column])
        elif norm == LINF:
            for column in range(of.shape[1]):
                gap = abs(of[lane, column] - to[row, column])
                total = gap if gap > total or math.isnan(gap) else total
        else:
            for column in range(of.shape[1]):
                gap = of[lane, column] - to[row, column]
                total += gap * gap
        out[lane] = math.sqrt(total) if norm == L2 else total


@jit
def gaussian(distances: np.ndarray, widths: np.ndarray, alpha: float) -> None:
    """Replace each d by exp(-d^2 / (2 (alpha w)^2)); widths (B,) or one for all (1,)."""
    shared = widths.shape[0] == 1
    for lane in range(distances.shape[0]):
        ratio = distances[lane] / (alpha * widths[0 if shared else lane])
        distances[lane] = math.exp(-0.5 * ratio * ratio)


@jit
def exponential(distances: np.ndarray, scale: float) -> None:
    """Replace each d by exp(-d / scale)."""
    for lane in range(distances.shape[0]):
        distances[lane] = math.exp(-distances[lane] / scale)


@jit
def tiered(distances: np.ndarray, edges: np.ndarray, values: np.ndarray) -> None:
    """Replace each d by values[k] of the innermost zone d <= edges[k], by 0 outside all; K zones, innermost first."""
    for lane in range(distances.shape[0]):
        reached = math.nan if math.isnan(distances[lane]) else 0.0
        for zone in range(edges.shape[0]):
            if distances[lane] <= edges[zone]:
                reached = values[zone]
                break
        distances[lane] = reached
