"""PutNear: carry one object beside another."""

from __future__ import annotations

from math import isqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shapegym.envs._jit import jit
from shapegym.envs._knobs import at_least
from shapegym.envs.grid.families._objects import (
    OBJECT_TEXTS,
    at_most_all_objects,
    object_number,
    other_object,
)
from shapegym.envs.grid.grid_dynamics import GridDynamics
from shapegym.envs.grid.lane.cells import EMPTY
from shapegym.envs.grid.lane.facts import MISSION, TARGET_CODE, TARGET_X, TARGET_Y
from shapegym.envs.grid.lane.layout import ENDLESS, begin_lane, place_agent_anywhere, walled
from shapegym.envs.grid.lane.pcg64 import integers
from shapegym.envs.grid.lane.stepping import PUT_NEAR_TARGET
from shapegym.envs.grid.lane.task import GridTask


@jit
def _place_apart(
    grid: NDArray[np.uint8],
    stream: NDArray[np.uint64],
    code: int,
    xs: NDArray[np.int64],
    ys: NDArray[np.int64],
    n: int,
) -> tuple[int, int]:
    """`place_anywhere`, but not in or around the cells of the first `n` objects."""
    for _ in range(ENDLESS):
        x = integers(stream, 0, grid.shape[1])
        y = integers(stream, 0, grid.shape[0])
        apart = grid[y, x] == EMPTY
        for k in range(n):
            apart &= max(abs(x - xs[k]), abs(y - ys[k])) > 1
        if apart:
            grid[y, x] = code
            return x, y
    return -1, -1


@jit
def reset_lanes(
    cells: NDArray[np.uint8],
    facts: NDArray[np.int64],
    streams: NDArray[np.uint64],
    mask: NDArray[np.bool_],
    pad: int,
    objects: int,
) -> int:
    """Lay out the masked lanes."""
    codes, xs, ys = np.zeros(objects, np.int64), np.zeros(objects, np.int64), np.zeros(objects, np.int64)
    for lane in range(mask.shape[0]):
        if not mask[lane]:
            continue
        stream = streams[lane]
        grid = begin_lane(cells, facts, lane, pad)
        walled(grid)
        for k in range(objects):
            codes[k] = other_object(stream, codes, k)
            xs[k], ys[k] = _place_apart(grid, stream, codes[k], xs, ys, k)
            if xs[k] < 0:
                return lane
        if not place_agent_anywhere(grid, facts[lane], stream):
            return lane
        moved = target = integers(stream, 0, objects)
        while target == moved:
            target = integers(stream, 0, objects)
        facts[lane, TARGET_CODE] = codes[moved]
        facts[lane, TARGET_X], facts[lane, TARGET_Y] = xs[target], ys[target]
        facts[lane, MISSION] = 18 * object_number(codes[moved]) + object_number(codes[target])
    return -1


def put_near(
    size: int = 6,
    numObjs: int = 2,
    max_steps: int | None = None,
    **options: Any,
) -> GridDynamics:
    """Pick up one object, and drop it beside another, as the mission says.

    Description:
        MiniGrid's PutNear: a `size` x `size` room with `numObjs` different objects (keys, balls, boxes of six
        colours) in random cells of which no two touch, and the agent in a random cell. A toggle removes a box, as
        none of them hides anything; the target's cell still counts then.

    Why it is sparse:
        Only the drop in the right place pays, after the right object was picked up; a wrong object or a wrong drop
        ends the episode.

    Actions:
        0 turn left, 1 turn right, 2 forward, 3 pick up, 4 drop, 5 toggle, 6 done.

    Observations:
        As `GridDynamics` takes them; by default MiniGrid's dict of image, direction and mission.
        Walls do not block the view.

    Reward:
        r = 1 - 0.9 t / max_steps, t the steps of the episode so far, on dropping the object into one of the eight
        cells around the target's cell, or into that cell itself where a box was, else 0.

    Termination and truncation:
        Terminated on picking up another object, and on `drop` with an object in hand, also where there is no room
        for it; truncated at `max_steps` (5 size by default).

    Features:
        agent_pos (x, y), agent_dir, carrying and carrying_color (MiniGrid's object and colour numbers), has_key,
        front (object in front), mission_id, success, event; more with `features=`.

    Ids:
        shapegym/MiniGrid-PutNear-6x6-N2-v0, shapegym/MiniGrid-PutNear-8x8-N3-v0.

    Args:
        size: Cells a side, walls included, at least 3 ceil(sqrt(numObjs)). In a smaller room the first objects may
            leave no cell for the last one, and MiniGrid would search for ever.
        numObjs: Objects, 2 .. 18.
        max_steps: Time limit.
        **options: Of `shapegym.envs.grid.grid_dynamics.GridDynamics`.

    Raises:
        TypeError, ValueError: A knob is out of range, or an option unknown.
    """
    at_most_all_objects(numObjs, 2)
    # In an m x m room it takes ceil(m / 3)^2 objects to be near every cell: no two of the cells with both
    # coordinates divisible by 3 are near to the same object.
    at_least(f"with numObjs={numObjs}, size", size, 3 * (isqrt(numObjs - 1) + 1))
    return GridDynamics(
        GridTask(
            name=f"PutNear(size={size}, numObjs={numObjs})",
            width=size,
            height=size,
            max_steps=5 * size if max_steps is None else max_steps,
            rule=PUT_NEAR_TARGET,
            missions=tuple(
                f"put the {moved} near the {target}" for moved in OBJECT_TEXTS for target in OBJECT_TEXTS
            ),
            aim="Pick up the one object that the mission names, and drop it beside the other.",
            things=("key", "ball", "box"),
            reset=reset_lanes,
            knobs=(numObjs,),
            see_through_walls=True,
        ),
        **options,
    )
