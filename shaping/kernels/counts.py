"""Kernels of visit counts: an open-addressing hash table whose keys are rows of 64-bit words, stored in full."""

from __future__ import annotations

import numpy as np

from shapegym.shaping.kernels._jit import jit

# Odd, so that multiplying permutes the 64-bit words: 2^64 / golden ratio, and a constant of SplitMix64 (Steele et al. 2014).
_MIX = np.uint64(0x9E3779B97F4A7C15)
_FINISH = np.uint64(0xBF58476D1CE4E5B9)
_HALF = np.uint64(32)


@jit
def tally(
    rows: np.ndarray, amounts: np.ndarray, keys: np.ndarray, counts: np.ndarray, out: np.ndarray
) -> int:
    """Add to the counts of keys, row by row, then read them all; return how many keys are new.

    The table has S slots, a power of two, and is probed linearly. The search is written out here, and is the only one: passing
    arrays to a helper for each row costs several times the search.

    Args:
        rows: the keys, (B, W) uint64.
        amounts: what to add to each, (B,) int64 >= 0. With 0 the count is only read, and an unknown key stays unknown.
        keys: of the table, (S, W) uint64.
        counts: of the table, (S,) int64, 0 in an empty slot. At least one slot stays empty.
        out: the count of each key when all amounts are added, (B,) int64, so that the order of rows does not matter.
    """
    num_words = rows.shape[1]
    last = counts.shape[0] - 1
    new = 0
    for lane in range(rows.shape[0]):
        code = np.uint64(0)
        for word in range(num_words):
            code = (code ^ rows[lane, word]) * _MIX
            code ^= code >> _HALF  # products carry information upwards, this brings it back down
        code *= _FINISH
        code ^= code >> _HALF
        slot = np.int64(code & np.uint64(last))
        while counts[slot] > 0:
            same = True
            for word in range(num_words):
                if keys[slot, word] != rows[lane, word]:
                    same = False
                    break
            if same:
                break
            slot = (slot + 1) & last
        if amounts[lane] > 0 and counts[slot] == 0:
            for word in range(num_words):
                keys[slot, word] = rows[lane, word]
            new += 1
        counts[slot] += amounts[lane]
        out[lane] = slot
    for lane in range(rows.shape[0]):
        out[lane] = counts[out[lane]]
    return new


@jit
def digest(rows: np.ndarray, out: np.ndarray) -> None:
    """Reduce every key to one word, mixed as `tally` mixes it; of n distinct keys two share a word with chance n^2 / 2^65.

    Args:
        rows: the keys, (B, W) uint64.
        out: (B,) uint64.
    """
    for row in range(rows.shape[0]):
        code = np.uint64(0)
        for word in range(rows.shape[1]):
            code = (code ^ rows[row, word]) * _MIX
            code ^= code >> _HALF
        code *= _FINISH
        out[row] = code ^ (code >> _HALF)


@jit
def project_signs(values: np.ndarray, directions: np.ndarray, sums: np.ndarray, out: np.ndarray) -> None:
    """Pack the signs of ``directions^T x`` into words: bit k of ``out[b]`` is set if ``sum_i x_bi a_ik >= 0``.

    The sum runs over i in order, so the bits do not depend on the batch or on a BLAS library.

    Args:
        values: x, (B, n) float64.
        directions: a, (n, bits) float64.
        sums: scratch, (bits,) float64.
        out: (B, ceil(bits / 64)) uint64.
    """
    num_bits = directions.shape[1]
    for lane in range(values.shape[0]):
        sums[:] = 0.0
        for i in range(values.shape[1]):
            x = values[lane, i]
            for bit in range(num_bits):
                sums[bit] += x * directions[i, bit]
        out[lane, :] = np.uint64(0)
        for bit in range(num_bits):
            if sums[bit] >= 0.0:
                out[lane, bit >> 6] |= np.uint64(1) << np.uint64(bit & 63)
