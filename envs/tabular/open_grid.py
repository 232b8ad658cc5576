"""Open grid: a room without walls, the smallest task on which directions matter."""

from __future__ import annotations

import numpy as np

from shapegym.envs.finite_task import Branch, FiniteTask, point_mass
from shapegym.envs.notes import Note, coded
from shapegym.envs.tabular.finite_dynamics import FiniteDynamics, Observation
from shapegym.envs.tabular.floor_plan import MOVE_NAMES, MOVES, FloorPlan


def open_grid(
    size: int = 5, max_steps: int | None = None, observation: Observation = "one_hot"
) -> FiniteDynamics:
    """Cross an empty room to the opposite corner.

    Description:
        A `size` x `size` grid without inner walls. The agent starts at the top left; the goal is the bottom
        right cell.

    Why it is sparse:
        Only the goal pays: the optimal return is 1, after 2 (size - 1) steps. It is near enough for a random
        policy to find it at times; `solver.random_return` gives its exact chance.

    Actions:
        0 up, 1 right, 2 down, 3 left. A move into a wall stays.

    Observations:
        By `observation`: "one_hot" of the cell, "coordinates" (row, column, scaled to [0, 1]), or its
        "index".

    Reward:
        r_{t+1} = 1 if s_{t+1} is the goal, else 0.

    Termination and truncation:
        Terminates in the goal; truncates after `max_steps` (8 size by default).

    Features:
        state: number of the cell. agent_pos, goal_pos: (row, column). success, event.

    Ids:
        shapegym/OpenGrid-v0 (5).

    Args:
        size: Cells a side, at least 2.
        max_steps: Time limit.
        observation: See above.

    Raises:
        ValueError: `size` is below 2.
    """
    if size < 2:
        raise ValueError(f"open grid needs size >= 2, got {size}")
    grid = FloorPlan(np.zeros((size, size), np.bool_))
    cells, reached = grid.cells, grid.neighbours()
    goal = len(cells) - 1

    def branches(s: int, a: int) -> list[Branch]:
        target = int(reached[s, a])
        if target == goal:
            return [Branch(goal, 1.0, 1.0, success=True, event=2)]
        return [Branch(target, event=int(target == s))]

    task = FiniteTask.from_branches(
        f"open_grid(size={size})",
        branches,
        n_actions=len(MOVES),
        terminal=np.arange(len(cells)) == goal,
        start=point_mass(0, len(cells)),
        captions=("", "you bump into a wall", "you reach the goal"),
        coordinates=grid.scaled,
        features={"agent_pos": cells, "goal_pos": np.tile(cells[goal], (len(cells), 1))},
        max_steps=8 * size if max_steps is None else max_steps,
        aim="Cross the empty room to the goal in the opposite corner.",
        notes={
            "agent_pos": Note("Row and column of the agent.", "cells"),
            "goal_pos": Note("Row and column of the goal.", "cells"),
            "action": Note("The direction to walk in.", codes=coded(MOVE_NAMES)),
        },
    )
    return FiniteDynamics(task, observation)
