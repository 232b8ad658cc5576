"""Deep sea: one of 2^N action sequences finds the treasure, and every step towards it costs."""

from __future__ import annotations

import numpy as np

from shapegym.envs.finite_task import Branch, FiniteTask, point_mass
from shapegym.envs.notes import Note, coded
from shapegym.envs.tabular.finite_dynamics import FiniteDynamics, Observation


def deep_sea(
    size: int = 10,
    stochastic: bool = False,
    mapping_seed: int | None = 0,
    observation: Observation = "one_hot",
) -> FiniteDynamics:
    """Dive along the diagonal of an N x N sea to the treasure in its corner.

    Description:
        The agent starts in the top left cell of an N x N grid and sinks one row a step, to the left or to the
        right (at the
        rim: straight down). The treasure is in the bottom right cell; only going right N times in a row takes
            it.
        Source: Osband et al. (2019), "Behaviour Suite for Reinforcement Learning", deep sea; without the
            reward noise
        of its stochastic version.

    Why it is sparse:
        The optimal return is 0.99 (0.381 where 10 rows are stochastic), a random policy takes the treasure
            with probability 2^-N, and every step right costs, so that a greedy agent learns to stay away from it.

    Actions:
        0 and 1 are left and right, in an order drawn for each cell from `mapping_seed` (None: 1 is right
        everywhere).

    Observations:
        By `observation`: "one_hot" of the cell, "coordinates" (row / N, column / (N-1)), or its "index".

    Reward:
        r_{t+1} = 1[right at the bottom right cell] - 0.01 / N * 1[right].

    Termination and truncation:
        Terminates after N steps, below the last row. Never truncates.

    Features:
        state: the cell. agent_pos: (row, column). goal_pos: where the treasure's taker ends, (N, N-1).
            success, event.

    Ids:
        shapegym/DeepSea-v0 (10), shapegym/DeepSeaHard-v0 (20), shapegym/DeepSeaStochastic-v0 (10,
        stochastic).

    Args:
        size: N, at least 2.
        stochastic: Going right then fails, straight down, with probability 1 / N.
        mapping_seed: See Actions.
        observation: See above.

    Raises:
        ValueError: `size` is below 2.
    """
    if size < 2:
        raise ValueError(f"deep sea needs size >= 2, got {size}")
    right_action = np.ones((size, size), np.int64)
    if mapping_seed is not None:
        right_action = np.random.default_rng(mapping_seed).integers(2, size=(size, size))
    fail = 1 / size if stochastic else 0.0
    last = size - 1

    def branches(s: int, a: int) -> list[Branch]:
        row, column = divmod(s, size)
        below = (row + 1) * size
        bottom = row == last
        if a != right_action[row, column]:
            return [Branch(below + max(column - 1, 0), event=2 if bottom else 0)]
        treasure = bottom and column == last
        reward = float(treasure) - 0.01 / size
        event = 1 if treasure else 2 if bottom else 0
        return [
            Branch(below + min(column + 1, last), 1 - fail, reward, treasure, event),
            Branch(below + column, fail, reward, treasure, event),
        ]

    row, column = np.divmod(np.arange((size + 1) * size), size)
    task = FiniteTask.from_branches(
        f"deep_sea(size={size}, stochastic={stochastic}, mapping_seed={mapping_seed})",
        branches,
        n_actions=2,
        terminal=row == size,
        start=point_mass(0, len(row)),
        captions=("", "you take the treasure", "you reach the bottom without the treasure"),
        coordinates=np.stack([row / size, column / last], axis=1),
        features={
            "agent_pos": np.stack([row, column], axis=1),
            "goal_pos": np.tile([size, last], (len(row), 1)),
        },
        max_steps=size,
        aim="Dive to the treasure in the bottom right cell: only going right at every step takes it.",
        notes={
            "agent_pos": Note("Row and column of the agent; the start is (0, 0).", "cells"),
            "goal_pos": Note("Row and column in which whoever takes the treasure ends up.", "cells"),
            "action": Note(
                "Left or right; which of the two a number is differs from cell to cell."
                if mapping_seed is not None
                else "Left or right.",
                codes=() if mapping_seed is not None else coded(("left", "right")),
            ),
        },
    )
    return FiniteDynamics(task, observation)
