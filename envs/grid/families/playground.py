"""Playground: nine rooms full of objects, and nothing to gain."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from shapegym.envs._jit import jit
from shapegym.envs.grid.grid_dynamics import GridDynamics
from shapegym.envs.grid.lane.cells import CLOSED_DOOR, GREY_WALL, KEY
from shapegym.envs.grid.lane.layout import (
    begin_lane,
    horizontal_line,
    place_agent_anywhere,
    place_anywhere,
    random_color,
    vertical_line,
    walled,
)
from shapegym.envs.grid.lane.pcg64 import integers
from shapegym.envs.grid.lane.stepping import REACH_GOAL
from shapegym.envs.grid.lane.task import GridTask

SIZE, ROOM, OBJECTS = 19, 6, 12


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
        walled(grid)
        for top in range(0, 3 * ROOM, ROOM):
            for left in range(0, 3 * ROOM, ROOM):
                right, bottom = left + ROOM, top + ROOM
                if right < 3 * ROOM:
                    vertical_line(grid, right, top, ROOM, GREY_WALL)
                    y = integers(stream, top + 1, bottom - 1)
                    grid[y, right] = CLOSED_DOOR + random_color(stream)
                if bottom < 3 * ROOM:
                    horizontal_line(grid, left, bottom, ROOM, GREY_WALL)
                    x = integers(stream, left + 1, right - 1)
                    grid[bottom, x] = CLOSED_DOOR + random_color(stream)
        if not place_agent_anywhere(grid, facts[lane], stream):
            return lane
        for _ in range(OBJECTS):
            code = KEY + 8 * integers(stream, 0, 3)  # key, ball, box
            code += random_color(stream)
            x, _ = place_anywhere(grid, facts[lane], stream, code)
            if x < 0:
                return lane
    return -1


def playground(max_steps: int = 100, **options: Any) -> GridDynamics:
    """MiniGrid's Playground (Chevalier-Boisvert et al. 2023).

    Description:
        3 x 3 rooms with a closed door between neighbours, and twelve keys, balls and boxes
        of random colours. The boxes are empty. For bonuses that pay for exploring or for events of one's own.

    Why it is sparse:
        It never pays, and the mission is the empty text.

    Actions:
        0 turn left, 1 turn right, 2 forward, 3 pick up, 4 drop, 5 toggle, 6 done (does nothing).

    Observations:
        As `GridDynamics` takes them; by default MiniGrid's dict of image, direction and mission.

    Reward:
        Always 0.

    Termination and truncation:
        Never terminates; truncates after `max_steps` (100 by default).

    Features:
        agent_pos (x, y), agent_dir, carrying and carrying_color (MiniGrid's object and colour numbers), has_key,
        front (object in front), mission_id, success (never), event; more with `features=`.

    Ids:
        shapegym/MiniGrid-Playground-v0.

    Args:
        max_steps: Time limit.
        **options: Of `shapegym.envs.grid.grid_dynamics.GridDynamics`.
    """
    return GridDynamics(
        GridTask(
            name="Playground()",
            width=SIZE,
            height=SIZE,
            max_steps=max_steps,
            rule=REACH_GOAL,
            missions=("",),
            aim="Nothing: look around, and play with what lies in the rooms.",
            things=("wall", "door", "key", "ball", "box"),
            reset=reset_lanes,
        ),
        **options,
    )
