"""Environments without tables are searched by copies; what is not the whole task, or is left to chance, is said."""

from __future__ import annotations

import random

import gymnasium as gym
import numpy as np
import pytest

import shapegym as sg
from shapegym.agents import OptimalPolicy
from shapegym.agents.errors import TabulationError
from shapegym.agents.finite.explore import explore
from shapegym.agents.finite.tabulate import tabulate
from shapegym.envs.foreign.feature_adapter import Extractor, FeatureAdapter
from shapegym.shaping.audit import certificate

GAMMA = 0.99


class Lift(gym.Env):
    """Five floors; the cabin carries somebody from the first to the last one. It keeps clocks, and what a flaw needs."""

    observation_space = gym.spaces.Box(-1, 5, (2,), np.int64)
    action_space = gym.spaces.Discrete(3, start=1)  # down, up, let in or out

    def __init__(self, flaw: str = ""):
        self.flaw = flaw
        self.log = []
        self.luck = random.Random(3)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place = {"floor": 2 if self.flaw != "starts" else int(self.np_random.integers(10_000))}
        self.full, self.clock, self.seconds = False, 0, 0.0
        self.log = []
        return self._seen(), {}

    def _seen(self):
        return np.array([self.place["floor"], self.full])

    def step(self, action):
        self.clock, self.seconds = self.clock + 1, self.seconds + 0.5
        floor = self.place["floor"]
        if self.flaw == "numpy" and self.np_random.random() < 0.01:
            action = 1
        if self.flaw == "random" and self.luck.random() < 0.01:
            action = 1
        if self.flaw == "process" and random.random() < 0.01:
            action = 1
        if self.flaw == "history":
            self.log.append(floor)
        if action < 3:
            self.place = {"floor": min(max(floor + 2 * int(action) - 3, 0), 4)}
        over = bool(action == 3 and self.full and floor == 4)
        if action == 3 and floor == 0:
            self.full = True
        paid = 1.0 - 0.1 * self.clock * (self.flaw == "clock")
        return self._seen(), over * paid, over, False, {}


def test_a_small_environment_of_anybody_has_tables():
    tables = tabulate(Lift(), sg.TaskReward() - 0.01, GAMMA)
    assert tables.finite.n_states == 11  # five floors, with and without somebody, and the end
    assert tables.notes[0] == "Searched: all of 11 states."
    proof = certificate(tables.P, tables.task, tables.shaped, GAMMA, tables.terminal, tables.start)
    assert proof.optima == "same"
    policy, env = OptimalPolicy(Lift()), Lift()
    obs, _ = env.reset(seed=0)
    rewards = []
    while sum(rewards) == 0 and len(rewards) < 20:
        obs, reward, *_ = env.step(policy.predict(obs[None])[0][0])
        rewards.append(reward)
    assert rewards == [0.0] * 7 + [1.0]


@pytest.mark.parametrize(
    ("flaw", "said"),
    [
        ("numpy", "draw random numbers"),
        ("random", "draw random numbers"),
        ("process", "draw random numbers"),
        ("clock", r"does not follow from the state alone \(is there a clock in it\?\)"),
        ("history", "more than 40 states"),
        ("starts", "start elsewhere"),
    ],
)
def test_what_a_search_cannot_tell_is_refused_by_name(flaw, said):
    with pytest.raises(TabulationError, match=said):
        tabulate(Lift(flaw), sg.TaskReward(), GAMMA, states=200 if flaw == "starts" else 40)
    if flaw != "history":  # of a search that comes back to no state nothing is left
        assert said.partition(r" \(")[0] in explore(Lift(flaw), sg.TaskReward(), GAMMA, states=40).flaw


def test_wrappers_are_part_of_what_is_searched():
    doubled = gym.wrappers.TransformReward(Lift(), lambda reward: 2 * reward)
    assert tabulate(doubled, sg.TaskReward(), GAMMA).task.max() == 2.0
    told = FeatureAdapter(
        gym.wrappers.TimeLimit(Lift(), 30),
        {"floor": Extractor(gym.spaces.Discrete(5), lambda moment: moment.env.place["floor"])},
    )
    tables = tabulate(told, sg.TaskReward() + sg.Potential("features.floor"), GAMMA)
    assert tables.max_steps == 30
    assert certificate(tables.P, tables.task, tables.shaped, GAMMA, tables.terminal, tables.start).invariant


class Locked(Lift):
    """Holds what cannot be copied."""

    def __init__(self):
        super().__init__()
        self.handle = (step for step in range(3))


def test_what_cannot_be_searched_says_why():
    with pytest.raises(TabulationError, match=r"cannot be copied: .*generator"):
        tabulate(Locked(), sg.TaskReward(), GAMMA)
    with pytest.raises(TabulationError, match="discrete actions, not Box"):
        tabulate(gym.make("Pendulum-v1"), sg.TaskReward(), GAMMA)
    with pytest.raises(TabulationError, match="is no finite task"):
        tabulate(Lift(), sg.TaskReward(), GAMMA, states=0)


class Dry(gym.Env):
    """FrozenLake without ice, by its rules alone."""

    observation_space = gym.spaces.Discrete(16)
    action_space = gym.spaces.Discrete(4)

    def __init__(self):
        self.lake = gym.make("FrozenLake-v1", is_slippery=False).unwrapped.P

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.s = 0
        return 0, {}

    def step(self, action):
        ((_, self.s, paid, over),) = self.lake[self.s][int(action)]
        return self.s, float(paid), over, False, {}


def test_a_search_finds_the_tables_that_an_environment_carries():
    carried = tabulate(gym.make("FrozenLake-v1", is_slippery=False), sg.TaskReward(), GAMMA)
    model = explore(Dry(), sg.TaskReward(), GAMMA)
    assert model.complete
    cells = [int(obs) for obs in model_observations(Dry())]
    assert sorted(cells) == list(range(16))
    for name in ("P", "task"):
        inner = np.flatnonzero(~model.terminal)
        there = np.ix_(np.array(cells)[inner], range(4), cells)
        np.testing.assert_allclose(getattr(model, name)[inner], getattr(carried, name)[there])


def model_observations(env):
    from shapegym.agents.finite.model import model_of

    return model_of(env, states=100).seen


def test_snapshots_know_nothing_of_wrappers():
    wrapped = gym.wrappers.TransformReward(gym.make("shapegym/MiniGrid-Empty-5x5-v0"), abs)
    with pytest.raises(TabulationError, match="in TransformReward"):
        explore(wrapped, sg.TaskReward(), GAMMA)
