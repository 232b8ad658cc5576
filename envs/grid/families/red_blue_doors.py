"""RedBlueDoors: open the red door, then the blue one."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from shapegym.envs._jit import jit
from shapegym.envs._knobs import at_least
from shapegym.envs.grid.grid_dynamics import GridDynamics
from shapegym.envs.grid.lane.cells import BLUE, CLOSED_DOOR, RED
from shapegym.envs.grid.lane.facts import OTHER_X, OTHER_Y, TARGET_X, TARGET_Y
from shapegym.envs.grid.lane.layout import ENDLESS, begin_lane, place_agent, wall_rectangle, walled
from shapegym.envs.grid.lane.pcg64 import integers
from shapegym.envs.grid.lane.stepping import OPEN_BOTH_IN_ORDER
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
    for lane in range(mask.shape[0]):
        if not mask[lane]:
            continue
        stream = streams[lane]
        grid = begin_lane(cells, facts, lane, pad)
        size = grid.shape[0]
        left, right = size // 2, size // 2 + size - 1
        walled(grid)
        wall_rectangle(grid, left, 0, size, size)
        if not place_agent(grid, facts[lane], stream, left, 0, size, size, ENDLESS):
            return lane
        red, blue = integers(stream, 1, size - 1), integers(stream, 1, size - 1)
        grid[red, left], grid[blue, right] = CLOSED_DOOR + RED, CLOSED_DOOR + BLUE
        facts[lane, TARGET_X], facts[lane, TARGET_Y] = left, red
        facts[lane, OTHER_X], facts[lane, OTHER_Y] = right, blue
    return -1


def red_blue_doors(size: int = 8, max_steps: int | None = None, **options: Any) -> GridDynamics:
    """MiniGrid's RedBlueDoors (Chevalier-Boisvert et al. 2023).

    Description:
        A square room in the middle of a map twice as wide. The agent starts anywhere in
        the room. The doors begin closed, and the red one may be closed again, which then counts as closed.

    Why it is sparse:
        Only opening the blue door while the red one is open pays; opening it before ends the episode with nothing.
        Uniformly random actions solved 1,869 (6x6) and 1,385 (8x8) of 16,384 episodes.

    Actions:
        0 turn left, 1 turn right, 2 forward, 5 toggle; 3 pick up, 4 drop and 6 done do nothing.

    Observations:
        As `GridDynamics` takes them; by default MiniGrid's dict of image, direction and mission.

    Reward:
        r = 1 - 0.9 t / max_steps for opening the blue door while the red one is open, t the steps of the
        episode so far, else 0.

    Termination and truncation:
        Terminates when the blue door opens; truncates after `max_steps` (20 size^2 by default).

    Features:
        agent_pos (x, y), agent_dir, carrying and carrying_color (MiniGrid's object and colour numbers), has_key,
        front (object in front), mission_id, success, event; more with `features=`.

    Ids:
        shapegym/MiniGrid-RedBlueDoors-6x6-v0, shapegym/MiniGrid-RedBlueDoors-8x8-v0.

    Args:
        size: Cells of a side of the room, walls included, at least 3.
        max_steps: Time limit.
        **options: Of `shapegym.envs.grid.grid_dynamics.GridDynamics`.

    Raises:
        TypeError: A knob is no integer.
        ValueError: `size` is below 3.
    """
    at_least("size", size, 3)
    return GridDynamics(
        GridTask(
            name=f"RedBlueDoors(size={size})",
            width=2 * size,
            height=size,
            max_steps=20 * size**2 if max_steps is None else max_steps,
            rule=OPEN_BOTH_IN_ORDER,
            missions=("open the red door then the blue door",),
            aim="Open the red door first, and then the blue door.",
            things=("wall", "door"),
            reset=reset_lanes,
        ),
        **options,
    )
