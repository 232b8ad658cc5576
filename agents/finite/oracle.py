"""The best and the worst to compare with: the optimal policy of a finite task, and the random policy of any.

Both act through ``predict`` as SB3's models do, so `shapegym.agents.evaluate` takes them.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from shapegym.agents.finite.model import first_action, model_of
from shapegym.envs.tabular.solver import optimal_actions, value_iteration


class OptimalPolicy:
    """The deterministic policy that maximises the discounted task return of a finite task (the first of several best actions).

    The value iteration behind it has no time limit: with a discount close to 1 the policy takes the fastest way to a sparse reward.

    Args:
        env: an environment that is a finite task, or its id, as `tabulate` takes it.
        gamma: discount in [0, 1).

    Attributes:
        actions: best action of each state, (S,) int64.

    Raises:
        TabulationError: if the environment is no finite task.
    """

    def __init__(self, env: gym.Env | str, gamma: float = 0.999) -> None:
        model = model_of(env, states=1000)
        task = model.task
        _, q = value_iteration(*task.tables(), gamma, task.terminal, tolerance=1e-8)
        self.actions: NDArray[np.int64] = optimal_actions(q).argmax(axis=1) + first_action(model.action_space)
        self._states_of = model.states_of

    def predict(
        self,
        observation: Any,
        state: tuple[np.ndarray, ...] | None = None,
        episode_start: np.ndarray | None = None,
        deterministic: bool = True,
    ) -> tuple[np.ndarray, None]:
        """Return the best actions (B,) for observations (B, ...) of the environment."""
        return self.actions[self.states_of(observation)], None

    def states_of(self, observation: Any) -> NDArray[np.int64]:
        """Return the tabular states (B,) that observations (B, ...) show."""
        return self._states_of(observation)


class RandomPolicy:
    """Uniformly random actions.

    Args:
        action_space: of one lane.
        seed: of the actions.
    """

    def __init__(self, action_space: gym.Space, seed: int = 0) -> None:
        self._action_space = deepcopy(action_space)
        self._action_space.seed(seed)

    def predict(
        self,
        observation: Any,
        state: tuple[np.ndarray, ...] | None = None,
        episode_start: np.ndarray | None = None,
        deterministic: bool = False,
    ) -> tuple[np.ndarray, None]:
        """Return an action for each of the B observations."""
        first = next(iter(observation.values())) if isinstance(observation, dict) else observation
        return np.array([self._action_space.sample() for _ in range(len(first))]), None
