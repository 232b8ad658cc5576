"""Redistributed returns: equal to plain loops, and an episode's sum is its return, whatever the guess and the cuts."""

from __future__ import annotations

import itertools

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sb3_reference import Walk
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.vec_env import DummyVecEnv
from stream_reference import episodes, random_stream, redistributed

from shapegym.shaping.algebra import Constant, TaskReward
from shapegym.shaping.combinators.gate import gate
from shapegym.shaping.combinators.redistribute import Redistribute, redistribute
from shapegym.shaping.errors import ExpressionError
from shapegym.shaping.evaluation.engine import RewardEngine
from shapegym.shaping.files.reward_files import dumps, loads
from shapegym.shaping.promises import Guarantee, Keeps
from shapegym.shaping.surfaces.wiring import wire
from shapegym.shaping.terms.events import Event
from shapegym.shaping.terms.potential import Potential
from shapegym.shaping.testing import check_expression
from shapegym.shaping.transitions import Episodes, Spec, Transitions
from shapegym.shaping.tree import guarantee_of, keeps_of, part_names
from shapegym.shaping.types import times_task_is_paid

TASK = TaskReward()
GUESS = Event("features.event", 0.5, equals=2)
RESTS = st.sampled_from(["uniform", "end"])
CUTS = st.lists(st.integers(1, 29), max_size=4)


def marks(stream) -> Episodes:
    names = ("first", "terminated", "truncated", "active")
    return Episodes(*(np.stack([getattr(step, name) for step in stream]) for name in names))


def in_pieces(node, values, stream, cuts) -> np.ndarray:
    carry, pieces = node.carry(values[0].shape[1]), []
    for start, stop in itertools.pairwise([0, *sorted(set(cuts)), len(stream)]):
        pieces.append(node.combine_block([v[start:stop] for v in values], marks(stream[start:stop]), carry))
    return np.concatenate(pieces)


@given(st.integers(0, 10_000), st.sampled_from([1, 3, 16]), RESTS, st.booleans(), CUTS)
def test_what_is_paid_equals_the_plain_loop_whatever_the_cuts(seed, lanes, rest, guessed, cuts):
    stream = random_stream(seed, 30, lanes, end=0.08, idle=0.1)
    rng = np.random.default_rng(seed)
    values, proxy = rng.normal(size=(30, lanes)), guessed * rng.normal(size=(30, lanes))
    node = Redistribute(TASK, GUESS if guessed else None, rest)
    got = in_pieces(node, [values, proxy][: 1 + guessed], stream, cuts)
    active = marks(stream).active
    np.testing.assert_allclose(
        got[active], redistributed(values, proxy, stream, rest, cuts)[active], rtol=1e-9, atol=1e-12
    )


@given(st.integers(0, 10_000), RESTS)
def test_an_episode_sums_to_its_return_wherever_rollouts_are_cut(seed, rest):
    stream = random_stream(seed, 10, 2, end=0.2, idle=0.1)
    rng = np.random.default_rng(seed)
    values, proxy = rng.normal(size=(10, 2)), rng.normal(size=(10, 2))
    node = Redistribute(TASK, GUESS, rest)
    for cuts in itertools.chain.from_iterable(itertools.combinations(range(1, 10), n) for n in (0, 1, 2, 9)):
        paid = in_pieces(node, [values, proxy], stream, cuts)
        for steps in episodes(stream):
            t_end, lane = steps[-1]
            if stream[t_end].terminated[lane] or stream[t_end].truncated[lane]:
                total = sum(values[step] for step in steps)
                assert sum(paid[step] for step in steps) == pytest.approx(total, abs=1e-12)
            else:
                np.testing.assert_array_equal([paid[step] for step in steps], [proxy[step] for step in steps])


@given(st.integers(0, 10_000))
def test_without_a_guess_every_step_of_an_episode_is_worth_the_same(seed):
    stream = random_stream(seed, 30, 3)
    values = np.random.default_rng(seed).normal(size=(30, 3))
    paid = in_pieces(Redistribute(), [values], stream, [])
    for steps in episodes(stream):
        assert len({paid[step] for step in steps}) == 1


