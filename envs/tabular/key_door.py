"""Key and door: a task of stages, where nothing but the last stage pays."""

from __future__ import annotations

import numpy as np

from shapegym.envs.finite_task import Branch, FiniteTask, point_mass
from shapegym.envs.notes import Note, coded
from shapegym.envs.tabular.finite_dynamics import FiniteDynamics, Observation
from shapegym.envs.tabular.floor_plan import MOVE_NAMES, MOVES, FloorPlan

USE = len(MOVES)
NO_KEY, HAS_KEY, OPEN = range(3)  # the stages, in their only possible order


def key_door(
    size: int = 7,
    layout_seed: int | None = None,
    max_steps: int | None = None,
    observation: Observation = "one_hot",
) -> FiniteDynamics:
    """Pick up the key, open the door, reach the goal.

    Description:
        A `size` x `size` grid, cut in two by a wall with a locked door. Agent and key are in the left room,
        the goal is in the bottom right cell. By default the agent starts at the top left, the key lies at the
        bottom left, and the door is in the middle of the wall; `layout_seed` draws these three. `use` picks
        up the key in the agent's cell and opens the door from the cell to its left with the key; the open
        door stays open.

    Why it is sparse:
        Only the goal pays: the optimal return is 1. A random policy must use the right action in two right
            cells, in order,
        before the goal is within reach; `solver.random_return` gives its exact chance.

    Actions:
        0 up, 1 right, 2 down, 3 left, 4 use. A move into a wall or the locked door stays.

    Observations:
        By `observation`: "one_hot" of the state, "coordinates" (row, column, scaled to [0, 1]; has_key;
        door_open), or its "index".

    Reward:
        r_{t+1} = 1 if the agent enters the goal, else 0.

    Termination and truncation:
        Terminates in the goal; truncates after `max_steps` (4 size^2 by default).

    Features:
        state: stage x cells + cell, of the stages no key, key, open door. agent_pos, goal_pos, key_pos,
            door_pos: (row,
        column), where the things were at the start. has_key, door_open: bool. success, event.

    Ids:
        shapegym/KeyDoor-v0 (7), shapegym/KeyDoorSmall-v0 (5), shapegym/KeyDoorLarge-v0 (11).

    Args:
        size: Cells a side, at least 3.
        layout_seed: See Description.
        max_steps: Time limit.
        observation: See above.

    Raises:
        ValueError: `size` is below 3.
    """
    if size < 3:
        raise ValueError(f"key and door needs size >= 3, got {size}")
    wall_column = size // 2
    start_pos, key_pos, door_row = (0, 0), (size - 1, 0), size // 2
    if layout_seed is not None:
        rng = np.random.default_rng(layout_seed)
        left = [(row, column) for row in range(size) for column in range(wall_column)]
        first, second = rng.choice(len(left), 2, replace=False)
        start_pos, key_pos, door_row = left[first], left[second], int(rng.integers(size))
    door_pos, goal_pos = (door_row, wall_column), (size - 1, size - 1)

    walls = np.zeros((size, size), np.bool_)
    walls[:, wall_column] = True
    walls[door_pos] = False
    grid = FloorPlan(walls)
    cells, number, reached = grid.cells, grid.number, grid.neighbours()
    n = len(cells)
    key, door, goal = int(number[key_pos]), int(number[door_pos]), int(number[goal_pos])
    before_door = int(number[door_row, wall_column - 1])

    def branches(s: int, a: int) -> list[Branch]:
        stage, cell = divmod(s, n)
        if a == USE:
            if stage == NO_KEY and cell == key:
                return [Branch(HAS_KEY * n + cell, event=2)]
            if stage == HAS_KEY and cell == before_door:
                return [Branch(OPEN * n + cell, event=3)]
            return [Branch(s)]
        target = int(reached[cell, a])
        if target == cell:
            return [Branch(s, event=1)]
        if target == door and stage != OPEN:
            return [Branch(s, event=4)]
        if target == goal:
            return [Branch(stage * n + goal, 1.0, 1.0, success=True, event=5)]
        return [Branch(stage * n + target)]

    stage = np.repeat([NO_KEY, HAS_KEY, OPEN], n)
    agent_pos = np.tile(cells, (3, 1))
    flags = np.stack([stage >= HAS_KEY, stage == OPEN], axis=1)
    task = FiniteTask.from_branches(
        f"key_door(size={size}, layout_seed={layout_seed})",
        branches,
        n_actions=USE + 1,
        terminal=(agent_pos == goal_pos).all(axis=1),
        start=point_mass(int(number[start_pos]), 3 * n),
        captions=(
            "",
            "you bump into a wall",
            "you pick up the key",
            "you open the door",
            "the door is locked",
            "you reach the goal",
        ),
        coordinates=np.concatenate([np.tile(grid.scaled, (3, 1)), flags], axis=1),
        features={
            "agent_pos": agent_pos,
            "goal_pos": np.tile(goal_pos, (3 * n, 1)),
            "key_pos": np.tile(key_pos, (3 * n, 1)),
            "door_pos": np.tile(door_pos, (3 * n, 1)),
            "has_key": flags[:, 0].copy(),
            "door_open": flags[:, 1].copy(),
        },
        max_steps=4 * size**2 if max_steps is None else max_steps,
        aim="Pick up the key, open the locked door with it, and walk through it to the goal.",
        notes={
            "agent_pos": Note("Row and column of the agent.", "cells"),
            "goal_pos": Note("Row and column of the goal.", "cells"),
            "key_pos": Note("Row and column of where the key lay at the start.", "cells"),
            "door_pos": Note(
                "Row and column of the door, which is opened from the cell to its left.", "cells"
            ),
            "has_key": Note("Whether the key was picked up."),
            "door_open": Note("Whether the door was opened; it stays open."),
            "action": Note("What to do.", codes=coded((*MOVE_NAMES, "use the key or the door"))),
        },
    )
    return FiniteDynamics(task, observation)
