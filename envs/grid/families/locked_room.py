"""LockedRoom: six rooms along a hallway, the goal in the locked one, its key in another."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from shapegym.envs._jit import jit
from shapegym.envs._knobs import at_least
from shapegym.envs.grid.grid_dynamics import GridDynamics
from shapegym.envs.grid.lane.cells import (
    CLOSED_DOOR,
    COLORS,
    GREEN_GOAL,
    GREY_WALL,
    KEY,
    LOCKED_DOOR,
    SORTED_COLORS,
)
from shapegym.envs.grid.lane.facts import MISSION
from shapegym.envs.grid.lane.layout import (
    ENDLESS,
    begin_lane,
    horizontal_line,
    place_agent,
    vertical_line,
    walled,
)
from shapegym.envs.grid.lane.pcg64 import integers
from shapegym.envs.grid.lane.stepping import REACH_GOAL
from shapegym.envs.grid.lane.task import GridTask

ROOMS = 6

MISSIONS = tuple(
    f"get the {locked} key from the {other} room, unlock the {locked} door and go to the goal"
    for locked in COLORS
    for other in COLORS
)
"""By 6 x colour of the locked door + colour of the key's room."""


@jit
def _put_in_room(
    grid: NDArray[np.uint8], stream: NDArray[np.uint64], room: int, left: int, right: int, code: int
) -> None:
    """Put `code` on a random cell of a room, rooms being counted by row, the left one first."""
    height = grid.shape[0] // 3
    x0 = right if room & 1 else 0
    y0 = (room >> 1) * height
    x = integers(stream, x0 + 1, x0 + left)
    y = integers(stream, y0 + 1, y0 + height)
    grid[y, x] = code


@jit
def reset_lanes(
    cells: NDArray[np.uint8],
    facts: NDArray[np.int64],
    streams: NDArray[np.uint64],
    mask: NDArray[np.bool_],
    pad: int,
) -> int:
    """Lay out the masked lanes."""
    colors = np.empty(ROOMS, np.int64)
    for lane in range(mask.shape[0]):
        if not mask[lane]:
            continue
        stream = streams[lane]
        grid = begin_lane(cells, facts, lane, pad)
        height, width = grid.shape
        left, right = width // 2 - 2, width // 2 + 2
        walled(grid)
        vertical_line(grid, left, 0, height, GREY_WALL)
        vertical_line(grid, right, 0, height, GREY_WALL)
        for row in range(3):
            horizontal_line(grid, 0, row * (height // 3), left, GREY_WALL)
            horizontal_line(grid, right, row * (height // 3), width - right, GREY_WALL)

        locked = integers(stream, 0, ROOMS)
        _put_in_room(grid, stream, locked, left, right, GREEN_GOAL)
        colors[:] = SORTED_COLORS
        for room in range(ROOMS):  # the sorted colours not yet given are colors[room:]
            chosen = room + integers(stream, 0, ROOMS - room)
            color = colors[chosen]
            for i in range(chosen, room, -1):
                colors[i] = colors[i - 1]
            colors[room] = color
            door = LOCKED_DOOR if room == locked else CLOSED_DOOR
            grid[(room >> 1) * (height // 3) + 3, right if room & 1 else left] = door + color

        key_room = integers(stream, 0, ROOMS)
        while key_room == locked:
            key_room = integers(stream, 0, ROOMS)
        _put_in_room(grid, stream, key_room, left, right, KEY + colors[locked])
        if not place_agent(grid, facts[lane], stream, left, 0, right - left, height, ENDLESS):
            return lane
        facts[lane, MISSION] = len(COLORS) * colors[locked] + colors[key_room]
    return -1


def locked_room(size: int = 19, max_steps: int | None = None, **options: Any) -> GridDynamics:
    """MiniGrid's LockedRoom (Chevalier-Boisvert et al. 2023).

    Description:
        Three rooms on each side of a hallway, with doors of six colours; one is locked and
        holds the goal, another holds its key. The agent starts in the hallway.

    Why it is sparse:
        Only the goal pays, after two doors and a key: uniformly random actions solved none of 16,384 episodes.

    Actions:
        0 turn left, 1 turn right, 2 forward, 3 pick up, 4 drop, 5 toggle, 6 done (does nothing).

    Observations:
        As `GridDynamics` takes them; by default MiniGrid's dict of image, direction and mission.

    Reward:
        r = 1 - 0.9 t / max_steps for entering the goal, t the steps of the episode so far, else 0.

    Termination and truncation:
        Terminates in the goal; truncates after `max_steps` (10 size by default, 190 for the id).

    Features:
        agent_pos (x, y), agent_dir, carrying and carrying_color (MiniGrid's object and colour numbers), has_key,
        front (object in front), success, event,
        mission_id (6 times the number of the locked door's colour + that of the key's room); more with `features=`.

    Ids:
        shapegym/MiniGrid-LockedRoom-v0.

    Args:
        size: Cells a side, walls included, at least 13. As in MiniGrid, even sizes and multiples of 3 may
            put the goal and the key into the outer wall.
        max_steps: Time limit.
        **options: Of `shapegym.envs.grid.grid_dynamics.GridDynamics`.

    Raises:
        TypeError: A knob is no integer.
        ValueError: `size` is below 13, where MiniGrid puts doors beside their rooms.
    """
    at_least("size", size, 13)
    return GridDynamics(
        GridTask(
            name=f"LockedRoom(size={size})",
            width=size,
            height=size,
            max_steps=10 * size if max_steps is None else max_steps,
            rule=REACH_GOAL,
            missions=MISSIONS,
            aim="Fetch the key from the room that the mission names, unlock the locked room with it, and walk to the goal there.",
            things=("goal", "wall", "door", "key"),
            reset=reset_lanes,
        ),
        **options,
    )
