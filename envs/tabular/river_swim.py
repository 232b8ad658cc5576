"""River swim: a small certain reward downstream, a large one that must be swum for against the current."""

from __future__ import annotations

import numpy as np

from shapegym.envs.finite_task import Branch, FiniteTask
from shapegym.envs.notes import Note, coded
from shapegym.envs.tabular.finite_dynamics import FiniteDynamics, Observation


def river_swim(
    length: int = 6, max_steps: int | None = None, observation: Observation = "one_hot"
) -> FiniteDynamics:
    """Swim up the river, or stay where a little is certain.

    Description:
        Places 0 .. N-1 along a river. Swimming left always succeeds. Swimming right gains a place with
        probability 0.3; in between, the current carries back with 0.1, else the swimmer holds; at place 0 it
        holds with 0.7; at place N-1 it holds with 0.3 and is carried back with 0.7. The swimmer starts at
        place 1 or 2.
        Source: Strehl and Littman (2008), "An analysis of model-based interval estimation for Markov decision
        processes", figure of RiverSwim; rewards divided by 10,000.

    Why it is sparse:
        The large reward needs N-1 gains against the current; a random swimmer is carried to place 0, where
        left pays at once. `solver.optimal_return` and `solver.random_return` give the exact returns.

    Actions:
        0 swims left (with the current), 1 swims right.

    Observations:
        By `observation`: "one_hot" of the place, "coordinates" (place / (N-1)), or its "index".

    Reward:
        r_{t+1} = 1 if a_t = 1 and s_t = s_{t+1} = N-1; 0.0005 if a_t = 0 and s_t = 0; else 0.

    Termination and truncation:
        Never terminates; truncates after `max_steps` (20 N by default).

    Features:
        state: the place. agent_pos, goal_pos: (1,) places. success: the large reward was just paid. event.

    Ids:
        shapegym/RiverSwim-v0 (6 places), shapegym/RiverSwimLong-v0 (20).

    Args:
        length: N, at least 3.
        max_steps: Time limit.
        observation: See above.

    Raises:
        ValueError: `length` is below 3.
    """
    if length < 3:
        raise ValueError(f"river swim needs length >= 3, got {length}")
    last = length - 1

    def branches(s: int, a: int) -> list[Branch]:
        if a == 0:
            return [Branch(0, reward=0.0005, event=1)] if s == 0 else [Branch(s - 1)]
        if s == 0:
            return [Branch(0, 0.7), Branch(1, 0.3)]
        if s == last:
            return [Branch(s - 1, 0.7), Branch(s, 0.3, 1.0, success=True, event=2)]
        return [Branch(s - 1, 0.1), Branch(s, 0.6), Branch(s + 1, 0.3)]

    places = np.arange(length)
    task = FiniteTask.from_branches(
        f"river_swim(length={length})",
        branches,
        n_actions=2,
        terminal=np.zeros(length, np.bool_),
        start=np.where((places == 1) | (places == 2), 0.5, 0.0),
        captions=("", "you rest downstream", "you hold the spring"),
        coordinates=(places / last)[:, None],
        features={"agent_pos": places[:, None].copy(), "goal_pos": np.full((length, 1), last)},
        max_steps=20 * length if max_steps is None else max_steps,
        aim="Swim up the river against the current to the spring at its end, and hold the place there.",
        notes={
            "agent_pos": Note("The place of the swimmer, one number, counted from downstream.", "places"),
            "goal_pos": Note("The place of the spring.", "places"),
            "action": Note(
                "The direction to swim in.",
                codes=coded(("left, with the current", "right, against the current")),
            ),
        },
    )
    return FiniteDynamics(task, observation)
