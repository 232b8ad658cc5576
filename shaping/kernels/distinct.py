"""Kernel that finds equal rows, so that what is costly is done once for each that differs."""

from __future__ import annotations

import numpy as np

from shapegym.shaping.kernels._jit import jit

# Odd, so that multiplying permutes the 64-bit words: 2^64 / golden ratio.
_MIX = np.uint64(0x9E3779B97F4A7C15)
_HALF = np.uint64(32)
TRIED = 1024
"""Rows after which it is given up, if hardly any was seen before."""
_SELDOM = 0.75
"""Share of distinct rows from which on telling them apart is not worth it."""


@jit
def find_distinct(rows: np.ndarray, table: np.ndarray, first: np.ndarray, places: np.ndarray) -> int:
    """Number the distinct rows in order of appearance; return how many there are, or -1 if nearly all of the first rows are.

    Args:
        rows: bits of numbers, (M, n) uint32; compared in full.
        table: scratch, -1 everywhere, (S,) int64 with S a power of two, at least 2 M.
        first: output, where the distinct rows stand; as many entries as are returned, (M,) int64.
        places: output, the number of each row, (M,) int64.
    """
    num_rows, width = rows.shape
    last = table.shape[0] - 1
    found = 0
    for row in range(num_rows):
        if row == TRIED and found > _SELDOM * TRIED:
            return -1
        words = rows[row]
        code = np.uint64(0)
        for i in range(0, width - 1, 2):
            code = (code ^ np.uint64(words[i]) ^ (np.uint64(words[i + 1]) << _HALF)) * _MIX
            code ^= code >> _HALF
        if width % 2:
            code = (code ^ np.uint64(words[width - 1])) * _MIX
            code ^= code >> _HALF
        slot = np.int64(code & np.uint64(last))
        while table[slot] >= 0:
            other = rows[first[table[slot]]]
            i = 0
            while i < width and other[i] == words[i]:
                i += 1
            if i == width:
                break
            slot = (slot + 1) & last
        if table[slot] < 0:
            table[slot] = found
            first[found] = row
            found += 1
        places[row] = table[slot]
    return found
