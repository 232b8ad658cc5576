"""What one batch step of the engine costs, without environment and surface.

The transitions are 64 steps of random actions in FourRooms, recorded beforehand and played over and over, so that episodes end as
often as they do in training.
"""

from __future__ import annotations

from itertools import cycle

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from shapegym.shaping import (
    CountBonus,
    Event,
    Linear,
    Potential,
    RewardEngine,
    Spec,
    TaskReward,
    Transitions,
    anneal,
)

LANES = 1024
STEPS = 64
POTENTIAL = Potential("features.agent_pos[0]", gamma=0.99)
SOLVED = Event("features.success")
EXPRESSIONS = {
    "task": TaskReward(),
    "task_potential": TaskReward() + POTENTIAL,
    "four_terms_schedule": TaskReward() + POTENTIAL + anneal(SOLVED, Linear(1.0, 0.0, 1_000_000)),
    "four_terms_counts": TaskReward() + POTENTIAL + CountBonus("features.agent_pos") + SOLVED,
}


@pytest.fixture(scope="module")
def envs() -> gym.vector.VectorEnv:
    return gym.make_vec("shapegym/FourRooms-v0", LANES, autoreset_mode=AutoresetMode.SAME_STEP)


@pytest.fixture(scope="module")
def recorded(envs: gym.vector.VectorEnv) -> list[Transitions]:
    envs.action_space.seed(0)
    obs, before = envs.reset(seed=0)
    ended = np.ones(LANES, dtype=bool)
    stream = []
    for _ in range(STEPS):
        action = envs.action_space.sample()
        next_obs, reward, terminated, truncated, info = envs.step(action)
        after = info.get("final_info", info)
        stream.append(
            Transitions(
                obs=obs,
                action=action,
                next_obs=info.get("final_obs", next_obs),
                reward=reward,
                terminated=terminated,
                truncated=truncated,
                first=ended,
                active=np.ones(LANES, dtype=bool),
                features={"agent_pos": before["agent_pos"]},
                next_features={"agent_pos": after["agent_pos"], "success": after["success"]},
            )
        )
        obs, before, ended = next_obs, info, terminated | truncated
    return stream


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_engine_step(benchmark, name, envs, recorded):
    spec = Spec(LANES, envs.single_observation_space, envs.single_action_space, envs.features, gamma=0.99)
    engine = RewardEngine(EXPRESSIONS[name], spec)
    for transitions in recorded:
        engine.step(transitions)
    stream = cycle(recorded)
    benchmark(lambda: engine.step(next(stream)))
