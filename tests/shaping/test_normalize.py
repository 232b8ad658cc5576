"""Running normalisation against moments of the whole stream at once."""

from __future__ import annotations

import pickle

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from moments_reference import discounted_returns, moments
from stream_reference import random_stream

from shapegym.shaping.algebra import TaskReward
from shapegym.shaping.combinators.gate import gate
from shapegym.shaping.errors import DiscountError, ExpressionError
from shapegym.shaping.evaluation.engine import RewardEngine
from shapegym.shaping.kernels.moments import accumulate_returns, merge_moments
from shapegym.shaping.promises import Guarantee, Keeps
from shapegym.shaping.terms.potential import Potential
from shapegym.shaping.transitions import Spec, Transitions
from shapegym.shaping.tree import guarantee_of, part_names
from shapegym.shaping.weights.normalize import RunningMean, RunningScale, normalize

TASK = TaskReward()


def spec(lanes: int, gamma: float | None = 0.9) -> Spec:
    return Spec(lanes, gym.spaces.Box(-9, 9, (3,)), gym.spaces.Discrete(2), gamma=gamma)


def rows(stream) -> list[Transitions]:
    return [Transitions(*(getattr(step, name) for name in step.__dataclass_fields__)) for step in stream]


@given(
    st.lists(st.lists(st.tuples(st.floats(-1e3, 1e3), st.booleans()), min_size=1, max_size=6), max_size=20),
    st.floats(-1e6, 1e6),
)
def test_merged_moments_are_those_of_the_whole_stream(batches, offset):
    merged, seen = np.zeros(3), []
    for batch in batches:
        values = np.array([value + offset for value, _ in batch])
        active = np.array([flag for _, flag in batch])
        merge_moments(values, active, merged)
        seen.extend(values[active].tolist())
        mean, variance = moments(seen)
        assert merged[0] == len(seen)
        if seen:
            assert merged[1] == pytest.approx(mean, rel=1e-12, abs=1e-6)
            assert merged[2] ** 2 / merged[0] == pytest.approx(variance, rel=1e-6, abs=1e-6)
            assert merged[1] == pytest.approx(np.mean(seen), rel=1e-12, abs=1e-6)


@given(st.floats(-1e6, 1e6), st.lists(st.integers(1, 7), min_size=1, max_size=10))
def test_equal_values_have_exactly_no_variance(value, sizes):
    merged = np.zeros(3)
    for size in sizes:
        merge_moments(np.full(size, value), np.ones(size, dtype=bool), merged)
    assert merged.tolist() == [sum(sizes), value, 0.0]


@given(
    seed=st.integers(0, 2**32 - 1),
    lanes=st.integers(1, 5),
    by=st.sampled_from(["std", "return"]),
    center=st.booleans(),
    clip=st.sampled_from([None, 0.5]),
)
def test_normalised_rewards_are_those_of_a_plain_loop(seed, lanes, by, center, clip):
    stream = random_stream(seed, 25, lanes, idle=0.2)
    engine = RewardEngine(normalize(TASK, by, center=center, clip=clip, epsilon=1e-4), spec(lanes))
    for t, row in enumerate(rows(stream)):
        paid = engine.step(row)[0]
        rewards, returns = [], []
        for lane in range(lanes):
            past = [step for step in stream[: t + 1] if step.active[lane]]
            lane_rewards = [float(step.reward[lane]) for step in past]
            rewards += lane_rewards
            returns += discounted_returns(lane_rewards, [bool(step.first[lane]) for step in past], 0.9)
        mean, variance = moments(rewards if by == "std" else returns)
        scale = (variance + 1e-4) ** -0.5 if variance > 1e-12 else 1 / max(1.0, abs(mean))
        expected = (row.reward - (moments(rewards)[0] if center else 0.0)) * scale
        if clip is not None:
            expected = np.clip(expected, -clip, clip)
        np.testing.assert_allclose(paid[row.active], expected[row.active], rtol=1e-9, atol=1e-9)


def paid_for(rewards: list[float], reward=None) -> list[float]:
    """What each of one lane's rewards is paid as, at unit scale unless another expression is given."""
    engine = RewardEngine(normalize(TASK) if reward is None else reward, spec(1))
    stream = rows(random_stream(1, len(rewards), 1))
    for row, value in zip(stream, rewards, strict=True):
        row.reward[:] = value
    return [float(engine.step(row)[0][0]) for row in stream]


@pytest.mark.parametrize("size", [1.0, 1e30, 1e155, 1e200, 1e299])
@pytest.mark.parametrize("by", ["std", "return"])
def test_values_of_any_size_are_paid_at_unit_scale_from_the_first_on(size, by):
    paid = paid_for([size, size, -size, size, -size, -size], normalize(TASK, by, gamma=0.5))
    assert np.isfinite(paid).all()
    assert max(map(abs, paid)) <= 4.01  # two returns of 1 and 1.5 are the closest
    assert min(map(abs, paid)) >= 0.4


