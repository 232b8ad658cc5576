"""Grid worlds against the minigrid package: the same seeds and actions give the same bits.

The sample runs with the suite. The whole, 76 ids x 20 seeds x 1,000 steps of random and of planned actions, is one
command: `pytest -m slow tests/envs/test_grid_lockstep.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import minigrid  # noqa: F401 (registers its ids)
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from shapegym.envs.grid.families.ids import GRID_IDS
from shapegym.envs.grid.planner import Planner
from shapegym.envs.native import NativeVectorEnv

IDS = [name for name, *_ in GRID_IDS]
Policy = Callable[[NativeVectorEnv, np.random.Generator], NDArray[np.int64]]


def uniform(env: NativeVectorEnv, rng: np.random.Generator) -> NDArray[np.int64]:
    return rng.integers(env.single_action_space.n, size=env.num_envs)


def planned(env: NativeVectorEnv, rng: np.random.Generator) -> NDArray[np.int64]:
    """The planner's actions; every other lane takes a tenth of its actions at random, to see more than one way."""
    stray = (rng.random(env.num_envs) < 0.1) & (np.arange(env.num_envs) % 2 == 1)
    return np.where(stray, uniform(env, rng), Planner(env).actions())


class Lockstep:
    """One of ours with a lane for each of theirs; `step` compares everything that MiniGrid returns."""

    def __init__(self, name: str, lanes: int, first_seed: int) -> None:
        self.theirs = [gym.make(name, disable_env_checker=True).unwrapped for _ in range(lanes)]
        self.ours = gym.make_vec(f"shapegym/{name}", lanes, autoreset_mode=AutoresetMode.SAME_STEP)
        seen, _ = self.ours.reset(seed=first_seed)
        for lane, env in enumerate(self.theirs):
            self._compare(lane, seen, env.reset(seed=first_seed + lane)[0], "first observation")
        self.successes = 0

    def step(self, actions: NDArray[np.int64]) -> None:
        seen, reward, terminated, truncated, info = self.ours.step(actions)
        for lane, env in enumerate(self.theirs):
            what = f"lane {lane} after action {actions[lane]} of step {env.step_count + 1}"
            theirs, pay, end, cut, _ = env.step(int(actions[lane]))
            assert (pay, end, cut) == (reward[lane], terminated[lane], truncated[lane]), what
            if end or cut:
                self._compare(lane, info["final_obs"], theirs, what)
                self.successes += info["final_info"]["success"][lane]
                theirs, _ = env.reset()
                what += ", next episode"
            self._compare(lane, seen, theirs, what)

    @staticmethod
    def _compare(lane: int, ours: dict[str, Any], theirs: dict[str, Any], what: str) -> None:
        assert np.array_equal(ours["image"][lane], theirs["image"]), what
        assert ours["direction"][lane] == theirs["direction"], what
        assert ours["mission"][lane] == theirs["mission"], what


def follow(name: str, policy: Policy, lanes: int, steps: int, first_seed: int) -> int:
    """Play, and return the number of solved episodes."""
    lockstep = Lockstep(name, lanes, first_seed)
    rng = np.random.default_rng(first_seed)
    for _ in range(steps):
        lockstep.step(policy(lockstep.ours, rng))
    return lockstep.successes


@pytest.mark.parametrize("policy", [uniform, planned])
@pytest.mark.parametrize("name", IDS)
def test_sample(name: str, policy: Policy) -> None:
    follow(name, policy, lanes=2, steps=150, first_seed=1000)


@pytest.mark.slow
@pytest.mark.parametrize("policy", [uniform, planned])
@pytest.mark.parametrize("name", IDS)
def test_whole(name: str, policy: Policy) -> None:
    solved = follow(name, policy, lanes=20, steps=1000, first_seed=0)
    if policy is planned and "Playground" not in name:
        assert solved > 0, "the planner solved nothing, so the comparison saw no success"


@pytest.mark.parametrize("name", ["MiniGrid-DoorKey-5x5-v0", "MiniGrid-Fetch-5x5-N2-v0"])
def test_single_form(name: str) -> None:
    """Through `gym.make`, over an episode's end, without a seed for the next one."""
    ours, theirs = gym.make(f"shapegym/{name}"), gym.make(name)
    rng = np.random.default_rng(3)
    seen, expected = ours.reset(seed=3)[0], theirs.reset(seed=3)[0]
    for _ in range(600):
        assert np.array_equal(seen["image"], expected["image"])
        assert (seen["direction"], seen["mission"]) == (expected["direction"], expected["mission"])
        action = int(rng.integers(7))
        seen, *results, _ = ours.step(action)
        expected, *expected_results, _ = theirs.step(action)
        assert results == expected_results
        if results[1] or results[2]:
            seen, expected = ours.reset()[0], theirs.reset()[0]
