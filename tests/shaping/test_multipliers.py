"""Lagrange multipliers: the paper's dual loss, what is paid, and that parts end up where they are held."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from stream_reference import episodes, random_stream

from shapegym.shaping.algebra import Constant, Product, TaskReward
from shapegym.shaping.combinators.gate import gate
from shapegym.shaping.errors import ExpressionError
from shapegym.shaping.evaluation.engine import RewardEngine
from shapegym.shaping.states.functions import Read
from shapegym.shaping.terms.goals import StateReward
from shapegym.shaping.transitions import Spec, Transitions
from shapegym.shaping.weights.multipliers import Multiplier, Weighted, constrained, weighted_addends

TASK, PART = TaskReward(), StateReward(Read("obs[0]"))
OTHER = StateReward(Read("obs[1]"))
HOLDS = st.sampled_from(["at_most", "at_least", "equal"])


def spec(lanes: int = 4) -> Spec:
    return Spec(lanes, gym.spaces.Box(-9, 9, (3,)), gym.spaces.Discrete(2), gamma=0.99)


@given(HOLDS, st.lists(st.floats(-3, 3), min_size=1, max_size=12), st.floats(-2, 2), st.floats(0, 0.9))
def test_mu_descends_the_dual_loss_as_torch_does(hold, means, start, momentum):
    term = Multiplier(TASK, 0.5, hold, learning_rate=0.3, momentum=momentum, start=start)
    state = term.init(spec())
    mu = torch.tensor(start, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.SGD([mu], lr=0.3, momentum=momentum)
    for mean in means:
        term.descend(state, mean)
        optimizer.zero_grad()
        weight = torch.tanh(mu) if hold == "equal" else torch.sigmoid(mu)
        ((-1 if hold == "at_most" else 1) * weight * (mean - 0.5)).backward()
        optimizer.step()
        if abs(term.weight(mu.item())) > 0.99 or (hold != "equal" and term.weight(mu.item()) < 0.01):
            return  # stopped on the way: the next test
        assert state["mu"] == pytest.approx(mu.item(), abs=1e-12)
        assert term.weight(state["mu"]) == pytest.approx(
            float(torch.tanh(mu.detach()) if hold == "equal" else torch.sigmoid(mu.detach())), abs=1e-12
        )


@pytest.mark.parametrize("hold", ["at_most", "at_least", "equal"])
def test_a_violation_of_another_size_does_not_throw_mu_away(hold):
    term = Multiplier(TASK, 0.5, hold)
    state = term.init(spec())
    for violation in (1000.0, -1000.0):
        for _ in range(3):
            term.descend(state, violation)
        far = term.weight(state["mu"])
        assert min(abs(far - limit) for limit in (-1, 0, 1)) == pytest.approx(0.01)
        for _ in range(2000):
            term.descend(state, -violation / 1000)
        assert abs(term.weight(state["mu"]) - far) > 0.1


@pytest.mark.parametrize("over", ["episode", "step"])
@given(seed=st.integers(0, 1000), every=st.integers(1, 9))
def test_means_are_those_of_the_episodes_since_the_last_step(over, seed, every):
    stream = random_stream(seed, 40, 3, idle=0.1)
    term = Multiplier(TASK, 0.25, "at_least", over=over, every=every)
    engine = RewardEngine(term, spec(3))
    reference, waiting = term.init(spec(3)), []
    ended = {steps[-1]: steps for steps in episodes(stream)}
    for t, step in enumerate(stream):
        parts = engine.measure(Transitions(**vars(step)))
        finished = [ended[t, lane] for lane in range(3) if (step.terminated | step.truncated)[lane]]
        for steps in finished:
            total = sum(stream[k].reward[lane] for k, lane in steps)
            waiting.append(total if over == "episode" else total / len(steps))
        if len(waiting) >= every:
            term.descend(reference, sum(waiting) / len(waiting))
            waiting = []
        np.testing.assert_allclose(parts[-1, step.active], term.weight(reference["mu"]), rtol=1e-12)


@pytest.mark.parametrize(
    ("hold", "above", "below"), [("at_most", 1, -1), ("at_least", -1, 1), ("equal", -1, 1)]
)
def test_the_weight_moves_to_the_side_that_is_documented(hold, above, below):
    for mean, sign in ((1.0, above), (0.0, below)):
        term = Multiplier(TASK, 0.5, hold)
        state = term.init(spec())
        before = term.weight(state["mu"])
        term.descend(state, mean)
        assert np.sign(term.weight(state["mu"]) - before) == sign


@pytest.mark.parametrize("hold", ["at_most", "at_least", "equal"])
def test_what_is_paid_is_the_papers_mixture(hold):
    stream = random_stream(3, 60, 4)
    expression = constrained(TASK, {PART: 0.2, OTHER: -0.1}, hold, every=2, start=0.3)
    engine = RewardEngine(expression, spec())
    sign = -1.0 if hold == "at_most" else 1.0
    for step in stream:
        shaped, _, _ = engine.step(Transitions(**vars(step)))
        one, two = (
            term.weight(state["mu"])
            for term, state in zip(engine.terms, engine.states, strict=True)
            if isinstance(term, Multiplier)
        )
        expected = (2 - one - two) * step.reward + sign * (
            one * step.next_obs[:, 0] + two * step.next_obs[:, 1]
        )
        np.testing.assert_allclose(shaped, expected, rtol=1e-12)
    assert one != two


def test_a_constrained_reward_is_taken_apart_into_values_and_weights():
    addends = weighted_addends(constrained(TASK, {PART: 0.2}) + 0.5 * OTHER)
    weight = Multiplier(PART, 0.2)
    assert [addend.value for addend in addends] == [TASK, PART, 0.5 * OTHER]
    assert addends[1].weight == Product((weight, Constant(-1.0)))
    assert addends[2] == Weighted(0.5 * OTHER, Constant(1.0))


def test_rewards_that_cannot_be_taken_apart_say_so():
    with pytest.raises(ExpressionError, match=r"has no multiplier.*constrained"):
        weighted_addends(TASK + PART)
    with pytest.raises(ExpressionError, match="not a factor"):
        weighted_addends(TASK + gate(PART * Multiplier(PART, 0.0), threshold=0.0))
    with pytest.raises(ExpressionError, match="not a factor"):
        weighted_addends(TASK + Multiplier(PART, 0.0))


def over_optimised(weights, beta=0.02, cells=11):
    """The best policy for weighted proxies minus beta * KL to uniform, on a grid of arms: its proxies and its true score."""
    p = np.linspace(0, 1, cells)
    logits = (weights[0] * p[:, None] + weights[1] * p[None, :]) / beta
    policy = np.exp(logits - logits.max())
    policy /= policy.sum()
    means = (policy.sum(1) @ p, policy.sum(0) @ p)
    true = 1 - (p[:, None] - 0.4) ** 2 - (p[None, :] - 0.6) ** 2
    return means, float((policy * true).sum())


@pytest.mark.parametrize("hold", ["at_least", "equal"])
def test_holding_proxies_at_their_thresholds_beats_every_fixed_weight(hold):
    terms = [
        Multiplier(TASK, theta, hold, learning_rate=0.3, start=-3.0 * (hold == "at_least"))
        for theta in (0.4, 0.6)
    ]
    states = [term.init(spec()) for term in terms]
    for _ in range(4000):
        weights = np.array([term.weight(state["mu"]) for term, state in zip(terms, states, strict=True)])
        beta = 0.2 * (2 - weights.sum())
        means, score = over_optimised(weights, beta)
        for term, state, mean in zip(terms, states, means, strict=True):
            term.descend(state, mean)
    held = (
        0.4 if hold == "equal" else 0.5
    )  # at_least leaves a proxy that is above its threshold at the base policy's
    assert means == pytest.approx((held, 0.6), abs=0.02)
    fixed = [over_optimised((w, w), 0.2)[1] for w in (0.25, 0.5, 1.0, 2.0)]
    assert score > max(fixed)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Multiplier(None, 0.0), "needs of: an expression"),
        (lambda: Multiplier(1.0, 0.0), "of must be an expression"),
        (lambda: Multiplier(gate(PART, threshold=1.0), 0.0), "only in hindsight"),
        (lambda: Multiplier(PART, None), "needs threshold: a finite number"),
        (lambda: Multiplier(PART, float("nan")), "threshold must be a finite number"),
        (lambda: Multiplier(PART, 0.0, "under"), "'at_most', 'at_least' or 'equal'"),
        (lambda: Multiplier(PART, 0.0, over="run"), "'episode' or 'step'"),
        (lambda: Multiplier(PART, 0.0, every=0), "every must be an integer"),
        (lambda: Multiplier(PART, 0.0, momentum=1.0), r"momentum must be a finite number in \[0, 1\), got 1"),
        (lambda: constrained(TASK, {}), "at least one part"),
    ],
)
def test_bad_constraints_say_what_is_wrong(build, message):
    with pytest.raises(ExpressionError, match=message):
        build()
