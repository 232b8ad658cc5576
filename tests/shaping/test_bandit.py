"""Bandits keep their textbook regret on Bernoulli arms; what they choose is what is paid."""

from __future__ import annotations

import math

import gymnasium as gym
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from stream_reference import random_stream

from shapegym.shaping.algebra import Constant, TaskReward
from shapegym.shaping.errors import ExpressionError
from shapegym.shaping.evaluation.engine import RewardEngine
from shapegym.shaping.transitions import Spec, Transitions
from shapegym.shaping.weights.bandit import EXP3, UCB1, Bandit, Choose, choose_by

TASK = TaskReward()
MEANS = (0.2, 0.5, 0.65)


def spec(lanes: int = 2, seed: int = 0) -> Spec:
    return Spec(lanes, gym.spaces.Box(-9, 9, (3,)), gym.spaces.Discrete(2), seed=seed)


def play(bandit: Bandit, scores: np.ndarray, seed: int) -> np.ndarray:
    """Arms chosen over the rounds of ``scores``, (rounds, arms)."""
    state = bandit.init(spec(seed=seed))
    arms = []
    for row in scores:
        arm = state["arm"]
        arms.append(arm)
        bandit.credit(state, arm, float(row[arm]))
        state["pulls"][arm] += 1
        state["arm"] = bandit.pick(state)
    return np.array(arms)


def bernoulli(rounds: int, seed: int) -> np.ndarray:
    return (np.random.default_rng(seed).random((rounds, len(MEANS))) < MEANS).astype(float)


def test_ucb1_stays_within_the_bound_of_auer_et_al_and_finds_the_best_arm():
    rounds, gaps = 3000, max(MEANS) - np.array(MEANS)
    played = [play(UCB1(3), bernoulli(rounds, seed), seed) for seed in range(5)]
    regret = np.mean([gaps[arms].sum() for arms in played])
    lossy = gaps[gaps > 0]
    assert regret <= (8 * np.log(rounds) / lossy).sum() + (1 + math.pi**2 / 3) * lossy.sum()
    assert regret < 0.2 * rounds * np.mean(gaps)  # far below playing at random
    assert np.mean([(arms[-500:] == 2).mean() for arms in played]) > 0.75


@pytest.mark.parametrize("drifting", [False, True])
def test_exp3_stays_within_the_bound_of_auer_et_al_whatever_the_scores(drifting):
    rounds, arms = 3000, 3
    mixing = min(1.0, math.sqrt(arms * math.log(arms) / ((math.e - 1) * rounds)))
    regrets = []
    for seed in range(5):
        scores = bernoulli(rounds, seed)
        if drifting:  # the best arm of the first third becomes the worst
            scores[rounds // 3 :] = scores[rounds // 3 :, ::-1]
        played = play(EXP3(arms, mixing=mixing), scores, seed)
        regrets.append(scores.sum(axis=0).max() - scores[np.arange(rounds), played].sum())
    assert np.mean(regrets) <= 2 * math.sqrt(math.e - 1) * math.sqrt(rounds * arms * math.log(arms))
    assert np.mean(regrets) < 0.5 * (max(MEANS) - np.mean(MEANS)) * rounds or drifting


@given(st.lists(st.floats(-500, 5000), min_size=3, max_size=3), st.floats(0.01, 1))
def test_exp3_never_loses_an_arm(gains, mixing):
    p = EXP3(3, mixing=mixing).probabilities(np.array(gains))
    assert p.sum() == pytest.approx(1.0)
    assert (p >= mixing / 3 - 1e-12).all()


@pytest.mark.parametrize("bandit", [UCB1(2, period=20, low=-2, high=4), EXP3(2, period=20, low=-2, high=4)])
@given(seed=st.integers(0, 200))
def test_arms_are_held_for_their_periods_and_scored_by_the_episodes_that_ended(bandit, seed):
    stream = random_stream(seed, 60, 3, idle=0.1)
    engine = RewardEngine(bandit, spec(3, seed))
    reference = bandit.init(spec(3, seed))
    running, scores, until, clock = np.zeros(3), [], bandit.period, 0
    for step in stream:
        if clock >= until and scores and step.active.any():
            score = min(max((np.mean(scores) + 2) / 6, 0), 1)
            bandit.credit(reference, reference["arm"], score)
            reference["pulls"][reference["arm"]] += 1
            reference["arm"] = bandit.pick(reference)
            until, scores = clock + bandit.period, []
        part = engine.measure(Transitions(**vars(step)))[0]
        assert (part[step.active] == reference["arm"]).all()
        clock += int(step.active.sum())
        for lane in np.flatnonzero(step.active):
            running[lane] = step.reward[lane] + (0 if step.first[lane] else running[lane])
            if step.terminated[lane] or step.truncated[lane]:
                scores.append(running[lane])
    assert engine.states[0]["pulls"].sum() > 0


def test_what_is_chosen_is_what_is_paid():
    bandit = UCB1(3, period=4, low=-2, high=4)
    expression = choose_by(bandit, TASK, 10.0, TASK + 100.0)
    engine = RewardEngine(expression, spec())
    used = set()
    for step in random_stream(0, 40, 2):
        shaped, _, _ = engine.step(Transitions(**vars(step)))
        arm = engine.states[engine.terms.index(bandit)]["arm"]
        used.add(arm)
        np.testing.assert_array_equal(shaped, [step.reward, np.full(2, 10.0), step.reward + 100.0][arm])
    assert used == {0, 1, 2}


def test_a_choice_is_differentiable_in_the_expression_that_is_paid():
    options = [torch.ones(4, requires_grad=True) for _ in range(2)]
    Choose(UCB1(2), (TASK, Constant(1.0))).combine([torch.tensor([0.0, 1, 1, 0]), *options]).sum().backward()
    assert options[0].grad.tolist() == [1, 0, 0, 1]
    assert options[1].grad.tolist() == [0, 1, 1, 0]


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: UCB1(1), "arms must be an integer of at least 2"),
        (lambda: UCB1(2, period=0), "period must be an integer of at least 1"),
        (lambda: EXP3(2, metric="loss"), "'task_return' or 'success'"),
        (lambda: UCB1(2, low=1.0, high=1.0), "low < high"),
        (lambda: UCB1(2, exploration=-1.0), "exploration must be a finite number >= 0"),
        (lambda: EXP3(2, mixing=0.0), r"mixing must be a finite number in \(0, 1\], got 0"),
        (lambda: choose_by(UCB1(2), TASK), "1 expressions, and its bandit 2 arms"),
        (lambda: choose_by(TASK, TASK, TASK), "bandit must be a bandit such as UCB1"),
    ],
)
def test_bad_bandits_say_what_is_wrong(build, message):
    with pytest.raises(ExpressionError, match=message):
        build()


def test_bandits_of_one_reward_draw_apart():
    one, other = EXP3(4, period=20), EXP3(4, period=30)
    state = {"seed": 0, "pulls": np.zeros(4), "gains": np.zeros(4)}
    draws = [[bandit.pick({**state, "pulls": np.full(4, n)}) for n in range(40)] for bandit in (one, other)]
    assert draws[0] != draws[1]
    assert draws[0] == [one.pick({**state, "pulls": np.full(4, n)}) for n in range(40)]
