"""Schedules against their formulas: end points, monotone in between; weights that follow the agent's progress."""

from __future__ import annotations

import pickle

import gymnasium as gym
import numpy as np
import pytest
import schedules_reference as reference
from hypothesis import given
from hypothesis import strategies as st
from stream_reference import random_stream

from shapegym.shaping.algebra import TaskReward
from shapegym.shaping.errors import ExpressionError
from shapegym.shaping.evaluation.engine import RewardEngine
from shapegym.shaping.promises import Replay
from shapegym.shaping.transitions import Spec, Transitions
from shapegym.shaping.tree import largest, part_names
from shapegym.shaping.weights.schedules import (
    Cosine,
    Exponential,
    Linear,
    OnPlateau,
    Piecewise,
    Schedule,
    anneal,
)

WEIGHTS = st.floats(-1e6, 1e6, allow_subnormal=False)
SPEC = Spec(3, gym.spaces.Box(-9, 9, (3,)), gym.spaces.Discrete(2))


def is_monotone(weights: list[float]) -> bool:
    return weights in (sorted(weights), sorted(weights, reverse=True))


@pytest.mark.parametrize("kind", [Linear, Cosine])
@given(start=WEIGHTS, end=WEIGHTS, steps=st.integers(1, 10**9), delay=st.integers(0, 10**9), data=st.data())
def test_weights_go_from_exactly_start_to_exactly_end(kind, start, end, steps, delay, data):
    schedule = kind(start, end, steps, delay)
    inside = sorted(data.draw(st.lists(st.integers(delay, delay + steps), max_size=20)))
    assert schedule.weight_at(0) == schedule.weight_at(delay) == start
    assert schedule.weight_at(delay + steps) == schedule.weight_at(delay + steps + 10**12) == end
    weights = [schedule.weight_at(step) for step in (delay, *inside, delay + steps)]
    assert is_monotone(weights)
    formula = {Linear: reference.linear, Cosine: reference.cosine}[kind]
    for step in inside:
        expected = formula(step, start, end, steps, delay)
        assert schedule.weight_at(step) == pytest.approx(expected, rel=1e-12, abs=1e-9)


@given(
    start=WEIGHTS, end=WEIGHTS, half_life=st.floats(1e-3, 1e9), delay=st.integers(0, 10**9), data=st.data()
)
def test_exponential_halves_the_distance(start, end, half_life, delay, data):
    schedule = Exponential(start, end, half_life, delay)
    steps = sorted(data.draw(st.lists(st.integers(0, 10**10), max_size=20)))
    assert schedule.weight_at(0) == schedule.weight_at(delay) == start
    weights = [schedule.weight_at(step) for step in (0, *steps)]
    assert is_monotone(weights)
    for step in steps:
        expected = reference.exponential(step, start, end, half_life, delay)
        assert schedule.weight_at(step) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@given(
    st.lists(st.integers(0, 1000), min_size=1, max_size=8, unique=True).map(sorted),
    st.data(),
    st.integers(0, 1100),
)
def test_piecewise_holds_or_joins_its_points(steps, data, step):
    values = data.draw(st.lists(WEIGHTS, min_size=len(steps), max_size=len(steps)))
    points = tuple(zip(steps, values, strict=True))
    jumps, lines = Piecewise(points), Piecewise(points, interpolate=True)
    for at, value in points:
        assert jumps.weight_at(at) == lines.weight_at(at) == value
    assert jumps.weight_at(step) == next((v for at, v in reversed(points) if at <= step), values[0])
    assert lines.weight_at(step) == pytest.approx(float(np.interp(step, steps, values)), rel=1e-9, abs=1e-6)


@pytest.mark.parametrize(
    "schedule", [Linear(2, 1, 50), Cosine(2, 1, 50), Exponential(2, 1, 9), Piecewise(((7, 2), (30, 1)))]
)
def test_a_schedule_is_read_at_the_global_step(schedule):
    engine = RewardEngine(schedule, SPEC)
    clock = 0
    for step in random_stream(0, 30, 3, idle=0.3):
        row = Transitions(*(getattr(step, name) for name in step.__dataclass_fields__))
        paid = engine.step(row)[0]
        np.testing.assert_array_equal(paid[step.active], schedule.weight_at(clock))
        clock += step.active.sum()
    assert schedule.replay is Replay.FROZEN
    again = engine.remeasure(row, np.zeros((1, 3)))
    np.testing.assert_array_equal(again[0, row.active], schedule.weight_at(clock))


