"""Arithmetic of expressions: values, printing, names, promises."""

from __future__ import annotations

import pickle

import gymnasium as gym
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from stream_reference import episodes, random_stream

from shapegym.shaping.algebra import Clip, Constant, Scale, Sum, TaskReward, clip
from shapegym.shaping.combinators.elementwise import geometric_mean, log_sigmoid_and, sign, when
from shapegym.shaping.combinators.gate import gate
from shapegym.shaping.combinators.means import harmonic_mean
from shapegym.shaping.combinators.redistribute import redistribute
from shapegym.shaping.errors import ExpressionError
from shapegym.shaping.evaluation.engine import RewardEngine
from shapegym.shaping.promises import Guarantee, Keeps
from shapegym.shaping.terms.potential import Potential
from shapegym.shaping.transitions import Spec, Transitions
from shapegym.shaping.tree import guarantee_losses, guarantee_of, largest, part_names, terms_of
from shapegym.shaping.types import times_task_is_paid

NEARER = Potential("obs[0]", gamma=0.99)
FAST = Potential("obs[1]", gamma=0.99)


def spec(lanes: int = 4) -> Spec:
    return Spec(lanes, gym.spaces.Box(-9, 9, (3,)), gym.spaces.Discrete(2), gamma=0.99)


def test_arithmetic_flattens_sums_and_folds_scales():
    task = TaskReward()
    assert task + NEARER + FAST == Sum((task, NEARER, FAST))
    assert Scale(NEARER, 1.0) == 2 * (0.5 * NEARER)
    assert task - NEARER == Sum((task, Scale(NEARER, -1.0)))
    assert 1 - task == Sum((Constant(1.0), Scale(task, -1.0)))
    assert -task == Scale(task, -1.0)
    assert (task + NEARER).named("both") + FAST == Sum((Sum((task, NEARER)), FAST))


def test_an_expression_prints_as_it_is_written():
    expression = TaskReward() + 0.5 * clip(NEARER, -2, 1) - FAST
    assert str(expression) == (
        "TaskReward() + 0.5 * Clip(Potential(phi=Read('obs[0]'), gamma=0.99), low=-2) + "
        "-1 * Potential(phi=Read('obs[1]'), gamma=0.99)"
    )


def test_expressions_compare_hash_and_pickle():
    expression = TaskReward() + 0.5 * when(NEARER, FAST, -0.1) + gate(NEARER, threshold=1.0)
    again = pickle.loads(pickle.dumps(expression))
    assert again == expression
    assert hash(again) == hash(expression)
    assert expression != expression + 1


@given(st.integers(0, 10_000), st.sampled_from([1, 4, 17]))
def test_named_parts_sum_to_the_shaped_reward(seed, lanes):
    expression = TaskReward() + 0.3 * NEARER - 0.7 * clip(FAST, -0.2, 0.2) + 0.01
    engine = RewardEngine(expression, spec(lanes))
    for step in random_stream(seed, 12, lanes, idle=0.2):
        shaped, parts, _ = engine.step(Transitions(**vars(step)))
        total = parts[0].copy()
        for part in parts[1:]:
            total = total + part
        np.testing.assert_array_equal(shaped, total)  # the same additions in the same order: equal to the bit


def test_the_books_of_an_episode_add_up():
    expression = TaskReward() + 0.3 * NEARER + 0.01
    engine = RewardEngine(expression, spec(5))
    stream = random_stream(3, 200, 5, idle=0.1)
    records, shaped_rewards = [], []
    for step in stream:
        shaped, _, ended = engine.step(Transitions(**vars(step)))
        shaped_rewards.append(shaped.copy())
        records.extend(ended)
    expected = []
    for steps in episodes(stream):
        t_end, lane = steps[-1]
        if stream[t_end].terminated[lane] or stream[t_end].truncated[lane]:
            task = sum(stream[t].reward[lane] for t, _ in steps)
            expected.append((lane, len(steps), task, sum(shaped_rewards[t][lane] for t, _ in steps)))
    got = sorted((r.lane, r.length, r.task_return, round(r.shaped_return, 9)) for r in records)
    assert got == sorted(
        (lane, length, task, round(float(shaped), 9)) for lane, length, task, shaped in expected
    )
    for record in records:
        assert sum(record.parts.values()) == pytest.approx(record.shaped_return, abs=1e-12)


