"""Terms of teams against plain loops: worlds of several sizes, lanes in any order, rows that are no transitions."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shapegym.shaping.algebra import Constant, TaskReward
from shapegym.shaping.combinators.gate import gate
from shapegym.shaping.errors import ExpressionError
from shapegym.shaping.evaluation.engine import RewardEngine
from shapegym.shaping.promises import Keeps, Replay
from shapegym.shaping.terms.events import Event
from shapegym.shaping.terms.team import TeamMean
from shapegym.shaping.terms.team_difference import TeamDifference
from shapegym.shaping.transitions import Spec, Transitions
from shapegym.shaping.tree import guarantee_of, largest, replay_of
from shapegym.shaping.types import times_task_is_paid

BOX = gym.spaces.Box(-9, 9, (1,))


def spec(worlds: tuple[int, ...], lanes: int | None = None) -> Spec:
    return Spec(lanes or len(worlds), BOX, gym.spaces.Discrete(2), worlds=worlds)


def step(rewards: np.ndarray, active: np.ndarray) -> Transitions:
    lanes = len(rewards)
    no, nothing = np.zeros(lanes, dtype=bool), np.zeros((lanes, 1))
    return Transitions(nothing, no, nothing, rewards.astype(float), no, no, no, active)


def loop(worlds: tuple[int, ...], rewards: np.ndarray, active: np.ndarray) -> list[float | None]:
    means: list[float | None] = []
    for lane, world in enumerate(worlds):
        company = [other for other, its in enumerate(worlds) if its == world and active[other]]
        means.append(sum(rewards[other] for other in company) / len(company) if active[lane] else None)
    return means


@given(
    worlds=st.lists(st.sampled_from([0, 1, 2, 7, 900]), min_size=1, max_size=12).map(tuple),
    seed=st.integers(0, 9999),
)
def test_the_mean_is_that_of_the_plain_loop(worlds, seed):
    rng = np.random.default_rng(seed)
    task = TaskReward()
    engine = RewardEngine(task - TeamMean(task), spec(worlds))
    for _ in range(5):
        rewards, active = rng.normal(size=len(worlds)), rng.random(len(worlds)) < 0.7
        paid = engine.step(step(rewards, active))[0]
        for lane, mean in enumerate(loop(worlds, rewards, active)):
            if mean is not None:
                assert paid[lane] == pytest.approx(rewards[lane] - mean, abs=1e-12)


def test_differences_of_a_team_add_up_to_nothing():
    task = TaskReward()
    engine = RewardEngine(task - TeamMean(task), spec((4, 4, 2, 4, 2)))
    paid = engine.step(step(np.array([1.0, 2.0, 5.0, 9.0, 1.0]), np.ones(5, dtype=bool)))[0]
    np.testing.assert_array_equal(paid, [-3.0, -2.0, 2.0, 5.0, -2.0])


def test_a_lane_without_company_is_its_own_mean():
    rewards = np.array([0.25, -3.0, 1e-9])
    term = TeamMean(TaskReward())
    for alone in (spec((), lanes=3), spec((3, 1, 2))):
        part = term.measure(step(rewards, np.ones(3, dtype=bool)), term.init(alone), rewards)
        np.testing.assert_array_equal(part, rewards)


def test_rows_that_are_no_transitions_are_not_in_company():
    rewards = np.array([1.0, np.nan, 3.0])
    term = TeamMean(TaskReward())
    active = np.array([True, False, True])
    part = term.measure(step(rewards, active), term.init(spec((0, 0, 0))), rewards)
    np.testing.assert_array_equal(part, [2.0, 2.0, 2.0])
    everywhere = term.measure(step(rewards, np.zeros(3, dtype=bool)), term.init(spec((0, 0, 0))), rewards)
    assert np.isfinite(everywhere).all()


def test_facts():
    mean = TeamMean(Event(value=-0.5))
    assert mean.sees_world
    assert replay_of(mean) is Replay.STAMP
    assert largest(mean) == 0.5
    assert largest(TeamMean(TaskReward())) is None
    assert guarantee_of(mean).keeps is Keeps.NOTHING
    assert times_task_is_paid(TeamMean(TaskReward())) == 0  # it reads the task and does not pay it
    with pytest.raises(ExpressionError, match="TeamMean: of must be known at its step, but Gate"):
        TeamMean(gate(Constant(1.0), threshold=0.0))


@given(
    worlds=st.lists(st.sampled_from([0, 1, 2, 7, 900]), min_size=1, max_size=12).map(tuple),
    seed=st.integers(0, 9999),
)
def test_the_difference_is_to_the_others_that_are_still_there(worlds, seed):
    rng = np.random.default_rng(seed)
    engine = RewardEngine(TeamDifference(TaskReward()), spec(worlds))
    for _ in range(5):
        rewards, active = rng.normal(size=len(worlds)), rng.random(len(worlds)) < 0.7
        paid = engine.step(step(rewards, active))[0]
        for lane, world in enumerate(worlds):
            others = [
                rewards[other]
                for other, its in enumerate(worlds)
                if its == world and active[other] and other != lane
            ]
            if active[lane]:
                baseline = sum(others) / len(others) if others else 0.0
                assert paid[lane] == pytest.approx(rewards[lane] - baseline, abs=1e-12)
        for world in set(worlds):
            team = [lane for lane, its in enumerate(worlds) if its == world and active[lane]]
            assert len(team) == 1 or sum(paid[team]) == pytest.approx(0.0, abs=1e-9)


def test_the_difference_is_the_difference_reward_of_a_mean_if_the_others_fare_as_before():
    """D_i = G(z) - G(z without i), Wolpert & Tumer 2002, for G the mean over the team."""
    rewards = np.array([1.0, 4.0, -2.0, 7.0])
    engine = RewardEngine(TeamDifference(TaskReward()), spec((0,) * 4))
    paid = engine.step(step(rewards, np.ones(4, dtype=bool)))[0]
    for lane in range(4):
        assert paid[lane] / 4 == pytest.approx(rewards.mean() - np.delete(rewards, lane).mean())
    assert largest(TeamDifference(Event("obs", 0.5))) == 1.0
    assert replay_of(TeamDifference(Event("obs", 0.5))) is Replay.STAMP
