"""Kernels of the engine's books: are all parts finite, what has each episode earned so far.

Arrays are C-contiguous. N terms, K addends, T steps, B lanes.
"""

from __future__ import annotations

import numpy as np

from shapegym.shaping.kernels._jit import jit


@jit
def screen_parts(parts: np.ndarray, active: np.ndarray) -> int:
    """Zero the parts (N, B) of inactive rows; return the number of active rows, or -1 if an active part is not finite."""
    count = 0
    finite = True
    for lane in range(active.shape[0]):
        if active[lane]:
            count += 1
            for term in range(parts.shape[0]):
                finite &= np.isfinite(parts[term, lane])
        else:
            for term in range(parts.shape[0]):
                parts[term, lane] = 0.0
    return count if finite else -1


@jit
def settle(
    contributions: np.ndarray,
    task: np.ndarray,
    first: np.ndarray,
    terminated: np.ndarray,
    truncated: np.ndarray,
    active: np.ndarray,
    shaped: np.ndarray,
    totals: np.ndarray,
    lengths: np.ndarray,
    ended_where: np.ndarray,
    ended_totals: np.ndarray,
) -> int:
    """Sum contributions (K, T, B) left to right into ``shaped`` (T, B) and keep the books of every episode.

    A row that is no transition is paid nothing: its contributions are set to 0, whatever a combinator makes of zero parts.

    Args:
        contributions: what each addend pays, (K, T, B); inactive rows are overwritten.
        task: task rewards, (T, B).
        first: episode starts, (T, B) bool.
        terminated: (T, B) bool.
        truncated: (T, B) bool.
        active: (T, B) bool.
        shaped: output, (T, B).
        totals: running sums of task reward, shaped reward and each addend over the open episode of a lane, (B, 2 + K).
        lengths: steps of the open episode, (B,) int64.
        ended_where: output, step, lane and length of each episode that ended, (>= number of ends, 3) int64.
        ended_totals: output, its totals, (>= number of ends, 2 + K).

    Returns:
        How many episodes ended; -1 - (t * B + lane) if the shaped reward of that step is not finite.
    """
    num_addends, num_steps, num_lanes = contributions.shape
    ended = 0
    for t in range(num_steps):
        for lane in range(num_lanes):
            if not active[t, lane]:
                shaped[t, lane] = 0.0
                contributions[:, t, lane] = 0.0
                continue
            if first[t, lane]:
                totals[lane, :] = 0.0
                lengths[lane] = 0
            reward = contributions[0, t, lane]
            totals[lane, 2] += reward
            for addend in range(1, num_addends):
                reward += contributions[addend, t, lane]
                totals[lane, 2 + addend] += contributions[addend, t, lane]
            if not np.isfinite(reward):
                return -1 - (t * num_lanes + lane)
            shaped[t, lane] = reward
            totals[lane, 0] += task[t, lane]
            totals[lane, 1] += reward
            lengths[lane] += 1
            if terminated[t, lane] or truncated[t, lane]:
                ended_where[ended, 0] = t
                ended_where[ended, 1] = lane
                ended_where[ended, 2] = lengths[lane]
                ended_totals[ended, :] = totals[lane, :]
                ended += 1
    return ended