VALUES = [np.array([1.0, -2.0, 0.0, 3.0]), np.array([4.0, 0.5, 2.0, -3.0])]


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        (clip(TaskReward(), -1, 2), [1.0, -1.0, 0.0, 2.0]),
        (sign(TaskReward()), [1.0, -1.0, 0.0, 1.0]),
        (TaskReward() * NEARER, [4.0, -1.0, 0.0, -9.0]),
        (geometric_mean(TaskReward(), NEARER), [2.0, -1.0, 0.0, -3.0]),
        (
            log_sigmoid_and(TaskReward(), NEARER, references=(1.0, 0.0)),
            [np.log(0.5) - np.log1p(np.exp(-4)), -np.log1p(np.exp(3)) - np.log1p(np.exp(-0.5)), None, None],
        ),
    ],
)
def test_elementwise_nodes_by_hand_in_numpy_and_torch(node, expected):
    inputs = VALUES[: len(node.children)]
    got = node.combine(inputs)
    tensors = [torch.tensor(v, requires_grad=True) for v in inputs]
    differentiable = node.combine(tensors)
    for value, tensor, want in zip(got, differentiable, expected, strict=True):
        if want is not None:
            assert value == pytest.approx(want)
            assert tensor.item() == pytest.approx(want)
    if not isinstance(node, type(sign(TaskReward()))):
        differentiable[0].backward()
        assert tensors[0].grad is not None


def test_geometric_mean_of_many_small_values_does_not_underflow():
    assert geometric_mean(*[TaskReward()] * 400).combine([np.array([1e-5])] * 400)[0] == pytest.approx(1e-5)


def test_when_selects_by_condition():
    node = when(TaskReward(), NEARER, -1.0)
    np.testing.assert_array_equal(
        node.combine([VALUES[0], VALUES[1], np.full(4, -1.0)]), [4.0, -1.0, -1.0, -3.0]
    )


def test_equal_terms_are_measured_once():
    expression = TaskReward() + NEARER + 0.5 * Potential("obs[0]", gamma=0.99)
    assert terms_of(expression) == (TaskReward(), NEARER)


def test_part_names_are_distinct_and_follow_what_is_scaled():
    expression = TaskReward() + 0.5 * NEARER + clip(FAST).named("speed") + NEARER * Constant(2.0)
    assert part_names(expression.addends) == ("task_reward", "potential", "speed", "potential_2")
    with pytest.raises(ExpressionError, match="Two parts are called 'a'"):
        part_names((NEARER.named("a"), FAST.named("a")))
    with pytest.raises(ExpressionError, match="identifier"):
        NEARER.named("not a name")


BONUS = Clip(NEARER, -0.5, 0.25)


@pytest.mark.parametrize(
    ("expression", "keeps", "bound"),
    [
        (TaskReward(), Keeps.EVERYTHING, 0.0),
        (TaskReward() + NEARER - 3 * FAST, Keeps.POLICIES | Keeps.ADVICE, 0.0),
        (TaskReward() + clip(NEARER), Keeps.NOTHING, 1.0),
        (TaskReward() + NEARER * Constant(0.5), Keeps.NOTHING, None),
        (TaskReward() + 1, Keeps.NOTHING, 1.0),
        (TaskReward() + NEARER + 0.5 * BONUS - 2 * BONUS, Keeps.NOTHING, 1.25),
        (TaskReward() + gate(NEARER, Constant(0.0), threshold=0), Keeps.NOTHING, None),
        # What is held is paid at once, however many steps it is.
        (TaskReward() + gate(Constant(1.0), Constant(1.0), threshold=0), Keeps.NOTHING, None),
        (TaskReward() + gate(Constant(1.0), Constant(1.0), threshold=0, per="step"), Keeps.NOTHING, 2.0),
        # The task is inside of a product, so nothing says that it is paid as it is.
        ((TaskReward() + 0.0) * Constant(-1), Keeps.NOTHING, None),
        (TaskReward() + sign(NEARER) * Constant(2.0), Keeps.NOTHING, 2.0),
        (TaskReward() + clip(NEARER, -np.inf, 1), Keeps.NOTHING, None),
        (TaskReward() + TaskReward(), Keeps.POLICIES | Keeps.ADVICE, 0.0),
        (TaskReward() + redistribute(), Keeps.NOTHING, None),
        (redistribute(), Keeps.RETURN, None),
    ],
)
def test_promises_propagate(expression, keeps, bound):
    assert guarantee_of(expression) == Guarantee(keeps, bound)


