"""Clip and Delta bound what trajectories collect; ReNorm keeps signs; neither depends on where rollouts are cut."""

from __future__ import annotations

import itertools

import gymnasium as gym
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from stream_reference import episodes, random_stream

from shapegym.shaping.algebra import Constant, TaskReward
from shapegym.shaping.combinators.bounds import Delta, cap, delta
from shapegym.shaping.combinators.renorm import Renorm, renorm
from shapegym.shaping.errors import ExpressionError
from shapegym.shaping.evaluation.engine import RewardEngine
from shapegym.shaping.promises import Guarantee, Keeps
from shapegym.shaping.transitions import Episodes, Spec
from shapegym.shaping.tree import guarantee_of, largest
from shapegym.shaping.types import times_task_is_paid

TASK = TaskReward()
CUTS = st.lists(st.integers(1, 29), max_size=4)


def marks(stream) -> Episodes:
    return Episodes(
        *(
            np.stack([getattr(s, name) for s in stream])
            for name in ("first", "terminated", "truncated", "active")
        )
    )


def in_pieces(node, values, stream, cuts):
    carry, pieces = node.carry(values[0].shape[1]), []
    for start, stop in itertools.pairwise([0, *sorted(set(cuts)), len(stream)]):
        pieces.append(node.combine_block([v[start:stop] for v in values], marks(stream[start:stop]), carry))
    return np.concatenate(pieces)


def closed_episodes(stream):
    for steps in episodes(stream):
        t, lane = steps[-1]
        if stream[t].terminated[lane] or stream[t].truncated[lane]:
            yield [t for t, _ in steps], lane


@given(st.integers(0, 10_000), CUTS)
def test_delta_sums_to_the_first_value_from_any_step_on(seed, cuts):
    stream = random_stream(seed, 30, 3, end=0.08, idle=0.1)
    values = np.random.default_rng(seed).integers(-4, 5, size=(30, 3)) / 4.0
    whole, cut = (in_pieces(Delta(TASK), [values], stream, c) for c in ([], cuts))
    for rows, lane in closed_episodes(stream):
        for start in range(len(rows)):
            assert whole[rows[start:], lane].sum() == values[rows[start], lane]
        assert cut[rows, lane].sum() == values[rows[0], lane]


@given(st.integers(0, 10_000), st.floats(-1, 1))
def test_no_trajectory_collects_more_than_nothing_from_capped_steps(seed, eta):
    values = np.random.default_rng(seed).uniform(-1, 1, size=(50, 2))
    node = cap(TASK, eta)
    engine = RewardEngine(node, Spec(2, gym.spaces.Box(-1, 1, (1,)), gym.spaces.Discrete(2)))
    paid = engine.pay(
        np.stack([values if isinstance(t, TaskReward) else np.full_like(values, -eta) for t in engine.terms])
    )
    np.testing.assert_allclose(paid, np.minimum(values - eta, 0.0))
    assert (np.cumsum(paid, axis=0) <= 0).all()


@given(st.integers(0, 10_000), st.floats(0, 1))
def test_both_together_bound_every_suffix_from_both_sides(seed, eta):
    stream = random_stream(seed, 30, 2)
    values = np.minimum(np.random.default_rng(seed).uniform(0, 1, size=(30, 2)) - eta, 0.0)
    paid = in_pieces(Delta(TASK), [values], stream, [])
    for rows, lane in closed_episodes(stream):
        suffixes = np.cumsum(paid[rows, lane][::-1])
        assert (suffixes <= 1e-12).all()
        assert (suffixes >= -eta - 1e-12).all()


