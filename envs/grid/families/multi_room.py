"""MultiRoom: open doors through a chain of rooms to the goal in the last one."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from shapegym.envs._jit import jit
from shapegym.envs._knobs import at_least
from shapegym.envs.grid.grid_dynamics import GridDynamics
from shapegym.envs.grid.lane.cells import CLOSED_DOOR, GREEN_GOAL, SORTED_COLORS
from shapegym.envs.grid.lane.layout import ENDLESS, begin_lane, clear, place, place_agent, wall_rectangle
from shapegym.envs.grid.lane.pcg64 import integers
from shapegym.envs.grid.lane.stepping import REACH_GOAL
from shapegym.envs.grid.lane.task import GridTask

LEAST_ROOM = 4
"""Cells of the smallest room's side, walls included."""

_RIGHT, _DOWN, _LEFT = range(3)  # a room's walls are numbered as directions; the fourth is up
_TRIES = 8  # for the room after the last one
_ROOM_X, _ROOM_Y, _ROOM_WIDTH, _ROOM_HEIGHT, _DOOR_X, _DOOR_Y, _ROOM_FIELDS = range(7)


@jit
def _add_room(
    rooms: NDArray[np.int64],
    n: int,
    stream: NDArray[np.uint64],
    grid_width: int,
    grid_height: int,
    max_size: int,
    entry: int,
    door_x: int,
    door_y: int,
) -> bool:
    """Draw room `n` with a door in its wall `entry`; False if it leaves the grid or meets an earlier room."""
    width = integers(stream, LEAST_ROOM, max_size + 1)
    height = integers(stream, LEAST_ROOM, max_size + 1)
    x, y = door_x, door_y
    if n > 0 and entry in (_RIGHT, _LEFT):
        x = door_x - width + 1 if entry == _RIGHT else door_x
        y = integers(stream, door_y - height + 2, door_y)
    elif n > 0:
        x = integers(stream, door_x - width + 2, door_x)
        y = door_y - height + 1 if entry == _DOWN else door_y
    if x < 0 or y < 0 or x + width > grid_width or y + height >= grid_height:
        return False
    for k in range(n - 1):  # the room just before shares the wall with the door
        apart = (
            x + width < rooms[k, _ROOM_X]
            or rooms[k, _ROOM_X] + rooms[k, _ROOM_WIDTH] <= x
            or y + height < rooms[k, _ROOM_Y]
            or rooms[k, _ROOM_Y] + rooms[k, _ROOM_HEIGHT] <= y
        )
        if not apart:
            return False
    rooms[n, _ROOM_X], rooms[n, _ROOM_Y] = x, y
    rooms[n, _ROOM_WIDTH], rooms[n, _ROOM_HEIGHT] = width, height
    rooms[n, _DOOR_X], rooms[n, _DOOR_Y] = door_x, door_y
    return True


@jit
def _draw_rooms(
    rooms: NDArray[np.int64], stream: NDArray[np.uint64], grid_width: int, grid_height: int, max_size: int
) -> bool:
    """Draw a chain of rooms, one a row; False where no next room was found in eight tries."""
    door_x = integers(stream, 0, grid_width - 2)
    door_y = integers(stream, 0, grid_width - 2)  # MiniGrid's bound, for high maps too
    entry = _LEFT
    if not _add_room(rooms, 0, stream, grid_width, grid_height, max_size, entry, door_x, door_y):
        return False
    for n in range(1, rooms.shape[0]):
        x, y = rooms[n - 1, _ROOM_X], rooms[n - 1, _ROOM_Y]
        width, height = rooms[n - 1, _ROOM_WIDTH], rooms[n - 1, _ROOM_HEIGHT]
        placed = False
        for _ in range(_TRIES):
            leave = integers(stream, 0, 3)
            leave += leave >= entry
            if leave in (_RIGHT, _LEFT):
                door_x = x + width - 1 if leave == _RIGHT else x
                door_y = y + integers(stream, 1, height - 1)
            else:
                door_x = x + integers(stream, 1, width - 1)
                door_y = y + height - 1 if leave == _DOWN else y
            next_entry = (leave + 2) & 3
            if _add_room(rooms, n, stream, grid_width, grid_height, max_size, next_entry, door_x, door_y):
                placed, entry = True, next_entry
                break
        if not placed:
            return False
    return True