def test_a_task_that_is_turned_round_keeps_nothing():
    assert guarantee_of(-1 * TaskReward() + NEARER).keeps is Keeps.NOTHING


@pytest.mark.parametrize(
    ("expression", "bound"),
    [
        (when(NEARER, 2.0, BONUS), 2.0),
        (when(BONUS, NEARER), None),
        (geometric_mean(Constant(-3.0), BONUS), 3.0),
        (harmonic_mean(Constant(-3.0), BONUS), 3.0),
        (log_sigmoid_and(Constant(1.0), BONUS, references=(0.5, -2.0)), 4.0 + 2 * np.log(2.0)),
        (log_sigmoid_and(Constant(1.0), NEARER), None),
    ],
)
def test_elementwise_nodes_know_their_largest_value(expression, bound):
    assert largest(expression) == (None if bound is None else pytest.approx(bound))


@given(st.floats(-3, 3), st.floats(-3, 3), st.floats(-3, 3), st.floats(-3, 3))
def test_no_value_is_larger_than_the_bound(one, other, low, high):
    operands = Clip(NEARER, min(low, one), max(low, one)), Clip(FAST, min(high, other), max(high, other))
    for node in (
        sign(operands[0]),
        geometric_mean(*operands),
        harmonic_mean(*operands),
        log_sigmoid_and(*operands, references=(low, other)),
        when(NEARER, *operands),
    ):
        values = [np.array([one, low]), np.array([other, high])][: len(node.children)]
        values = [np.array([1.0, -1.0]), *values] if len(node.children) == 3 else values
        assert (np.abs(node.combine(values)) <= largest(node) + 1e-9).all()


def test_of_alternatives_one_pays_the_task():
    task = TaskReward()
    assert times_task_is_paid(when(task, task, task)) == 1
    assert times_task_is_paid(when(task, 1.0)) == 0
    assert times_task_is_paid(when(NEARER, task + task)) == 2


def test_a_loss_names_the_node():
    losses = guarantee_losses(TaskReward() + clip(NEARER).named("tamed"))
    assert [str(loss) for loss in losses] == ["tamed does not keep optimal policies, a step adds at most 1"]
    assert isinstance(losses[0].node, Clip)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: TaskReward() + "count", "operands are expressions or finite numbers"),
        (lambda: TaskReward() * float("nan"), "expressions or finite numbers"),
        (lambda: TaskReward() + True, "operands are expressions or finite numbers"),
        (lambda: clip(TaskReward(), 2, 1), "low <= high"),
        (lambda: clip(TaskReward(), "a", "b"), "low must be a number, got 'a'"),
        (lambda: clip(TaskReward(), -1.0, float("nan")), "high must be a number, got nan"),
        (lambda: Sum(()), "non-empty"),
        (lambda: Sum((TaskReward(), 3.0)), "of must be a non-empty tuple of expressions, got"),
        (lambda: log_sigmoid_and(TaskReward(), references=(1, 2)), "1 operands and 2 references"),
        (
            lambda: log_sigmoid_and(TaskReward(), references=("1",)),
            "references must be a tuple of finite numbers",
        ),
        (lambda: RewardEngine(TaskReward(name="a/b"), spec()), "must be an identifier"),
        (lambda: RewardEngine(3.0, spec()), "A reward is an expression"),
    ],
)
def test_bad_operands_say_what_is_wrong(build, message):
    with pytest.raises(ExpressionError, match=message):
        build()
