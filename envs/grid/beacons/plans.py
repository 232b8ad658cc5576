"""What a plan of subgoals is, as arrays, and the plan of a planner that does the task before the agent does.

A subgoal is a cell (x, y) and the code of what stood there when the plan was made. It is reached when the agent stands on the cell,
or when what is in it has changed: picked up, opened, unlocked. A plan is (MOST, 3) int64, the subgoals in their order and then -1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shapegym.envs._jit import jit, jit_parallel, prange
from shapegym.envs._threads import over_lanes
from shapegym.envs.grid.lane.facts import DIRECTION, STEP_X, STEP_Y, X, Y
from shapegym.envs.grid.lane.stepping import DROP, PICK_UP, TOGGLE, step_range
from shapegym.envs.grid.lane.task import GridTask
from shapegym.envs.grid.ways.needs import LOST, next_action
from shapegym.envs.grid.ways.walking import make_scratch

MOST = 24
"""Subgoals of a plan; in a longer one the last is still the task's end."""
LONGEST = 2000
"""Steps after which a rehearsal is given up."""


@jit
def _rehearse_range(
    start: int,
    stop: int,
    rule: int,
    max_steps: int,
    pad: int,
    cells: NDArray[np.uint8],
    facts: NDArray[np.int64],
    streams: NDArray[np.uint64],
    mask: NDArray[np.bool_],
    plans: NDArray[np.int64],
) -> None:
    scratch = make_scratch((cells.shape[1] - 2 * pad + 2) * (cells.shape[2] - 2 * pad + 2))
    actions, event, reward = np.zeros(1, np.int64), np.zeros(1, np.int64), np.zeros(1)
    active = np.ones(1, np.bool_)
    terminated, success = np.zeros(1, np.bool_), np.zeros(1, np.bool_)
    for lane in range(start, stop):
        if not mask[lane]:
            continue
        plans[lane, :, :] = -1
        grid, fact = cells[lane : lane + 1].copy(), facts[lane : lane + 1].copy()
        stream = streams[lane : lane + 1].copy()
        terminated[0] = success[0] = False
        count = 0
        for _ in range(LONGEST):
            stages, actions[0] = next_action(rule, pad, grid[0], fact[0], scratch)
            if stages in (0, LOST):
                break
            x, y = (
                fact[0, X] + STEP_X[fact[0, DIRECTION]],
                fact[0, Y] + STEP_Y[fact[0, DIRECTION]],
            )
            before = np.int64(grid[0, y + pad, x + pad])
            step_range(
                0, 1, rule, max_steps, pad, grid, fact, stream, actions, active, reward, terminated, success, event
            )  # fmt: skip
            handles = actions[0] in (PICK_UP, TOGGLE) or (actions[0] == DROP and success[0])
            if handles and grid[0, y + pad, x + pad] != before:
                count = min(count + 1, MOST)
                plans[lane, count - 1] = x, y, before
            elif success[0]:  # by standing there
                x, y = fact[0, X], fact[0, Y]
                count = min(count + 1, MOST)
                plans[lane, count - 1] = x, y, np.int64(grid[0, y + pad, x + pad])
            if terminated[0]:
                break


@jit_parallel
def _rehearse_chunks(
    chunks: int,
    rule: int,
    max_steps: int,
    pad: int,
    cells: NDArray[np.uint8],
    facts: NDArray[np.int64],
    streams: NDArray[np.uint64],
    mask: NDArray[np.bool_],
    plans: NDArray[np.int64],
) -> None:
    lanes = mask.shape[0]
    for chunk in prange(chunks):
        _rehearse_range(
            chunk * lanes // chunks, (chunk + 1) * lanes // chunks, rule, max_steps, pad,
            cells, facts, streams, mask, plans,
        )  # fmt: skip


def rehearse(
    task: GridTask,
    pad: int,
    cells: NDArray[np.uint8],
    facts: NDArray[np.int64],
    streams: NDArray[np.uint64],
    mask: NDArray[np.bool_],
    plans: NDArray[np.int64],
) -> None:
    """Write the plans of the lanes in `mask`: what the planner changes on its way, and where it ends.

    What it puts down on the way is left out: another place would do as well. Where the planner knows no way there is no subgoal.

    Args:
        task: The task.
        pad: Columns and rows of walls that `cells` has on every side.
        cells: (B, height + 2 pad, width + 2 pad) codes.
        facts: (B, K).
        streams: (B, 5), of obstacles that move.
        mask: (B,) bool.
        plans: (B, MOST, 3).
    """
    over_lanes(
        _rehearse_range, _rehearse_chunks, len(mask), task.rule, task.max_steps, pad, cells, facts, streams, mask, plans
    )  # fmt: skip
