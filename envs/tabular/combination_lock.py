"""A combination lock: a code of H actions, and one wrong action undoes all progress."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from shapegym.envs.finite_task import Branch, FiniteTask, point_mass
from shapegym.envs.notes import Note
from shapegym.envs.tabular.finite_dynamics import FiniteDynamics, Observation

OnError = Literal["start", "jam"]


def combination_lock(
    length: int = 8,
    actions: int = 3,
    on_error: OnError = "start",
    code_seed: int = 0,
    max_steps: int | None = None,
    observation: Observation = "one_hot",
) -> FiniteDynamics:
    """Enter a code of `length` digits.

    Description:
        The state is the number of digits entered rightly. The right digit adds one; a wrong one goes back to
        none (`on_error="start"`), or jams the lock for the rest of the episode (`"jam"`). The code is drawn
        from `code_seed`.
        Source: Kakade (2003), "On the Sample Complexity of Reinforcement Learning" (combination lock).

    Why it is sparse:
        Only the open lock pays: the optimal return is 1 after H steps. With A digits, a random policy opens a
            jamming lock
        with probability A^-H, and the other one after (A^{H+1} - A) / (A - 1) steps on average.

    Actions:
        The digits 0 .. A-1.

    Observations:
        By `observation`: "one_hot" of the state, "coordinates" (right digits / H, jammed), or its "index".

    Reward:
        r_{t+1} = 1 if the H-th right digit was entered, else 0.

    Termination and truncation:
        Terminates when the lock opens or jams; truncates after `max_steps` (10 H by default).

    Features:
        state: 0 .. H right digits, H+1 jammed. progress: right digits (0 when jammed). success, event.

    Ids:
        shapegym/CombinationLock-v0 (H = 8, A = 3), shapegym/CombinationLockJam-v0 (H = 6, A = 3, jamming).

    Args:
        length: H, at least 1.
        actions: A, at least 2.
        on_error: "start" or "jam".
        code_seed: Draws the code.
        max_steps: Time limit.
        observation: See above.

    Raises:
        ValueError: An argument is out of range.
    """
    if length < 1 or actions < 2 or on_error not in get_args(OnError):
        raise ValueError(
            f"combination lock needs length >= 1, actions >= 2, on_error in {get_args(OnError)}; "
            f"got {length}, {actions}, {on_error!r}"
        )
    code = np.random.default_rng(code_seed).integers(actions, size=length)
    opened, jammed = length, length + 1
    failure = Branch(0 if on_error == "start" else jammed, event=2)

    def branches(s: int, a: int) -> list[Branch]:
        if a != code[s]:
            return [failure]
        opens = s + 1 == opened
        return [Branch(s + 1, 1.0, float(opens), opens, 3 if opens else 1)]

    states = np.arange(length + 2)
    progress = np.where(states == jammed, 0, states)
    task = FiniteTask.from_branches(
        f"combination_lock(length={length}, actions={actions}, on_error={on_error}, code_seed={code_seed})",
        branches,
        n_actions=actions,
        terminal=states >= opened,
        start=point_mass(0, len(states)),
        captions=("", "a digit clicks into place", "the lock rejects the digit", "the lock opens"),
        coordinates=np.stack([progress / length, states == jammed], axis=1),
        features={"progress": progress},
        max_steps=10 * length if max_steps is None else max_steps,
        aim="Enter the digits of a secret code in their order, so that the lock opens.",
        notes={
            "progress": Note(
                "Digits entered rightly so far, without a wrong one in between; 0 once the lock is jammed.",
                "digits",
            ),
            "action": Note("The digit to enter."),
        },
    )
    return FiniteDynamics(task, observation)
