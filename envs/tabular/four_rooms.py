"""Four rooms: a grid whose hallways are the natural subgoals."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shapegym.envs.finite_task import Branch, FiniteTask, point_mass
from shapegym.envs.notes import Note, coded
from shapegym.envs.tabular.finite_dynamics import FiniteDynamics, Observation
from shapegym.envs.tabular.floor_plan import MOVE_NAMES, MOVES, FloorPlan


def four_rooms(
    size: int = 11,
    slip: float = 0.0,
    random_start: bool = False,
    layout_seed: int | None = None,
    max_steps: int | None = None,
    observation: Observation = "one_hot",
) -> FiniteDynamics:
    """Find the goal cell in four rooms that are joined by four hallways.

    Description:
        A grid of `size` x `size` cells, cut into four rooms by walls with one hallway each; 104 free cells at
        size 11. Start and goal are the top left and the bottom right cell, or two cells drawn from
        `layout_seed`.
        Source: Sutton, Precup and Singh (1999), "Between MDPs and semi-MDPs", figure 2; their moves slip with
            1/3.

    Why it is sparse:
        Only the goal pays: the optimal return is 1, after 20 steps at size 11. A random walk must find two
            hallways, each one
        cell wide; `solver.random_return` gives its exact chance.

    Actions:
        0 up, 1 right, 2 down, 3 left. A move into a wall stays.

    Observations:
        By `observation`: "one_hot" of the cell, "coordinates" (row, column, scaled to [0, 1]), or its
        "index".

    Reward:
        r_{t+1} = 1 if s_{t+1} is the goal, else 0.

    Termination and truncation:
        Terminates in the goal; truncates after `max_steps` (20 size by default).

    Features:
        state: number of the cell. agent_pos, goal_pos: (row, column). room: 0 .. 3 (top left, top right,
            bottom left, bottom
        right), 4 in a hallway. success, event.

    Ids:
        shapegym/FourRooms-v0 (11), shapegym/FourRoomsSlippery-v0 (11, slip 1/3, random start),
        shapegym/FourRoomsLarge-v0 (19).

    Args:
        size: Cells a side, at least 7.
        slip: Probability that one of the other three moves is made instead, each equally likely.
        random_start: Start in any cell but the goal, uniformly.
        layout_seed: See Description.
        max_steps: Time limit.
        observation: See above.

    Raises:
        ValueError: An argument is out of range.
    """
    if size < 7 or not 0 <= slip < 1:
        raise ValueError(f"four rooms needs size >= 7 and 0 <= slip < 1, got {size}, {slip}")
    walls, room_map = _rooms(size)
    grid = FloorPlan(walls)
    cells, reached = grid.cells, grid.neighbours()
    start, goal = 0, len(cells) - 1
    if layout_seed is not None:
        start, goal = np.random.default_rng(layout_seed).choice(len(cells), 2, replace=False).tolist()
    likely = np.full((len(MOVES), len(MOVES)), slip / 3) + np.eye(len(MOVES)) * (1 - slip - slip / 3)

    def branches(s: int, a: int) -> list[Branch]:
        found = [Branch(int(t), float(p)) for t, p in zip(reached[s], likely[a], strict=True)]
        return [
            b._replace(
                reward=float(b.next_state == goal),
                success=b.next_state == goal,
                event=2 if b.next_state == goal else int(b.next_state == s),
            )
            for b in found
        ]

    others = np.arange(len(cells)) != goal
    task = FiniteTask.from_branches(
        f"four_rooms(size={size}, slip={slip:.4g}, random_start={random_start}, layout_seed={layout_seed})",
        branches,
        n_actions=len(MOVES),
        terminal=~others,
        start=others / others.sum() if random_start else point_mass(start, len(cells)),
        captions=("", "you bump into a wall", "you reach the goal"),
        coordinates=grid.scaled,
        features={
            "agent_pos": cells,
            "goal_pos": np.tile(cells[goal], (len(cells), 1)),
            "room": room_map[~walls],
        },
        max_steps=20 * size if max_steps is None else max_steps,
        aim="Walk through the hallways between four rooms to the goal.",
        notes={
            "agent_pos": Note("Row and column of the agent.", "cells"),
            "goal_pos": Note("Row and column of the goal.", "cells"),
            "room": Note(
                "The room that the agent is in.",
                codes=coded(
                    (
                        "the top left room",
                        "the top right room",
                        "the bottom left room",
                        "the bottom right room",
                        "a hallway",
                    )
                ),
            ),
            "action": Note("The direction to walk in.", codes=coded(MOVE_NAMES)),
        },
    )
    return FiniteDynamics(task, observation)


def _rooms(size: int) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Walls (size, size) and room numbers; at size 11 exactly the published layout."""
    middle = size // 2
    right_wall = middle + 1  # the wall between the right rooms lies one row lower
    walls = np.zeros((size, size), np.bool_)
    walls[:, middle] = True
    walls[middle, :middle] = True
    walls[right_wall, middle:] = True
    row, column = np.indices(walls.shape)
    lower = np.where(column < middle, row > middle, row > right_wall)
    room = 2 * lower.astype(np.int64) + (column > middle)
    hallways = [
        (size // 4, middle),
        (size - 2, middle),
        (middle, size // 8),
        (right_wall, right_wall + size // 4),
    ]
    for hallway in hallways:
        walls[hallway] = False
        room[hallway] = 4
    return walls, room
