"""Trust follows how well a part tells successes from failures; harmonic means and references."""

from __future__ import annotations

import math
from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from stream_reference import episodes, random_stream

from shapegym.shaping.algebra import TaskReward
from shapegym.shaping.combinators.gate import gate
from shapegym.shaping.combinators.means import HarmonicMean, harmonic_mean, reference_quantiles
from shapegym.shaping.errors import ExpressionError
from shapegym.shaping.evaluation.engine import RewardEngine
from shapegym.shaping.transitions import Spec, Transitions
from shapegym.shaping.weights.schedules import Exponential
from shapegym.shaping.weights.trust import Trust, trust, trusted

TASK = TaskReward()
SPEC = Spec(3, gym.spaces.Box(-9, 9, (3,)), gym.spaces.Discrete(2))
POSITIVE = st.lists(st.floats(1e-3, 1e3), min_size=2, max_size=5)


@pytest.mark.parametrize("over", ["step", "episode"])
@given(seed=st.integers(0, 1000), memory=st.sampled_from([1.5, 10.0, 1e9]))
def test_trust_is_the_contrast_of_forgetting_means(over, seed, memory):
    stream = random_stream(seed, 40, 3, idle=0.1)
    engine = RewardEngine(Trust(TASK, over, memory), SPEC)
    ended = {steps[-1]: steps for steps in episodes(stream)}
    counts, totals = [0.0, 0.0], [0.0, 0.0]
    for t, step in enumerate(stream):
        success = step.obs[:, 0] > 0
        measured = engine.measure(Transitions(**vars(step), next_features={"success": success}))[-1]
        lanes = np.flatnonzero(step.terminated | step.truncated)
        counts, totals = ([x * (1 - 1 / memory) ** len(lanes) for x in both] for both in (counts, totals))
        for lane in lanes:
            steps = ended[t, lane]
            score = sum(stream[k].reward[lane] for k, _ in steps) / (len(steps) if over == "step" else 1)
            counts[int(success[lane])] += 1
            totals[int(success[lane])] += score
        expected = 1.0
        if min(counts) > 0:
            contrast = totals[1] / counts[1] - totals[0] / counts[0]
            expected = 1.0 if contrast >= 0 else math.exp(contrast)
        np.testing.assert_allclose(measured[step.active], expected, rtol=1e-9)


@pytest.mark.parametrize("reliability", [0.0, 0.25, 0.5, 0.75, 1.0])
def test_the_weight_tracks_the_reliability_of_a_judge(reliability):
    """A judge that is right with this probability: contrast 2 r - 1, so weight exp(2 r - 1) below one half."""
    rng = np.random.default_rng(0)
    success = rng.random(40_000) < 0.5
    judged = np.where(rng.random(40_000) < reliability, success, ~success)
    counts = np.array([np.count_nonzero(~success), np.count_nonzero(success)])
    weight = trust(counts, np.array([judged[~success].mean(), judged[success].mean()]))
    assert weight == pytest.approx(math.exp(min(2 * reliability - 1, 0)), abs=0.02)


def test_with_a_memory_of_one_the_last_episode_of_each_kind_counts():
    term = Trust(TASK, memory=1.0)
    state = term.init(SPEC)
    ends = replace(
        Transitions(**vars(random_stream(0, 1, 3)[0])), first=np.ones(3, bool), terminated=np.ones(3, bool)
    )
    for succeeds, paid in ((True, 0.2), (False, 0.9), (False, 0.5), (True, 0.1)):
        ends.next_features = {"success": np.full(3, succeeds)}
        term.observe(ends, state, np.full(3, paid))
    assert term.measure(ends, state)[0] == pytest.approx(math.exp(0.1 - 0.5))


