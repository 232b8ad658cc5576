"""Kernels that compare a state with those that its episode has seen: the nearest of them is how new it is.

What a lane remembers is (B, d, capacity), states along the last axis, so that distances to all of them are computed side by side.
Codes are float32, and sums run over a code's numbers in their order. A lane holds ``min(counts, size)`` states; once there are
``size``, the oldest is written over.
"""

from __future__ import annotations

import math

import numpy as np

from shapegym.shaping.kernels._jit import jit

NEAREST = np.float32(1e-8)
"""Under the root of a symmetric distance, as its authors have it: no distance is below 1e-4."""
APART = np.float32(1e-6)
"""Added to distances of trajectories, which are divided by."""


@jit
def nearest_in_time(
    before: np.ndarray,
    after: np.ndarray,
    first: np.ndarray,
    active: np.ndarray,
    size: int,
    codes: np.ndarray,
    counts: np.ndarray,
    nearest: np.ndarray,
) -> None:
    """Write d(s_i, s_{t+1}) of the nearest earlier state s_i of the episode, and remember s_{t+1}.

    d(x, y) = max_k relu(x_k - y_k) over the first half of the codes + sqrt(|x - y|^2 + 1e-8) over the second (Liu et al. 2023,
    "Metric Residual Networks"). A state whose code is remembered already is not remembered twice: its distance is the least there
    is, whatever else is remembered.

    Args:
        before: codes of s_t, read at an episode's first step, (B, d) float32 with an even d.
        after: codes of s_{t+1}, (B, d) float32.
        first: the step starts an episode, (B,) bool, as ``active``.
        active: rows that are transitions; the others are left alone.
        size: states that are remembered.
        codes: of them, (B, d, capacity); has room for two more, or for ``size``; updated.
        counts: how many were ever remembered in the open episode, (B,) int64; updated.
        nearest: output, (B,) float32.
    """
    num_lanes, width = after.shape
    furthest = np.empty(codes.shape[2], dtype=np.float32)
    squares = np.empty(codes.shape[2], dtype=np.float32)
    for lane in range(num_lanes):
        if not active[lane]:
            continue
        if first[lane]:
            counts[lane] = 0
            _remember(before[lane], size, codes[lane], counts[lane])
            counts[lane] = 1
        held = min(counts[lane], size)
        if _is_among(after[lane], codes[lane], held):
            nearest[lane] = np.sqrt(NEAREST)
            continue
        furthest[:held] = np.float32(0.0)
        for k in range(width // 2):
            number = after[lane, k]
            for i in range(held):
                furthest[i] = max(furthest[i], codes[lane, k, i] - number)
        squares[:held] = np.float32(0.0)
        for k in range(width // 2, width):
            number = after[lane, k]
            for i in range(held):
                gap = codes[lane, k, i] - number
                squares[i] += gap * gap
        least = np.float32(math.inf)
        for i in range(held):
            least = min(least, furthest[i] + np.sqrt(squares[i] + NEAREST))
        nearest[lane] = least
        _remember(after[lane], size, codes[lane], counts[lane])
        counts[lane] += 1


@jit
def nearest_off_path(
    before: np.ndarray,
    after: np.ndarray,
    path: np.ndarray,
    first: np.ndarray,
    active: np.ndarray,
    size: int,
    codes: np.ndarray,
    paths: np.ndarray,
    counts: np.ndarray,
    nearest: np.ndarray,
) -> None:
    """Write the least |e_i - e_{t+1}|^2 / (|h_{i-1} - h_t| + 1e-6) over the earlier states i of the episode, and remember s_{t+1}.

    Each observation e stands with the trajectory h that led to it, of which it is no part; none led to the first (0).

    Args:
        before: codes of o_t, read at an episode's first step, (B, d) float32.
        after: codes of o_{t+1}, (B, d) float32.
        path: h_t, codes of the trajectory up to o_t, (B, d) float32.
        first: the step starts an episode, (B,) bool, as ``active``.
        active: rows that are transitions; the others are left alone.
        size: states that are remembered.
        codes: of the observations that are remembered, (B, d, capacity); has room for two more, or for ``size``; updated.
        paths: of the trajectories that led to them, (B, d, capacity); updated.
        counts: how many were ever remembered in the open episode, (B,) int64; updated.
        nearest: output, (B,) float32.
    """
    num_lanes, width = after.shape
    none = np.zeros(width, dtype=np.float32)
    squares = np.empty(codes.shape[2], dtype=np.float32)
    apart = np.empty(codes.shape[2], dtype=np.float32)
    for lane in range(num_lanes):
        if not active[lane]:
            continue
        if first[lane]:
            counts[lane] = 0
            _remember(before[lane], size, codes[lane], counts[lane])
            _remember(none, size, paths[lane], counts[lane])
            counts[lane] = 1
        held = min(counts[lane], size)
        if _is_among(after[lane], codes[lane], held):
            nearest[lane] = np.float32(0.0)  # the numerator is 0: no other quotient is smaller
        else:
            squares[:held] = np.float32(0.0)
            apart[:held] = np.float32(0.0)
            for k in range(width):
                number, other = after[lane, k], path[lane, k]
                for i in range(held):
                    gap = codes[lane, k, i] - number
                    squares[i] += gap * gap
                    gap = paths[lane, k, i] - other
                    apart[i] += gap * gap
            least = np.float32(math.inf)
            for i in range(held):
                least = min(least, squares[i] / (np.sqrt(apart[i]) + APART))
            nearest[lane] = least
        _remember(after[lane], size, codes[lane], counts[lane])
        _remember(path[lane], size, paths[lane], counts[lane])
        counts[lane] += 1


@jit
def _remember(code: np.ndarray, size: int, codes: np.ndarray, count: int) -> None:
    for k in range(code.shape[0]):
        codes[k, count % size] = code[k]


@jit
def _is_among(code: np.ndarray, codes: np.ndarray, held: int) -> bool:
    for i in range(held):
        if codes[0, i] == code[0]:
            k = 1
            while k < code.shape[0] and codes[k, i] == code[k]:
                k += 1
            if k == code.shape[0]:
                return True
    return False
