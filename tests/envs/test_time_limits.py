"""Limits that Gymnasium's arguments ask for hold in every form, and ids say their own."""

from __future__ import annotations

from collections.abc import Callable
from math import floor
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import shapegym as sg
from shapegym.envs.registration import REWARD_THRESHOLD, TABLE, EnvRow, build

ROOMS, CAR, GRID, CALLS = (
    f"shapegym/{name}-v0" for name in ("FourRooms", "MountainCar", "MiniGrid-Empty-5x5", "ToolCalls")
)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_an_id_says_its_limit_and_when_it_is_solved(row: EnvRow) -> None:
    spec, dynamics = gym.spec(row.id), build(row.builder, **row.knobs)
    assert spec.max_episode_steps == dynamics.max_steps
    if (exact := dynamics.exact_returns()) is not None:
        assert spec.reward_threshold == floor(100 * REWARD_THRESHOLD * exact[0] + 1e-9) / 100
        assert exact[1] < spec.reward_threshold, "the random policy does not solve it"


def single(id: str, **knobs: Any) -> int:
    """Steps of an episode of the first action; at most 2,000."""
    env = gym.make(id, **knobs)
    env.reset(seed=0)
    first = np.zeros(env.action_space.shape, env.action_space.dtype) if env.action_space.shape else 0
    for step in range(1, 2001):
        *_, terminated, truncated, _ = env.step(first)
        if terminated or truncated:
            return step
    return 2001


def vector(id: str, **knobs: Any) -> int:
    envs = gym.make_vec(id, num_envs=2, **knobs)
    envs.reset(seed=0)
    for step in range(1, 2001):
        *_, terminated, truncated, _ = envs.step(np.zeros_like(envs.action_space.sample()))
        if (terminated | truncated).all():
            return step
    return 2001


def stable_baselines(id: str, **knobs: Any) -> int:
    envs = sg.make_vec_env(id, 2, seed=0, **knobs)
    envs.reset()
    for step in range(1, 2001):
        _, _, done, _ = envs.step(np.zeros(2, int))
        if done.all():
            return step
    return 2001


FORMS: tuple[Callable[..., int], ...] = (single, vector, stable_baselines)


@pytest.mark.parametrize("length", FORMS, ids=lambda form: form.__name__)
@pytest.mark.parametrize(
    ("id", "knobs", "steps"),
    [
        (ROOMS, {}, 220),
        (ROOMS, {"max_episode_steps": None}, 220),
        (ROOMS, {"max_episode_steps": 7}, 7),
        (ROOMS, {"max_episode_steps": 1000}, 1000),
        (ROOMS, {"max_episode_steps": -1}, 2001),
        (ROOMS, {"max_steps": 9}, 9),
        (ROOMS, {"size": 7}, 140),
        (ROOMS, {"size": 13}, 260),
        (ROOMS, {"size": 13, "max_episode_steps": 300}, 300),
        (ROOMS, {"size": 13, "max_episode_steps": 20}, 20),
        (GRID, {"max_steps": 500}, 500),
        (CAR, {"max_episode_steps": 300}, 300),
        (GRID, {}, 100),
        (GRID, {"max_episode_steps": 12}, 12),
        (GRID, {"max_episode_steps": -1}, 100),
        (CALLS, {"max_episode_steps": 5}, 5),
        (CALLS, {"max_episode_steps": 500}, 12),
        (CALLS, {"max_episode_steps": -1}, 12),
    ],
)
def test_limits_that_are_asked_for_hold(length: Any, id: str, knobs: dict[str, Any], steps: int) -> None:
    assert length(id, **knobs) == steps


def test_a_deadline_terminates_and_a_limit_before_it_truncates() -> None:
    for limit, flags in ((5, (False, True)), (12, (True, False)), (500, (True, False))):
        envs = gym.make_vec(CALLS, num_envs=1, max_episode_steps=limit)
        envs.reset(seed=0)
        while True:
            *_, terminated, truncated, _ = envs.step(np.zeros(1, int))
            if terminated[0] or truncated[0]:
                break
        assert (terminated[0], truncated[0]) == flags


@pytest.mark.parametrize("limit", [0, -2, 1.5, "ten", True])
def test_what_is_no_limit_is_refused(limit: Any) -> None:
    with pytest.raises(ValueError, match=r"max_episode_steps must be an integer from 1 on, -1 .* got"):
        gym.make_vec(ROOMS, num_envs=2, max_episode_steps=limit)


def test_a_limit_that_rewards_count_on_is_not_prolonged_silently() -> None:
    with pytest.raises(ValueError, match=r"rewards count on its limit of 100 steps.*max_steps=500"):
        gym.make_vec(GRID, num_envs=2, max_episode_steps=500)
    assert vector(GRID, max_steps=500) == 500


def test_specs_go_to_text_and_back() -> None:
    for knobs, limit in (({"max_episode_steps": 400}, 400), ({"size": 13}, 260)):
        env = gym.make(ROOMS, **knobs)
        env.reset()
        spec = env.spec
        assert spec is not None
        again = gym.make(gym.envs.registration.EnvSpec.from_json(spec.to_json()))
        assert again.spec is not None
        assert again.spec.max_episode_steps == limit
