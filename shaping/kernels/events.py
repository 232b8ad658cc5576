"""Kernels of events: does a comparison hold, and which milestones are reached for the first time in an episode.

Arrays are C-contiguous, and (B,) where nothing else is said. B lanes, M milestones.
"""

from __future__ import annotations

import math

import numpy as np

from shapegym.shaping.kernels._jit import jit

GT, GE, LT, LE, EQ, NE = range(6)


@jit
def holds(left: float, op: int, right: float) -> float:
    """1 if ``left op right``, else 0; NaN if either is NaN, so that the engine reports it."""
    if math.isnan(left) or math.isnan(right):
        return math.nan
    if op == GT:
        result = left > right
    elif op == GE:
        result = left >= right
    elif op == LT:
        result = left < right
    elif op == LE:
        result = left <= right
    elif op == EQ:
        result = left == right
    else:
        result = left != right
    return 1.0 if result else 0.0


@jit
def indicate(left: np.ndarray, op: int, right: np.ndarray, out: np.ndarray) -> None:
    """Write `holds` of each lane to ``out`` (B,); ``right`` is (B,) or one number for all (1,). All float64."""
    shared = right.shape[0] == 1
    for lane in range(out.shape[0]):
        out[lane] = holds(left[lane], op, right[0 if shared else lane])


@jit
def pay_first_times(
    values: np.ndarray,
    first: np.ndarray,
    active: np.ndarray,
    ordered: bool,
    reached: np.ndarray,
    paid: np.ndarray,
) -> None:
    """Pay each milestone's value the first time in an episode that it is not 0.

    Args:
        values: of this step, (M, B) float64.
        first: the step starts an episode.
        active: rows that are transitions; the others are left alone.
        ordered: pay a milestone only once all before it have been paid.
        reached: which were paid in the open episode, (B, M) bool, updated.
        paid: output.
    """
    num_milestones, num_lanes = values.shape
    for lane in range(num_lanes):
        if not active[lane]:
            continue
        if first[lane]:
            reached[lane, :] = False
        paid[lane] = 0.0
        for milestone in range(num_milestones):
            if reached[lane, milestone]:
                continue
            if values[milestone, lane] != 0.0:
                # A NaN is paid, so that the engine reports it, but does not count as reached.
                reached[lane, milestone] = not math.isnan(values[milestone, lane])
                paid[lane] += values[milestone, lane]
            elif ordered:
                break
