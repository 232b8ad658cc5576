"""Outcomes relative to a group of episodes: equal to a plain loop, whatever the cuts between rollouts and the order of lanes."""

from __future__ import annotations

import itertools

import gymnasium as gym
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sb3_reference import Walk
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.vec_env import DummyVecEnv
from stream_reference import episodes, random_stream, relative_outcomes

from shapegym.shaping.algebra import Constant, TaskReward
from shapegym.shaping.combinators.gate import gate
from shapegym.shaping.combinators.groups import GroupRelative, group_relative
from shapegym.shaping.errors import ExpressionError, HindsightError
from shapegym.shaping.evaluation.engine import RewardEngine
from shapegym.shaping.kernels import groups as kernels
from shapegym.shaping.promises import Guarantee, Keeps
from shapegym.shaping.surfaces.wiring import wire
from shapegym.shaping.transitions import Episodes, Spec, Transitions
from shapegym.shaping.tree import guarantee_of

FORMS = st.sampled_from(["standard", "centred", "leave_one_out"])


def marks(stream) -> Episodes:
    names = ("first", "terminated", "truncated", "active")
    return Episodes(*(np.stack([getattr(step, name) for step in stream]) for name in names))


def in_pieces(node, values, stream, cuts) -> np.ndarray:
    carry, pieces = node.carry(values.shape[1]), []
    for start, stop in itertools.pairwise([0, *sorted(set(cuts)), len(stream)]):
        pieces.append(node.combine_block([values[start:stop]], marks(stream[start:stop]), carry))
    return np.concatenate(pieces)


@given(
    st.integers(0, 10_000),
    st.sampled_from([1, 3, 16]),
    st.integers(2, 9),
    FORMS,
    st.lists(st.integers(1, 29), max_size=4),
)
def test_episodes_are_compared_as_the_plain_loop_says(seed, lanes, size, form, cuts):
    stream = random_stream(seed, 30, lanes, idle=0.1)
    values = np.random.default_rng(seed).normal(size=(30, lanes))
    node = GroupRelative(TaskReward(), size, form)
    whole = in_pieces(node, values, stream, [])
    np.testing.assert_allclose(whole, relative_outcomes(values, stream, size, form), atol=1e-6)
    np.testing.assert_array_equal(in_pieces(node, values, stream, cuts), whole)


@given(st.integers(0, 10_000), FORMS)
def test_the_order_of_lanes_does_not_matter(seed, form):
    stream = random_stream(seed, 30, 5)
    values = np.random.default_rng(seed).normal(size=(30, 5))
    node = GroupRelative(TaskReward(), 4, form)
    paid = node.combine_block([values], marks(stream), node.carry(5))
    order = np.random.default_rng(seed).permutation(5)
    turned = marks(stream)
    turned = Episodes(*(np.ascontiguousarray(getattr(turned, name)[:, order]) for name in Episodes.__slots__))
    moved = node.combine_block([values[:, order]], turned, node.carry(5))
    np.testing.assert_allclose(moved, paid[:, order], atol=1e-7)


def test_a_group_that_ends_together_is_grpos_own():
    """Eight episodes of three steps, side by side: the textbook case."""
    outcomes = np.array([0.0, 0.0, 1.0, 0.25, 1.0, 0.5, 0.0, 0.0])
    first, last = np.zeros((3, 8), dtype=bool), np.zeros((3, 8), dtype=bool)
    first[0], last[2] = True, True
    values = np.stack([0.5 * outcomes, np.zeros(8), 0.5 * outcomes])
    block = Episodes(first, last, np.zeros_like(last), np.ones_like(last))
    paid = {
        form: node.combine_block([values], block, node.carry(8))[2]
        for form in ("standard", "centred", "leave_one_out")
        for node in [GroupRelative(TaskReward(), 8, form)]
    }
    np.testing.assert_allclose(paid["centred"], outcomes - outcomes.mean())
    np.testing.assert_allclose(paid["standard"], (outcomes - outcomes.mean()) / outcomes.std(), rtol=1e-6)
    others = [np.delete(outcomes, i).mean() for i in range(8)]
    np.testing.assert_allclose(paid["leave_one_out"], outcomes - others)


