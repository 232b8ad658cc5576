"""Empty rooms: walk to the goal in the far corner."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from shapegym.envs._jit import jit
from shapegym.envs._knobs import at_least
from shapegym.envs.grid.families._places import start_cell
from shapegym.envs.grid.grid_dynamics import GridDynamics
from shapegym.envs.grid.lane.cells import GREEN_GOAL
from shapegym.envs.grid.lane.facts import DIRECTION, X, Y
from shapegym.envs.grid.lane.layout import begin_lane, place_agent_anywhere, walled
from shapegym.envs.grid.lane.stepping import REACH_GOAL
from shapegym.envs.grid.lane.task import GridTask


@jit
def reset_lanes(
    cells: NDArray[np.uint8],
    facts: NDArray[np.int64],
    streams: NDArray[np.uint64],
    mask: NDArray[np.bool_],
    pad: int,
    start_x: int,
    start_y: int,
    start_direction: int,
) -> int:
    """Lay out the masked lanes; `start_x` < 0 draws the agent's start."""
    for lane in range(mask.shape[0]):
        if not mask[lane]:
            continue
        grid = begin_lane(cells, facts, lane, pad)
        walled(grid)
        grid[grid.shape[0] - 2, grid.shape[1] - 2] = GREEN_GOAL
        if start_x < 0:
            if not place_agent_anywhere(grid, facts[lane], streams[lane]):
                return lane
        else:
            facts[lane, X], facts[lane, Y], facts[lane, DIRECTION] = start_x, start_y, start_direction
    return -1


def empty(
    size: int = 8,
    agent_start_pos: tuple[int, int] | None = (1, 1),
    agent_start_dir: int = 0,
    max_steps: int | None = None,
    **options: Any,
) -> GridDynamics:
    """MiniGrid's Empty (Chevalier-Boisvert et al. 2023).

    Description:
        A room with nothing but the goal, in the bottom right corner. The agent starts at the top left, or in a
        random cell and direction.

    Why it is sparse:
        Only the goal pays, and a random walk finds it late in large rooms.

    Actions:
        0 turn left, 1 turn right, 2 forward, 3 pick up, 4 drop, 5 toggle, 6 done; the last four do nothing here.

    Observations:
        As `GridDynamics` takes them; by default MiniGrid's dict of image, direction and mission.

    Reward:
        r = 1 - 0.9 t / max_steps at the goal, t the steps of the episode so far, else 0.

    Termination and truncation:
        Terminates at the goal; truncates after `max_steps` (4 size^2 by default).

    Features:
        agent_pos (x, y), agent_dir, carrying and carrying_color (MiniGrid's object and colour numbers), has_key,
        front (object in front), mission_id, success, event; more with `features=`.

    Ids:
        shapegym/MiniGrid-Empty-5x5-v0, shapegym/MiniGrid-Empty-6x6-v0, shapegym/MiniGrid-Empty-8x8-v0,
        shapegym/MiniGrid-Empty-16x16-v0, shapegym/MiniGrid-Empty-Random-5x5-v0,
        shapegym/MiniGrid-Empty-Random-6x6-v0.

    Args:
        size: Cells a side, walls included, at least 4.
        agent_start_pos: The agent's first cell (x, y); None draws cell and direction.
        agent_start_dir: Its first direction, 0 right, 1 down, 2 left, 3 up.
        max_steps: Time limit.
        **options: Of `shapegym.envs.grid.grid_dynamics.GridDynamics`.

    Raises:
        TypeError, ValueError: A knob is out of range, or an option unknown.
    """
    at_least("size", size, 4)
    start = start_cell(agent_start_pos, agent_start_dir, size, size)
    return GridDynamics(
        GridTask(
            name=f"Empty(size={size}, start={start})",
            width=size,
            height=size,
            max_steps=4 * size**2 if max_steps is None else max_steps,
            rule=REACH_GOAL,
            missions=("get to the green goal square",),
            aim="Walk to the green goal square.",
            things=("goal",),
            reset=reset_lanes,
            knobs=start,
            see_through_walls=True,
        ),
        **options,
    )
