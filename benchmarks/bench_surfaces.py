"""What a wrapper adds to an environment's step: subtract the row of the plain environment.

The single environment does nothing, so its rows show the wrapper alone. Benchmarks of one group have one environment.
"""

from __future__ import annotations

from itertools import cycle
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AutoresetMode

from shapegym import CountBonus, Event, Potential, ShapedEnv, TaskReward, state_function
from shapegym.shaping.surfaces.vector_env import ShapedVectorEnv

LANES = 1024


class Still(gym.Env):
    """Returns the same four numbers at every step."""

    observation_space = spaces.Box(-1.0, 1.0, (4,), np.float32)
    action_space = spaces.Discrete(2)

    def __init__(self) -> None:
        self._step: tuple[Any, ...] = (np.zeros(4, np.float32), 0.0, False, False, {})

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self._step[0], {}

    def step(self, action):
        return self._step


@state_function
def first_coordinate(obs, features):  # noqa: ARG001  # the signature of a state function
    return obs[:, 0]


SINGLE = {
    "plain": None,
    "task": TaskReward(),
    "task_potential": TaskReward() + Potential("obs[0]"),
    "task_potential_of_function": TaskReward() + Potential(first_coordinate),
}
VECTOR = {
    "plain": None,
    "task_potential": TaskReward() + Potential("features.agent_pos[0]"),
    "four_terms": TaskReward()
    + Potential("features.agent_pos[0]")
    + CountBonus("features.agent_pos")
    + Event("features.success"),
}


@pytest.mark.benchmark(group="one environment that does nothing")
@pytest.mark.parametrize("name", SINGLE)
def test_single_step(benchmark, name):
    reward = SINGLE[name]
    env = Still() if reward is None else ShapedEnv(Still(), reward, gamma=0.99)
    env.reset(seed=0)
    benchmark(env.step, 0)


@pytest.mark.benchmark(group="1,024 lanes of FourRooms")
@pytest.mark.parametrize("name", VECTOR)
def test_vector_step(benchmark, name):
    envs = gym.make_vec("shapegym/FourRooms-v0", LANES, autoreset_mode=AutoresetMode.SAME_STEP)
    if VECTOR[name] is not None:
        envs = ShapedVectorEnv(envs, VECTOR[name], gamma=0.99)
    envs.reset(seed=0)
    envs.action_space.seed(0)
    actions = cycle([envs.action_space.sample() for _ in range(64)])
    for _ in range(256):
        envs.step(next(actions))
    benchmark(lambda: envs.step(next(actions)))
