"""A tabulated reward is what an agent is paid, branch by branch; what has no table is refused by name."""

from __future__ import annotations

from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import shapegym  # noqa: F401  # registers the ids
from shapegym.agents.errors import TabulationError
from shapegym.agents.finite.tabulate import tabulate
from shapegym.envs.native import NativeEnv
from shapegym.envs.tabular.finite_dynamics import FiniteDynamics
from shapegym.envs.tabular.random_mdp import random_mdp
from shapegym.shaping.algebra import Constant, TaskReward, clip
from shapegym.shaping.combinators.gate import Gate
from shapegym.shaping.errors import DiscountError, FeatureError
from shapegym.shaping.states.distance import Distance
from shapegym.shaping.states.functions import Table
from shapegym.shaping.surfaces.gym_env import ShapedEnv
from shapegym.shaping.terms.counts import CountBonus
from shapegym.shaping.terms.events import Compare, Event, Milestones
from shapegym.shaping.terms.potential import Potential
from shapegym.shaping.weights.dynamic_potential import DynamicPotential
from shapegym.shaping.weights.normalize import RunningScale
from shapegym.shaping.weights.schedules import Linear

GAMMA = 0.95
TO_GOAL = Potential(Distance("features.agent_pos", "features.goal_pos", "l1"))
EVERYTHING = (
    TaskReward()
    + 0.3 * TO_GOAL
    + Event("features.event", 0.2, equals=2)
    + Event("features.has_key", -0.5, trigger="change")
    + clip(Event("features.success", 3.0) - 0.01, -1.0, 1.0) * Compare("features.state", ">", 4)
)


def check_against_stepping(env, expression, seed, steps=200):
    """What `ShapedEnv` pays on a random walk stands in the tables, total and parts."""
    tables = tabulate(env, expression, GAMMA)
    shaped = ShapedEnv(env, expression, gamma=GAMMA)
    rng = np.random.default_rng(seed)
    _, info = shaped.reset(seed=seed)
    state = info["state"]
    assert tables.start[state] > 0
    for _ in range(steps):
        action = int(rng.integers(env.action_space.n))
        _, paid, terminated, truncated, info = shaped.step(action)
        s_next = info["state"]
        assert tables.P[state, action, s_next] > 0
        assert tables.terminal[s_next] == terminated
        assert paid == pytest.approx(tables.shaped[state, action, s_next], abs=1e-12)
        assert info["task_reward"] == pytest.approx(tables.task[state, action, s_next], abs=1e-12)
        for name, part in info["reward_parts"].items():
            assert part == pytest.approx(tables.parts[name][state, action, s_next], abs=1e-12)
        state = s_next
        if terminated or truncated:
            _, info = shaped.reset()
            state = info["state"]


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000))
def test_tables_are_what_stepping_pays_on_key_and_door(seed):
    check_against_stepping(gym.make("shapegym/KeyDoorSmall-v0"), EVERYTHING, seed)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 4))
def test_tables_are_what_stepping_pays_in_random_mdps(seed, branching):
    """Successors are distinct here, so every table entry is one branch; truncations happen and pay as usual."""
    env = NativeEnv(FiniteDynamics(random_mdp(seed, branching=branching, max_steps=7), "index"))
    phi = Table(tuple(np.random.default_rng(seed).normal(size=8)))
    expression = 2.0 * TaskReward() + Potential(phi) + Event("features.success", 0.5) + Constant(0.1)
    check_against_stepping(env, expression, seed)


def test_branches_to_the_same_state_are_averaged_by_probability():
    task = random_mdp(3, states=4, branching=4, max_steps=9)
    merged = np.array(task.next_state)
    merged[0, 0, :2] = merged[0, 0, 0]
    env = NativeEnv(FiniteDynamics(replace(task, next_state=merged), "index"))
    tables = tabulate(env, clip(TaskReward(), -0.1, 0.1), GAMMA)
    p, r = task.probability[0, 0, :2], np.clip(task.reward[0, 0, :2], -0.1, 0.1)
    s_next = merged[0, 0, 0]
    assert tables.P[0, 0, s_next] == pytest.approx(p.sum())
    assert tables.shaped[0, 0, s_next] == pytest.approx((p * r).sum() / p.sum())