@given(
    st.integers(0, 10_000), st.sampled_from(["sum", "max", "last"]), st.sampled_from([0.0, 0.5, 1.0]), CUTS
)
def test_renorm_equals_the_plain_loop_whatever_the_cuts(seed, aggregate, mu, cuts):
    stream = random_stream(seed, 30, 3, end=0.08, idle=0.1)
    rng = np.random.default_rng(seed)
    process, outcome = rng.integers(0, 5, size=(30, 3)) / 4.0, rng.integers(0, 2, size=(30, 3)) * 1.0
    node = Renorm(TASK, TASK, mu, aggregate)
    whole, cut = (in_pieces(node, [process, outcome], stream, c) for c in ([], cuts))
    reached = {"sum": np.sum, "max": np.max, "last": lambda values: values[-1]}[aggregate]
    paid = np.zeros_like(whole)
    for rows, lane in closed_episodes(stream):
        for t in rows:
            paid[t, lane] = process[t, lane] + reached(outcome[rows, lane]) - mu
        assert cut[rows, lane].sum() == paid[rows, lane].sum()
    active = np.stack([s.active for s in stream])
    np.testing.assert_array_equal(whole[active], paid[active])


@given(st.integers(0, 10_000))
def test_renorm_never_pays_a_failure_nor_fines_a_success(seed):
    stream = random_stream(seed, 30, 3)
    rng = np.random.default_rng(seed)
    process = rng.uniform(0, 1, size=(30, 3))
    outcome = np.zeros((30, 3))
    succeeded = []
    for rows, lane in closed_episodes(stream):
        outcome[rows[-1], lane] = rng.integers(2)
        succeeded.append(outcome[rows[-1], lane] > 0)
    paid = in_pieces(Renorm(TASK, TASK), [process, outcome], stream, [])
    for success, (rows, lane) in zip(succeeded, closed_episodes(stream), strict=True):
        assert (paid[rows, lane] >= 0).all() if success else (paid[rows, lane] <= 0).all()


@pytest.mark.parametrize("steps", [3, 20])
def test_a_long_failure_cannot_buy_itself_off_with_good_looking_steps(steps):
    process, outcome = np.full((steps, 1), 0.9), np.zeros((steps, 1))
    first, ends = np.zeros((steps, 1), bool), np.zeros((steps, 1), bool)
    first[0], ends[-1] = True, True
    whole = Episodes(first, ends, np.zeros_like(ends), np.ones_like(ends))
    node = Renorm(TASK, TASK)
    assert node.combine_block([process, outcome], whole, node.carry(1)).sum() == pytest.approx(-0.1 * steps)
    assert (process + outcome).sum() == pytest.approx(0.9 * steps)  # what a plain sum would have paid


def test_renorm_and_delta_are_differentiable_in_their_step_rewards():
    stream = random_stream(2, 20, 3)
    process = torch.rand(20, 3, dtype=torch.float64, requires_grad=True)
    node = Renorm(TASK, TASK)
    node.combine_block([process, torch.zeros(20, 3)], marks(stream), node.carry(3)).sum().backward()
    closed = np.zeros((20, 3))
    for rows, lane in closed_episodes(stream):
        closed[rows, lane] = 1.0
    np.testing.assert_array_equal(process.grad.numpy(), closed)
    process.grad = None
    node = Delta(TASK)
    node.combine_block([process], marks(stream), node.carry(3)).sum().backward()
    np.testing.assert_array_equal(process.grad.numpy(), np.stack([s.first for s in stream]) * 1.0)


def test_what_the_nodes_promise():
    assert largest(delta(Constant(-0.5))) == 1.0
    assert largest(delta(TASK)) is None
    assert guarantee_of(renorm(Constant(0.5))) == Guarantee(Keeps.NOTHING, None)
    assert times_task_is_paid(renorm(TASK)) == 2
    assert times_task_is_paid(delta(TASK)) == 1


def test_bad_nodes_say_what_is_wrong():
    for build, message in (
        (lambda: delta(1.0), "Delta: of must be an expression, got 1.0"),
        (lambda: renorm(0.5), "process must be an expression"),
        (lambda: renorm(TASK, mu=float("inf")), "mu must be a finite number"),
        (lambda: renorm(TASK, aggregate="mean"), "aggregate must be 'sum', 'max' or 'last'"),
        (lambda: cap(TASK, float("nan")), "operands are expressions or finite numbers"),
    ):
        with pytest.raises(ExpressionError, match=message):
            build()
