"""Occupancy-measure regularisation on finite tasks: visits, divergences, gradients, optima and the bound that motivates it."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import softmax

from shapegym.agents.errors import SettingsError
from shapegym.agents.finite.occupancy import (
    Divergence,
    Penalty,
    RegularisedTask,
    correlation,
    divergence,
    guaranteed_gain,
)
from shapegym.envs.tabular.random_mdp import random_mdp
from shapegym.envs.tabular.solver import occupancy, value_iteration

PENALTIES = ("chi2", "sqrt_chi2", "kl", "tv", "action_kl")
GAMMA = 0.9


def regularised(seed: int = 0, terminals: int = 1, **options: object) -> RegularisedTask:
    """A random task with a random base policy and a proxy that has something of the task's reward."""
    task = random_mdp(seed, states=6, terminals=terminals)
    rng = np.random.default_rng(seed)
    base = rng.dirichlet(np.full(task.n_actions, 2.0), task.n_states)
    proxy = (task.probability * task.reward).sum(axis=2) + 0.5 * rng.normal(size=base.shape)
    return RegularisedTask(task.tables()[0], proxy, task.start, base, GAMMA, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", range(3))
def test_visits_are_those_of_the_solver(seed: int) -> None:
    problem = regularised(seed)
    exact = (1 - GAMMA) * occupancy(problem.P, problem.base, problem.start, GAMMA)
    np.testing.assert_allclose(problem.base_occupancy, exact[:, None] * problem.base, atol=1e-12)


def test_divergences_are_their_definitions() -> None:
    mu, base = np.array([[0.5, 0.2], [0.3, 0.0]]), np.array([[0.25, 0.25], [0.25, 0.25]])
    chi2 = 0.5**2 / 0.25 + 0.2**2 / 0.25 + 0.3**2 / 0.25 - 1
    kl = 0.5 * np.log(2) + 0.2 * np.log(0.8) + 0.3 * np.log(1.2)
    expected = {"chi2": chi2, "sqrt_chi2": np.sqrt(chi2), "kl": kl, "tv": 0.3}
    for kind in get_args(Divergence):
        assert divergence(mu, base, kind)[0] == pytest.approx(expected[kind])
        assert divergence(base, base, kind)[0] == 0.0
    assert divergence(base, mu, "chi2")[0] == np.inf  # a visit where the base policy never is


@pytest.mark.parametrize("over", ["state_action", "state"])
@pytest.mark.parametrize("kind", PENALTIES)
def test_gradients_are_finite_differences(kind: Penalty, over: str) -> None:
    for seed in range(3):
        problem = regularised(seed, over=over)
        rng = np.random.default_rng(seed)
        logits = rng.normal(size=problem.base.shape)
        _, slope = problem.gradient(logits, kind, 0.3)
        differences = np.zeros_like(slope)
        for place in np.ndindex(*slope.shape):
            step = np.zeros_like(logits)
            step[place] = 1e-5
            up, down = (problem.gradient(logits + sign * step, kind, 0.3)[0] for sign in (1, -1))
            differences[place] = (up - down) / 2e-5
        np.testing.assert_allclose(slope, differences, atol=1e-7)


@pytest.mark.parametrize("kind", ["chi2", "sqrt_chi2", "kl", "action_kl"])
def test_the_optimum_is_that_of_a_general_optimiser_from_any_start(kind: Penalty) -> None:
    problem = regularised(2)
    shape = problem.base.shape

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        value, slope = problem.gradient(flat.reshape(shape), kind, 0.2)
        return -value, -slope.reshape(-1)

    found = minimize(
        loss, np.log(problem.base).reshape(-1), jac=True, method="L-BFGS-B", options={"maxiter": 2000}
    )
    starts = [None, np.random.default_rng(0).normal(size=shape)]
    for logits in starts:
        optimum = problem.solve(kind, 0.2, logits)
        assert optimum.objective == pytest.approx(-found.fun, abs=1e-4)
        assert optimum.objective + optimum.gap >= -found.fun - 1e-9


def test_without_a_penalty_the_proxy_is_maximised_and_with_a_large_one_the_base_is_kept() -> None:
    problem = regularised(1, terminals=0)
    best = value_iteration(problem.P, problem.reward, GAMMA)[0]
    free = problem.solve("chi2", 0.0)
    assert free.objective == pytest.approx((1 - GAMMA) * float(problem.start @ best), abs=1e-3)
    for kind in PENALTIES:
        kept = problem.solve(kind, 1e3)
        np.testing.assert_allclose(kept.policy, problem.base, atol=0.02)
        np.testing.assert_allclose(kept.occupancy, problem.base_occupancy, atol=0.02)


def test_the_gain_on_the_truth_is_bounded_from_below() -> None:
    """500 proxies: no policy gains less on the true reward than the bound says, and some gain just so much."""
    tightest = np.inf
    for seed in range(500):
        rng = np.random.default_rng(seed)
        problem = regularised(seed % 25)
        mu = problem.base_occupancy
        truth = rng.normal(size=mu.shape)
        proxy = rng.uniform(-1, 1) * truth + rng.normal(size=mu.shape)
        truth, proxy = (
            (r - (mu * r).sum()) / np.sqrt((mu * (r - (mu * r).sum()) ** 2).sum()) for r in (truth, proxy)
        )
        r = correlation(truth, proxy, mu)
        policy = softmax(np.log(problem.base) + rng.uniform(0, 3) * rng.normal(size=mu.shape), axis=1)
        moved = problem.occupancy(policy)
        chi2, _ = divergence(moved, mu, "chi2")
        gains = [float(((moved - mu) * reward).sum()) for reward in (truth, proxy)]
        slack = gains[0] - guaranteed_gain(gains[1], r, chi2)
        assert slack >= -1e-9
        tightest = min(tightest, slack / np.sqrt(chi2))
    assert tightest < 0.15


def test_a_reward_that_is_its_own_proxy_is_gained_in_full() -> None:
    mu = np.full(4, 0.25)
    reward = np.arange(4.0)
    assert correlation(reward, 3 * reward + 1, mu) == pytest.approx(1.0)
    assert guaranteed_gain(0.7, 1.0, 5.0) == pytest.approx(0.7)
    with pytest.raises(SettingsError, match="constant"):
        correlation(reward, np.ones(4), mu)
    uneven = softmax(np.arange(7.0))
    for constant in (0.1, -3e5):  # whose mean is rounded
        with pytest.raises(SettingsError, match="constant"):
            correlation(np.full(7, constant), np.arange(7.0), uneven)
    assert correlation(1e6 + np.arange(7.0), np.arange(7.0), uneven) == pytest.approx(1.0)


def test_settings_that_do_not_fit_are_named() -> None:
    problem = regularised()
    with pytest.raises(SettingsError, match="must be"):
        replace(problem, reward=np.zeros((2, 2)))
    with pytest.raises(SettingsError, match="every action"):
        replace(problem, base=np.eye(problem.base.shape[1])[np.zeros(len(problem.base), dtype=int)])
    with pytest.raises(SettingsError, match="gamma"):
        replace(problem, gamma=1.0)
    with pytest.raises(SettingsError, match="over"):
        replace(problem, over="actions")
    with pytest.raises(SettingsError, match=r"penalty must be .* got 'hellinger'"):
        problem.solve("hellinger", 1.0)  # type: ignore[arg-type]


def test_states_that_nobody_reaches_do_not_count() -> None:
    problem = regularised()
    apart = np.zeros((7, 3, 7))
    apart[:6, :, :6], apart[6, :, 6] = problem.P, 1.0
    more = np.full((1, 3), 1 / 3)
    wider = RegularisedTask(
        apart,
        np.vstack([problem.reward, more]),
        np.append(problem.start, 0.0),
        np.vstack([problem.base, more]),
        GAMMA,
    )
    logits = np.random.default_rng(0).normal(size=(7, 3))
    for kind in PENALTIES:
        assert wider.gradient(logits, kind, 0.3)[0] == pytest.approx(
            problem.gradient(logits[:6], kind, 0.3)[0]
        )
