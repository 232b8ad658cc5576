"""Layouts of equal square rooms in rows and columns that share their walls, with doors between neighbours.

Room (i, j) is in column i and row j. `rooms` (rows, columns, 4, 3) int64 holds, for each wall of each room, the
cell where its door would be and whether one can pass there; neighbours hold the same of the wall between them.
Kernels draw as minigrid.core.roomgrid does: the agent waits in the middle room until it is placed, and objects
keep off the cells around it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shapegym.envs._jit import jit
from shapegym.envs.grid.lane.cells import CLOSED_DOOR, EMPTY, LOCKED_DOOR, WALL
from shapegym.envs.grid.lane.facts import DIRECTION, STEP_X, STEP_Y, X, Y
from shapegym.envs.grid.lane.layout import (
    ENDLESS,
    clear,
    horizontal_line,
    place,
    place_agent,
    random_color,
    wall_rectangle,
)
from shapegym.envs.grid.lane.pcg64 import integers

RIGHT, DOWN, LEFT, UP = range(4)
"""A room's walls, in the order of the agent's directions."""

DOOR_X, DOOR_Y, PASSAGE = range(3)
"""What `rooms` holds of a wall; an outer wall has no door cell: (-1, -1)."""
NO_PASSAGE, FREE_PASSAGE, LOCKS_ROOM = range(3)
"""Values of PASSAGE. A locked door locks the room that it was added to; for the other one it is free."""

ROOM_TRIES = 1000
"""Redraws after which MiniGrid gives up a search within a room."""
CONNECT_TRIES = 5000
"""Redraws after which it gives up connecting the rooms."""


@jit
def new_rooms(rows: int, columns: int) -> NDArray[np.int64]:
    """A buffer for `begin_rooms`."""
    return np.empty((rows, columns, 4, 3), np.int64)


@jit
def _pitch(grid: NDArray[np.uint8], rooms: NDArray[np.int64]) -> int:
    """Cells from one room to the next: the side of a room, less the wall that it shares."""
    return (grid.shape[1] - 1) // rooms.shape[1]


@jit
def begin_rooms(
    grid: NDArray[np.uint8], facts: NDArray[np.int64], stream: NDArray[np.uint64], rooms: NDArray[np.int64]
) -> None:
    """Wall the rooms in, draw where their doors would be, and let the agent wait in the middle."""
    rows, columns = rooms.shape[0], rooms.shape[1]
    pitch = _pitch(grid, rooms)
    clear(grid)
    rooms[:, :, :, DOOR_X] = rooms[:, :, :, DOOR_Y] = -1
    rooms[:, :, :, PASSAGE] = NO_PASSAGE
    for j in range(rows):
        for i in range(columns):
            x, y = i * pitch, j * pitch
            wall_rectangle(grid, x, y, pitch + 1, pitch + 1)
            if i < columns - 1:
                door_y = integers(stream, y + 1, y + pitch)
                rooms[j, i, RIGHT, DOOR_X] = rooms[j, i + 1, LEFT, DOOR_X] = x + pitch
                rooms[j, i, RIGHT, DOOR_Y] = rooms[j, i + 1, LEFT, DOOR_Y] = door_y
            if j < rows - 1:
                door_x = integers(stream, x + 1, x + pitch)
                rooms[j, i, DOWN, DOOR_X] = rooms[j + 1, i, UP, DOOR_X] = door_x
                rooms[j, i, DOWN, DOOR_Y] = rooms[j + 1, i, UP, DOOR_Y] = y + pitch
    facts[X] = columns // 2 * pitch + (pitch + 1) // 2
    facts[Y] = rows // 2 * pitch + (pitch + 1) // 2
    facts[DIRECTION] = 0


@jit
def place_in_room(
    grid: NDArray[np.uint8],
    facts: NDArray[np.int64],
    stream: NDArray[np.uint64],
    rooms: NDArray[np.int64],
    i: int,
    j: int,
    code: int,
) -> tuple[int, int]:
    """Put `code` on a random empty cell of a room, not beside the agent; (-1, -1) on failure."""
    pitch = _pitch(grid, rooms)
    return place(grid, facts, stream, code, i * pitch, j * pitch, pitch + 1, pitch + 1, 2, ROOM_TRIES)


@jit
def place_agent_in_room(
    grid: NDArray[np.uint8],
    facts: NDArray[np.int64],
    stream: NDArray[np.uint64],
    rooms: NDArray[np.int64],
    i: int,
    j: int,
) -> bool:
    """Put the agent on a random empty cell of a room, facing an empty cell or a wall; False on failure."""
    pitch = _pitch(grid, rooms)
    for _ in range(ENDLESS):
        if not place_agent(grid, facts, stream, i * pitch, j * pitch, pitch + 1, pitch + 1, ROOM_TRIES):
            return False
        direction = facts[DIRECTION]
        front = grid[facts[Y] + STEP_Y[direction], facts[X] + STEP_X[direction]]
        if front == EMPTY or front >> 3 == WALL >> 3:
            return True
    return False


@jit
def add_door(
    grid: NDArray[np.uint8], rooms: NDArray[np.int64], i: int, j: int, wall: int, code: int
) -> tuple[int, int]:
    """Put the door `code` into a wall between two rooms; its cell."""
    x, y = rooms[j, i, wall, DOOR_X], rooms[j, i, wall, DOOR_Y]
    grid[y, x] = code
    rooms[j, i, wall, PASSAGE] = LOCKS_ROOM if code >> 3 == LOCKED_DOOR >> 3 else FREE_PASSAGE
    rooms[j + STEP_Y[wall], i + STEP_X[wall], (wall + 2) & 3, PASSAGE] = FREE_PASSAGE
    return x, y


@jit
def remove_upper_wall(grid: NDArray[np.uint8], rooms: NDArray[np.int64], i: int, j: int) -> None:
    """Make one of a room and the one above it."""
    pitch = _pitch(grid, rooms)
    horizontal_line(grid, i * pitch + 1, j * pitch, pitch - 1, EMPTY)
    rooms[j, i, UP, PASSAGE] = rooms[j - 1, i, DOWN, PASSAGE] = FREE_PASSAGE


@jit
def _is_locked(rooms: NDArray[np.int64], i: int, j: int) -> bool:
    for wall in range(4):
        if rooms[j, i, wall, PASSAGE] == LOCKS_ROOM:
            return True
    return False


@jit
def _count_reachable(rooms: NDArray[np.int64], i: int, j: int) -> int:
    """Rooms that doors, locked or not, and openings connect with room (i, j), itself included."""
    rows, columns = rooms.shape[0], rooms.shape[1]
    found = np.zeros(rows * columns, np.bool_)
    queue = np.empty(rows * columns, np.int64)
    queue[0], count, done = j * columns + i, 1, 0
    found[queue[0]] = True
    while done < count:
        y, x = divmod(queue[done], columns)
        done += 1
        for wall in range(4):
            neighbour = (y + STEP_Y[wall]) * columns + x + STEP_X[wall]
            if rooms[y, x, wall, PASSAGE] != NO_PASSAGE and not found[neighbour]:
                found[neighbour] = True
                queue[count] = neighbour
                count += 1
    return count


@jit
def connect_all(
    grid: NDArray[np.uint8], facts: NDArray[np.int64], stream: NDArray[np.uint64], rooms: NDArray[np.int64]
) -> bool:
    """Add closed doors, none to a locked room, until the agent can reach every room; False on failure."""
    rows, columns = rooms.shape[0], rooms.shape[1]
    pitch = _pitch(grid, rooms)
    start_i, start_j = facts[X] // pitch, facts[Y] // pitch
    reachable = _count_reachable(rooms, start_i, start_j)
    for _ in range(CONNECT_TRIES + 1):
        if reachable == rows * columns:
            return True
        i, j = integers(stream, 0, columns), integers(stream, 0, rows)
        wall = integers(stream, 0, 4)
        if rooms[j, i, wall, DOOR_X] < 0 or rooms[j, i, wall, PASSAGE] != NO_PASSAGE:
            continue
        if _is_locked(rooms, i, j) or _is_locked(rooms, i + STEP_X[wall], j + STEP_Y[wall]):
            continue
        add_door(grid, rooms, i, j, wall, CLOSED_DOOR + random_color(stream))
        reachable = _count_reachable(rooms, start_i, start_j)
    return False
