"""Kernels of sums over embedded symbols: each place of a row has a table of its own, of which its symbol picks a vector.

A row of n symbols is n ones among zeros; these are the products of such rows with a matrix, without the zeros.

All rows pass a few places before the next ones, so the tables of these places stay in the nearest cache. Every sum is still taken
place by place, or row by row, so blocks do not change a bit of it.
"""

from __future__ import annotations

import numpy as np

from shapegym.shaping.kernels._jit import jit

_BLOCK = 8
"""Places of a row at once: 8 tables of 16 symbols and 64 units are 32 KB."""


@jit
def gather_sums(rows: np.ndarray, table: np.ndarray, out: np.ndarray) -> None:
    """``out[r] = sum_i table[i, rows[r, i]]``.

    Args:
        rows: symbols, (M, n) float32: whole numbers; less than 0 (or none) counts as 0, more than S - 1 as that.
        table: (n, S, d) float32.
        out: (M, d) float32.
    """
    symbols, places = table.shape[1], rows.shape[1]
    fours = places - places % 4
    out[:] = np.float32(0.0)
    for i in range(0, fours, 4):
        for row in range(rows.shape[0]):
            total = out[row]
            first = table[i, _place(rows[row, i], symbols)]
            second = table[i + 1, _place(rows[row, i + 1], symbols)]
            third = table[i + 2, _place(rows[row, i + 2], symbols)]
            fourth = table[i + 3, _place(rows[row, i + 3], symbols)]
            for j in range(total.shape[0]):
                total[j] = total[j] + first[j] + second[j] + third[j] + fourth[j]
    for i in range(fours, places):
        for row in range(rows.shape[0]):
            total, vector = out[row], table[i, _place(rows[row, i], symbols)]
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
    symbols, places = out.shape[1], rows.shape[1]
    for block in range(0, places, _BLOCK):
        for row in range(rows.shape[0]):
            vector = sums[row]
            for i in range(block, min(block + _BLOCK, places)):
                total = out[i, _place(rows[row, i], symbols)]
                for j in range(total.shape[0]):
                    total[j] += vector[j]


@jit
def _place(symbol: float, symbols: int) -> int:
    # Selects, not branches: which symbol comes next is nothing that a processor could predict.
    last = np.float32(symbols - 1)
    known = symbol if symbol > np.float32(0.0) else np.float32(0.0)
    return int(known if known < last else last)