def test_standard_hides_scale_and_equal_outcomes_teach_nothing():
    stream = random_stream(0, 60, 4)
    values = np.random.default_rng(0).normal(size=(60, 4))
    node = GroupRelative(TaskReward(), 8)
    once, louder = (in_pieces(node, factor * values, stream, []) for factor in (1.0, 50.0))
    np.testing.assert_allclose(once, louder, atol=1e-5)
    last = marks(stream).last
    same = np.where(last, 0.3, 0.0)
    np.testing.assert_allclose(in_pieces(node, same, stream, []), 0.0, atol=1e-6)


def test_leave_one_out_is_independent_of_the_episode_itself():
    stream = random_stream(1, 40, 3)
    values = np.random.default_rng(1).normal(size=(40, 3))
    node = GroupRelative(TaskReward(), 6, "leave_one_out")
    plain = in_pieces(node, values, stream, [])
    steps = [s for s in episodes(stream) if stream[s[-1][0]].terminated[s[-1][1]]][4]
    more = values.copy()
    more[steps[0]] += 2.5
    assert in_pieces(node, more, stream, [])[steps[-1]] - plain[steps[-1]] == pytest.approx(2.5)


def test_paying_at_the_end_is_what_a_rollout_pays():
    """The sum of an episode is paid at its last step anyway."""
    spec = Spec(5, gym.spaces.Box(-9, 9, (3,)), gym.spaces.Discrete(2))
    expression = group_relative(gate(Constant(0.1), threshold=1.0), 6, "centred")
    stream = random_stream(2, 50, 5)
    late = RewardEngine(expression, spec, pay_at_end=True)
    at_once = np.stack([late.step(Transitions(**vars(step)))[0] for step in stream])
    engine = RewardEngine(expression, spec)
    parts = np.stack([engine.measure(Transitions(**vars(step))).copy() for step in stream], axis=1)
    (block,) = engine.combine(parts, marks(stream))
    np.testing.assert_allclose(at_once, block, atol=1e-12)


def test_a_group_is_remembered_by_saved_states():
    node = GroupRelative(TaskReward(), 4)
    spec = Spec(2, gym.spaces.Box(-9, 9, (3,)), gym.spaces.Discrete(2))
    stream = random_stream(5, 40, 2)
    steps = [Transitions(**vars(step)) for step in stream]
    one = RewardEngine(node, spec, pay_at_end=True)
    for step in steps[:20]:
        one.step(step)
    two = RewardEngine(node, spec, pay_at_end=True)
    two.load_state_dict(one.state_dict())
    np.testing.assert_array_equal(
        [two.step(step)[0] for step in steps[20:]],
        [again.step(step)[0] for again in [RewardEngine(node, spec, pay_at_end=True)] for step in steps][20:],
    )


def test_rollout_buffers_take_groups_of_gated_episodes_and_replay_buffers_refuse_them():
    torch.set_num_threads(1)
    expression = group_relative(gate(Constant(0.1), threshold=0.5), 4)
    venv = DummyVecEnv([lambda lane=lane: Walk("box", lane) for lane in range(3)])
    small = {"n_steps": 16, "batch_size": 8, "n_epochs": 1, "policy_kwargs": {"net_arch": [4]}, "seed": 0}
    model = wire(PPO("MlpPolicy", venv, **small, device="cpu"), expression)
    model.learn(96)
    records = model.env.drain_records()
    assert any(record.shaped_return != 0 for record in records)
    with pytest.raises(HindsightError, match="compares an episode with others"):
        wire(DQN("MlpPolicy", DummyVecEnv([lambda: Walk("box", 0)])), expression)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: GroupRelative(None), "needs of: an expression"),
        (lambda: GroupRelative(TaskReward(), 1), "size must be an integer of at least 2, got 1"),
        (
            lambda: group_relative(TaskReward(), form="median"),
            "form must be 'standard', 'centred' or 'leave_one_out'",
        ),
    ],
)
def test_bad_groups_say_what_is_wrong(build, message):
    with pytest.raises(ExpressionError, match=message):
        build()


def test_groups_promise_nothing():
    assert guarantee_of(GroupRelative(TaskReward())) == Guarantee(Keeps.NOTHING, None)


def test_the_kernel_does_not_recompile():
    for lanes in (2, 5):
        stream = random_stream(0, 9, lanes)
        for form in ("standard", "centred"):
            in_pieces(GroupRelative(TaskReward(), 4, form), np.ones((9, lanes)), stream, [4])
    assert len(kernels.relative_outcomes.signatures) == 1
