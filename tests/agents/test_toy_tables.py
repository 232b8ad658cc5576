"""The exact model that an environment carries is what it plays; everything exact is then known of it."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest

import shapegym as sg
from shapegym.agents import OptimalPolicy, evaluate
from shapegym.agents.errors import TabulationError
from shapegym.agents.finite.model import register_tables
from shapegym.agents.finite.tabulate import tabulate
from shapegym.envs.tabular.solver import policy_return
from shapegym.shaping.audit import certificate, starc
from shapegym.shaping.errors import FeatureError
from shapegym.shaping.surfaces.gym_env import ShapedEnv

GAMMA = 0.99
TO_GOAL = sg.Potential(sg.Distance("features.agent_pos", "features.goal_pos", "l1"))
LAKE = (
    sg.TaskReward()
    + 0.2 * TO_GOAL
    - 0.5 * sg.Event("features.event", equals=1)
    + 0.01 * sg.StateReward("obs")
)
TOYS = {
    "FrozenLake-v1": ({}, LAKE),
    "FrozenLake-v1 dry": ({"is_slippery": False}, LAKE),
    "FrozenLake8x8-v1": ({}, LAKE),
    "CliffWalking-v1": ({}, LAKE),
    "CliffWalkingSlippery-v1": ({}, LAKE),
    "Taxi-v4": (
        {},
        sg.TaskReward() + sg.Event("features.event", 2.0, equals=2) + sg.Potential("features.passenger"),
    ),
    "Taxi-v4 rain": ({"is_rainy": True}, sg.TaskReward() + sg.StateReward("features.destination")),
}


def made(toy):
    name, _, _ = toy.partition(" ")
    return gym.make(name, **TOYS[toy][0])


@pytest.mark.parametrize("toy", TOYS)
def test_tables_are_what_stepping_pays(toy):
    env, expression = made(toy), TOYS[toy][1]
    tables = tabulate(env, expression, GAMMA)
    assert tables.start.sum() == pytest.approx(1)
    shaped = ShapedEnv(sg.adapt_features(made(toy)), expression, gamma=GAMMA)
    rng = np.random.default_rng(0)
    state, _ = shaped.reset(seed=0)
    for _ in range(400):
        action = int(rng.integers(env.action_space.n))
        obs, paid, terminated, truncated, info = shaped.step(action)
        assert tables.P[state, action, obs] > 0
        assert tables.terminal[obs] == terminated
        branches = (
            tables.finite.next_state[state, action] == obs
        )  # of which some pay otherwise: a fall to the start
        told = np.stack([tables.finite.reward[state, action], tables.branch_shaped[state, action]], axis=1)
        assert np.isclose(told[branches], [info["task_reward"], paid]).all(axis=1).any()
        state = shaped.reset()[0] if terminated or truncated else obs


def test_a_cost_of_steps_turns_frozen_lake_into_another_task():
    """On ice the best way is a long one: who pays for steps falls into a hole instead. Goal probability 0.82 -> 0.05."""
    reward = sg.TaskReward() - 0.05
    tables = sg.tabulate("FrozenLake-v1", reward, GAMMA)
    proof = certificate(tables.P, tables.task, tables.shaped, GAMMA, tables.terminal, tables.start)
    assert proof.optima == "other"
    task = tables.finite
    long = type(task)(**{**vars(task), "max_steps": 5000})
    reached = [policy_return(long, _best(tables, table)) for table in (tables.task, tables.shaped)]
    assert reached == pytest.approx([0.82, 0.05], abs=0.01)


def _best(tables, reward):
    from shapegym.envs.tabular.solver import value_iteration

    return value_iteration(tables.P, reward, GAMMA, tables.terminal)[1].argmax(axis=1)


def test_a_potential_on_frozen_lake_is_proved_invariant():
    tables = tabulate("FrozenLake8x8-v1", sg.TaskReward() + 0.2 * TO_GOAL, GAMMA)
    arrays = tables.P, tables.task, tables.shaped
    assert certificate(*arrays, GAMMA, tables.terminal, tables.start).relation == "potential"
    assert starc(*arrays, GAMMA, terminal=tables.terminal) < 1e-9


def test_the_solution_of_a_toy_text_can_be_played():
    policy = OptimalPolicy(gym.make("CliffWalking-v1"))
    found = evaluate(policy, "CliffWalking-v1", episodes=2, seed=0)
    assert found.mean_return == -13.0


def test_time_limits_and_recorders_leave_the_tables_alone_and_other_wrappers_are_refused():
    inside = gym.wrappers.RecordEpisodeStatistics(gym.wrappers.TimeLimit(gym.make("FrozenLake-v1"), 7))
    assert tabulate(inside, sg.TaskReward(), GAMMA).max_steps == 7
    doubled = gym.wrappers.TransformReward(gym.make("FrozenLake-v1"), lambda reward: 2 * reward)
    with pytest.raises(TabulationError, match="FrozenLake-v1 in TransformReward"):
        tabulate(doubled, sg.TaskReward(), GAMMA)
    with pytest.raises(TabulationError, match="KeyDoorSmall-v0 in TransformReward"):
        tabulate(
            gym.wrappers.TransformReward(gym.make("shapegym/KeyDoorSmall-v0"), abs), sg.TaskReward(), GAMMA
        )


class Ring(gym.Env):
    """Four places in a ring; coming back to the first one ends the episode."""

    observation_space = gym.spaces.Discrete(4)
    action_space = gym.spaces.Discrete(2)
    pays = 1.0

    def __init__(self):
        self.P = {
            s: {a: [(1.0, t := (s + 2 * a - 1) % 4, 1.0 * (t == 0), t == 0)] for a in range(2)}
            for s in range(4)
        }

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.s = 0
        return 0, {}

    def step(self, action):
        _, self.s, reward, ended = self.P[self.s][int(action)][0]
        return self.s, self.pays * reward, ended, False, {}


class Liar(Ring):
    """Pays more than its tables say."""

    pays = 2.0


class Bare(Ring):
    """Carries no tables."""

    def step(self, action):
        self.s = (self.s + 2 * int(action) - 1) % 4
        return self.s, float(self.s == 0), self.s == 0, False, {}

    def __init__(self):
        pass


def test_an_environment_of_anybody_that_carries_tables_has_them():
    tables = tabulate(Ring(), sg.TaskReward() - 0.5, GAMMA)
    assert tables.finite.n_states == 5  # the first place is left, and ends episodes
    assert tables.shaped[3, 1, 4] == 0.5
    assert tables.notes == ("Episodes have no time limit; shares are of episodes of at most 10,000 steps.",)


def test_tables_that_are_not_what_is_played_are_refused():
    with pytest.raises(
        TabulationError, match=r"Liar: in state . action . led to state 0 with reward 2.*do not know|in state"
    ):
        tabulate(Liar(), sg.TaskReward(), GAMMA)
    with pytest.raises(TabulationError, match="fickle"):
        tabulate(gym.make("Taxi-v4", fickle_passenger=True), sg.TaskReward(), GAMMA)
    broken = Ring()
    broken.P[2][1] = [(0.5, 3, 0.0, False)]
    with pytest.raises(TabulationError, match=r"state 2, action 1: the probabilities sum to 0.5"):
        tabulate(broken, sg.TaskReward(), GAMMA)
    shown = Ring()
    shown.observation_space = gym.spaces.Box(0, 1, (4,))
    with pytest.raises(TabulationError, match="both Discrete"):
        tabulate(shown, sg.TaskReward(), GAMMA)


def test_a_function_tells_the_tables_of_an_environment_that_carries_none():
    gym.register("Tests/Ring-v0", entry_point=Bare, max_episode_steps=9)
    try:
        register_tables("Tests/Ring-v0", lambda env: Ring().P)
        tables = tabulate("Tests/Ring-v0", sg.TaskReward(), GAMMA)
        assert tables.P[3, 1, 4] == 1.0
        assert tables.max_steps == 9
    finally:
        del gym.registry["Tests/Ring-v0"]


def test_features_that_a_toy_text_does_not_tell_are_refused():
    with pytest.raises(FeatureError, match="nonsense"):
        tabulate("FrozenLake-v1", sg.StateReward("features.nonsense"), GAMMA)


def test_the_short_way_is_the_same_function():
    import shapegym.agents.tabulate

    assert sg.tabulate is tabulate is shapegym.agents.tabulate.tabulate
