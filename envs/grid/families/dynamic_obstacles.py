"""DynamicObstacles: walk to the goal among balls that move at random."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from shapegym.envs._jit import jit
from shapegym.envs._knobs import at_least
from shapegym.envs.grid.families._places import start_cell
from shapegym.envs.grid.grid_dynamics import GridDynamics
from shapegym.envs.grid.lane.cells import BALL, BLUE, GREEN_GOAL
from shapegym.envs.grid.lane.facts import DIRECTION, OBSTACLES, X, Y
from shapegym.envs.grid.lane.layout import begin_lane, place, place_agent_anywhere, walled
from shapegym.envs.grid.lane.stepping import AVOID_OBSTACLES, FORWARD
from shapegym.envs.grid.lane.task import GridTask

_MAX_TRIES = 100


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
        stream = streams[lane]
        grid = begin_lane(cells, facts, lane, pad)
        height, width = grid.shape
        walled(grid)
        grid[height - 2, width - 2] = GREEN_GOAL
        if start_x < 0:
            if not place_agent_anywhere(grid, facts[lane], stream):
                return lane
        else:
            facts[lane, X], facts[lane, Y], facts[lane, DIRECTION] = start_x, start_y, start_direction
        for k in range(OBSTACLES, facts.shape[1], 2):
            x, y = place(grid, facts[lane], stream, BALL + BLUE, 0, 0, width, height, 1, _MAX_TRIES)
            if x < 0:
                return lane
            facts[lane, k], facts[lane, k + 1] = x, y
    return -1


def dynamic_obstacles(
    size: int = 8,
    agent_start_pos: tuple[int, int] | None = (1, 1),
    agent_start_dir: int = 0,
    n_obstacles: int = 4,
    max_steps: int | None = None,
    **options: Any,
) -> GridDynamics:
    """Walk to the goal in the far corner without running into moving balls.

    Description:
        MiniGrid's Dynamic-Obstacles: a `size` x `size` room with the goal in the bottom right corner and blue
        balls in random cells. In every step each ball, in turn, moves to a random free cell among its eight
        neighbours (after 101 draws in vain it stays), then the agent acts. What counts is what stood in front of
        the agent before the balls moved: it may enter the cell that a ball has just left, and pay for it.

    Why it is sparse:
        Only the goal pays, 2 (`size` - 3) moves and a turn away from the usual start; to run into anything costs 1
        and ends the episode.

    Actions:
        0 left, 1 right, 2 forward. MiniGrid turns every higher action into `left`; here it is refused, as it is
        outside of the action space.

    Observations:
        As `GridDynamics` takes them; by default MiniGrid's dict of image, direction and mission.
        Walls do not block the view.

    Reward:
        r = 1 - 0.9 t / max_steps at the goal, t the steps of the episode so far, -1 on `forward` where a ball or a
        wall was in front, else 0.

    Termination and truncation:
        Terminated with every reward but 0; truncated at `max_steps` (4 size^2 by default).

    Features:
        agent_pos (x, y), agent_dir, carrying and carrying_color (MiniGrid's object and colour numbers), has_key,
        front (object in front), mission_id, success, event; more with `features=`.

    Ids:
        shapegym/MiniGrid-Dynamic-Obstacles-5x5-v0, shapegym/MiniGrid-Dynamic-Obstacles-Random-5x5-v0,
        shapegym/MiniGrid-Dynamic-Obstacles-6x6-v0, shapegym/MiniGrid-Dynamic-Obstacles-Random-6x6-v0,
        shapegym/MiniGrid-Dynamic-Obstacles-8x8-v0, shapegym/MiniGrid-Dynamic-Obstacles-16x16-v0.

    Args:
        size: Cells a side, walls included, at least 4.
        agent_start_pos: The agent's first cell (x, y) within the walls; None draws an empty one.
        agent_start_dir: Its first direction: 0 right, 1 down, 2 left, 3 up; drawn where the cell is.
        n_obstacles: Balls; as in MiniGrid, more than size / 2 + 1 mean size // 2.
        max_steps: Time limit.
        **options: Of `shapegym.envs.grid.grid_dynamics.GridDynamics`.

    Raises:
        TypeError, ValueError: A knob is out of range, or an option unknown.
    """
    at_least("n_obstacles", n_obstacles, 0)
    at_least("size", size, 4)
    start = start_cell(agent_start_pos, agent_start_dir, size, size)
    obstacles = n_obstacles if n_obstacles <= size / 2 + 1 else size // 2
    at_least(f"with n_obstacles={n_obstacles}, size", size, 5 if obstacles > 2 else 4)
    return GridDynamics(
        GridTask(
            name=f"DynamicObstacles(size={size}, start={start}, n_obstacles={obstacles})",
            width=size,
            height=size,
            max_steps=4 * size**2 if max_steps is None else max_steps,
            rule=AVOID_OBSTACLES,
            missions=("get to the green goal square",),
            aim="Walk to the green goal square without running into the moving balls.",
            things=("goal", "ball"),
            reset=reset_lanes,
            knobs=start,
            see_through_walls=True,
            actions=FORWARD + 1,
            obstacles=obstacles,
        ),
        **options,
    )
