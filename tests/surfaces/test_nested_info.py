"""Dotted names into infos that nest, on every surface."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from pettingzoo import ParallelEnv
from stable_baselines3.common.vec_env import DummyVecEnv

from shapegym.shaping.errors import FeatureError, ObservationError
from shapegym.shaping.states.functions import state_function
from shapegym.shaping.surfaces.gym_env import ShapedEnv
from shapegym.shaping.surfaces.parallel_env import ShapedParallelEnv
from shapegym.shaping.surfaces.sb3_vec import ShapedVecEnv
from shapegym.shaping.surfaces.vector_env import ShapedVectorEnv
from shapegym.shaping.terms.goals import StateReward
from shapegym.shaping.terms.progress import Progress
from shapegym.shaping.types import Expression

ANGLE = StateReward("features.reward.angle")


class Nested(gym.Env):
    """Counts its steps, and tells of them deep inside its info; an episode lasts three."""

    observation_space = gym.spaces.Box(-1, 9, (1,), np.float32)
    action_space = gym.spaces.Discrete(2)
    declared: ClassVar[Any] = gym.spaces.Dict(
        {"angle": gym.spaces.Box(0, 9, ()), "wheels": gym.spaces.Dict({"speed": gym.spaces.Box(0, 9, (2,))})}
    )

    def __init__(self, *, declare: bool = False) -> None:
        if declare:
            self.features = {"reward": self.declared}

    def told(self) -> dict[str, Any]:
        t = float(self.t)
        wheels = {"speed": np.array([t, -t])}
        return {"reward": {"angle": 0.5 * t, "wheels": wheels}, "flat.name": t, "of.two": {"keys": 2 * t}}

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.t = 0
        return np.zeros(1, np.float32), self.told()

    def step(self, action: Any) -> Any:
        self.t += 1
        return np.zeros(1, np.float32), 0.0, self.t == 3, False, self.told()


class NestedParallel(ParallelEnv):
    metadata: ClassVar[dict[str, Any]] = {"name": "nested"}
    possible_agents: ClassVar[list[str]] = ["a", "b"]

    def __init__(self) -> None:
        self.lanes = {agent: Nested() for agent in self.possible_agents}

    def observation_space(self, agent: str) -> gym.Space:
        return Nested.observation_space

    def action_space(self, agent: str) -> gym.Space:
        return Nested.action_space

    def reset(self, seed: int | None = None, options: Any = None) -> Any:
        self.agents = list(self.possible_agents)
        starts = {agent: lane.reset() for agent, lane in self.lanes.items()}
        return {a: start[0] for a, start in starts.items()}, {a: start[1] for a, start in starts.items()}

    def step(self, actions: Any) -> Any:
        results = {agent: self.lanes[agent].step(action) for agent, action in actions.items()}
        self.agents = [agent for agent in self.agents if not results[agent][2]]
        return tuple({agent: result[column] for agent, result in results.items()} for column in range(5))


def on_gym(expression: Expression) -> list[float]:
    env = ShapedEnv(Nested(), expression)
    env.reset()
    return [env.step(0)[1] for _ in range(3)]


def on_vector(expression: Expression, mode: AutoresetMode = AutoresetMode.NEXT_STEP) -> list[float]:
    envs = ShapedVectorEnv(SyncVectorEnv([Nested, Nested], autoreset_mode=mode), expression)
    envs.reset()
    rewards = [envs.step(np.zeros(2, int))[1] for _ in range(3)]
    assert all(lanes[0] == lanes[1] for lanes in rewards)
    return [float(lanes[0]) for lanes in rewards]


def on_sb3(expression: Expression) -> list[float]:
    venv = ShapedVecEnv(DummyVecEnv([Nested, Nested]), expression)
    venv.reset()
    return [float(venv.step(np.zeros(2, int))[1][1]) for _ in range(3)]


def on_pettingzoo(expression: Expression) -> list[float]:
    game = ShapedParallelEnv(NestedParallel(), expression)
    game.reset()
    return [game.step(dict.fromkeys(game.agents, 0))[1]["b"] for _ in range(3)]


SURFACES: dict[str, Callable[[Expression], list[float]]] = {
    "gym": on_gym,
    "next_step": on_vector,
    "same_step": partial(on_vector, mode=AutoresetMode.SAME_STEP),
    "sb3": on_sb3,
    "pettingzoo": on_pettingzoo,
}
on_every_surface = pytest.mark.parametrize("run", SURFACES.values(), ids=SURFACES)


@state_function(reads=("reward.angle", "reward.wheels.speed"))
def of_nested_names(obs, features):
    return features["reward.angle"] + features["reward.wheels.speed"][:, 0]


@on_every_surface
def test_a_dotted_name_leads_into_an_info(run: Callable[[Expression], list[float]]) -> None:
    assert run(ANGLE) == [0.5, 1.0, 1.5]
    assert run(Progress("features.reward.wheels.speed[1]")) == [-1.0, -1.0, -1.0]
    assert run(StateReward("features.flat.name")) == [1.0, 2.0, 3.0]
    assert run(StateReward("features.of.two.keys")) == [2.0, 4.0, 6.0]
    assert run(StateReward(of_nested_names)) == [1.5, 3.0, 4.5]


@on_every_surface
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("reward", r"is a mapping.*Known: reward.angle, reward.wheels.speed"),
        ("reward.wheels", r"is a mapping.*Known: reward.wheels.speed"),
        (
            "reward.angel",
            r"missing.*Did you mean 'reward.angle'\? Known: .*flat.name, of.two.keys, reward.angle, reward.wheels.speed",
        ),
        ("angle", r"missing.*Did you mean 'reward.angle'"),
        ("flat.name.deeper", "missing"),
    ],
)
def test_what_no_name_leads_to_is_refused_with_what_there_is(
    run: Callable[[Expression], list[float]], name: str, message: str
) -> None:
    with pytest.raises(FeatureError, match=message):
        run(StateReward(f"features.{name}"))


def test_declared_features_nest_too() -> None:
    env = ShapedEnv(Nested(declare=True), StateReward("features.reward.wheels.speed[1]"))
    env.reset()
    assert env.step(0)[1] == -1.0
    with pytest.raises(
        FeatureError, match=r"Did you mean 'reward.angle'\? Known: reward.angle, reward.wheels.speed"
    ):
        ShapedEnv(Nested(declare=True), StateReward("features.reward.angel"))
    with pytest.raises(ObservationError, match=r"reads column 2, but there are only 2"):
        ShapedEnv(Nested(declare=True), StateReward("features.reward.wheels.speed[2]"))


def test_a_lane_without_the_entry_is_named_on_a_vector_surface() -> None:
    class Silent(Nested):
        def told(self) -> dict[str, Any]:
            return {"reward": {"other": 1.0}}

    envs = ShapedVectorEnv(SyncVectorEnv([Nested, Silent]), ANGLE)
    envs.reset()
    with pytest.raises(FeatureError, match=r"'reward.angle' is missing.*reward.other"):
        envs.step(np.zeros(2, int))
