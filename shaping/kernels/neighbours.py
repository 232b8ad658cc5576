"""Kernels of nearest neighbours among remembered codes: pseudo-counts within an episode, distances over a lifetime.

Codes are float32 and remembered by columns, (d, M), so that the loop over memories is the inner one; squared distances are float64
sums in the order of the columns.
"""

from __future__ import annotations

import numpy as np

from shapegym.shaping.kernels._jit import jit

BLOCK = 64
"""Memories that are looked at together."""
_GLANCE = 8
"""Numbers of a code after which a block whose memories are all too far is left."""


@jit
def pseudo_counts(
    before: np.ndarray,
    after: np.ndarray,
    first: np.ndarray,
    active: np.ndarray,
    epsilon: float,
    cluster: float,
    constant: float,
    largest: float,
    codes: np.ndarray,
    counts: np.ndarray,
    distances: np.ndarray,
    best: np.ndarray,
    out: np.ndarray,
) -> None:
    """1 / s of s_{t+1} for every lane, s = sqrt(sum of K over the k nearest codes of its episode) + c; then it is remembered.

    K = epsilon / (max(d^2 / d_m^2 - xi, 0) + epsilon), with d_m^2 the mean of all d^2 of the lane so far, these included. Codes
    that are missing from k count as at d_m. Source: Badia et al. 2020 (NGU), Algorithm 1.

    Args:
        before: codes of s_t, (B, d) float32, or (0, d) where there are none: then s_0 is not remembered.
        after: codes of s_{t+1}, (B, d) float32.
        first: an episode's first step: forget the codes before, and remember s_t, (B,) bool.
        active: (B,) bool; other lanes are left as they are.
        epsilon: of K.
        cluster: xi, the share of d_m^2 within which codes are one.
        constant: c.
        largest: s above which nothing is paid.
        codes: of each lane's episode, (B, d, M) float32, a ring; has room for two more, or else stays as large; updated.
        counts: how many codes each lane's episode has brought, (B,) int64; updated.
        distances: how many d^2 each lane has seen, and their sum, (2, B) float64; updated.
        best: scratch, (k,) float64.
        out: (B,) float64, 0 in lanes that are not active.
    """
    num_lanes, width = after.shape
    places = codes.shape[2]
    num_nearest = best.shape[0]
    sums = np.empty(BLOCK)
    for lane in range(num_lanes):
        out[lane] = 0.0
        if not active[lane]:
            continue
        if first[lane]:
            counts[lane] = 0
            if before.shape[0] > 0:
                for i in range(width):
                    codes[lane, i, 0] = before[lane, i]
                counts[lane] = 1
        remembered = min(counts[lane], places)
        _nearest(after[lane], codes[lane], remembered, best, sums)
        near = min(remembered, num_nearest)
        for n in range(near):
            distances[0, lane] += 1.0
            distances[1, lane] += best[n]
        mean = distances[1, lane] / distances[0, lane] if distances[0, lane] > 0.0 else 0.0
        similarity = 0.0
        for n in range(num_nearest):
            ratio = 1.0
            if n < near:
                ratio = best[n] / mean if mean > 0.0 else 0.0
            similarity += epsilon / (max(ratio - cluster, 0.0) + epsilon)
        similarity = np.sqrt(similarity) + constant
        if similarity <= largest:
            out[lane] = 1.0 / similarity
        place = counts[lane] % places
        for i in range(width):
            codes[lane, i, place] = after[lane, i]
        counts[lane] += 1


@jit
def neighbour_distances(
    codes: np.ndarray, active: np.ndarray, memory: np.ndarray, places: int, best: np.ndarray, out: np.ndarray
) -> None:
    """The distance of every code to the k-th nearest that is remembered; to the furthest if there are fewer, 0 if there are none.

    Args:
        codes: (B, d) float32.
        active: (B,) bool.
        memory: (d, M) float32; infinite where nothing is remembered.
        places: how many columns of ``memory`` may hold something.
        best: scratch, (k,) float64.
        out: (B,) float64, 0 in rows that are not active.
    """
    sums = np.empty(BLOCK)
    for lane in range(codes.shape[0]):
        out[lane] = 0.0
        if active[lane]:
            _nearest(codes[lane], memory, places, best, sums)
            for n in range(best.shape[0]):
                if best[n] < np.inf:
                    out[lane] = np.sqrt(best[n])


@jit
def _nearest(code: np.ndarray, memory: np.ndarray, places: int, best: np.ndarray, sums: np.ndarray) -> None:
    """Write the least squared distances, in order, infinite where there are too few."""
    width = code.shape[0]
    last = best.shape[0] - 1
    for n in range(last + 1):
        best[n] = np.inf
    for start in range(0, places, BLOCK):
        size = min(BLOCK, places - start)
        for m in range(size):
            sums[m] = 0.0
        done = 0
        while done < width:
            stop = min(done + _GLANCE, width)
            for i in range(done, stop):
                x = np.float64(code[i])
                column = memory[i, start : start + size]
                for m in range(size):
                    apart = x - np.float64(column[m])
                    sums[m] += apart * apart
            done = stop
            near = False
            for m in range(size):
                near |= sums[m] < best[last]
            if not near:
                break
        if not near:
            continue
        for m in range(size):
            if sums[m] < best[last]:
                n = last
                while n > 0 and best[n - 1] > sums[m]:
                    best[n] = best[n - 1]
                    n -= 1
                best[n] = sums[m]