def test_terminal_states_and_impossible_transitions_pay_nothing():
    tables = tabulate("shapegym/KeyDoorSmall-v0", TaskReward() + Constant(1.0), GAMMA)
    assert not tables.shaped[tables.terminal].any()
    assert not tables.shaped[tables.P == 0].any()
    assert (tables.shaped[tables.P > 0].reshape(-1)[0]) == 1.0
    np.testing.assert_allclose(sum(tables.parts.values()), tables.shaped)
    assert tables.max_steps == gym.make("shapegym/KeyDoorSmall-v0").unwrapped.dynamics.max_steps


def test_large_tasks_are_paid_in_pieces(monkeypatch):
    whole = tabulate("shapegym/KeyDoorSmall-v0", EVERYTHING, GAMMA).shaped
    monkeypatch.setattr("shapegym.agents.finite.tabulate._ROWS", 17)
    np.testing.assert_array_equal(tabulate("shapegym/KeyDoorSmall-v0", EVERYTHING, GAMMA).shaped, whole)


REMEMBERS = {
    "count_bonus": CountBonus("obs"),
    "milestones": Milestones((Event("features.event", 1.0, equals=1),)),
    "linear": Event("features.success") * Linear(1.0, 0.0, 100),
    "running_scale": TaskReward() * RunningScale(TaskReward()),
    "devlin": DynamicPotential("features.state", Linear(1.0, 0.0, 10).named("devlin")),
}


@pytest.mark.parametrize("name", REMEMBERS)
def test_terms_that_remember_are_refused_by_name(name):
    with pytest.raises(TabulationError, match=f"'{name}'"):
        tabulate("shapegym/KeyDoorSmall-v0", TaskReward() + REMEMBERS[name], GAMMA)


def test_what_has_no_table_is_refused():
    with pytest.raises(TabulationError, match="whole episodes"):
        tabulate("shapegym/KeyDoorSmall-v0", Gate((TaskReward(), TO_GOAL), (0.5,)), GAMMA)
    with pytest.raises(TabulationError, match="no finite task"):
        tabulate("shapegym/PointMaze-v0", TaskReward(), GAMMA)
    doubled = _Doubled(gym.make("shapegym/KeyDoorSmall-v0"))
    with pytest.raises(TabulationError, match="other observations"):
        tabulate(doubled, TaskReward(), GAMMA)
    with pytest.raises(FeatureError):
        tabulate("shapegym/KeyDoorSmall-v0", Event("features.nonsense"), GAMMA)
    with pytest.raises(DiscountError):
        tabulate("shapegym/KeyDoorSmall-v0", Potential("features.state", gamma=0.5), GAMMA)


def test_the_event_before_a_step_has_a_table_only_where_the_state_tells_it():
    """A state of key and door is entered with a bump and without; success leads to the goal, which nothing leaves."""
    with pytest.raises(TabulationError, match="'event' before"):
        tabulate("shapegym/KeyDoorSmall-v0", Event("features.event", trigger="change"), GAMMA)
    rise = tabulate("shapegym/KeyDoorSmall-v0", Event("features.success", trigger="rise"), GAMMA)
    np.testing.assert_array_equal(
        rise.shaped, tabulate("shapegym/KeyDoorSmall-v0", TaskReward(), GAMMA).shaped
    )


class _Doubled(gym.ObservationWrapper):
    """Shows twice the numbers."""

    def __init__(self, env):
        super().__init__(env)
        self.observation_space = gym.spaces.Box(0.0, 2.0, env.observation_space.shape)

    def observation(self, observation):
        return 2 * observation
