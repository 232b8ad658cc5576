"""A corridor with a reward at its end: the smallest exploration problem whose difficulty is one number."""

from __future__ import annotations

import numpy as np

from shapegym.envs.finite_task import Branch, FiniteTask, point_mass
from shapegym.envs.notes import Note, coded
from shapegym.envs.tabular.finite_dynamics import FiniteDynamics, Observation


def corridor(
    length: int = 20,
    setback: int = 1,
    slip: float = 0.0,
    max_steps: int | None = None,
    observation: Observation = "one_hot",
) -> FiniteDynamics:
    """Walk `length` cells to the goal.

    Description:
        Cells 0 .. N-1 in a row. The agent starts in cell 0; the goal is cell N-1.

    Why it is sparse:
        Only the goal pays: the optimal return is 1, after N-1 steps. A uniformly random walk needs N(N-1)
            steps on average with
        `setback=1`, and 2^N - 2 steps with `setback=N-1`, where every wrong step goes back to the start.

    Actions:
        0 goes back by `setback` cells (not beyond cell 0), 1 goes forward by one.

    Observations:
        By `observation`: "one_hot" of the cell, "coordinates" (cell / (N-1)), or its "index".

    Reward:
        r_{t+1} = 1 if s_{t+1} = N-1, else 0.

    Termination and truncation:
        Terminates in the goal; truncates after `max_steps` (10 N by default).

    Features:
        state: the cell. agent_pos, goal_pos: (1,) cells. success, event.

    Ids:
        shapegym/Corridor-v0 (20 cells), shapegym/CorridorLong-v0 (100), shapegym/CorridorReset-v0 (10, back
        to the start).

    Args:
        length: N, at least 2.
        setback: Cells that action 0 goes back, at least 1.
        slip: Probability that the other action is carried out.
        max_steps: Time limit.
        observation: See above.

    Raises:
        ValueError: An argument is out of range.
    """
    if length < 2 or setback < 1 or not 0 <= slip < 1:
        raise ValueError(
            f"corridor needs length >= 2, setback >= 1, 0 <= slip < 1; got {length}, {setback}, {slip}"
        )
    goal = length - 1

    def branches(s: int, a: int) -> list[Branch]:
        ahead, back = s + 1, max(s - setback, 0)
        goes_ahead = 1 - slip if a == 1 else slip
        found = ahead == goal
        return [Branch(ahead, goes_ahead, float(found), found, int(found)), Branch(back, 1 - goes_ahead)]

    cells = np.arange(length)
    task = FiniteTask.from_branches(
        f"corridor(length={length}, setback={setback}, slip={slip})",
        branches,
        n_actions=2,
        terminal=cells == goal,
        start=point_mass(0, length),
        captions=("", "you reach the goal"),
        coordinates=(cells / goal)[:, None],
        features={"agent_pos": cells[:, None].copy(), "goal_pos": np.full((length, 1), goal)},
        max_steps=10 * length if max_steps is None else max_steps,
        aim="Walk along the corridor to the goal at its other end.",
        notes={
            "agent_pos": Note("The cell of the agent, one number; the start is 0.", "cells"),
            "goal_pos": Note("The cell of the goal.", "cells"),
            "action": Note("The direction to walk in.", codes=coded(("back", "forward"))),
        },
    )
    return FiniteDynamics(task, observation)
