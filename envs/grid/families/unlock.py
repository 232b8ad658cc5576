"""Unlock, UnlockPickup and BlockedUnlockPickup: two rooms and a locked door between them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from shapegym.envs._jit import jit
from shapegym.envs.grid.grid_dynamics import GridDynamics
from shapegym.envs.grid.lane.cells import BALL, BOX, COLORS, KEY, LOCKED_DOOR
from shapegym.envs.grid.lane.facts import MISSION, TARGET_X, TARGET_Y
from shapegym.envs.grid.lane.layout import begin_lane, random_color
from shapegym.envs.grid.lane.room_grid import (
    RIGHT,
    add_door,
    begin_rooms,
    new_rooms,
    place_agent_in_room,
    place_in_room,
)
from shapegym.envs.grid.lane.stepping import OPEN_TARGET, PICK_UP_TARGET
from shapegym.envs.grid.lane.task import GridTask

ROOM_SIZE = 6


@jit
def reset_lanes(
    cells: NDArray[np.uint8],
    facts: NDArray[np.int64],
    streams: NDArray[np.uint64],
    mask: NDArray[np.bool_],
    pad: int,
    has_box: bool,
    blocked: bool,
) -> int:
    """Lay out the masked lanes; the target is the box, or else the door."""
    rooms = new_rooms(1, 2)
    for lane in range(mask.shape[0]):
        if not mask[lane]:
            continue
        grid, fact, stream = begin_lane(cells, facts, lane, pad), facts[lane], streams[lane]
        begin_rooms(grid, fact, stream, rooms)
        box_x, box_y = 0, 0
        if has_box:
            color = random_color(stream)
            box_x, box_y = place_in_room(grid, fact, stream, rooms, 1, 0, BOX + color)
            fact[MISSION] = color
        color = random_color(stream)
        door_x, door_y = add_door(grid, rooms, 0, 0, RIGHT, LOCKED_DOOR + color)
        if blocked:
            grid[door_y, door_x - 1] = BALL + random_color(stream)
        key_x, _ = place_in_room(grid, fact, stream, rooms, 0, 0, KEY + color)
        if not place_agent_in_room(grid, fact, stream, rooms, 0, 0) or min(box_x, key_x) < 0:
            return lane
        fact[TARGET_X], fact[TARGET_Y] = (box_x, box_y) if has_box else (door_x, door_y)
    return -1


def _two_rooms(
    name: str,
    max_steps: int,
    rule: int,
    missions: tuple[str, ...],
    aim: str,
    has_box: bool,
    blocked: bool,
    options: dict[str, Any],
) -> GridDynamics:
    return GridDynamics(
        GridTask(
            name=name,
            width=2 * ROOM_SIZE - 1,
            height=ROOM_SIZE,
            max_steps=max_steps,
            rule=rule,
            missions=missions,
            aim=aim,
            things=("wall", "door", "key", *(("box",) if has_box else ()), *(("ball",) if blocked else ())),
            reset=reset_lanes,
            knobs=(has_box, blocked),
        ),
        **options,
    )


def unlock(max_steps: int | None = None, **options: Any) -> GridDynamics:
    """MiniGrid's Unlock (Chevalier-Boisvert et al. 2023): pick up the key, open the door.

    Description:
        Two rooms of 4 x 4 cells. In the left one are the agent and a key of the colour of the locked door.

    Why it is sparse:
        Only opening the door pays, which needs the key first.

    Actions:
        0 turn left, 1 turn right, 2 forward, 3 pick up, 4 drop, 5 toggle, 6 done (does nothing here).

    Observations:
        As `GridDynamics` takes them; by default MiniGrid's dict of image, direction and mission,
        which is always "open the door".

    Reward:
        r = 1 - 0.9 t / max_steps, t the steps of the episode so far, for a toggle after which the door is open, else 0.

    Termination and truncation:
        Terminates with the reward; truncates after `max_steps` (288 by default).

    Features:
        agent_pos (x, y), agent_dir, carrying and carrying_color (MiniGrid's object and colour numbers), has_key,
        front (object in front), mission_id, success, event; more with `features=`.

    Ids:
        shapegym/MiniGrid-Unlock-v0.

    Args:
        max_steps: Time limit.
        **options: Of `shapegym.envs.grid.grid_dynamics.GridDynamics`.

    Raises:
        TypeError, ValueError: A knob is out of range, or an option unknown.
    """
    limit = 8 * ROOM_SIZE**2 if max_steps is None else max_steps
    aim = "Pick up the key, and open the locked door with it."
    return _two_rooms("Unlock()", limit, OPEN_TARGET, ("open the door",), aim, False, False, options)


def unlock_pickup(max_steps: int | None = None, **options: Any) -> GridDynamics:
    """MiniGrid's UnlockPickup (Chevalier-Boisvert et al. 2023): fetch a box from behind a locked door.

    Description:
        Unlock with a box of random colour in the right room.

    Why it is sparse:
        Only picking up the box pays, after the key and the door; with the key still in hand there is no free
        hand for the box. A box that is toggled is gone, and with it the reward.

    Actions:
        0 turn left, 1 turn right, 2 forward, 3 pick up, 4 drop, 5 toggle, 6 done (does nothing here).

    Observations:
        As `GridDynamics` takes them; by default MiniGrid's dict of image, direction and mission,
        which is "pick up the COLOUR box".

    Reward:
        r = 1 - 0.9 t / max_steps, t the steps of the episode so far, for picking up the box, else 0.

    Termination and truncation:
        Terminates with the reward; truncates after `max_steps` (288 by default).

    Features:
        agent_pos (x, y), agent_dir, carrying and carrying_color (MiniGrid's object and colour numbers), has_key,
        front (object in front), mission_id (the box's colour number), success, event; more with `features=`.

    Ids:
        shapegym/MiniGrid-UnlockPickup-v0.

    Args:
        max_steps: Time limit.
        **options: Of `shapegym.envs.grid.grid_dynamics.GridDynamics`.

    Raises:
        TypeError, ValueError: A knob is out of range, or an option unknown.
    """
    limit = 8 * ROOM_SIZE**2 if max_steps is None else max_steps
    missions = tuple(f"pick up the {color} box" for color in COLORS)
    aim = "Unlock the door with the key, and pick up the box behind it with a free hand."
    return _two_rooms("UnlockPickup()", limit, PICK_UP_TARGET, missions, aim, True, False, options)


def blocked_unlock_pickup(max_steps: int | None = None, **options: Any) -> GridDynamics:
    """MiniGrid's BlockedUnlockPickup (Chevalier-Boisvert et al. 2023): the same behind a ball.

    Description:
        UnlockPickup with a ball of random colour in front of the door.

    Why it is sparse:
        Only picking up the box pays, after the ball, the key and the door, and with a free hand. A box that
        is toggled is gone, and with it the reward.

    Actions:
        0 turn left, 1 turn right, 2 forward, 3 pick up, 4 drop, 5 toggle, 6 done (does nothing here).

    Observations:
        As `GridDynamics` takes them; by default MiniGrid's dict of image, direction and mission,
        which is "pick up the COLOUR box".

    Reward:
        r = 1 - 0.9 t / max_steps, t the steps of the episode so far, for picking up the box, else 0.

    Termination and truncation:
        Terminates with the reward; truncates after `max_steps` (576 by default).

    Features:
        agent_pos (x, y), agent_dir, carrying and carrying_color (MiniGrid's object and colour numbers), has_key,
        front (object in front), mission_id (the box's colour number), success, event; more with `features=`.

    Ids:
        shapegym/MiniGrid-BlockedUnlockPickup-v0.

    Args:
        max_steps: Time limit.
        **options: Of `shapegym.envs.grid.grid_dynamics.GridDynamics`.

    Raises:
        TypeError, ValueError: A knob is out of range, or an option unknown.
    """
    limit = 16 * ROOM_SIZE**2 if max_steps is None else max_steps
    missions = tuple(f"pick up the {color} box" for color in COLORS)
    aim = "Move the ball away from the door, unlock it with the key, and pick up the box behind it with a free hand."
    return _two_rooms("BlockedUnlockPickup()", limit, PICK_UP_TARGET, missions, aim, True, True, options)