@pytest.mark.parametrize("huge", [1e154, -1e160, 1e300, 1.7e308])
def test_one_huge_value_leaves_finite_moments(huge):
    merged = np.zeros(3)
    for value in (1.0, 2.0, huge, 3.0):
        merge_moments(np.array([value]), np.ones(1, dtype=bool), merged)
    assert np.isfinite(merged).all()
    assert merged[0] == (4 if abs(huge) <= 1e300 else 3)
    if merged[0] == 4:
        assert merged[2] == pytest.approx(abs(huge) * np.sqrt(0.75))


@pytest.mark.parametrize("end", ["terminated", "truncated"])
def test_the_return_starts_anew_however_the_episode_ended(end):
    term = RunningScale(TASK, by="return")
    state = term.init(spec(1))
    (row,) = rows(random_stream(0, 1, 1))
    for t in range(6):
        row.first[:] = t % 3 == 0
        getattr(row, end)[:] = t % 3 == 2
        term.observe(row, state, np.array([1.0]))
        expected = (1 - 0.9 ** (t % 3 + 1)) / (1 - 0.9)
        assert state["returns"][0] == pytest.approx(expected)


def test_a_constant_is_left_alone():
    engine = RewardEngine(normalize(TASK), spec(3))
    for row in rows(random_stream(1, 20, 3, idle=0.2)):
        row.reward[:] = -0.1
        np.testing.assert_array_equal(engine.step(row)[0][row.active], -0.1)


@pytest.mark.parametrize("by", ["std", "return"])
def test_a_part_that_is_not_finite_does_not_spoil_the_statistics(by):
    engine = RewardEngine(normalize(TASK, by), spec(3), on_nonfinite="zero")
    stream = rows(random_stream(2, 20, 3))
    stream[5].reward[1] = np.nan
    with pytest.warns(RuntimeWarning, match="nan"):
        paid = [engine.step(row)[0] for row in stream]
    assert np.isfinite(paid).all()
    assert np.isfinite(engine.states[1]["moments"]).all()
    assert engine.states[1]["moments"][0] == (59 if by == "std" else 60)


def test_measuring_uses_the_statistics_of_now_and_changes_nothing():
    engine = RewardEngine(normalize(TASK), spec(3))
    for row in rows(random_stream(3, 10, 3)):
        engine.step(row)
    scale = engine.states[1]["moments"]
    before = pickle.dumps(engine.states)
    (stored,) = rows(random_stream(4, 1, 8))
    parts = engine.remeasure(stored, np.vstack([stored.reward, np.zeros(8)]))
    np.testing.assert_allclose(parts[1], (scale[2] ** 2 / scale[0] + 1e-8) ** -0.5)
    np.testing.assert_array_equal(parts[0], stored.reward)
    assert pickle.dumps(engine.states) == before


def test_names_and_guarantees():
    assert part_names((normalize(TASK), normalize(TASK.named("task"), center=True, clip=1))) == (
        "task_reward",
        "task",
    )
    assert normalize(TASK) == TASK * RunningScale(TASK)
    assert guarantee_of(normalize(Potential("obs[0]", gamma=0.9))) == Guarantee(Keeps.NOTHING, None)
    assert guarantee_of(normalize(TASK, clip=1)) == Guarantee(Keeps.NOTHING, 1.0)


def test_a_second_call_compiles_nothing():
    for lanes in (1, 4):
        engine = RewardEngine(normalize(TASK + 1.0, "return", center=True), spec(lanes))
        for row in rows(random_stream(5, 3, lanes)):
            engine.step(row)
    assert (len(merge_moments.signatures), len(accumulate_returns.signatures)) == (1, 1)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: normalize(1.0), "of must be an expression, got 1.0"),
        (lambda: normalize(gate(TASK, TASK, threshold=0.0)), "known only in hindsight"),
        (lambda: RunningMean(gate(TASK, TASK, threshold=0.0)), "known only in hindsight"),
        (lambda: normalize(TASK, by="max"), "'std', 'return' or 'stream'"),
        (lambda: normalize(TASK, "return", 1.5), r"gamma must be a finite number in \[0, 1\] or None"),
        (lambda: normalize(TASK, epsilon=0.0), "epsilon"),
        (lambda: normalize(TASK, clip=-1.0), "normalize: clip must be a finite number > 0"),
    ],
)
def test_bad_settings_are_explained(build, message):
    with pytest.raises(ExpressionError, match=message):
        build()


def test_a_return_needs_a_discount():
    with pytest.raises(DiscountError, match="no discount is known"):
        RewardEngine(normalize(TASK, "return"), spec(1, gamma=None))
    assert RunningScale(TASK, "return", gamma=0.5).init(spec(1))["gamma"] == 0.5
