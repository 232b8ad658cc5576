"""Kernels of visit counts: an open-addressing hash table whose keys are rows of 64-bit words, stored in full.

The table is two arrays of S slots (a power of two): ``keys`` (S, W) uint64 and ``counts`` (S,) int64, where 0 marks an empty
slot. Probing is linear. Word 0 of a key says whose visit is counted: its owner. Lane b owns with the number ``owners[b]``, which
is congruent to b modulo the number of lanes, so any key tells which lane to ask whether its owner is still the current one;
`rebuild` leaves the keys of former owners behind. Callers keep at least one slot empty.
"""

from __future__ import annotations

import numpy as np

from shapegym.shaping.kernels._jit import jit

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio, odd: multiplication permutes the words
_SHIFT = np.uint64(32)


@jit
def _find(row: np.ndarray, keys: np.ndarray, counts: np.ndarray) -> int:
    """Return the slot that holds the key ``row`` (W,), or the empty one where it belongs."""
    num_words = row.shape[0]
    code = np.uint64(0)
    for word in range(num_words):
        code = (code ^ row[word]) * _GOLDEN
        code ^= code >> _SHIFT  # a float's information is in its high bits, a slot number's in the low ones
    last = counts.shape[0] - 1
    slot = np.int64(code & np.uint64(last))
    while counts[slot] > 0:
        word = 0
        while word < num_words and keys[slot, word] == row[word]:
            word += 1
        if word == num_words:
            break
        slot = (slot + 1) & last
    return slot


@jit
def count_rows(rows: np.ndarray, active: np.ndarray, keys: np.ndarray, counts: np.ndarray) -> int:
    """Count the active rows (B, W); return how many keys are new. Needs B + 1 empty slots."""
    new = 0
    for lane in range(rows.shape[0]):
        if active[lane]:
            slot = _find(rows[lane], keys, counts)
            if counts[slot] == 0:
                keys[slot, :] = rows[lane]
                new += 1
            counts[slot] += 1
    return new


@jit
def read_counts(rows: np.ndarray, keys: np.ndarray, counts: np.ndarray, out: np.ndarray) -> None:
    """Write how often each row (B, W) was counted into ``out`` (B,) int64; 0 if never."""
    for lane in range(rows.shape[0]):
        out[lane] = counts[_find(rows[lane], keys, counts)]


@jit
def count_live(keys: np.ndarray, counts: np.ndarray, owners: np.ndarray) -> int:
    """Return how many keys belong to a current owner, of ``owners`` (B,) uint64."""
    num_lanes = np.uint64(owners.shape[0])
    live = 0
    for slot in range(counts.shape[0]):
        if counts[slot] > 0 and owners[np.int64(keys[slot, 0] % num_lanes)] == keys[slot, 0]:
            live += 1
    return live


@jit
def rebuild(
    keys: np.ndarray, counts: np.ndarray, owners: np.ndarray, new_keys: np.ndarray, new_counts: np.ndarray
) -> None:
    """Copy the keys of current owners, with their counts, into an empty table that has room for them."""
    num_lanes = np.uint64(owners.shape[0])
    for slot in range(counts.shape[0]):
        if counts[slot] > 0 and owners[np.int64(keys[slot, 0] % num_lanes)] == keys[slot, 0]:
            place = _find(keys[slot], new_keys, new_counts)
            new_keys[place, :] = keys[slot]
            new_counts[place] = counts[slot]


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
