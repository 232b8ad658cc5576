"""Gates and look-ahead: equal to plain loops, whatever the cuts between rollouts."""

from __future__ import annotations

import itertools

import gymnasium as gym
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from stream_reference import episodes, gated, look_ahead, random_stream

from shapegym.shaping.advice import ActionPotential, LookAhead, look_ahead_advice
from shapegym.shaping.compose import Constant, TaskReward
from shapegym.shaping.engine import RewardEngine
from shapegym.shaping.errors import DiscountError, ExpressionError, ObservationError
from shapegym.shaping.gate import Gate, gate
from shapegym.shaping.kernels import episodes as kernels
from shapegym.shaping.types import Episodes, Spec, Transitions

THRESHOLDS = st.sampled_from([-np.inf, -1.0, 0.0, 1.0, 2.0, np.inf])


def marks(stream) -> Episodes:
    return Episodes(
        *(
            np.stack([getattr(s, name) for s in stream])
            for name in ("first", "terminated", "truncated", "active")
        )
    )


def level_values(seed: int, count: int, stream) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    active = np.stack([s.active for s in stream])
    return [rng.integers(-1, 2, size=active.shape) * active * 1.0 for _ in range(count)]


@given(
    st.integers(0, 10_000),
    st.sampled_from([1, 3, 16]),
    THRESHOLDS,
    THRESHOLDS,
    st.booleans(),
    st.sampled_from(["sum", "max", "last"]),
)
def test_levels_equal_the_plain_loop(seed, lanes, first, second, strict, outcome):
    stream = random_stream(seed, 30, lanes, idle=0.1)
    values = level_values(seed, 3, stream)
    node = Gate((TaskReward(), Constant(1.0), Constant(2.0)), (first, second), strict, outcome)
    got = node.combine_block(values, marks(stream), node.carry(lanes))
    np.testing.assert_array_equal(got, gated(values, [first, second], stream, strict, outcome))


@given(st.integers(0, 10_000), THRESHOLDS, st.lists(st.integers(1, 29), max_size=4))
def test_an_episodes_return_does_not_depend_on_where_rollouts_are_cut(seed, threshold, cuts):
    stream = random_stream(seed, 30, 3, end=0.08)
    values = level_values(seed, 2, stream)
    node = Gate((TaskReward(), Constant(1.0)), (threshold,))
    whole = node.combine_block(values, marks(stream), node.carry(3))
    carry, pieces = node.carry(3), []
    bounds = [0, *sorted(set(cuts)), 30]
    for start, stop in itertools.pairwise(bounds):
        pieces.append(node.combine_block([v[start:stop] for v in values], marks(stream[start:stop]), carry))
    cut = np.concatenate(pieces)
    for steps in episodes(stream):
        t_end, lane = steps[-1]
        if stream[t_end].terminated[lane] or stream[t_end].truncated[lane]:
            rows = [t for t, _ in steps]
            assert cut[rows, lane].sum() == whole[rows, lane].sum()  # integers: exact


def test_gate_at_minus_infinity_is_the_plain_sum_even_in_open_fragments():
    stream = random_stream(1, 20, 4, end=0.05)
    values = level_values(1, 2, stream)
    node = Gate((TaskReward(), Constant(1.0)), (-np.inf,))
    np.testing.assert_array_equal(
        node.combine_block(values, marks(stream), node.carry(4)), values[0] + values[1]
    )


def test_gate_at_infinity_is_the_outcome_alone():
    stream = random_stream(1, 20, 4)
    values = level_values(1, 2, stream)
    node = Gate((TaskReward(), Constant(1.0)), (np.inf,))
    np.testing.assert_array_equal(node.combine_block(values, marks(stream), node.carry(4)), values[0])


def test_a_gate_is_differentiable_in_its_dense_part():
    stream = random_stream(2, 20, 3)
    outcome, dense = (torch.tensor(v, requires_grad=True) for v in level_values(2, 2, stream))
    node = Gate((TaskReward(), Constant(1.0)), (1.0,))
    reward = node.combine_block([outcome, dense], marks(stream), node.carry(3))
    reward.sum().backward()
    paid = (
        gated([outcome.detach().numpy(), np.ones((20, 3))], [1.0], stream, False) - outcome.detach().numpy()
    )
    np.testing.assert_array_equal(dense.grad.numpy(), paid)


