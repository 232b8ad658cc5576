"""Goal terms: pure in the transition, so a relabelled goal is measured again; bounded when they say so."""

from __future__ import annotations

import distance_reference as reference
import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shapegym.shaping.algebra import Constant, TaskReward
from shapegym.shaping.errors import ExpressionError, NonFiniteError, ObservationError
from shapegym.shaping.evaluation.engine import RewardEngine
from shapegym.shaping.promises import Guarantee, Keeps, Replay
from shapegym.shaping.states.distance import Distance, Gaussian, Tiered
from shapegym.shaping.states.functions import Table
from shapegym.shaping.terms.goals import GoalReached, StateReward
from shapegym.shaping.terms.potential import Potential
from shapegym.shaping.transitions import Spec, Transitions
from shapegym.shaping.tree import guarantee_of
from shapegym.shaping.weights.dynamic_potential import DynamicPotential

GOAL_SPACE = gym.spaces.Dict({key: gym.spaces.Box(-9, 9, (2,)) for key in ("achieved_goal", "desired_goal")})


def goal_step(before, after, goal) -> Transitions:
    lanes = len(before)
    no = np.zeros(lanes, dtype=bool)
    obs, next_obs = ({"achieved_goal": position, "desired_goal": goal} for position in (before, after))
    return Transitions(obs, np.zeros(lanes), next_obs, np.zeros(lanes), no, no, no, ~no)


def engine(expression, lanes: int) -> RewardEngine:
    return RewardEngine(expression, Spec(lanes, GOAL_SPACE, gym.spaces.Discrete(2), gamma=0.9))


@given(
    st.integers(0, 9999),
    st.sampled_from([1, 4]),
    st.floats(0, 2),
    st.floats(-2, 2),
    st.sampled_from(["l1", "l2", "linf"]),
)
def test_goal_reached_equals_the_plain_loop(seed, lanes, radius, reward, norm):
    rng = np.random.default_rng(seed)
    step = goal_step(*(rng.normal(size=(lanes, 2)) for _ in range(3)))
    term = GoalReached(radius=radius, reward=reward, norm=norm)
    pairs = zip(step.next_obs["achieved_goal"], step.next_obs["desired_goal"], strict=True)
    expected = [reward if reference.distance(a, g, norm) <= radius else 0.0 for a, g in pairs]
    np.testing.assert_array_equal(term.measure(step, {}), expected)


def test_the_radius_itself_is_reached():
    at = np.array([[0.25, 0.0], [0.5, 0.0], [0.75, 0.0]])
    step = goal_step(at, at, np.zeros((3, 2)))
    np.testing.assert_array_equal(GoalReached(radius=0.5).measure(step, {}), [1.0, 1.0, 0.0])
    np.testing.assert_array_equal(
        GoalReached("obs.achieved_goal", (0.75, 0.0), 0.0).measure(step, {}), [0.0, 0.0, 1.0]
    )


def test_state_reward_is_phi_of_the_successor():
    rng = np.random.default_rng(0)
    step = goal_step(*(rng.normal(size=(3, 2)) for _ in range(3)))
    phi = Distance(kernel=Gaussian(0.5))
    expected = [
        reference.gaussian(reference.distance(a, g, "l2"), 0.5, 1.0)
        for a, g in zip(step.next_obs["achieved_goal"], step.next_obs["desired_goal"], strict=True)
    ]
    np.testing.assert_allclose(StateReward(phi).measure(step, {}), expected)
    position = step.next_obs["achieved_goal"]
    np.testing.assert_array_equal(StateReward("obs.achieved_goal[0]").measure(step, {}), position[:, 0])


def test_guarantees_follow_the_kernel():
    zones = Tiered((1.0, 2.0), (3.0, 0.5))
    assert guarantee_of(StateReward(Distance(kernel=Gaussian()))) == Guarantee(Keeps.NOTHING, 1.0)
    assert guarantee_of(StateReward(Distance(kernel=zones))) == Guarantee(Keeps.NOTHING, 3.0)
    assert guarantee_of(StateReward(Table((1.0, -2.0), "obs"))) == Guarantee(Keeps.NOTHING, 2.0)
    assert guarantee_of(StateReward(Distance())) == Guarantee(Keeps.NOTHING, None)
    assert guarantee_of(GoalReached(reward=-4.0)) == Guarantee(Keeps.NOTHING, 4.0)
    for potential in (Potential(Distance()), DynamicPotential(Distance(), Constant(1.0))):
        assert guarantee_of(potential) == Guarantee(Keeps.POLICIES | Keeps.ADVICE, 0.0)


def test_relabelled_goals_are_measured_again():
    rng = np.random.default_rng(1)
    before, after, goal, virtual = (rng.normal(size=(4, 2)) for _ in range(4))
    expression = TaskReward() + StateReward(Distance()) + GoalReached(radius=1.0) + Potential(Distance())
    assert all(term.replay is Replay.RECOMPUTE for term in (StateReward("obs[0]"), GoalReached()))
    bound = engine(expression, 4)
    stored = bound.measure(goal_step(before, after, goal)).copy()
    again = bound.remeasure(goal_step(before, after, virtual), stored, relabelled=True)
    fresh = engine(expression, 4).measure(goal_step(before, after, virtual))
    np.testing.assert_array_equal(again, fresh)
    assert (again[1:] != stored[1:]).any()


def test_a_nan_position_is_reported_not_far_away():
    nowhere = np.array([[np.nan, 0.0]])
    with pytest.raises(NonFiniteError, match="goal_reached"):
        engine(GoalReached(), 1).measure(goal_step(nowhere, nowhere, np.zeros((1, 2))))


def test_bad_use_is_named():
    with pytest.raises(ObservationError, match="compares 2 numbers with 1"):
        engine(GoalReached(to=(0.0,)), 1)
    with pytest.raises(ObservationError, match="no entry 'goal'"):
        engine(StateReward(Distance("obs.goal", (0.0,))), 1)
    for bad in ({"radius": -1.0}, {"radius": np.nan}, {"reward": np.inf}, {"norm": "l3"}, {"to": "goal"}):
        with pytest.raises(ExpressionError):
            GoalReached(**bad)
    with pytest.raises(ExpressionError, match="state function"):
        StateReward(3)
