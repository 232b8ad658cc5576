"""Memory: see an object, walk down a hallway, and choose the end with the same object."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from shapegym.envs._jit import jit
from shapegym.envs._knobs import at_least, flag
from shapegym.envs.grid.grid_dynamics import GridDynamics
from shapegym.envs.grid.lane.cells import BALL, GREEN, GREY_WALL, KEY
from shapegym.envs.grid.lane.facts import DIRECTION, OTHER_X, OTHER_Y, TARGET_X, TARGET_Y, X, Y
from shapegym.envs.grid.lane.layout import begin_lane, horizontal_line, vertical_line, walled
from shapegym.envs.grid.lane.pcg64 import integers
from shapegym.envs.grid.lane.stepping import CHOOSE_TARGET
from shapegym.envs.grid.lane.task import GridTask


@jit
def reset_lanes(
    cells: NDArray[np.uint8],
    facts: NDArray[np.int64],
    streams: NDArray[np.uint64],
    mask: NDArray[np.bool_],
    pad: int,
    random_length: bool,
) -> int:
    """Lay out the masked lanes."""
    for lane in range(mask.shape[0]):
        if not mask[lane]:
            continue
        stream = streams[lane]
        grid = begin_lane(cells, facts, lane, pad)
        height, width = grid.shape
        middle = height // 2
        walled(grid)
        end = integers(stream, 4, width - 2) if random_length else width - 3
        for side in (-1, 1):
            horizontal_line(grid, 1, middle + 2 * side, 4, GREY_WALL)
            horizontal_line(grid, 4, middle + side, max(1, end - 4), GREY_WALL)
        vertical_line(grid, end, 0, middle, GREY_WALL)
        vertical_line(grid, end, middle + 1, height - middle - 1, GREY_WALL)
        vertical_line(grid, end + 2, 0, height, GREY_WALL)

        facts[lane, X], facts[lane, Y] = integers(stream, 1, end + 1), middle
        facts[lane, DIRECTION] = 0
        shown = (BALL if integers(stream, 0, 2) else KEY) + GREEN
        upper, lower = BALL + GREEN, KEY + GREEN
        if integers(stream, 0, 2):
            upper, lower = lower, upper
        grid[middle - 1, 1] = shown
        grid[middle - 2, end + 1] = upper
        grid[middle + 2, end + 1] = lower
        side = -1 if shown == upper else 1
        facts[lane, TARGET_X] = facts[lane, OTHER_X] = end + 1
        facts[lane, TARGET_Y], facts[lane, OTHER_Y] = middle + side, middle - side
    return -1


def memory(
    size: int, random_length: bool = False, max_steps: int | None = None, **options: Any
) -> GridDynamics:
    """MiniGrid's Memory (Chevalier-Boisvert et al. 2023).

    Description:
        A green key or ball lies in the start room; the hallway ends in a fork with a green key
        on one side and a green ball on the other. The agent starts anywhere on the middle row, the hallway
        included, facing right: it may have to go back to look.

    Why it is sparse:
        One cell pays, the one before the matching object; its twin on the other side ends the episode with nothing, so
        that without memory half of the choices fail. Uniformly random actions solved 23 % (S7) to 37 % (S17Random) of
        16,384 episodes.

    Actions:
        0 turn left, 1 turn right, 2 forward; 3 pick up and 5 toggle toggle what is in front, which here
        changes nothing, as do 4 drop and 6 done.

    Observations:
        As `GridDynamics` takes them; by default MiniGrid's dict of image, direction and mission.

    Reward:
        r = 1 - 0.9 t / max_steps for the step into the cell before the matching object, t the steps of the episode
        so far, else 0.

    Termination and truncation:
        Terminates before either object of the fork; truncates after `max_steps` (5 size^2 by default).

    Features:
        agent_pos (x, y), agent_dir, carrying and carrying_color (MiniGrid's object and colour numbers), has_key,
        front (object in front), mission_id, success, event; more with `features=`.

    Ids:
        shapegym/MiniGrid-MemoryS7-v0, shapegym/MiniGrid-MemoryS9-v0, shapegym/MiniGrid-MemoryS11-v0,
        shapegym/MiniGrid-MemoryS13-v0, shapegym/MiniGrid-MemoryS13Random-v0, shapegym/MiniGrid-MemoryS17Random-v0.

    Args:
        size: Cells a side, walls included, odd, at least 5. There is no default, as MiniGrid's (8) is even and
            refused by itself.
        random_length: Draw the hallway's end; `size` is then at least 7.
        max_steps: Time limit.
        **options: Of `shapegym.envs.grid.grid_dynamics.GridDynamics`.

    Raises:
        TypeError: `size` is no integer, or `random_length` no bool.
        ValueError: `size` is even or too small.
    """
    drawn = flag("random_length", random_length)
    at_least("size", size, 7 if drawn else 5)
    if size % 2 == 0:
        raise ValueError(f"size must be odd, got {size}: the hallway is the middle row")
    return GridDynamics(
        GridTask(
            name=f"Memory(size={size}, random_length={drawn})",
            width=size,
            height=size,
            max_steps=5 * size**2 if max_steps is None else max_steps,
            rule=CHOOSE_TARGET,
            missions=("go to the matching object at the end of the hallway",),
            aim="Look at the object near the start, walk down the hallway, and go to the same object at its end.",
            things=("wall", "key", "ball"),
            reset=reset_lanes,
            knobs=(drawn,),
        ),
        **options,
    )
