"""A single environment shows what the lanes that agents train on show."""

from __future__ import annotations

import sys
from types import ModuleType

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3.common.vec_env import DummyVecEnv

from shapegym.agents.environments import make_env, make_vec_env
from shapegym.agents.errors import SettingsError


@pytest.mark.parametrize(
    "env_id",
    ["shapegym/KeyDoorSmall-v0", "shapegym/MiniGrid-Empty-5x5-v0", "MiniGrid-Empty-5x5-v0", "CartPole-v1"],
)
def test_one_environment_plays_the_episode_of_the_first_lane(env_id):
    env, venv = make_env(env_id), make_vec_env(env_id, 2, seed=5)
    obs, _ = env.reset(seed=5)
    lanes = venv.reset()
    assert env.observation_space == venv.observation_space
    for _ in range(8):
        np.testing.assert_array_equal(obs, lanes[0])
        obs, reward, terminated, truncated, _ = env.step(1)
        lanes, rewards, dones, _ = venv.step(np.array([1, 1]))
        assert (reward, terminated or truncated) == (pytest.approx(rewards[0]), dones[0])
        if terminated or truncated:
            break
    venv.close()


def test_unknown_ids_are_gymnasiums_error():
    with pytest.raises(gym.error.Error):
        make_env("shapegym/Nonsense-v0")


def test_a_strangers_id_is_imported_from_its_module_and_played_one_by_one(monkeypatch):
    monkeypatch.setitem(sys.modules, "mypackage", ModuleType("mypackage"))
    gym.register("MyEnv-v0", entry_point="gymnasium.envs.classic_control:CartPoleEnv", max_episode_steps=9)
    venv = make_vec_env("mypackage:MyEnv-v0", 2, seed=1)
    assert isinstance(venv, DummyVecEnv)
    assert venv.reset().shape == (2, 4)
    assert "upright" in venv.get_attr("features")[0]
    venv.close()
    del gym.registry["MyEnv-v0"]


@pytest.mark.parametrize("nested", [False, True])
def test_lanes_whose_observations_take_all_memory_are_refused_before_they_are_made(nested):
    made = []

    class Large(gym.Env):
        action_space = gym.spaces.Discrete(2)
        observation_space = gym.spaces.Box(-1.0, 1.0, (1000, 1000), np.float32)

        def __init__(self):
            made.append(self)
            if nested:
                self.observation_space = gym.spaces.Dict(a=type(self).observation_space, b=self.action_space)

    gym.register("Tests/Large-v0", entry_point=Large)
    try:
        with pytest.raises(SettingsError, match=r"1,000,000 lanes of Tests/Large-v0 .* ask for fewer lanes"):
            make_vec_env("Tests/Large-v0", 10**6)
    finally:
        del gym.registry["Tests/Large-v0"]
    assert len(made) == 1
