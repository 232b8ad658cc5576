"""ObstructedMaze: locked doors behind balls, keys in boxes, and a blue ball to find."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from shapegym.envs._jit import jit
from shapegym.envs._knobs import at_least, flag
from shapegym.envs.grid.families._places import pair
from shapegym.envs.grid.grid_dynamics import GridDynamics
from shapegym.envs.grid.lane.cells import (
    BALL,
    BLUE,
    BOX,
    CLOSED_DOOR,
    GREEN,
    GREY,
    KEY,
    LOCKED_DOOR,
    SORTED_COLORS,
)
from shapegym.envs.grid.lane.facts import STEP_X, STEP_Y, TARGET_X, TARGET_Y
from shapegym.envs.grid.lane.layout import begin_lane
from shapegym.envs.grid.lane.pcg64 import integers
from shapegym.envs.grid.lane.room_grid import (
    RIGHT,
    add_door,
    begin_rooms,
    new_rooms,
    place_agent_in_room,
    place_in_room,
)
from shapegym.envs.grid.lane.stepping import PICK_UP_TARGET
from shapegym.envs.grid.lane.task import GridTask

ROOM_SIZE = 6
MISSION = "pick up the blue ball"
_AIM = "Find the keys, some in boxes, unlock doors with them, some behind balls, and pick up the blue ball with a free hand."


@jit
def _door_colors(stream: NDArray[np.uint64]) -> NDArray[np.int64]:
    """The six colours, drawn one after the other from those left."""
    left, colors = SORTED_COLORS.copy(), np.empty(6, np.int64)
    for n in range(6, 0, -1):
        k = integers(stream, 0, n)
        colors[6 - n] = left[k]
        left[k : n - 1] = left[k + 1 : n].copy()
    return colors


@jit
def _add_locked_door(
    grid: NDArray[np.uint8], rooms: NDArray[np.int64], i: int, j: int, wall: int, color: int, blocked: bool
) -> None:
    """A locked door, and a ball before it in room (i, j), whatever was there."""
    x, y = add_door(grid, rooms, i, j, wall, LOCKED_DOOR + color)
    if blocked:
        grid[y - STEP_Y[wall], x - STEP_X[wall]] = BALL + GREEN


@jit
def _place_key(
    grid: NDArray[np.uint8],
    facts: NDArray[np.int64],
    stream: NDArray[np.uint64],
    rooms: NDArray[np.int64],
    i: int,
    j: int,
    color: int,
    in_box: bool,
) -> bool:
    """A key, or a box with it, in room (i, j); False on failure."""
    code = BOX + GREY + 8 * (color + 1) if in_box else KEY + color
    x, _ = place_in_room(grid, facts, stream, rooms, i, j, code)
    return x >= 0


@jit
def _finish(
    grid: NDArray[np.uint8],
    facts: NDArray[np.int64],
    stream: NDArray[np.uint64],
    rooms: NDArray[np.int64],
    ball_i: int,
    ball_j: int,
    agent_i: int,
    agent_j: int,
) -> bool:
    """The ball to find and the agent, in their rooms; False on failure."""
    facts[TARGET_X], facts[TARGET_Y] = place_in_room(grid, facts, stream, rooms, ball_i, ball_j, BALL + BLUE)
    return facts[TARGET_X] >= 0 and place_agent_in_room(grid, facts, stream, rooms, agent_i, agent_j)


@jit
def reset_two_rooms(
    cells: NDArray[np.uint8],
    facts: NDArray[np.int64],
    streams: NDArray[np.uint64],
    mask: NDArray[np.bool_],
    pad: int,
    key_in_box: bool,
    blocked: bool,
) -> int:
    """Lay out the masked lanes: two rooms with one door."""
    rooms = new_rooms(1, 2)
    for lane in range(mask.shape[0]):
        if not mask[lane]:
            continue
        grid, fact, stream = begin_lane(cells, facts, lane, pad), facts[lane], streams[lane]
        begin_rooms(grid, fact, stream, rooms)
        color = _door_colors(stream)[0]
        _add_locked_door(grid, rooms, 0, 0, RIGHT, color, blocked)
        if not (
            _place_key(grid, fact, stream, rooms, 0, 0, color, key_in_box)
            and _finish(grid, fact, stream, rooms, 1, 0, 0, 0)
        ):
            return lane
    return -1


@jit
def reset_quarters(
    cells: NDArray[np.uint8],
    facts: NDArray[np.int64],
    streams: NDArray[np.uint64],
    mask: NDArray[np.bool_],
    pad: int,
    agent_i: int,
    agent_j: int,
    key_in_box: bool,
    blocked: bool,
    quarters: int,
    keys_last: bool,
) -> int:
    """Lay out the masked lanes: 3 x 3 rooms, with doors in `quarters` directions from the middle."""
    rooms = new_rooms(3, 3)
    for lane in range(mask.shape[0]):
        if not mask[lane]:
            continue
        grid, fact, stream = begin_lane(cells, facts, lane, pad), facts[lane], streams[lane]
        begin_rooms(grid, fact, stream, rooms)
        colors = _door_colors(stream)
        placed = True
        for way in range(quarters):
            i, j = 1 + STEP_X[way], 1 + STEP_Y[way]
            add_door(grid, rooms, 1, 1, way, CLOSED_DOOR + colors[way])
            for turn in (-1, 1):
                color = colors[(way + turn) % 6]
                _add_locked_door(grid, rooms, i, j, (way + turn) & 3, color, blocked)
                if not keys_last:
                    placed &= _place_key(grid, fact, stream, rooms, i, j, color, key_in_box)
            if keys_last:
                for turn in (-1, 1):
                    color = colors[(way + turn) % 6]
                    placed &= _place_key(grid, fact, stream, rooms, i, j, color, key_in_box)
        way = integers(stream, 0, quarters)
        corner_i = 1 + STEP_X[way] + STEP_X[(way - 1) & 3]
        corner_j = 1 + STEP_Y[way] + STEP_Y[(way - 1) & 3]
        if not (placed and _finish(grid, fact, stream, rooms, corner_i, corner_j, agent_i, agent_j)):
            return lane
    return -1


def obstructed_maze_door(
    key_in_box: bool = True, blocked: bool = True, max_steps: int | None = None, **options: Any
) -> GridDynamics:
    """MiniGrid's ObstructedMaze of one locked door (Chevalier-Boisvert et al. 2023).

    Description:
        Two rooms of 4 x 4 cells with a locked door between them. The agent and the key are on the left, the
        blue ball is on the right; a green ball may stand before the door.

    Why it is sparse:
        Only picking up the blue ball pays: the key comes out of its box, the green ball is carried away, the
        door is unlocked and the key dropped before that.

    Actions:
        0 turn left, 1 turn right, 2 forward, 3 pick up, 4 drop, 5 toggle, 6 done (does nothing here).

    Observations:
        As `GridDynamics` takes them; by default MiniGrid's dict of image, direction and mission,
        which is always "pick up the blue ball". A box does not show what it hides.

    Reward:
        r = 1 - 0.9 t / max_steps, t the steps of the episode so far, for picking up the blue ball, else 0.

    Termination and truncation:
        Terminates with the reward; truncates after `max_steps` (288 by default).

    Features:
        agent_pos (x, y), agent_dir, carrying and carrying_color (MiniGrid's object and colour numbers), has_key,
        front (object in front), mission_id, success, event; more with `features=`.

    Ids:
        shapegym/MiniGrid-ObstructedMaze-1Dl-v0 (neither box nor green ball),
        shapegym/MiniGrid-ObstructedMaze-1Dlh-v0 (box), shapegym/MiniGrid-ObstructedMaze-1Dlhb-v0 (both).

    Args:
        key_in_box: Whether a grey box hides the key.
        blocked: Whether a green ball stands before the door.
        max_steps: Time limit.
        **options: Of `shapegym.envs.grid.grid_dynamics.GridDynamics`.

    Raises:
        TypeError, ValueError: A knob is out of range, or an option unknown.
    """
    knobs = flag("key_in_box", key_in_box), flag("blocked", blocked)
    return GridDynamics(
        GridTask(
            name="ObstructedMazeDoor(key_in_box={}, blocked={})".format(*knobs),
            width=2 * ROOM_SIZE - 1,
            height=ROOM_SIZE,
            max_steps=8 * ROOM_SIZE**2 if max_steps is None else max_steps,
            rule=PICK_UP_TARGET,
            missions=(MISSION,),
            aim=_AIM,
            things=("wall", "door", "key", "ball", "box"),
            reset=reset_two_rooms,
            knobs=knobs,
        ),
        **options,
    )


def obstructed_maze(
    agent_room: tuple[int, int] = (1, 1),
    key_in_box: bool = True,
    blocked: bool = True,
    num_quarters: int = 4,
    num_rooms_visited: int = 25,
    max_steps: int | None = None,
    keys_last: bool = False,
    **options: Any,
) -> GridDynamics:
    """MiniGrid's ObstructedMaze of nine rooms (Chevalier-Boisvert et al. 2023).

    Description:
        3 x 3 rooms of 4 x 4 cells. Closed doors lead from the middle into `num_quarters` side rooms (right,
        down, left, up), and from each of these two locked doors into the corners beside it; its two keys are
        in the side room. The blue ball is in one of as many corners. Not all rooms have a way in.

    Why it is sparse:
        Only picking up the blue ball pays; each corner that is searched costs a door, and each door a key out
        of its box and a green ball carried away.

    Actions:
        0 turn left, 1 turn right, 2 forward, 3 pick up, 4 drop, 5 toggle, 6 done (does nothing here).

    Observations:
        As `GridDynamics` takes them; by default MiniGrid's dict of image, direction and mission,
        which is always "pick up the blue ball". A box does not show what it hides.

    Reward:
        r = 1 - 0.9 t / max_steps, t the steps of the episode so far, for picking up the blue ball, else 0.

    Termination and truncation:
        Terminates with the reward; truncates after `max_steps` (144 num_rooms_visited by default). With
        `blocked` but without `keys_last` (the ids of version 0), a green ball may replace a key that was
        placed before it, and the episode may have no solution.

    Features:
        agent_pos (x, y), agent_dir, carrying and carrying_color (MiniGrid's object and colour numbers), has_key,
        front (object in front), mission_id, success, event; more with `features=`.

    Ids:
        One quarter, agent in the side room: shapegym/MiniGrid-ObstructedMaze-2Dl-v0 (neither boxes nor green
        balls), shapegym/MiniGrid-ObstructedMaze-2Dlh-v0 (boxes), shapegym/MiniGrid-ObstructedMaze-2Dlhb-v0
        and shapegym/MiniGrid-ObstructedMaze-2Dlhb-v1 (both). With both, of one, two and four quarters:
        shapegym/MiniGrid-ObstructedMaze-1Q-v0, shapegym/MiniGrid-ObstructedMaze-1Q-v1,
        shapegym/MiniGrid-ObstructedMaze-2Q-v0, shapegym/MiniGrid-ObstructedMaze-2Q-v1,
        shapegym/MiniGrid-ObstructedMaze-Full-v0, shapegym/MiniGrid-ObstructedMaze-Full-v1.

    Args:
        agent_room: Column and row of the room where the agent starts, each in 0 .. 2.
        key_in_box: Whether grey boxes hide the keys.
        blocked: Whether green balls stand before the locked doors.
        num_quarters: Side rooms that are connected, 1 .. 4.
        num_rooms_visited: What the default time limit is reckoned by, at least 1.
        max_steps: Time limit.
        keys_last: Whether a side room's keys are placed after its doors and green balls, as in version 1.
        **options: Of `shapegym.envs.grid.grid_dynamics.GridDynamics`.

    Raises:
        TypeError, ValueError: A knob is out of range, or an option unknown.
    """
    room = pair("agent_room", agent_room, 0, 2, 2)
    boxed, obstructed = flag("key_in_box", key_in_box), flag("blocked", blocked)
    late = flag("keys_last", keys_last)
    at_least("num_quarters", num_quarters, 1)
    if num_quarters > 4:
        raise ValueError(f"num_quarters must be at most 4, got {num_quarters}")
    at_least("num_rooms_visited", num_rooms_visited, 1)
    return GridDynamics(
        GridTask(
            name=(
                f"ObstructedMaze(agent_room={room}, key_in_box={boxed}, blocked={obstructed}, "
                f"num_quarters={num_quarters}, keys_last={late})"
            ),
            width=3 * ROOM_SIZE - 2,
            height=3 * ROOM_SIZE - 2,
            max_steps=4 * num_rooms_visited * ROOM_SIZE**2 if max_steps is None else max_steps,
            rule=PICK_UP_TARGET,
            missions=(MISSION,),
            aim=_AIM,
            things=("wall", "door", "key", "ball", "box"),
            reset=reset_quarters,
            knobs=(*room, boxed, obstructed, num_quarters, late),
        ),
        **options,
    )
