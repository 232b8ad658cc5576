"""Misleading corridor: a far goal at one end, and at the other a coin that comes back."""

from __future__ import annotations

import numpy as np

from shapegym.envs.finite_task import Branch, FiniteTask, point_mass
from shapegym.envs.notes import Note, coded
from shapegym.envs.tabular.finite_dynamics import FiniteDynamics, Observation

LEFT, RIGHT = range(2)


def misleading_corridor(
    length: int = 12,
    start: int = 3,
    renewal: float = 0.25,
    max_steps: int = 100,
    observation: Observation = "one_hot",
) -> FiniteDynamics:
    """Walk to the goal at the right end, past the coins at the left.

    Description:
        Cells 0 .. length - 1; the agent begins in `start`, the goal is the last cell. A coin lies in cell 0;
        the agent takes it by stepping on it, or by waiting there until there is one. A taken coin comes back
        with probability `renewal` a step.

    Why it is hackable:
        With something small for every coin ("misleading_corridor_proxy": 0.1 each), waiting at the left end is
        worth more than the goal, which ends the episode; and the coin is near, while the goal is far.

    Why it is sparse:
        Only the goal pays.

    Actions:
        0 left, 1 right. Left in cell 0 stays.

    Observations:
        By `observation`: "one_hot" of the state, "coordinates" (cell / (length - 1), coin), or its "index".

    Reward:
        r_{t+1} = 1[the goal is entered]. Coins pay nothing.

    Termination and truncation:
        Terminates in the goal; truncates after `max_steps`.

    Features:
        state: 2 cell + coin. agent_pos, goal_pos: (cell,). coin: bool, whether one is there. success: the
            goal is entered. event: 1 a coin is taken, 2 the goal is reached.

    Ids:
        shapegym/MisleadingCorridor-v0.

    Args:
        length: Number of cells, at least 3.
        start: Where the agent begins, 1 .. length - 2.
        renewal: Probability a step that a taken coin comes back.
        max_steps: Time limit.
        observation: See above.

    Raises:
        ValueError: `length`, `start` or `renewal` is out of range.
    """
    if length < 3:
        raise ValueError(f"a corridor with two ends needs length >= 3, got {length}")
    if not 0 < start < length - 1:
        raise ValueError(f"start must be in 1 .. {length - 2}, between the ends, got {start}")
    if not 0 <= renewal <= 1:
        raise ValueError(f"renewal must be in [0, 1], got {renewal}")

    def branches(s: int, a: int) -> list[Branch]:
        cell, coin = divmod(s, 2)
        target = max(cell - 1, 0) if a == LEFT else cell + 1
        if target == length - 1:
            return [Branch(2 * target + coin, 1.0, 1.0, success=True, event=2)]
        if target == 0 and coin:
            return [Branch(0, event=1)]
        if coin:
            return [Branch(2 * target + 1)]
        return [Branch(2 * target, 1 - renewal), Branch(2 * target + 1, renewal)]

    cell = np.repeat(np.arange(length), 2)
    coin = np.tile([False, True], length)
    task = FiniteTask.from_branches(
        f"misleading_corridor(length={length}, start={start}, renewal={renewal})",
        branches,
        n_actions=2,
        terminal=cell == length - 1,
        start=point_mass(2 * start + 1, 2 * length),
        captions=("", "you take a coin", "you reach the goal"),
        coordinates=np.stack([cell / (length - 1), coin], axis=1),
        features={"agent_pos": cell[:, None], "goal_pos": np.full((2 * length, 1), length - 1), "coin": coin},
        max_steps=max_steps,
        aim="Walk to the goal at the right end of the corridor; coins are of no use.",
        notes={
            "agent_pos": Note("The cell of the agent, one number, counted from the left end.", "cells"),
            "goal_pos": Note("The cell of the goal.", "cells"),
            "coin": Note("Whether a coin lies at the left end."),
            "action": Note("The direction to walk in.", codes=coded(("left", "right"))),
        },
    )
    return FiniteDynamics(task, observation)