def test_a_right_guess_leaves_nothing_to_distribute():
    stream = random_stream(1, 30, 3)
    values = np.random.default_rng(1).integers(-4, 5, size=(30, 3)) / 4.0
    for rest in ("uniform", "end"):
        np.testing.assert_array_equal(
            in_pieces(Redistribute(TASK, GUESS, rest), [values, values], stream, [7, 8]), values
        )


def test_the_end_alone_is_the_delayed_task():
    stream = random_stream(2, 30, 3)
    values = np.random.default_rng(2).normal(size=(30, 3))
    paid = in_pieces(Redistribute(rest="end"), [values], stream, [11])
    assert (paid[~marks(stream).last] == 0.0).all()


def test_a_replayed_episode_is_paid_as_a_whole():
    """Surfaces with `pay_at_end` and replay buffers see whole episodes: the sum is the return."""
    spec = Spec(3, gym.spaces.Box(-9, 9, (3,)), gym.spaces.Discrete(2))
    engine = RewardEngine(redistribute(proxy=Constant(0.25)), spec, pay_at_end=True)
    records = [
        r for step in random_stream(3, 60, 3, idle=0.1) for r in engine.step(Transitions(**vars(step)))[2]
    ]
    assert len(records) > 5
    for record in records:
        assert record.shaped_return == pytest.approx(record.task_return, abs=1e-12)


def test_on_and_off_policy_agents_are_paid_each_episodes_return():
    venv = DummyVecEnv([lambda lane=lane: Walk("box", lane) for lane in range(3)])
    small = {"batch_size": 8, "policy_kwargs": {"net_arch": [4]}, "seed": 0, "device": "cpu"}
    model = wire(PPO("MlpPolicy", venv, n_steps=16, n_epochs=1, **small), redistribute(proxy=0.1))
    model.learn(96)
    off = wire(
        DQN("MlpPolicy", DummyVecEnv([lambda: Walk("box", 0)]), learning_starts=8, **small), redistribute()
    )
    off.learn(64)
    for one in (model, off):
        records = one.env.drain_records()
        assert any(record.task_return != 0 for record in records)
        for record in records:
            assert record.shaped_return == pytest.approx(record.task_return, abs=1e-9)


def test_what_a_redistribution_promises():
    assert guarantee_of(redistribute()) == Guarantee(Keeps.RETURN, None)
    assert guarantee_of(redistribute(proxy=Potential("obs[0]", gamma=0.9))).keeps is Keeps.RETURN
    assert keeps_of(redistribute(gate(Constant(1.0), threshold=0.0))) is Keeps.NOTHING
    assert keeps_of(redistribute(Constant(1.0))) is Keeps.NOTHING
    assert times_task_is_paid(redistribute(TASK + TASK, proxy=3 * TASK)) == 2
    assert times_task_is_paid(redistribute(Constant(1.0), proxy=TASK)) == 0
    assert Redistribute.additive
    assert part_names((redistribute(proxy=GUESS),)) == ("task_reward",)


def test_parts_and_the_guess_can_be_left_out():
    bonus = Constant(1.0)
    node = Redistribute(TASK + bonus, GUESS, "end")
    assert list(node.leave_one_out()) == [
        (bonus, Redistribute(TASK, GUESS, "end")),
        (GUESS, Redistribute(TASK + bonus, None, "end")),
    ]
    assert list(Redistribute(TASK, GUESS + 0.25 * TASK).leave_one_out()) == [
        (GUESS, Redistribute(TASK, 0.25 * TASK))
    ]
    assert list(redistribute(bonus).leave_one_out()) == [(bonus, None)]
    assert list(redistribute().leave_one_out()) == []


@pytest.mark.parametrize("example", Redistribute.examples())
def test_examples_comply_and_survive_a_reward_file(example):
    check_expression(example.node)
    assert loads(dumps(example.node)) == example.node


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Redistribute(3.0), "of must be an expression, got 3.0"),
        (lambda: redistribute(rest="start"), "rest must be 'uniform' or 'end', got 'start'"),
        (lambda: redistribute(proxy=gate(GUESS, threshold=0.0)), "proxy must be known at its step"),
        (lambda: redistribute(proxy="count"), "operands are expressions or finite numbers"),
    ],
)
def test_bad_redistributions_say_what_is_wrong(build, message):
    with pytest.raises(ExpressionError, match=message):
        build()