@jit
def reset_lanes(
    cells: NDArray[np.uint8],
    facts: NDArray[np.int64],
    streams: NDArray[np.uint64],
    mask: NDArray[np.bool_],
    pad: int,
    min_rooms: int,
    max_rooms: int,
    max_size: int,
) -> int:
    """Lay out the masked lanes."""
    every_room = np.empty((max_rooms, _ROOM_FIELDS), np.int64)
    for lane in range(mask.shape[0]):
        if not mask[lane]:
            continue
        stream = streams[lane]
        grid = begin_lane(cells, facts, lane, pad)
        clear(grid)
        rooms = every_room[: integers(stream, min_rooms, max_rooms + 1)]
        tries = 0
        while not _draw_rooms(rooms, stream, grid.shape[1], grid.shape[0], max_size):
            tries += 1
            if tries == ENDLESS:
                return lane
        last_color = len(SORTED_COLORS)
        for n in range(rooms.shape[0]):
            x, y = rooms[n, _ROOM_X], rooms[n, _ROOM_Y]
            wall_rectangle(grid, x, y, rooms[n, _ROOM_WIDTH], rooms[n, _ROOM_HEIGHT])
            if n > 0:  # neighbouring doors differ in colour
                color = integers(stream, 0, len(SORTED_COLORS) - (n > 1))
                color += color >= last_color
                grid[rooms[n, _DOOR_Y], rooms[n, _DOOR_X]] = CLOSED_DOOR + SORTED_COLORS[color]
                last_color = color
        x, y, width, height = (
            rooms[0, _ROOM_X],
            rooms[0, _ROOM_Y],
            rooms[0, _ROOM_WIDTH],
            rooms[0, _ROOM_HEIGHT],
        )
        if not place_agent(grid, facts[lane], stream, x, y, width, height, ENDLESS):
            return lane
        last = rooms[rooms.shape[0] - 1]
        x, y, width, height = last[_ROOM_X], last[_ROOM_Y], last[_ROOM_WIDTH], last[_ROOM_HEIGHT]
        goal_x, _ = place(grid, facts[lane], stream, GREEN_GOAL, x, y, width, height, 1, ENDLESS)
        if goal_x < 0:
            return lane
    return -1


def multi_room(
    minNumRooms: int,
    maxNumRooms: int,
    maxRoomSize: int = 10,
    width: int = 25,
    height: int = 25,
    max_steps: int | None = None,
    **options: Any,
) -> GridDynamics:
    """MiniGrid's MultiRoom (Chevalier-Boisvert et al. 2023).

    Description:
        A chain of rooms with closed doors, the goal in the last. Each room begins at a door in a wall of the one
        before, at a random place and of a random size; the agent starts in the first. Doors that follow each other
        differ in colour. Cells outside the rooms are empty. As in MiniGrid, N4-S5-v0 has six rooms; v1 has the four
        of its name.

    Why it is sparse:
        Only the goal pays, and every door on the way must be faced and toggled. Uniformly random actions solved 317 of
        16,384 episodes of N2-S4, and none of as many of each other id.

    Actions:
        0 turn left, 1 turn right, 2 forward, 3 pick up, 4 drop, 5 toggle, 6 done. 3, 4 and 6 do nothing.

    Observations:
        As `GridDynamics` takes them; by default MiniGrid's dict of image, direction and mission.

    Reward:
        r = 1 - 0.9 t / max_steps for entering the goal, t the steps of the episode so far, else 0.

    Termination and truncation:
        Terminates in the goal; truncates after `max_steps` (20 maxNumRooms by default).

    Features:
        agent_pos (x, y), agent_dir, carrying and carrying_color (MiniGrid's object and colour numbers), has_key,
        front (object in front), mission_id, success, event; more with `features=`.

    Ids:
        shapegym/MiniGrid-MultiRoom-N2-S4-v0, shapegym/MiniGrid-MultiRoom-N4-S5-v0,
        shapegym/MiniGrid-MultiRoom-N4-S5-v1, shapegym/MiniGrid-MultiRoom-N6-v0.

    Args:
        minNumRooms: Fewest rooms, at least 1.
        maxNumRooms: Most rooms, at least `minNumRooms`.
        maxRoomSize: Cells of a room's longest side, walls included, at least 4.
        width: Cells of the map from left to right, at least 4.
        height: From top to bottom, at least 5. A map too small for its rooms raises LayoutError on reset.
        max_steps: Time limit.
        **options: Of `shapegym.envs.grid.grid_dynamics.GridDynamics`.

    Raises:
        TypeError: A knob is no integer.
        ValueError: A knob is out of range.
    """
    at_least("minNumRooms", minNumRooms, 1)
    at_least("maxNumRooms", maxNumRooms, minNumRooms)
    at_least("maxRoomSize", maxRoomSize, LEAST_ROOM)
    at_least("width", width, LEAST_ROOM)
    at_least("height", height, LEAST_ROOM + 1)
    return GridDynamics(
        GridTask(
            name=f"MultiRoom(minNumRooms={minNumRooms}, maxNumRooms={maxNumRooms}, maxRoomSize={maxRoomSize}, "
            f"width={width}, height={height})",
            width=width,
            height=height,
            max_steps=20 * maxNumRooms if max_steps is None else max_steps,
            rule=REACH_GOAL,
            missions=("traverse the rooms to get to the goal",),
            aim="Open the doors of a chain of rooms, one after the other, and walk to the goal in the last room.",
            things=("goal", "wall", "door"),
            reset=reset_lanes,
            knobs=(minNumRooms, maxNumRooms, maxRoomSize),
        ),
        **options,
    )
