"""What every layout is built from: walls, and MiniGrid's rejection sampling of free cells.

Kernels work on one lane: `grid` is its (height, width) array of codes (`grid[y, x]`), `facts` its row of facts,
`stream` its random stream. They draw the same numbers in the same order as minigrid.minigrid_env, which is what
makes layouts equal to the bit.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shapegym.envs._jit import jit
from shapegym.envs.grid.lane.cells import EMPTY, GREY_WALL, SORTED_COLORS
from shapegym.envs.grid.lane.facts import CARRIED, DIRECTION, MISSION, STEPS, X, Y
from shapegym.envs.grid.lane.pcg64 import integers

ENDLESS = 1_000_000
"""Tries after which a search that MiniGrid would never give up counts as failed."""


@jit
def begin_lane(cells: NDArray[np.uint8], facts: NDArray[np.int64], lane: int, pad: int) -> NDArray[np.uint8]:
    """Forget a lane's last episode, and return its grid (height, width), a view into the padded cells."""
    facts[lane, :] = -1
    facts[lane, CARRIED] = facts[lane, STEPS] = facts[lane, MISSION] = 0
    return cells[lane, pad : cells.shape[1] - pad, pad : cells.shape[2] - pad]


@jit
def clear(grid: NDArray[np.uint8]) -> None:
    """Empty every cell."""
    for y in range(grid.shape[0]):
        for x in range(grid.shape[1]):
            grid[y, x] = EMPTY


@jit
def horizontal_line(grid: NDArray[np.uint8], x: int, y: int, length: int, code: int) -> None:
    """`length` cells of `code` from (x, y) to the right."""
    for i in range(length):
        grid[y, x + i] = code


@jit
def vertical_line(grid: NDArray[np.uint8], x: int, y: int, length: int, code: int) -> None:
    """`length` cells of `code` from (x, y) down."""
    for j in range(length):
        grid[y + j, x] = code


@jit
def wall_rectangle(grid: NDArray[np.uint8], x: int, y: int, width: int, height: int) -> None:
    """Grey walls around a rectangle."""
    horizontal_line(grid, x, y, width, GREY_WALL)
    horizontal_line(grid, x, y + height - 1, width, GREY_WALL)
    vertical_line(grid, x, y, height, GREY_WALL)
    vertical_line(grid, x + width - 1, y, height, GREY_WALL)


@jit
def walled(grid: NDArray[np.uint8]) -> None:
    """An empty grid with walls on its border."""
    clear(grid)
    wall_rectangle(grid, 0, 0, grid.shape[1], grid.shape[0])


@jit
def random_color(stream: NDArray[np.uint64]) -> int:
    """A colour number, drawn from the sorted names."""
    return SORTED_COLORS[integers(stream, 0, 6)]


@jit
def place(
    grid: NDArray[np.uint8],
    facts: NDArray[np.int64],
    stream: NDArray[np.uint64],
    code: int,
    x0: int,
    y0: int,
    width: int,
    height: int,
    away: int,
    max_tries: int,
) -> tuple[int, int]:
    """Put `code` on a random empty cell of a rectangle where the agent is not.

    Args:
        grid: The lane's cells.
        facts: The lane's facts.
        stream: The lane's stream.
        code: What to place; EMPTY only finds the cell.
        x0: Left column of the rectangle.
        y0: Its top row.
        width: Its columns; those beyond the grid are cut off.
        height: Its rows, likewise.
        away: Least Manhattan distance from the agent's cell: 1 keeps off the cell itself, 2 also off its
            neighbours.
        max_tries: Redraws after which the search fails.

    Returns:
        The cell (x, y), or (-1, -1) on failure.
    """
    x0, y0 = max(x0, 0), max(y0, 0)
    x1, y1 = min(x0 + width, grid.shape[1]), min(y0 + height, grid.shape[0])
    for _ in range(max_tries + 1):
        x = integers(stream, x0, x1)
        y = integers(stream, y0, y1)
        if grid[y, x] == EMPTY and abs(x - facts[X]) + abs(y - facts[Y]) >= away:
            grid[y, x] = code
            return x, y
    return -1, -1


@jit
def place_anywhere(
    grid: NDArray[np.uint8], facts: NDArray[np.int64], stream: NDArray[np.uint64], code: int
) -> tuple[int, int]:
    """`place` on the whole grid."""
    return place(grid, facts, stream, code, 0, 0, grid.shape[1], grid.shape[0], 1, ENDLESS)


@jit
def place_agent(
    grid: NDArray[np.uint8],
    facts: NDArray[np.int64],
    stream: NDArray[np.uint64],
    x0: int,
    y0: int,
    width: int,
    height: int,
    max_tries: int,
) -> bool:
    """Put the agent on a random empty cell of a rectangle, in a random direction; False on failure."""
    facts[X] = facts[Y] = -1
    facts[X], facts[Y] = place(grid, facts, stream, EMPTY, x0, y0, width, height, 1, max_tries)
    facts[DIRECTION] = integers(stream, 0, 4)
    return facts[X] >= 0


@jit
def place_agent_anywhere(
    grid: NDArray[np.uint8], facts: NDArray[np.int64], stream: NDArray[np.uint64]
) -> bool:
    """`place_agent` on the whole grid."""
    return place_agent(grid, facts, stream, 0, 0, grid.shape[1], grid.shape[0], ENDLESS)
