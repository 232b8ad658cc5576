"""DoorKey: fetch the key, unlock the door, walk to the goal."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from shapegym.envs._jit import jit
from shapegym.envs._knobs import at_least
from shapegym.envs.grid.grid_dynamics import GridDynamics
from shapegym.envs.grid.lane.cells import GREEN_GOAL, GREY_WALL, KEY, LOCKED_DOOR, YELLOW
from shapegym.envs.grid.lane.layout import ENDLESS, begin_lane, place, place_agent, vertical_line, walled
from shapegym.envs.grid.lane.pcg64 import integers
from shapegym.envs.grid.lane.stepping import REACH_GOAL
from shapegym.envs.grid.lane.task import GridTask


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
    """MiniGrid's DoorKey (Chevalier-Boisvert et al. 2023).

    Description:
        A wall with a locked door cuts the room in two. Agent and key are on the left, the goal is in the bottom
        right corner; column of the wall, row of the door, key and agent are drawn.

    Why it is sparse:
        Only the goal pays, after a key was picked up and a door unlocked.

    Actions:
        0 turn left, 1 turn right, 2 forward, 3 pick up, 4 drop, 5 toggle, 6 done (does nothing here).

    Observations:
        As `GridDynamics` takes them; by default MiniGrid's dict of image, direction and mission.

    Reward:
        r = 1 - 0.9 t / max_steps at the goal, t the steps of the episode so far, else 0.

    Termination and truncation:
        Terminates at the goal; truncates after `max_steps` (10 size^2 by default).

    Features:
        agent_pos (x, y), agent_dir, carrying and carrying_color (MiniGrid's object and colour numbers), has_key,
        front (object in front), mission_id, success, event; more with `features=`.

    Ids:
        shapegym/MiniGrid-DoorKey-5x5-v0, shapegym/MiniGrid-DoorKey-6x6-v0,
        shapegym/MiniGrid-DoorKey-8x8-v0, shapegym/MiniGrid-DoorKey-16x16-v0.

    Args:
        size: Cells a side, walls included, at least 5.
        max_steps: Time limit.
        **options: Of `shapegym.envs.grid.grid_dynamics.GridDynamics`.

    Raises:
        TypeError, ValueError: A knob is out of range, or an option unknown.
    """
    at_least("size", size, 5)
    return GridDynamics(
        GridTask(
            name=f"DoorKey(size={size})",
            width=size,
            height=size,
            max_steps=10 * size**2 if max_steps is None else max_steps,
            rule=REACH_GOAL,
            missions=("use the key to open the door and then get to the goal",),
            aim="Pick up the key, unlock the door with it, and walk through it to the goal.",
            things=("goal", "wall", "door", "key"),
            reset=reset_lanes,
        ),
        **options,
    )
