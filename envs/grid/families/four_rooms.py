"""FourRooms: walk to a goal somewhere in four rooms with gaps between them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from shapegym.envs._jit import jit
from shapegym.envs.grid.families._places import pair
from shapegym.envs.grid.grid_dynamics import GridDynamics
from shapegym.envs.grid.lane.cells import EMPTY, GREEN_GOAL, GREY_WALL
from shapegym.envs.grid.lane.facts import DIRECTION, X, Y
from shapegym.envs.grid.lane.layout import (
    begin_lane,
    horizontal_line,
    place_agent_anywhere,
    place_anywhere,
    vertical_line,
    walled,
)
from shapegym.envs.grid.lane.pcg64 import integers
from shapegym.envs.grid.lane.stepping import REACH_GOAL
from shapegym.envs.grid.lane.task import GridTask

SIZE, ROOM = 19, 9


@jit
def reset_lanes(
    cells: NDArray[np.uint8],
    facts: NDArray[np.int64],
    streams: NDArray[np.uint64],
    mask: NDArray[np.bool_],
    pad: int,
    agent_x: int,
    agent_y: int,
    goal_x: int,
    goal_y: int,
) -> int:
    """Lay out the masked lanes; a negative coordinate draws the agent's or the goal's cell."""
    for lane in range(mask.shape[0]):
        if not mask[lane]:
            continue
        stream = streams[lane]
        grid = begin_lane(cells, facts, lane, pad)
        walled(grid)
        for top in range(0, 2 * ROOM, ROOM):
            for left in range(0, 2 * ROOM, ROOM):
                right, bottom = left + ROOM, top + ROOM
                if right < 2 * ROOM:
                    vertical_line(grid, right, top, ROOM, GREY_WALL)
                    grid[integers(stream, top + 1, bottom), right] = EMPTY
                if bottom < 2 * ROOM:
                    horizontal_line(grid, left, bottom, ROOM, GREY_WALL)
                    grid[bottom, integers(stream, left + 1, right)] = EMPTY
        if agent_x >= 0:
            grid[agent_y, agent_x] = EMPTY
            facts[lane, X], facts[lane, Y] = agent_x, agent_y
            facts[lane, DIRECTION] = integers(stream, 0, 4)
        elif not place_agent_anywhere(grid, facts[lane], stream):
            return lane
        if goal_x >= 0:
            grid[goal_y, goal_x] = GREEN_GOAL
        else:
            x, _ = place_anywhere(grid, facts[lane], stream, GREEN_GOAL)
            if x < 0:
                return lane
    return -1


def _cell(name: str, position: tuple[int, int] | None) -> tuple[int, int]:
    """A given position (x, y), checked; (-1, -1) where it is drawn."""
    if position is None:
        return -1, -1
    return pair(name, position, 1, SIZE - 2, SIZE - 2)


def four_rooms(
    agent_pos: tuple[int, int] | None = None,
    goal_pos: tuple[int, int] | None = None,
    max_steps: int = 100,
    **options: Any,
) -> GridDynamics:
    """MiniGrid's FourRooms (Chevalier-Boisvert et al. 2023).

    Description:
        Four rooms on 19 x 19 cells, joined by four gaps. The gaps, the agent and the goal are drawn anew every episode.

    Why it is sparse:
        Only the goal pays, and the agent sees 7 x 7 cells of the 19 x 19: uniformly random actions solved 539 of 16,384
        episodes.

    Actions:
        0 turn left, 1 turn right, 2 forward; 3 pick up, 4 drop, 5 toggle and 6 done do nothing.

    Observations:
        As `GridDynamics` takes them; by default MiniGrid's dict of image, direction and mission.

    Reward:
        r = 1 - 0.9 t / max_steps for entering the goal, t the steps of the episode so far, else 0.

    Termination and truncation:
        Terminates in the goal; truncates after `max_steps` (100 by default).

    Features:
        agent_pos (x, y), agent_dir, carrying and carrying_color (MiniGrid's object and colour numbers), has_key,
        front (object in front), mission_id, success, event; more with `features=`.

    Ids:
        shapegym/MiniGrid-FourRooms-v0.

    Args:
        agent_pos: The agent's start (x, y), whose wall, if any, is removed; None draws it. The direction is drawn.
        goal_pos: The goal's cell (x, y), likewise; a drawn start may be on it, and only entering it pays.
        max_steps: Time limit.
        **options: Of `shapegym.envs.grid.grid_dynamics.GridDynamics`.

    Raises:
        ValueError: A position is not inside the outer walls.
    """
    agent = _cell("agent_pos", agent_pos)
    goal = _cell("goal_pos", goal_pos)
    return GridDynamics(
        GridTask(
            name=f"FourRooms(agent_pos={agent}, goal_pos={goal})",
            width=SIZE,
            height=SIZE,
            max_steps=max_steps,
            rule=REACH_GOAL,
            missions=("reach the goal",),
            aim="Walk to the goal, which is somewhere in four rooms with gaps between them.",
            things=("goal", "wall"),
            reset=reset_lanes,
            knobs=(*agent, *goal),
        ),
        **options,
    )
