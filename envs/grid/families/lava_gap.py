"""LavaGap: a strip of lava across the room with a single gap."""

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
from shapegym.envs.grid.lane.layout import begin_lane, vertical_line, walled
from shapegym.envs.grid.lane.pcg64 import integers
from shapegym.envs.grid.lane.stepping import REACH_GOAL
from shapegym.envs.grid.lane.task import GridTask


@jit
def reset_lanes(
    cells: NDArray[np.uint8],
    facts: NDArray[np.int64],
    streams: NDArray[np.uint64],
    mask: NDArray[np.bool_],
    pad: int,
    obstacle: int,
) -> int:
    """Lay out the masked lanes with a strip of code `obstacle`."""
    for lane in range(mask.shape[0]):
        if not mask[lane]:
            continue
        grid = begin_lane(cells, facts, lane, pad)
        height, width = grid.shape
        walled(grid)
        facts[lane, X], facts[lane, Y], facts[lane, DIRECTION] = 1, 1, 0
        grid[height - 2, width - 2] = GREEN_GOAL
        x = integers(streams[lane], 2, width - 2)
        y = integers(streams[lane], 1, height - 1)
        vertical_line(grid, x, 1, height - 2, obstacle)
        grid[y, x] = EMPTY
    return -1


def lava_gap(
    size: int, obstacle_type: str = "lava", max_steps: int | None = None, **options: Any
) -> GridDynamics:
    """Reach the goal in the far corner through the gap in a strip of lava.

    Description:
        MiniGrid's LavaGap: a `size` x `size` room, the agent in the top left corner facing right, the goal in the
        bottom right one. A column of lava (or wall) between them has one gap; column and gap are drawn.

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
        shapegym/MiniGrid-LavaGapS5-v0, shapegym/MiniGrid-LavaGapS6-v0, shapegym/MiniGrid-LavaGapS7-v0.

    Args:
        size: Cells a side, walls included, at least 5.
        obstacle_type: "lava" or "wall".
        max_steps: Time limit.
        **options: Of `shapegym.envs.grid.grid_dynamics.GridDynamics`.

    Raises:
        TypeError, ValueError: A knob is out of range, or an option unknown.
    """
    at_least("size", size, 5)
    obstacle = obstacle_code(obstacle_type)
    what = "avoid the lava" if obstacle == RED_LAVA else "find the opening"
    return GridDynamics(
        GridTask(
            name=f"LavaGap(size={size}, obstacle={obstacle})",
            width=size,
            height=size,
            max_steps=4 * size**2 if max_steps is None else max_steps,
            rule=REACH_GOAL,
            missions=(f"{what} and get to the green goal square",),
            aim="Reach the green goal square in the far corner through the gap in what bars the way.",
            things=("goal", "lava" if obstacle == RED_LAVA else "wall"),
            reset=reset_lanes,
            knobs=(obstacle,),
        ),
        **options,
    )