@given(
    seed=st.integers(0, 2**32 - 1),
    lanes=st.integers(1, 5),
    metric=st.sampled_from(["success", "task_return"]),
    factor=st.sampled_from([0.0, 0.5, 0.9]),
    patience=st.integers(1, 5),
    min_improvement=st.sampled_from([0.0, 0.3]),
    floor=st.sampled_from([0.0, 0.1]),
)
def test_plateau_weights_are_those_of_a_plain_loop(
    seed, lanes, metric, factor, patience, min_improvement, floor
):
    schedule = OnPlateau(2.0, factor, patience, metric, min_improvement, floor)
    state = schedule.init(Spec(lanes, SPEC.observation_space, SPEC.action_space))
    rng = np.random.default_rng(seed)
    scores, returns = [], [0.0] * lanes
    for step in random_stream(seed, 60, lanes, idle=0.2):
        success = rng.random(lanes) < 0.5
        features = {"success": success} if metric == "success" else {}
        row = Transitions(
            *(getattr(step, name) for name in step.__dataclass_fields__), next_features=features
        )
        schedule.observe(row, state)
        together = []
        for lane in range(lanes):
            if not step.active[lane]:
                continue
            returns[lane] = (0.0 if step.first[lane] else returns[lane]) + float(step.reward[lane])
            if step.terminated[lane] or step.truncated[lane]:
                together.append(float(success[lane]) if metric == "success" else returns[lane])
        scores += sorted(together)
        expected = reference.plateau_weights(scores, 2.0, factor, patience, min_improvement, floor)
        before = pickle.dumps(state)
        np.testing.assert_array_equal(
            schedule.measure(row, state), [expected[-1] if expected else 2.0] * lanes
        )
        assert pickle.dumps(state) == before


def test_a_plateau_reads_success_only_if_it_is_the_metric():
    assert OnPlateau().reads == ("success",)
    assert OnPlateau(metric="task_return").reads == ()


def test_an_annealed_part_keeps_its_name():
    term = TaskReward()
    weighted = anneal(term, Linear(1, 0, 10))
    assert weighted == term * Linear(1, 0, 10)
    assert part_names((weighted, anneal(term.named("task"), Linear(1, 0, 100_000)))) == (
        "task_reward",
        "task",
    )


def test_schedules_are_data():
    points = Piecewise([[0, 1], [10, 0.5]])
    assert points == Piecewise(((0, 1.0), (10, 0.5)))
    for schedule in (
        Linear(1, 0, 100_000),
        Cosine(1, 0, 100_000),
        Exponential(1, 0, 100_000),
        points,
        OnPlateau(),
    ):
        assert pickle.loads(pickle.dumps(schedule)) == schedule
        assert hash(schedule) == hash(schedule)
    assert Linear(1, 0, 100_000) != Cosine(1, 0, 100_000)
    assert isinstance(Cosine(1, 0, 100_000), Schedule)
    assert isinstance(OnPlateau(), Schedule)


@pytest.mark.parametrize(
    ("schedule", "bound"),
    [
        (Linear(0.5, -2, 10), 2.0),
        (Cosine(1, 0.25, 10), 1.0),
        (Exponential(-0.5, 0.25, 10), 0.5),
        (Piecewise(((0, 1), (10, -3))), 3.0),
        (OnPlateau(0.75), 0.75),
    ],
)
def test_a_schedule_is_bounded_by_its_largest_weight(schedule, bound):
    assert largest(schedule) == bound


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Linear("1", 0, 9), "start must be a finite number"),
        (lambda: Linear(1, float("inf"), 9), "end must be a finite number"),
        (lambda: Linear(1, 0, steps=0), "steps must be an integer of at least 1"),
        (lambda: Cosine(1, 0, steps=1e5), "Cosine: steps"),
        (lambda: Linear(1, 0, 9, delay=-1), "delay"),
        (lambda: Exponential(1, 0, half_life=0), "half_life"),
        (lambda: Piecewise(()), "points must be a non-empty tuple of"),
        (lambda: Piecewise(((0, 1), (5,))), "an integer of at least 0, a finite number"),
        (lambda: Piecewise(((0.5, 1),)), "an integer of at least 0, a finite number"),
        (lambda: Piecewise(((5, 1), (5, 2))), "must increase"),
        (lambda: OnPlateau(factor=1.0), "factor"),
        (lambda: OnPlateau(patience=0), "patience"),
        (lambda: OnPlateau(floor=2.0), "needs floor <= start"),
        (lambda: OnPlateau(min_improvement=-1.0), "min_improvement"),
        (lambda: OnPlateau(metric="reward"), "'task_return' or 'success'"),
        (lambda: anneal(TaskReward(), 0.5), "0.5 \\* term"),
        (lambda: anneal(1.0, Linear(1, 0, 100_000)), "expressions"),
    ],
)
def test_bad_settings_are_explained(build, message):
    with pytest.raises(ExpressionError, match=message):
        build()
