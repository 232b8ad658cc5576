"""Kernels over the episodes of a (T, B) block: totals that are known only at the end, and what is held back until then.

Arrays are (T, B). ``first``, ``last`` and ``active`` (bool) mark the steps that start an episode, end one, are transitions at all.
"""

from __future__ import annotations

import numpy as np

from shapegym.shaping.kernels._jit import jit

SUM, MAX, LAST = 0, 1, 2


@jit
def episode_totals(
    values: np.ndarray,
    first: np.ndarray,
    last: np.ndarray,
    active: np.ndarray,
    aggregate: int,
    carried: np.ndarray,
    totals: np.ndarray,
    closed: np.ndarray,
) -> None:
    """Write the total of its whole episode at every step, and whether that episode ends inside the block.

    Args:
        aggregate: SUM, MAX or LAST of the episode's values.
        carried: (B,), aggregate of the earlier fragments of each lane's open episode, NaN if there are none; updated.
        totals: output; the aggregate so far where the episode is still open.
        closed: output, bool.
    """
    num_steps, num_lanes = values.shape
    for lane in range(num_lanes):
        total = carried[lane]
        start = 0
        for t in range(num_steps):
            if not active[t, lane]:
                totals[t, lane] = 0.0
                closed[t, lane] = True
                continue
            if first[t, lane]:
                _close(totals, closed, start, t, lane, total, False, active)
                start = t
                total = np.nan
            value = values[t, lane]
            if np.isnan(total) or aggregate == LAST:
                total = value
            elif aggregate == SUM:
                total += value
            else:
                total = max(total, value)
            if last[t, lane]:
                _close(totals, closed, start, t + 1, lane, total, True, active)
                start = t + 1
                total = np.nan
        _close(totals, closed, start, num_steps, lane, total, False, active)
        carried[lane] = total


@jit
def _close(
    totals: np.ndarray,
    closed: np.ndarray,
    start: int,
    stop: int,
    lane: int,
    total: float,
    ended: bool,
    active: np.ndarray,
) -> None:
    for t in range(start, stop):
        if active[t, lane]:
            totals[t, lane] = total
            closed[t, lane] = ended


@jit
def hold_back(
    values: np.ndarray,
    first: np.ndarray,
    last: np.ndarray,
    active: np.ndarray,
    decided: np.ndarray,
    passes: np.ndarray,
    held: np.ndarray,
    late: np.ndarray,
) -> None:
    """Keep the values of undecided steps until their episode ends; then pay them at its last step if it passes.

    Args:
        decided: whether the fate of the step is known, bool.
        passes: whether the step is paid, where decided, bool.
        held: (B,), sum held back from the earlier fragments of each lane's open episode; updated.
        late: output, what is paid at last steps for earlier fragments.
    """
    num_steps, num_lanes = values.shape
    for lane in range(num_lanes):
        for t in range(num_steps):
            late[t, lane] = 0.0
            if not active[t, lane]:
                continue
            if first[t, lane]:
                held[lane] = 0.0
            if not decided[t, lane]:
                held[lane] += values[t, lane]
            elif last[t, lane]:
                if passes[t, lane]:
                    late[t, lane] = held[lane]
                held[lane] = 0.0


@jit
def count_passes(
    last: np.ndarray, active: np.ndarray, passes: np.ndarray, window: int, tally: np.ndarray
) -> None:
    """Count the episodes that end, those that pass, and follow the frequency with which they do.

    Args:
        passes: bool.
        window: the frequency is a mean of all episodes until there are as many, then an exponential one of that length.
        tally: (3,), ended, passed, frequency; updated.
    """
    num_steps, num_lanes = last.shape
    for t in range(num_steps):
        for lane in range(num_lanes):
            if active[t, lane] and last[t, lane]:
                passed = 1.0 if passes[t, lane] else 0.0
                tally[0] += 1.0
                tally[1] += passed
                tally[2] += (passed - tally[2]) / min(tally[0], window)


@jit
def successors(
    first: np.ndarray,
    last: np.ndarray,
    active: np.ndarray,
    unfinished: np.ndarray,
    index: np.ndarray,
    resumed: np.ndarray,
) -> None:
    """Find each step's successor in its episode.

    Args:
        unfinished: (B,) bool, lanes whose previous block ended inside an episode; updated.
        index: output, int64, the step that follows, or -1 (the last of the episode or of the block).
        resumed: output, bool, the step follows the last one of the previous block.
    """
    num_steps, num_lanes = first.shape
    for lane in range(num_lanes):
        previous = -1
        for t in range(num_steps):
            index[t, lane] = -1
            resumed[t, lane] = False
            if not active[t, lane]:
                continue
            if not first[t, lane]:
                if previous >= 0:
                    index[previous, lane] = t
                else:
                    resumed[t, lane] = unfinished[lane]
            unfinished[lane] = not last[t, lane]
            previous = t if unfinished[lane] else -1
