"""Fetch: pick up the object that the mission names."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from shapegym.envs._jit import jit
from shapegym.envs._knobs import at_least
from shapegym.envs.grid.families._objects import OBJECT_TEXTS, object_number, random_object, room_for
from shapegym.envs.grid.grid_dynamics import GridDynamics
from shapegym.envs.grid.lane.facts import MISSION, TARGET_CODE
from shapegym.envs.grid.lane.layout import begin_lane, place_agent_anywhere, place_anywhere, walled
from shapegym.envs.grid.lane.pcg64 import integers
from shapegym.envs.grid.lane.stepping import FETCH
from shapegym.envs.grid.lane.task import GridTask

_OPENINGS = ("get a", "go get a", "fetch a", "go fetch a", "you must fetch a")
_OBJECTS = 12  # keys and balls, not boxes


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
    codes = np.empty(objects, np.int64)
    for lane in range(mask.shape[0]):
        if not mask[lane]:
            continue
        stream = streams[lane]
        grid = begin_lane(cells, facts, lane, pad)
        walled(grid)
        for k in range(objects):
            codes[k] = random_object(stream, 2)
            if place_anywhere(grid, facts[lane], stream, codes[k])[0] < 0:
                return lane
        if not place_agent_anywhere(grid, facts[lane], stream):
            return lane
        target = codes[integers(stream, 0, objects)]
        facts[lane, TARGET_CODE] = target
        facts[lane, MISSION] = _OBJECTS * integers(stream, 0, 5) + object_number(target)
    return -1


def fetch(
    size: int = 8,
    numObjs: int = 3,
    max_steps: int | None = None,
    **options: Any,
) -> GridDynamics:
    """Pick up the key or ball that the mission names, and nothing else.

    Description:
        MiniGrid's Fetch: a `size` x `size` room with `numObjs` keys and balls of random colours, agent and objects
        in random cells. The mission names one of them in one of five phrases. Objects may be alike; then each of
        them is right.

    Why it is sparse:
        Only picking up the right object pays, and the first object picked up ends the episode.

    Actions:
        0 turn left, 1 turn right, 2 forward, 3 pick up, 4 drop, 5 toggle, 6 done; the last three find
        nothing to act on.

    Observations:
        As `GridDynamics` takes them; by default MiniGrid's dict of image, direction and mission.
        Walls do not block the view.

    Reward:
        r = 1 - 0.9 t / max_steps, t the steps of the episode so far, on picking up an object of the mission's kind
        and colour, else 0.

    Termination and truncation:
        Terminated on picking up any object; truncated at `max_steps` (5 size^2 by default).

    Features:
        agent_pos (x, y), agent_dir, carrying and carrying_color (MiniGrid's object and colour numbers), has_key,
        front (object in front), mission_id, success, event; more with `features=`.

    Ids:
        shapegym/MiniGrid-Fetch-5x5-N2-v0, shapegym/MiniGrid-Fetch-6x6-N2-v0, shapegym/MiniGrid-Fetch-8x8-N3-v0.

    Args:
        size: Cells a side, walls included, with a cell for every object and the agent.
        numObjs: Objects, at least 1.
        max_steps: Time limit.
        **options: Of `shapegym.envs.grid.grid_dynamics.GridDynamics`.

    Raises:
        TypeError, ValueError: A knob is out of range, or an option unknown.
    """
    at_least("numObjs", numObjs, 1)
    room_for(size, numObjs)
    return GridDynamics(
        GridTask(
            name=f"Fetch(size={size}, numObjs={numObjs})",
            width=size,
            height=size,
            max_steps=5 * size**2 if max_steps is None else max_steps,
            rule=FETCH,
            missions=tuple(f"{opening} {text}" for opening in _OPENINGS for text in OBJECT_TEXTS[:_OBJECTS]),
            aim="Pick up the object that the mission names, and no other.",
            things=("key", "ball"),
            reset=reset_lanes,
            knobs=(numObjs,),
            see_through_walls=True,
        ),
        **options,
    )
