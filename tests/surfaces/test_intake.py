"""What environments give is held to what their spaces promise, with one error on all surfaces."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from gymnasium.vector import SyncVectorEnv, VectorEnv
from pettingzoo import ParallelEnv
from stable_baselines3.common.vec_env import DummyVecEnv

from shapegym.shaping.algebra import TaskReward
from shapegym.shaping.arrays import allocate
from shapegym.shaping.errors import FeatureError, ObservationError, WiringError
from shapegym.shaping.states.functions import state_function
from shapegym.shaping.surfaces.gym_env import ShapedEnv
from shapegym.shaping.surfaces.intake import write_lane, write_lanes
from shapegym.shaping.surfaces.parallel_env import ShapedParallelEnv
from shapegym.shaping.surfaces.sb3_vec import ShapedVecEnv
from shapegym.shaping.surfaces.vector_env import ShapedVectorEnv
from shapegym.shaping.terms.goals import StateReward
from shapegym.shaping.terms.potential import Potential

REWARD = TaskReward() + Potential("obs[1]", gamma=0.9)
GOOD = np.array([0.5, 1.0], np.float32)


class Says(gym.Env[Any, Any]):
    """Gives whatever it is told to, from the first step on."""

    observation_space = spaces.Box(-9, 9, (2,), np.float32)
    action_space = spaces.Discrete(2)

    def __init__(self, **changes: Any) -> None:
        self.says = {
            "obs": GOOD,
            "reward": 1.0,
            "terminated": False,
            "truncated": False,
            "info": {},
        } | changes

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        return GOOD, {}

    def step(self, action: Any) -> Any:
        return tuple(self.says.values())


class SaysAll(VectorEnv):
    """A batch of two that hands on lists and whatever else it is told to."""

    num_envs = 2
    single_observation_space, single_action_space = Says.observation_space, Says.action_space
    metadata = {"autoreset_mode": "NextStep"}  # noqa: RUF012

    def __init__(self, **changes: Any) -> None:
        self.lane = Says(**changes)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        return np.stack([GOOD, GOOD]), {}

    def step(self, actions: Any) -> Any:
        *said, info = self.lane.step(0)
        if info and "x" in info:
            info = {"x": as_objects(info["x"])}
        return *([value, value] for value in said), info


def as_objects(value: Any) -> np.ndarray:
    array = np.empty(2, dtype=object)
    array[:] = [value, value]
    return array


class SaysToAgents(ParallelEnv):
    metadata = {"name": "says"}  # noqa: RUF012
    possible_agents = ["a", "b"]  # noqa: RUF012

    def __init__(self, **changes: Any) -> None:
        self.lane = Says(**changes)

    def observation_space(self, agent: str) -> gym.Space:
        return Says.observation_space

    def action_space(self, agent: str) -> gym.Space:
        return Says.action_space

    def reset(self, seed: int | None = None, options: Any = None) -> Any:
        self.agents = ["a", "b"]
        return dict.fromkeys(self.agents, GOOD), {}

    def step(self, actions: Any) -> Any:
        return tuple(dict.fromkeys("ab", value) for value in self.lane.step(0))


def one_step(surface: str, *, reward_of: str | None = None, **changes: Any) -> Any:
    """The reward of a step on a surface, by default of a potential over the observation."""
    reward = REWARD if reward_of is None else StateReward(reward_of)
    if surface == "ShapedEnv":
        env: Any = ShapedEnv(Says(**changes), reward)
        env.reset()
        return env.step(0)[1]
    if surface == "ShapedVectorEnv over SyncVectorEnv":
        env = ShapedVectorEnv(SyncVectorEnv([lambda: Says(**changes)] * 2), reward)
    elif surface == "ShapedVectorEnv":
        env = ShapedVectorEnv(SaysAll(**changes), reward)
    elif surface == "ShapedVecEnv":
        env = ShapedVecEnv(DummyVecEnv([lambda: Says(**changes)] * 2), reward)
    else:
        env = ShapedParallelEnv(SaysToAgents(**changes), reward)
        env.reset()
        return env.step({"a": 0, "b": 0})[1]["a"]
    env.reset()
    return env.step(np.zeros(2, np.int64))[1][0]


SURFACES = [
    "ShapedEnv",
    "ShapedVectorEnv",
    "ShapedVectorEnv over SyncVectorEnv",
    "ShapedVecEnv",
    "ShapedParallelEnv",
]
on_every_surface = pytest.mark.parametrize("surface", SURFACES)

NO_OBSERVATIONS = {
    "a number": np.float32(1.0),
    "too few": GOOD[:1],
    "too many axes": GOOD[None],
    "None": None,
    "text": "here",
    "texts": ["0.5", "1.0"],
    "complex": GOOD + 1j,
    "a dict": {"obs": GOOD},
    "ragged": [[0.5], [1.0, 2.0]],
    "objects": np.array([object(), object()]),
}
NO_REWARDS = {
    "one in an array": np.ones(1),
    "several": np.ones(3),
    "None": None,
    "text": "1.0",
    "complex": 1j,
    "a dict": {"reward": 1.0},
    "ragged": [[1.0], [1.0, 2.0]],
    "an object": object(),
}


@on_every_surface
@pytest.mark.parametrize("name", NO_OBSERVATIONS)
def test_an_observation_that_is_not_what_was_promised_is_the_same_error_everywhere(surface, name) -> None:
    with pytest.raises(ObservationError, match=r"observation .*promises"):
        one_step(surface, obs=NO_OBSERVATIONS[name])


@on_every_surface
@pytest.mark.parametrize("name", NO_REWARDS)
def test_a_reward_that_is_no_number_is_the_same_error_everywhere(surface, name) -> None:
    with pytest.raises(ObservationError, match=r"paid .*one number"):
        one_step(surface, reward=NO_REWARDS[name])


@on_every_surface
def test_a_vector_of_rewards_is_named_with_its_shape(surface) -> None:
    with pytest.raises(ObservationError, match=r"shape \((2, )?3,?\).*components in the info"):
        one_step(surface, reward=np.ones(3))


@on_every_surface
@pytest.mark.parametrize("value", [None, "False", 2, np.zeros(2, bool)])
def test_a_flag_that_is_no_truth_value_is_the_same_error_everywhere(surface, value) -> None:
    with pytest.raises(ObservationError, match="terminated"):
        one_step(surface, terminated=value)


@on_every_surface
@pytest.mark.parametrize("value", [None, "far", {"x": 1.0}, [[1.0], [1.0, 2.0]], object(), np.ones(2)])
def test_a_feature_that_is_no_number_is_a_typed_error_everywhere(surface, value) -> None:
    with pytest.raises((ObservationError, FeatureError), match=r"'(features\.)?x'"):
        one_step(surface, reward_of="features.x", info={"x": value})


@on_every_surface
@pytest.mark.parametrize("value", [0.5, [0.5], np.array([0.5]), torch.tensor(0.5)])
def test_a_feature_is_a_number_in_any_form(surface, value) -> None:
    assert one_step(surface, reward_of="features.x", info={"x": value}) == 0.5


@on_every_surface
@pytest.mark.parametrize(
    ("obs", "reward"),
    [
        (GOOD.astype(np.float64), np.float32(1.0)),
        ([0.5, 1.0], 1),
        (torch.as_tensor(GOOD), torch.tensor(1.0)),
        (GOOD, np.array(1.0)),
        (GOOD, True),
    ],
)
def test_what_says_the_same_in_another_way_is_taken(surface, obs, reward) -> None:
    assert one_step(surface, obs=obs, reward=reward) == pytest.approx(0.9)


def test_numbers_that_the_promised_dtype_cannot_hold_are_not_rounded() -> None:
    rows = allocate(spaces.MultiDiscrete([5, 5]), 1)
    write_lane(rows, 0, np.array([1.0, 2.0]))
    assert rows[0].tolist() == [1, 2]
    with pytest.raises(ObservationError, match=r"float64.*int64"):
        write_lane(rows, 0, np.array([1.5, 2.0]))


def test_members_of_dicts_and_tuples_are_named() -> None:
    space = spaces.Dict({"goal": spaces.Tuple([spaces.Discrete(3), Says.observation_space])})
    rows = allocate(space, 2)
    with pytest.raises(ObservationError, match=r"lacks 'goal'.*it has 'gaol'"):
        write_lane(rows, 0, {"gaol": (1, GOOD)})
    with pytest.raises(ObservationError, match="tuple of 2"):
        write_lane(rows, 0, {"goal": (1,)})
    with pytest.raises(ObservationError, match=r"observation\['goal'\]\[1\]"):
        write_lanes(rows, {"goal": (np.ones(2, np.int64), np.ones((2, 3), np.float32))})


class Alters(gym.Env[Any, Any]):
    """Changes what it gave in place, in a space of any kind."""

    action_space = spaces.Discrete(2)

    def __init__(self, kind: str) -> None:
        self.nodes = np.zeros((2, 1), np.float32)
        graph = spaces.GraphInstance(self.nodes, None, None)
        box = spaces.Box(-9, 9, (2, 1), np.float32)
        graphs, series = spaces.Graph(spaces.Box(-9, 9, (1,)), None), spaces.Sequence(box)
        self.observation_space, self.given = {
            "graph": (graphs, graph),
            "sequence": (series, [self.nodes]),
            "one of": (spaces.OneOf([box, graphs]), (1, graph)),
            "dict of graphs": (spaces.Dict({"g": graphs, "b": box}), {"g": graph, "b": self.nodes}),
            "tuple with a sequence": (spaces.Tuple([series, box]), ([self.nodes], self.nodes)),
        }[kind]

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.nodes[:] = 0
        return self.given, {}

    def step(self, action: Any) -> Any:
        self.nodes += 1
        return self.given, 0.0, False, False, {}


def first_number(value: Any) -> float:
    while not isinstance(value, np.ndarray):
        value = value.nodes if isinstance(value, spaces.GraphInstance) else value[-1]
    return float(value.flat[0])


@state_function
def number_of_each_lane(obs, features):
    while not isinstance(obs, np.ndarray):
        obs = obs["g"] if isinstance(obs, dict) else obs[0]
    return np.array([first_number(member) for member in obs])


@pytest.mark.parametrize("kind", ["graph", "sequence", "one of", "dict of graphs", "tuple with a sequence"])
@pytest.mark.parametrize("batch", [False, True])
def test_states_that_are_altered_in_place_were_copied_in_time(kind, batch) -> None:
    phi = Potential(number_of_each_lane, gamma=0.9)
    if batch:
        env: Any = ShapedVectorEnv(
            SyncVectorEnv([lambda: Alters(kind)] * 2, observation_mode="different"), phi
        )
    else:
        env = ShapedEnv(Alters(kind), phi)
    env.reset()
    actions = np.zeros(2, np.int64) if batch else 0
    paid = [np.ravel(env.step(actions)[1])[0] for _ in range(3)]
    assert paid == pytest.approx([0.9, 0.8, 0.7])


class Old(Says):
    def step(self, action: Any) -> Any:
        return GOOD, 1.0, False, {}


@pytest.mark.parametrize(
    "make",
    [
        lambda: ShapedEnv(Old(), REWARD),
        lambda: ShapedVectorEnv(SyncVectorEnv([Old]), REWARD),
        lambda: ShapedVecEnv(DummyVecEnv([Old]), REWARD),
    ],
)
def test_a_step_of_the_old_api_is_explained(make) -> None:
    env = make()
    env.reset()
    with pytest.raises(ObservationError, match=r"step.* returned 4 values.*terminated"):
        env.step(0 if isinstance(env, ShapedEnv) else np.zeros(1, np.int64))


def test_infos_may_be_none_and_nothing_else_that_is_no_dict() -> None:
    assert one_step("ShapedEnv", info=None) == pytest.approx(0.9)
    assert one_step("ShapedParallelEnv", info=None) == pytest.approx(0.9)
    with pytest.raises(ObservationError, match=r"info is 'none'"):
        one_step("ShapedEnv", info="none")


def test_lanes_that_are_checked_still_copy_and_pickle() -> None:
    env = ShapedVectorEnv(SyncVectorEnv([Says, Says]), REWARD)
    for lane in (copy.deepcopy(env.env.envs[0]), pickle.loads(pickle.dumps(env.env.envs[0]))):
        lane.says["reward"] = None
        with pytest.raises(ObservationError):
            lane.step(0)
    assert env.env.envs[0].step(0)[1] == 1.0


def test_infos_tell_of_shaping_in_another_process() -> None:
    paid = {"task_reward": 1.0, "shaped_reward": 2.0}
    for parts in ({"reward_parts": {}}, {"reward_parts/task_reward": 1.0}):  # with flat_info
        for surface in ("ShapedEnv", "ShapedVectorEnv", "ShapedVecEnv", "ShapedParallelEnv"):
            with pytest.raises(WiringError, match="shaped twice"):
                one_step(surface, info={**paid, **parts})
