"""A whole step of one lane in one call: for the single form, where calls cost more than what they do."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shapegym.envs._jit import jit
from shapegym.envs._lanes import clear_outcome, end_step
from shapegym.envs.grid.features.standard import read_range
from shapegym.envs.grid.lane.stepping import step_range
from shapegym.envs.grid.sight.view import USUAL_VIEW, see_range, see_usual_range


@jit
def advance_lane(
    rule: int,
    max_steps: int,
    limit: int,
    truncates_terminal: bool,
    side: int,
    through_walls: bool,
    cells: NDArray[np.uint8],
    facts: NDArray[np.int64],
    streams: NDArray[np.uint64],
    actions: NDArray[np.int64],
    active: NDArray[np.bool_],
    reward: NDArray[np.float64],
    terminated: NDArray[np.bool_],
    success: NDArray[np.bool_],
    event: NDArray[np.int64],
    elapsed: NDArray[np.int64],
    truncated: NDArray[np.bool_],
    done: NDArray[np.bool_],
    images: NDArray[np.uint8],
    directions: NDArray[np.int64],
    agent_pos: NDArray[np.int64],
    agent_dir: NDArray[np.int64],
    carrying: NDArray[np.int64],
    carrying_color: NDArray[np.int64],
    has_key: NDArray[np.bool_],
    front: NDArray[np.int64],
    mission: NDArray[np.int64],
) -> int:
    """Step, clock, partial view and standard features, by the kernels that the vector form calls one by one."""
    pad = side - 1
    clear_outcome(reward, terminated, success, event)
    step_range(
        0, 1, rule, max_steps, pad, cells, facts, streams, actions, active, reward, terminated, success, event
    )
    ended = end_step(active, limit, truncates_terminal, terminated, truncated, elapsed, done)
    if side == USUAL_VIEW:
        see_usual_range(0, 1, side, pad, through_walls, cells, facts, active, images)
    else:
        see_range(0, 1, side, pad, through_walls, cells, facts, active, images)
    read_range(
        0,
        1,
        pad,
        cells,
        facts,
        active,
        agent_pos,
        agent_dir,
        carrying,
        carrying_color,
        has_key,
        front,
        mission,
    )
    directions[0] = agent_dir[0]
    return ended
