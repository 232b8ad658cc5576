"""A batch step of the native vector form, and of Gymnasium's `SyncVectorEnv` over single environments of the same task.

The single environments are our own, which are vectors of one lane, and for mountain car also Gymnasium's.
"""

from __future__ import annotations

from itertools import cycle

import gymnasium as gym
import pytest

import shapegym  # noqa: F401  registers the ids

LANES = 64


FORMS = [
    (task, f"shapegym/{task}", form)
    for task in ("FourRooms-v0", "MountainCar-v0", "PointMaze-v0")
    for form in ("vector_entry_point", "sync")
] + [("MountainCar-v0", "MountainCar-v0", "sync")]


@pytest.mark.parametrize(("task", "env_id", "form"), FORMS)
def test_env_step(benchmark, task, env_id, form):
    benchmark.group = f"{LANES} lanes of {task}"
    envs = gym.make_vec(env_id, LANES, vectorization_mode=form)
    envs.reset(seed=0)
    envs.action_space.seed(0)
    actions = cycle([envs.action_space.sample() for _ in range(64)])
    benchmark(lambda: envs.step(next(actions)))
    envs.close()
