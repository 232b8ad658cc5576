"""Empty rooms: walk to the goal in the far corner."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from shapegym.envs._jit import jit
from shapegym.envs.grid.cells import GREEN_GOAL
from shapegym.envs.grid.dynamics import GridDynamics, GridTask
from shapegym.envs.grid.facts import DIRECTION, X, Y
from shapegym.envs.grid.families._knobs import at_least
from shapegym.envs.grid.layout import begin_lane, place_agent_anywhere, walled
from shapegym.envs.grid.stepping import REACH_GOAL


@jit
def reset_lanes(
    cells: NDArray[np.uint8],
    facts: NDArray[np.int64],
    streams: NDArray[np.uint64],
    mask: NDArray[np.bool_],
    pad: int,
    start_x: int,
    start_y: int,
    start_direction: int,
) -> int:
    """Lay out the masked lanes; `start_x` < 0 draws the agent's start."""
    for lane in range(mask.shape[0]):
        if not mask[lane]:
            continue
        grid = begin_lane(cells, facts, lane, pad)
        walled(grid)
        grid[grid.shape[0] - 2, grid.shape[1] - 2] = GREEN_GOAL
        if start_x < 0:
            if not place_agent_anywhere(grid, facts[lane], streams[lane]):
                return lane
        else:
            facts[lane, X], facts[lane, Y], facts[lane, DIRECTION] = start_x, start_y, start_direction
    return -1


def empty(
    size: int = 8,
    agent_start_pos: tuple[int, int] | None = (1, 1),
    agent_start_dir: int = 0,
    max_steps: int | None = None,
    **options: Any,
) -> GridDynamics:
    """An empty room with the goal in the corner."""
    at_least("size", size, 4)
    start = (-1, -1) if agent_start_pos is None else agent_start_pos
    return GridDynamics(
        GridTask(
            name=f"Empty(size={size}, agent_start_pos={agent_start_pos}, agent_start_dir={agent_start_dir})",
            width=size,
            height=size,
            max_steps=4 * size**2 if max_steps is None else max_steps,
            rule=REACH_GOAL,
            missions=("get to the green goal square",),
            reset=reset_lanes,
            knobs=(*start, agent_start_dir),
            see_through_walls=True,
        ),
        **options,
    )
