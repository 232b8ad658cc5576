"""GoToDoor: say `done` beside the door that the mission names."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from shapegym.envs._jit import jit
from shapegym.envs._knobs import at_least
from shapegym.envs.grid.grid_dynamics import GridDynamics
from shapegym.envs.grid.lane.cells import CLOSED_DOOR, COLORS
from shapegym.envs.grid.lane.facts import MISSION, TARGET_X, TARGET_Y
from shapegym.envs.grid.lane.layout import (
    ENDLESS,
    begin_lane,
    clear,
    place_agent,
    random_color,
    wall_rectangle,
)
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
) -> int:
    """Lay out the masked lanes."""
    xs, ys, colors = np.zeros(4, np.int64), np.zeros(4, np.int64), np.zeros(4, np.int64)
    for lane in range(mask.shape[0]):
        if not mask[lane]:
            continue
        stream = streams[lane]
        grid = begin_lane(cells, facts, lane, pad)
        clear(grid)
        width = integers(stream, 5, grid.shape[1] + 1)
        height = integers(stream, 5, grid.shape[0] + 1)
        wall_rectangle(grid, 0, 0, width, height)
        # One door each in the upper, lower, left and right wall.
        xs[0], ys[0] = integers(stream, 2, width - 2), 0
        xs[1], ys[1] = integers(stream, 2, width - 2), height - 1
        xs[2], ys[2] = 0, integers(stream, 2, height - 2)
        xs[3], ys[3] = width - 1, integers(stream, 2, height - 2)
        taken = 0
        for k in range(4):
            color = random_color(stream)
            while (taken >> color) & 1:
                color = random_color(stream)
            taken |= 1 << color
            colors[k] = color
            grid[ys[k], xs[k]] = CLOSED_DOOR + color
        if not place_agent(grid, facts[lane], stream, 0, 0, width, height, ENDLESS):
            return lane
        k = integers(stream, 0, 4)
        facts[lane, TARGET_X], facts[lane, TARGET_Y], facts[lane, MISSION] = xs[k], ys[k], colors[k]
    return -1


def go_to_door(size: int = 5, max_steps: int | None = None, **options: Any) -> GridDynamics:
    """Stand beside the door of the colour that the mission names, and say `done`.

    Description:
        MiniGrid's GoToDoor: a room of random width and height, 5 to `size`, in the top left of a `size` x `size`
        grid, with a closed door in each wall, of four different colours. The agent starts in a random cell.

    Why it is sparse:
        Only `done` beside the right door pays, and the first `done` or toggle ends the episode.

    Actions:
        0 turn left, 1 turn right, 2 forward, 3 pick up, 4 drop, 5 toggle, 6 done; pick up and drop find
        nothing to act on.

    Observations:
        As `GridDynamics` takes them; by default MiniGrid's dict of image, direction and mission.
        Walls do not block the view. Cells outside a smaller room look empty.

    Reward:
        r = 1 - 0.9 t / max_steps, t the steps of the episode so far, on `done` in a cell next to the door (not
        diagonally), whichever way the agent faces, else 0.

    Termination and truncation:
        Terminated on `done` and on toggle, whatever is in front; truncated at `max_steps` (4 size^2 by default).

    Features:
        agent_pos (x, y), agent_dir, carrying and carrying_color (MiniGrid's object and colour numbers), has_key,
        front (object in front), mission_id, success, event; more with `features=`.

    Ids:
        shapegym/MiniGrid-GoToDoor-5x5-v0, shapegym/MiniGrid-GoToDoor-6x6-v0, shapegym/MiniGrid-GoToDoor-8x8-v0.

    Args:
        size: Cells a side of the grid, walls included, at least 5.
        max_steps: Time limit.
        **options: Of `shapegym.envs.grid.grid_dynamics.GridDynamics`.

    Raises:
        TypeError, ValueError: A knob is out of range, or an option unknown.
    """
    at_least("size", size, 5)
    return GridDynamics(
        GridTask(
            name=f"GoToDoor(size={size})",
            width=size,
            height=size,
            max_steps=4 * size**2 if max_steps is None else max_steps,
            rule=STAND_BY_TARGET,
            missions=tuple(f"go to the {color} door" for color in COLORS),
            aim="Stand beside the door of the colour that the mission names, and say done.",
            things=("door",),
            reset=reset_lanes,
            see_through_walls=True,
        ),
        **options,
    )
