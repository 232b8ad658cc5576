"""DoorKey: fetch the key, unlock the door, walk to the goal."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from shapegym.envs._jit import jit
from shapegym.envs.grid.cells import GREEN_GOAL, GREY_WALL, KEY, LOCKED_DOOR, YELLOW
from shapegym.envs.grid.dynamics import GridDynamics, GridTask
from shapegym.envs.grid.families._knobs import at_least
from shapegym.envs.grid.layout import ENDLESS, begin_lane, place, place_agent, vertical_line, walled
from shapegym.envs.grid.pcg64 import integers
from shapegym.envs.grid.stepping import REACH_GOAL


@jit
def reset_lanes(
    cells: NDArray[np.uint8],
    facts: NDArray[np.int64],
    streams: NDArray[np.uint64],
    mask: NDArray[np.bool_],
    pad: int,
) -> int:
    """Lay out the masked lanes."""
    for lane in range(mask.shape[0]):
        if not mask[lane]:
            continue
        stream = streams[lane]
        grid = begin_lane(cells, facts, lane, pad)
        height, width = grid.shape
        walled(grid)
        grid[height - 2, width - 2] = GREEN_GOAL
        split = integers(stream, 2, width - 2)
        vertical_line(grid, split, 0, height, GREY_WALL)
        if not place_agent(grid, facts[lane], stream, 0, 0, split, height, ENDLESS):
            return lane
        grid[integers(stream, 1, height - 2), split] = LOCKED_DOOR + YELLOW
        x, _ = place(grid, facts[lane], stream, KEY + YELLOW, 0, 0, split, height, 1, ENDLESS)
        if x < 0:
            return lane
    return -1


def door_key(size: int = 8, max_steps: int | None = None, **options: Any) -> GridDynamics:
    """A key, a locked door, a goal behind it."""
    at_least("size", size, 5)
    return GridDynamics(
        GridTask(
            name=f"DoorKey(size={size})",
            width=size,
            height=size,
            max_steps=10 * size**2 if max_steps is None else max_steps,
            rule=REACH_GOAL,
            missions=("use the key to open the door and then get to the goal",),
            reset=reset_lanes,
        ),
        **options,
    )
