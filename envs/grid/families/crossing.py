"""Crossings: rivers of lava or walls across a room, each with one opening on the way to the goal."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from shapegym.envs._jit import jit
from shapegym.envs._knobs import at_least
from shapegym.envs.grid.families._places import obstacle_code
from shapegym.envs.grid.grid_dynamics import GridDynamics
from shapegym.envs.grid.lane.cells import EMPTY, GREEN_GOAL, RED_LAVA
from shapegym.envs.grid.lane.facts import DIRECTION, X, Y
from shapegym.envs.grid.lane.layout import begin_lane, horizontal_line, vertical_line, walled
from shapegym.envs.grid.lane.pcg64 import integers, shuffle
from shapegym.envs.grid.lane.stepping import REACH_GOAL
from shapegym.envs.grid.lane.task import GridTask


@jit
def _chosen(
    rivers: NDArray[np.int64], crossings: int, first: int, per_axis: int, size: int
) -> NDArray[np.int64]:
    """Ascending positions of the chosen rivers numbered `first` .. `first + per_axis - 1`, between 0 and `size` - 1."""
    positions = np.zeros(per_axis + 2, np.int64)
    n = 1
    for number in range(first, first + per_axis):
        for k in range(crossings):
            if rivers[k] == number:
                positions[n] = 2 * (number - first + 1)
                n += 1
    positions[n] = size - 1
    return positions[: n + 1]


@jit
def reset_lanes(
    cells: NDArray[np.uint8],
    facts: NDArray[np.int64],
    streams: NDArray[np.uint64],
    mask: NDArray[np.bool_],
    pad: int,
    num_crossings: int,
    obstacle: int,
) -> int:
    """Lay out the masked lanes with rivers of code `obstacle`."""
    size = cells.shape[1] - 2 * pad
    per_axis = (size - 3) // 2  # rivers run along the even rows and columns
    crossings = min(num_crossings, 2 * per_axis)
    for lane in range(mask.shape[0]):
        if not mask[lane]:
            continue
        stream = streams[lane]
        grid = begin_lane(cells, facts, lane, pad)
        walled(grid)
        facts[lane, X], facts[lane, Y], facts[lane, DIRECTION] = 1, 1, 0
        grid[size - 2, size - 2] = GREEN_GOAL
        rivers = np.arange(2 * per_axis)
        shuffle(stream, rivers, 2 * per_axis)
        columns = _chosen(rivers, crossings, 0, per_axis, size)
        rows = _chosen(rivers, crossings, per_axis, per_axis, size)
        for y in rows[1:-1]:
            horizontal_line(grid, 1, y, size - 2, obstacle)
        for x in columns[1:-1]:
            vertical_line(grid, x, 1, size - 2, obstacle)
        # The way to the goal crosses the rivers in a random order; each opening borders the room it has reached.
        crosses_row = np.zeros(crossings, np.int64)
        crosses_row[len(columns) - 2 :] = 1
        shuffle(stream, crosses_row, crossings)
        i = j = 0
        for k in range(crossings):
            if crosses_row[k]:
                x, y = integers(stream, columns[i] + 1, columns[i + 1]), rows[j + 1]
                j += 1
            else:
                x, y = columns[i + 1], integers(stream, rows[j] + 1, rows[j + 1])
                i += 1
            grid[y, x] = EMPTY
    return -1


def crossing(
    size: int = 9,
    num_crossings: int = 1,
    obstacle_type: str = "lava",
    max_steps: int | None = None,
    **options: Any,
) -> GridDynamics:
    """Reach the goal in the far corner through the openings of random rivers.

    Description:
        MiniGrid's LavaCrossing and SimpleCrossing: a `size` x `size` room, the agent in the top left corner facing
        right, the goal in the bottom right one. `num_crossings` rivers of lava or walls, drawn from the even rows
        and columns (all of them where it is larger), each have one opening; a way to the goal always exists.

    Why it is sparse:
        Only the goal pays, 2 (`size` - 3) moves and at least one turn away; a step into lava ends the episode with
        nothing.

    Actions:
        0 turn left, 1 turn right, 2 forward, 3 pick up, 4 drop, 5 toggle, 6 done; the last four do nothing here.

    Observations:
        As `GridDynamics` takes them; by default MiniGrid's dict of image, direction and mission.
        Walls block the view.

    Reward:
        r = 1 - 0.9 t / max_steps at the goal, t the steps of the episode so far, else 0.

    Termination and truncation:
        Terminated in the goal or in lava; truncated at `max_steps` (4 size^2 by default).

    Features:
        agent_pos (x, y), agent_dir, carrying and carrying_color (MiniGrid's object and colour numbers), has_key,
        front (object in front), mission_id, success, event; more with `features=`.

    Ids:
        shapegym/MiniGrid-LavaCrossingS9N1-v0, shapegym/MiniGrid-LavaCrossingS9N2-v0,
        shapegym/MiniGrid-LavaCrossingS9N3-v0, shapegym/MiniGrid-LavaCrossingS11N5-v0,
        shapegym/MiniGrid-SimpleCrossingS9N1-v0, shapegym/MiniGrid-SimpleCrossingS9N2-v0,
        shapegym/MiniGrid-SimpleCrossingS9N3-v0, shapegym/MiniGrid-SimpleCrossingS11N5-v0.

    Args:
        size: Cells a side, walls included, odd and at least 5.
        num_crossings: Rivers, at least 0.
        obstacle_type: "lava" or "wall".
        max_steps: Time limit.
        **options: Of `shapegym.envs.grid.grid_dynamics.GridDynamics`.

    Raises:
        TypeError, ValueError: A knob is out of range, or an option unknown.
    """
    at_least("size", size, 5)
    if size % 2 == 0:
        raise ValueError(f"size must be odd, got {size}")
    at_least("num_crossings", num_crossings, 0)
    obstacle = obstacle_code(obstacle_type)
    what = "avoid the lava" if obstacle == RED_LAVA else "find the opening"
    return GridDynamics(
        GridTask(
            name=f"Crossing(size={size}, num_crossings={num_crossings}, obstacle={obstacle})",
            width=size,
            height=size,
            max_steps=4 * size**2 if max_steps is None else max_steps,
            rule=REACH_GOAL,
            missions=(f"{what} and get to the green goal square",),
            aim="Reach the green goal square in the far corner through the openings in what bars the way.",
            things=("goal", "lava" if obstacle == RED_LAVA else "wall"),
            reset=reset_lanes,
            knobs=(num_crossings, obstacle),
        ),
        **options,
    )
