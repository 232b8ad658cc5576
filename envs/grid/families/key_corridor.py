"""KeyCorridor: find the key in one of the rooms, and fetch an object from behind the locked door."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from shapegym.envs._jit import jit
from shapegym.envs._knobs import at_least
from shapegym.envs.grid.grid_dynamics import GridDynamics
from shapegym.envs.grid.lane.cells import BALL, BOX, COLORS, KEY, LOCKED_DOOR
from shapegym.envs.grid.lane.facts import MISSION, TARGET_X, TARGET_Y
from shapegym.envs.grid.lane.layout import begin_lane, random_color
from shapegym.envs.grid.lane.pcg64 import integers
from shapegym.envs.grid.lane.room_grid import (
    LEFT,
    add_door,
    begin_rooms,
    connect_all,
    new_rooms,
    place_agent_in_room,
    place_in_room,
    remove_upper_wall,
)
from shapegym.envs.grid.lane.stepping import PICK_UP_TARGET
from shapegym.envs.grid.lane.task import GridTask

COLUMNS = 3
KINDS = {"ball": BALL, "box": BOX, "key": KEY}


@jit
def reset_lanes(
    cells: NDArray[np.uint8],
    facts: NDArray[np.int64],
    streams: NDArray[np.uint64],
    mask: NDArray[np.bool_],
    pad: int,
    rows: int,
    kind: int,
) -> int:
    """Lay out the masked lanes; the target is an object of `kind`."""
    rooms = new_rooms(rows, COLUMNS)
    for lane in range(mask.shape[0]):
        if not mask[lane]:
            continue
        grid, fact, stream = begin_lane(cells, facts, lane, pad), facts[lane], streams[lane]
        begin_rooms(grid, fact, stream, rooms)
        for row in range(1, rows):
            remove_upper_wall(grid, rooms, 1, row)
        locked_row = integers(stream, 0, rows)
        door_color = random_color(stream)
        add_door(grid, rooms, 2, locked_row, LEFT, LOCKED_DOOR + door_color)
        color = random_color(stream)
        x, y = place_in_room(grid, fact, stream, rooms, 2, locked_row, kind + color)
        key_row = integers(stream, 0, rows)
        key_x, _ = place_in_room(grid, fact, stream, rooms, 0, key_row, KEY + door_color)
        if (
            min(x, key_x) < 0
            or not place_agent_in_room(grid, fact, stream, rooms, 1, rows // 2)
            or not connect_all(grid, fact, stream, rooms)
        ):
            return lane
        fact[TARGET_X], fact[TARGET_Y], fact[MISSION] = x, y, color
    return -1


def key_corridor(
    num_rows: int = 3,
    obj_type: str = "ball",
    room_size: int = 6,
    max_steps: int | None = None,
    **options: Any,
) -> GridDynamics:
    """MiniGrid's KeyCorridor (Chevalier-Boisvert et al. 2023).

    Description:
        A corridor between two columns of `num_rows` rooms. One room on the right is locked and holds the
        object, one on the left holds the key; closed doors of random colours connect the others at random.

    Why it is sparse:
        Only picking up the object pays, after exploring for the key, bringing it to the door, and dropping it.
        An object of `obj_type` "box" that is toggled is gone, and with it the reward.

    Actions:
        0 turn left, 1 turn right, 2 forward, 3 pick up, 4 drop, 5 toggle, 6 done (does nothing here).

    Observations:
        As `GridDynamics` takes them; by default MiniGrid's dict of image, direction and mission,
        which is "pick up the COLOUR TYPE".

    Reward:
        r = 1 - 0.9 t / max_steps, t the steps of the episode so far, for picking up the object, else 0.

    Termination and truncation:
        Terminates with the reward; truncates after `max_steps` (30 room_size^2 by default).

    Features:
        agent_pos (x, y), agent_dir, carrying and carrying_color (MiniGrid's object and colour numbers), has_key,
        front (object in front), mission_id (the object's colour number), success, event; more with `features=`.

    Ids:
        shapegym/MiniGrid-KeyCorridorS3R1-v0 (`room_size` 3, `num_rows` 1), and likewise
        shapegym/MiniGrid-KeyCorridorS3R2-v0, shapegym/MiniGrid-KeyCorridorS3R3-v0,
        shapegym/MiniGrid-KeyCorridorS4R3-v0, shapegym/MiniGrid-KeyCorridorS5R3-v0,
        shapegym/MiniGrid-KeyCorridorS6R3-v0.

    Args:
        num_rows: Rooms in each column, at least 1. As in MiniGrid, the random doors may fail to connect
            hundreds of rows.
        obj_type: "ball", "box" or "key".
        room_size: Cells a side of a room with its walls, at least 3.
        max_steps: Time limit.
        **options: Of `shapegym.envs.grid.grid_dynamics.GridDynamics`.

    Raises:
        TypeError, ValueError: A knob is out of range, or an option unknown.
    """
    at_least("num_rows", num_rows, 1)
    at_least("room_size", room_size, 3)
    if obj_type not in KINDS:
        raise ValueError(f"obj_type must be one of {sorted(KINDS)}, got {obj_type!r}")
    return GridDynamics(
        GridTask(
            name=f"KeyCorridor(num_rows={num_rows}, obj_type={obj_type!r}, room_size={room_size})",
            width=COLUMNS * (room_size - 1) + 1,
            height=num_rows * (room_size - 1) + 1,
            max_steps=30 * room_size**2 if max_steps is None else max_steps,
            rule=PICK_UP_TARGET,
            missions=tuple(f"pick up the {color} {obj_type}" for color in COLORS),
            aim=f"Find the key, unlock the locked door with it, and pick up the {obj_type} behind that door.",
            things=tuple(dict.fromkeys(("wall", "door", "key", obj_type))),
            reset=reset_lanes,
            knobs=(num_rows, KINDS[obj_type]),
        ),
        **options,
    )
