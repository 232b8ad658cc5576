"""Random finite tasks: the population on which theorems about rewards are tested."""

from __future__ import annotations

import numpy as np

from shapegym.envs.finite_task import FiniteTask


def random_mdp(
    seed: int,
    states: int = 8,
    actions: int = 3,
    branching: int = 3,
    terminals: int = 1,
    reward_density: float = 1.0,
    max_steps: int = 50,
) -> FiniteTask:
    """Draw a task: distinct successors uniformly, probabilities from a flat Dirichlet, rewards from N(0, 1).

    Source: the GARNET scheme as in Bhatnagar et al. (2009), "Natural actor-critic algorithms".

    Args:
        seed: Of all draws.
        states: S; the last `terminals` of them are terminal.
        actions: A.
        branching: K <= S, successors of each (s, a).
        terminals: Number of terminal states, below S.
        reward_density: Probability that a branch pays.
        max_steps: Time limit.

    Raises:
        ValueError: An argument is out of range.
    """
    if not (
        1 <= branching <= states and 0 <= terminals < states and actions >= 1 and 0 <= reward_density <= 1
    ):
        raise ValueError(
            "random_mdp needs 1 <= branching <= states, 0 <= terminals < states, actions >= 1 and "
            f"reward_density in [0, 1]; got {branching}, {states}, {terminals}, {actions}, {reward_density}"
        )
    rng = np.random.default_rng(seed)
    shape = (states, actions, branching)
    next_state = np.argsort(rng.random((states, actions, states)), axis=2)[:, :, :branching]
    probability = rng.dirichlet(np.ones(branching), size=shape[:2])
    reward = rng.normal(size=shape) * (rng.random(shape) < reward_density)
    terminal = np.arange(states) >= states - terminals
    next_state[terminal] = np.flatnonzero(terminal)[:, None, None]
    reward[terminal] = 0.0
    index = np.arange(states)
    return FiniteTask(
        name=f"random_mdp(seed={seed}, states={states}, actions={actions}, branching={branching})",
        next_state=next_state,
        probability=probability,
        reward=reward,
        success=np.broadcast_to(terminal[next_state] & ~terminal[:, None, None], shape).copy(),
        event=np.zeros(shape, np.int64),
        terminal=terminal,
        start=np.where(terminal, 0.0, 1.0 / (states - terminals)),
        captions=("",),
        coordinates=(index / max(states - 1, 1)).astype(np.float32)[:, None],
        features={},
        max_steps=max_steps,
    )
