"""GoToObject: say `done` beside the object that the mission names."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from shapegym.envs._jit import jit
from shapegym.envs.grid.families._objects import (
    OBJECT_TEXTS,
    at_most_all_objects,
    object_number,
    other_object,
    room_for,
)
from shapegym.envs.grid.grid_dynamics import GridDynamics
from shapegym.envs.grid.lane.facts import MISSION, TARGET_X, TARGET_Y
from shapegym.envs.grid.lane.layout import begin_lane, place_agent_anywhere, place_anywhere, walled
from shapegym.envs.grid.lane.pcg64 import integers
from shapegym.envs.grid.lane.stepping import STAND_BY_TARGET
from shapegym.envs.grid.lane.task import GridTask


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
            xs[k], ys[k] = place_anywhere(grid, facts[lane], stream, codes[k])
            if xs[k] < 0:
                return lane
        if not place_agent_anywhere(grid, facts[lane], stream):
            return lane
        k = integers(stream, 0, objects)
        facts[lane, TARGET_X], facts[lane, TARGET_Y] = xs[k], ys[k]
        facts[lane, MISSION] = object_number(codes[k])
    return -1


def go_to_object(
    size: int = 6,
    numObjs: int = 2,
    max_steps: int | None = None,
    **options: Any,
) -> GridDynamics:
    """Stand beside the object that the mission names, and say `done`.

    Description:
        MiniGrid's GoToObject: a `size` x `size` room with `numObjs` different objects (keys, balls, boxes of six
        colours), agent and objects in random cells. What counts is the cell in which the object was laid out, also
        after the agent has picked it up or carried it away.

    Why it is sparse:
        Only `done` beside the right cell pays, and the first `done` or toggle ends the episode.

    Actions:
        0 turn left, 1 turn right, 2 forward, 3 pick up, 4 drop, 5 toggle, 6 done.

    Observations:
        As `GridDynamics` takes them; by default MiniGrid's dict of image, direction and mission.
        Walls do not block the view.

    Reward:
        r = 1 - 0.9 t / max_steps, t the steps of the episode so far, on `done` in a cell next to the object's (not
        diagonally), whichever way the agent faces, else 0.

    Termination and truncation:
        Terminated on `done` and on toggle, whatever is in front; truncated at `max_steps` (5 size^2 by default).

    Features:
        agent_pos (x, y), agent_dir, carrying and carrying_color (MiniGrid's object and colour numbers), has_key,
        front (object in front), mission_id, success, event; more with `features=`.

    Ids:
        shapegym/MiniGrid-GoToObject-6x6-N2-v0, shapegym/MiniGrid-GoToObject-8x8-N2-v0.

    Args:
        size: Cells a side, walls included, with a cell for every object and the agent.
        numObjs: Objects, 1 .. 18.
        max_steps: Time limit.
        **options: Of `shapegym.envs.grid.grid_dynamics.GridDynamics`.

    Raises:
        TypeError, ValueError: A knob is out of range, or an option unknown.
    """
    at_most_all_objects(numObjs, 1)
    room_for(size, numObjs)
    return GridDynamics(
        GridTask(
            name=f"GoToObject(size={size}, numObjs={numObjs})",
            width=size,
            height=size,
            max_steps=5 * size**2 if max_steps is None else max_steps,
            rule=STAND_BY_TARGET,
            missions=tuple(f"go to the {text}" for text in OBJECT_TEXTS),
            aim="Stand beside the object that the mission names, and say done.",
            things=("key", "ball", "box"),
            reset=reset_lanes,
            knobs=(numObjs,),
            see_through_walls=True,
        ),
        **options,
    )