@given(st.integers(0, 10_000), st.sampled_from([1, 3, 16]))
def test_look_ahead_equals_the_plain_loop(seed, lanes):
    stream = random_stream(seed, 25, lanes, idle=0.1)
    values = np.random.default_rng(seed).normal(size=(25, lanes))
    node = LookAhead(TaskReward(), 0.9)
    got = node.combine_block([values], marks(stream), node.carry(lanes))
    active = np.stack([s.active for s in stream])
    np.testing.assert_array_equal(got[active], look_ahead(values, 0.9, stream)[active])


@given(st.integers(0, 10_000), st.integers(1, 29))
def test_look_ahead_telescopes_across_cuts(seed, cut):
    gamma = 0.9
    stream = random_stream(seed, 30, 2, end=0.05)
    values = np.random.default_rng(seed).normal(size=(30, 2))
    node = LookAhead(TaskReward(), gamma)
    carry = node.carry(2)
    got = np.concatenate(
        [
            node.combine_block([values[:cut]], marks(stream[:cut]), carry),
            node.combine_block([values[cut:]], marks(stream[cut:]), carry),
        ]
    )
    for steps in episodes(stream):
        total = sum(gamma**k * got[step] for k, step in enumerate(steps))
        assert total == pytest.approx(-values[steps[0]], abs=1e-10)


def test_look_ahead_advice_reads_the_action_taken():
    spec = Spec(4, gym.spaces.Box(-9, 9, (3,)), gym.spaces.Discrete(2), gamma=0.9)
    engine = RewardEngine(look_ahead_advice(["obs[0]", "obs[2]"], 0.9), spec)
    step = random_stream(0, 1, 4)[0]
    parts = engine.measure(Transitions(**vars(step)))
    np.testing.assert_array_equal(parts[0], [step.obs[lane, 2 * step.action[lane]] for lane in range(4)])


def test_advice_is_refused_where_it_makes_no_sense():
    continuous = Spec(1, gym.spaces.Box(-9, 9, (3,)), gym.spaces.Box(-1, 1, (2,)), gamma=0.9)
    with pytest.raises(ObservationError, match="one for each discrete action"):
        RewardEngine(look_ahead_advice(["obs[0]", "obs[1]"], 0.9), continuous)
    discrete = Spec(1, gym.spaces.Box(-9, 9, (3,)), gym.spaces.Discrete(2), gamma=0.99)
    with pytest.raises(DiscountError, match=r"0\.9, the agent has gamma=0\.99"):
        RewardEngine(look_ahead_advice(["obs[0]", "obs[1]"], 0.9), discrete)
    with pytest.raises(ExpressionError, match="needs gamma"):
        LookAhead(ActionPotential(("obs[0]",)))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Gate((TaskReward(),), ()), "at least two levels"),
        (lambda: Gate([TaskReward(), TaskReward()], (1.0,)), "tuple of at least two levels"),
        (lambda: Gate((TaskReward(), TaskReward()), 1.0), "tuple of numbers"),
        (lambda: gate(TaskReward(), threshold="high"), "tuple of numbers"),
        (lambda: Gate((TaskReward(), TaskReward()), (1.0, 2.0)), "2 levels and 2 thresholds"),
        (lambda: gate(TaskReward(), threshold=float("nan")), "NaN"),
        (lambda: Gate((TaskReward(), TaskReward()), (1.0,), outcome="mean"), "one of sum, max, last"),
    ],
)
def test_bad_gates_say_what_is_wrong(build, message):
    with pytest.raises(ExpressionError, match=message):
        build()


def test_kernels_do_not_recompile():
    used = (kernels.episode_totals, kernels.hold_back, kernels.successors)
    for lanes in (2, 5):
        stream = random_stream(0, 9, lanes)
        for node, count in (
            (Gate((TaskReward(), Constant(1.0)), (0.0,)), 2),
            (LookAhead(TaskReward(), 0.9), 1),
        ):
            node.combine_block(level_values(0, count, stream), marks(stream), node.carry(lanes))
        compiled = [len(kernel.signatures) for kernel in used]
    assert compiled == [1, 1, 1]
