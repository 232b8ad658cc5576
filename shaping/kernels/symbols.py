"""Kernels of sums over embedded symbols: each place of a row has a table of its own, of which its symbol picks a vector.

A row of n symbols is n ones among zeros; these are the products of such rows with a matrix, without the zeros.
"""

from __future__ import annotations

import numpy as np

from shapegym.shaping.kernels._jit import jit


@jit
def gather_sums(rows: np.ndarray, table: np.ndarray, out: np.ndarray) -> None:
    """``out[r] = sum_i table[i, rows[r, i]]``.

    Args:
        rows: symbols, (M, n) float32: whole numbers; less than 0 (or none) counts as 0, more than S - 1 as that.
        table: (n, S, d) float32.
        out: (M, d) float32.
    """
    symbols = table.shape[1]
    for row in range(rows.shape[0]):
        total = out[row]
        for j in range(total.shape[0]):
            total[j] = np.float32(0.0)
        for i in range(rows.shape[1]):
            vector = table[i, _place(rows[row, i], symbols)]
            for j in range(total.shape[0]):
                total[j] += vector[j]


@jit
def scatter_sums(rows: np.ndarray, sums: np.ndarray, out: np.ndarray) -> None:
    """``out[i, rows[r, i]] += sums[r]``: the adjoint of `gather_sums`.

    Args:
        rows: (M, n) float32.
        sums: (M, d) float32.
        out: (n, S, d) float32; updated.
    """
    symbols = out.shape[1]
    for row in range(rows.shape[0]):
        vector = sums[row]
        for i in range(rows.shape[1]):
            total = out[i, _place(rows[row, i], symbols)]
            for j in range(total.shape[0]):
                total[j] += vector[j]


@jit
def _place(symbol: float, symbols: int) -> int:
    if not symbol > 0.0:
        return 0
    return int(symbol) if symbol < symbols else symbols - 1
