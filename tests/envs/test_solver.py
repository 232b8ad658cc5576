"""The exact solver: plain-loop references, the equations that define each quantity, and refusals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tabular_reference as reference
from hypothesis import given
from hypothesis import strategies as st

from shapegym.envs.finite_task import FiniteTask
from shapegym.envs.native import NativeVectorEnv
from shapegym.envs.tabular import solver
from shapegym.envs.tabular.corridor import corridor
from shapegym.envs.tabular.deep_sea import deep_sea
from shapegym.envs.tabular.finite_dynamics import FiniteDynamics
from shapegym.envs.tabular.key_door import key_door
from shapegym.envs.tabular.random_mdp import random_mdp
from shapegym.envs.tabular.river_swim import river_swim

SEEDS = st.integers(0, 10**6)
GAMMAS = st.sampled_from([0.0, 0.5, 0.9, 0.99])


def random_policy(seed: int, task: FiniteTask) -> np.ndarray:
    return np.random.default_rng(seed).dirichlet(np.ones(task.n_actions), size=task.n_states)


@given(seed=SEEDS, gamma=GAMMAS, terminals=st.integers(0, 2))
def test_value_iteration_solves_the_optimality_equation(seed: int, gamma: float, terminals: int) -> None:
    task = random_mdp(seed, states=6, terminals=terminals)
    P, R = task.tables()
    value, q = solver.value_iteration(P, R, gamma, task.terminal, tolerance=1e-8)
    expected = np.einsum("sat,sat->sa", P, R + gamma * value)
    np.testing.assert_allclose(q, expected, atol=2e-8)
    np.testing.assert_array_equal(value, q.max(axis=1))
    assert (value[task.terminal] == 0).all()


@pytest.mark.parametrize("gamma", [0.0, 0.9, 0.99])
def test_value_iteration_keeps_its_error_bound(gamma: float) -> None:
    task = random_mdp(5, states=6)
    P, R = task.tables()
    truth = np.array(reference.value_iteration(P.tolist(), (P * R).sum(axis=2).tolist(), gamma, 4000))
    for tolerance in (1e-1, 1e-4, 1e-9):
        _, q = solver.value_iteration(P, R, gamma, task.terminal, tolerance)
        assert np.abs(q - truth).max() <= tolerance


@given(seed=SEEDS, gamma=GAMMAS)
def test_policy_iteration_by_evaluation_ends_at_value_iteration(seed: int, gamma: float) -> None:
    task = random_mdp(seed, states=6)
    P, R = task.tables()
    value, q = solver.value_iteration(P, R, gamma, task.terminal)
    greedy = solver.policy_evaluation(P, R, q.argmax(axis=1), gamma, task.terminal)
    np.testing.assert_allclose(greedy, value, atol=1e-8)
    some = solver.policy_evaluation(P, R, random_policy(seed, task), gamma, task.terminal)
    assert (some <= value + 1e-8).all()


@given(seed=SEEDS, gamma=GAMMAS)
def test_occupancy_is_the_dual_of_value(seed: int, gamma: float) -> None:
    """d . r_pi = start . V^pi, and the mass is 1 / (1 - gamma)."""
    task = random_mdp(seed, states=6)
    P, R = task.tables()
    policy = random_policy(seed, task)
    mass = solver.occupancy(P, policy, task.start, gamma)
    r_pi = (policy * (P * R).sum(axis=2)).sum(axis=1)
    value = solver.policy_evaluation(P, R, policy, gamma, task.terminal)
    assert mass.min() >= -1e-12
    assert mass.sum() == pytest.approx(1 / (1 - gamma))
    assert mass @ r_pi == pytest.approx(task.start @ value, abs=1e-9)


@given(seed=SEEDS, horizon=st.integers(1, 7))
def test_optimal_return_is_the_recursion(seed: int, horizon: int) -> None:
    task = random_mdp(seed, states=5, max_steps=horizon)

    def step(s: int, a: int) -> list[tuple[float, int, float, bool]]:
        cells = zip(task.probability[s, a], task.next_state[s, a], task.reward[s, a], strict=True)
        return [(p, int(t), r, bool(task.terminal[t])) for p, t, r in cells]

    memory: dict[Any, float] = {}
    expected = sum(
        p * reference.optimal_value(step, range(task.n_actions), s, horizon, memory)
        for s, p in enumerate(task.start)
        if p > 0
    )
    assert solver.optimal_return(task) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    "dynamics",
    [river_swim(4, max_steps=15), FiniteDynamics(random_mdp(2, max_steps=8)), deep_sea(3, stochastic=True)],
)
def test_policy_return_is_what_play_pays(dynamics: FiniteDynamics) -> None:
    """Average return of played episodes within five standard errors, by a fixed seed."""
    task, lanes = dynamics.task, 20_000
    policy = random_policy(0, task)
    env = NativeVectorEnv(dynamics, lanes)
    _, info = env.reset(seed=0)
    draws = np.random.default_rng(1)
    total, running = np.zeros(lanes), np.ones(lanes, bool)
    for _ in range(task.max_steps):
        u = draws.random((lanes, 1))
        actions = (u > policy[info["state"]].cumsum(axis=1)[:, :-1]).sum(axis=1)
        _, reward, terminated, truncated, info = env.step(actions)
        total += reward * running
        running &= ~(terminated | truncated)
    assert not running.any()
    error = total.std() / np.sqrt(lanes)
    assert abs(total.mean() - solver.policy_return(task, policy)) < 5 * error


def test_random_return_is_the_return_of_the_uniform_policy() -> None:
    task = key_door(4).task
    uniform = np.full((task.n_states, task.n_actions), 1 / task.n_actions)
    assert solver.random_return(task, 0.9) == solver.policy_return(task, uniform, 0.9)
    assert solver.random_return(task) < solver.optimal_return(task)


def test_a_terminal_mask_overrides_what_the_tables_say() -> None:
    P, R = np.full((2, 1, 2), 0.5), np.ones((2, 1))
    value, _ = solver.value_iteration(P, R, 0.9, np.array([False, True]))
    np.testing.assert_allclose(value, [1 / (1 - 0.9 * 0.5), 0])
    np.testing.assert_allclose(
        solver.policy_evaluation(P, R, np.zeros(2, int), 0.9, np.array([False, True])), value
    )


def test_undiscounted_values_where_episodes_are_bounded() -> None:
    task = deep_sea(5).task
    value, _ = solver.value_iteration(*task.tables(), 1.0, task.terminal)
    assert task.start @ value == pytest.approx(0.99)


def test_optimal_actions_keep_ties() -> None:
    q = np.array([[1.0, 1.0 - 1e-12, 0.0], [0.0, -1.0, 0.5]])
    np.testing.assert_array_equal(solver.optimal_actions(q), [[True, True, False], [False, False, True]])
    task = key_door(4).task
    _, q = solver.value_iteration(*task.tables(), 0.9, task.terminal)
    assert solver.optimal_actions(q)[task.terminal].all()


P, R = random_mdp(0, states=4).tables()
ENDLESS = corridor(3).task


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: solver.value_iteration(P[0], R, 0.9), "P must be"),
        (lambda: solver.value_iteration(P * 0.5, R, 0.9), "sum to 1"),
        (lambda: solver.value_iteration(P, R[:2], 0.9), "R must be"),
        (lambda: solver.value_iteration(P, R, 1.5), r"gamma must be in \[0, 1\]"),
        (lambda: solver.value_iteration(P, R, 0.9, np.zeros(3, bool)), "terminal must be"),
        (lambda: solver.value_iteration(P, R, 0.9, tolerance=0.0), "tolerance must be positive"),
        (lambda: solver.value_iteration(P, R, 0.99, tolerance=1e-18), "float64"),
        (lambda: solver.value_iteration(*ENDLESS.tables(), 1.0, ENDLESS.terminal), "gamma = 1"),
        (lambda: solver.policy_evaluation(P, R, np.full(4, 9), 0.9), "actions must be in"),
        (lambda: solver.policy_evaluation(P, R, np.ones((4, 3)), 0.9), "a policy must be"),
        (
            lambda: solver.policy_evaluation(*ENDLESS.tables(), np.zeros(3, int), 1.0, ENDLESS.terminal),
            "never ends",
        ),
        (lambda: solver.occupancy(P, np.zeros(4, int), np.ones(4), 0.9), "distribution"),
        (lambda: solver.occupancy(P, np.zeros(4, int), np.eye(4)[0], 1.0), "infinite"),
    ],
)
def test_refusals_say_why(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_backup_compiles_once() -> None:
    for seed in range(3):
        task = random_mdp(seed, states=4 + seed, branching=1 + seed)
        solver.value_iteration(*task.tables(), 0.9)
        solver.random_return(task)
    assert len(solver.backup.signatures) == 1
