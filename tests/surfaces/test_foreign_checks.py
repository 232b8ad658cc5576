"""Checkers and recorders that other libraries bring, on shaped environments. Whole tools: ``benchmarks/compat/run.py``."""

from __future__ import annotations

import warnings
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from stable_baselines3.common.env_checker import check_env as check_for_sb3

from shapegym.shaping.algebra import TaskReward
from shapegym.shaping.surfaces.gym_env import ShapedEnv
from shapegym.shaping.surfaces.vector_env import ShapedVectorEnv
from shapegym.shaping.terms.counts import CountBonus
from shapegym.shaping.terms.potential import Potential

FORGETS = TaskReward() + CountBonus("features.agent_pos", scope="episode")
REMEMBERS = TaskReward() + CountBonus("features.agent_pos")


def rooms(**kwargs: Any) -> gym.Env:
    return gym.make("shapegym/FourRooms-v0", disable_env_checker=True, **kwargs).unwrapped


def check(env: gym.Env) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of wrappers, and of CartPole's infinite bounds
        check_env(env, skip_render_check=True)


def test_check_env_passes_with_what_forgets_at_the_end_of_an_episode() -> None:
    check(ShapedEnv(rooms(), FORGETS))
    check_for_sb3(ShapedEnv(rooms(), FORGETS))
    check(ShapedEnv(gym.make("CartPole-v1"), TaskReward() + Potential("obs[2]", gamma=0.99)))


def test_check_env_notices_what_is_remembered_for_life() -> None:
    with pytest.raises(AssertionError, match="step rewards are not equivalent"):
        check(ShapedEnv(rooms(), REMEMBERS))


@pytest.mark.parametrize("flat_info", [False, True])
def test_statistics_and_normalised_rewards_outside_see_what_is_paid(flat_info: bool) -> None:
    inner = ShapedEnv(rooms(), FORGETS, flat_info=flat_info)
    env = gym.wrappers.NormalizeReward(gym.wrappers.RecordEpisodeStatistics(inner))
    env.reset(seed=0)
    paid, ended, info = 0.0, False, {}
    while not ended:
        _, _, terminated, truncated, info = env.step(inner.action_space.sample())
        paid += info["shaped_reward"]
        ended = terminated or truncated
    assert info["episode"]["r"] == pytest.approx(paid)
    book = info["shaping_episode/shaped_return"] if flat_info else info["shaping_episode"]["shaped_return"]
    assert book == pytest.approx(paid)


def test_statistics_outside_a_vector_environment_see_what_is_paid() -> None:
    inner = ShapedVectorEnv(gym.make_vec("shapegym/FourRooms-v0", num_envs=2, max_steps=5), FORGETS)
    envs = gym.wrappers.vector.RecordEpisodeStatistics(inner)
    envs.reset(seed=0)
    for _ in range(5):
        infos = envs.step(np.zeros(2, dtype=int))[4]
    np.testing.assert_allclose(infos["episode"]["r"], infos["shaping_episode"]["shaped_return"], rtol=1e-6)