@pytest.mark.parametrize("memory", [1.0, 10.0])
def test_a_kind_that_stays_out_for_long_keeps_its_mean(memory):
    """The discounted number of failures fades into the smallest numbers there are; what they came to does not."""
    term = Trust(TASK, memory=memory)
    state = term.init(SPEC)
    stream = random_stream(0, 1, 3)[0]
    ends = replace(Transitions(**vars(stream)), first=np.ones(3, bool), terminated=np.ones(3, bool))
    for number in range(2500):
        succeeds = number > 0
        ends.next_features = {"success": np.full(3, succeeds)}
        term.observe(ends, state, np.full(3, 0.9 if succeeds else 0.3))
        assert term.measure(ends, state)[0] == 1.0  # successes are paid better


def test_trusted_parts_are_annealed_by_a_schedule():
    schedule = Exponential(1.0, 0.0, 10.0)
    assert trusted(TASK).of == (TASK, Trust(TASK))
    assert trusted(TASK, schedule, memory=5.0).of == (TASK, Trust(TASK, memory=5.0), schedule)


@given(POSITIVE, st.data())
def test_the_harmonic_mean_is_scipys(values, data):
    from scipy.stats import hmean

    weights = data.draw(st.lists(st.floats(0.01, 10), min_size=len(values), max_size=len(values)))
    operands = [np.array([value]) for value in values]
    got = HarmonicMean((TASK,) * len(values), tuple(weights)).combine(operands)
    np.testing.assert_allclose(got, hmean(values, weights=weights), rtol=1e-9)
    equal = HarmonicMean((TASK,) * len(values)).combine(operands)
    assert min(values) * (1 - 1e-12) <= equal[0] <= len(values) * min(values) * (1 + 1e-12)


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=4), st.integers(0, 3), st.floats(0, 2))
def test_no_operand_lowers_the_harmonic_mean_by_growing(values, position, growth):
    node = HarmonicMean((TASK,) * len(values))
    grown = list(values)
    grown[position % len(values)] += growth
    before, after = (node.combine([np.array([v]) for v in both])[0] for both in (values, grown))
    assert after >= before - 1e-9
    if min(values) <= 0:
        assert before == min(values)


def test_the_harmonic_mean_takes_tensors_and_extremes():
    node = harmonic_mean(TASK, TASK, weights=(1.0, 3.0))
    tensors = [torch.tensor([0.5, -1.0], requires_grad=True), torch.tensor([2.0, 3.0], requires_grad=True)]
    node.combine(tensors).sum().backward()
    assert all(torch.isfinite(tensor.grad).all() for tensor in tensors)
    tiny = node.combine([np.array([1e-300]), np.array([1e300])])
    np.testing.assert_allclose(tiny, 4e-300)


def test_references_are_quantiles_by_operand():
    parts = np.arange(24.0).reshape(2, 3, 4)
    assert reference_quantiles(parts, 0.5) == (5.5, 17.5)
    for bad, message in ((np.empty((2, 0)), "shape"), (np.full((2, 3), np.nan), "not finite")):
        with pytest.raises(ExpressionError, match=message):
            reference_quantiles(bad)
    with pytest.raises(ExpressionError, match=r"quantile must be a finite number in \[0, 1\]"):
        reference_quantiles(parts, 85)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Trust(None), "needs of: an expression"),
        (lambda: Trust(gate(TASK, threshold=1.0)), "only in hindsight"),
        (lambda: Trust(TASK, "run"), "'step' or 'episode'"),
        (lambda: Trust(TASK, memory=0.5), "memory must be a finite number >= 1"),
        (lambda: trusted(TASK, 0.5), "trusted: schedule must be a schedule such as"),
        (harmonic_mean, "non-empty"),
        (lambda: harmonic_mean(TASK, TASK, weights=(1.0,)), "2 operands and 1 weights"),
        (
            lambda: harmonic_mean(TASK, TASK, weights=(1.0, 0.0)),
            "weights must be a tuple of finite numbers > 0",
        ),
    ],
)
def test_bad_nodes_say_what_is_wrong(build, message):
    with pytest.raises(ExpressionError, match=message):
        build()
