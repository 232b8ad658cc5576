"""BARFI on a finite task: kernels against plain loops, derivatives against differences, and what it must survive."""

from __future__ import annotations

from functools import cache

import bilevel_reference as reference
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shapegym.agents.algorithms.bilevel.implicit import Verdict
from shapegym.envs.tabular.open_grid import open_grid
from shapegym.envs.tabular.random_mdp import random_mdp
from shapegym.envs.tabular.solver import policy_return
from shapegym.experiments.studies.papers.blend_grid import learner
from shapegym.experiments.studies.papers.blend_grid.learner import (
    InnerProblem,
    estimated_return_gradient,
    hyper_gradient,
    play,
    return_gradient,
    softmax,
    train,
)

GAMMA = 0.99
GRID = open_grid(4, max_steps=24).task
DISTANCE = np.abs(GRID.features["agent_pos"] - 3).sum(axis=1).astype(float)


def blend(sign=1.0, task=GRID, distance=DISTANCE):
    """A bias by state, the task, and a heuristic, reversed by default; with their weights at first."""
    _, paid = task.tables()
    bias = np.broadcast_to(np.eye(task.n_states)[:, :, None, None], (task.n_states, *paid.shape))
    tables = np.stack([*bias, paid, np.broadcast_to(sign * 0.1 * distance, paid.shape)])
    tables[:, task.terminal] = 0.0
    return tables, np.append(np.zeros(task.n_states), [1.0, 1.0])


@cache
def problem(seed=0, gamma=0.9, decay=0.05):
    data = play(GRID, np.full((GRID.n_states, GRID.n_actions), 0.25), 80, np.random.default_rng(seed))
    tables, initial = blend()
    phi = initial + np.random.default_rng(seed).normal(0, 0.05, initial.shape)
    return InnerProblem(tables, data, phi, gamma, decay)


def solved(at, phi, gamma):
    moved = InnerProblem(at.tables, at.data, phi, gamma, at.decay)
    return moved, moved.solve(np.zeros((GRID.n_states, GRID.n_actions)), 3000)[-1]


def direction(at, theta):
    """Delta, from one step of the ascent."""
    before, after = at.solve(theta, 1)
    return (after - before) / at.step


def episodes_of(at):
    """The data as the reference wants it: a bias, the task and the heuristic, up to the end of each episode."""
    episodes = []
    for states, actions in zip(*at.data, strict=True):
        moves = zip(states[:-1].tolist(), actions.tolist(), states[1:].tolist(), strict=True)
        episodes.append(
            [
                (s, a, [1.0, *at.tables[-2:, s, a, after].tolist()])
                for s, a, after in moves
                if not GRID.terminal[s]
            ]
        )
    return episodes


@pytest.mark.parametrize("seed", [0, 1])
def test_weights_and_derivatives_are_the_plain_loops(seed):
    at = problem(seed)
    theta = np.random.default_rng(seed + 9).normal(size=(GRID.n_states, GRID.n_actions))
    weight_of = lambda i, s, a: at.phi[-3 + i] if i else at.phi[s]  # noqa: E731
    expected = reference.action_weights(episodes_of(at), weight_of, at.gamma, *theta.shape)
    np.testing.assert_allclose(at.weights, expected, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(
        direction(at, theta), reference.direction(expected, theta.tolist(), at.decay), rtol=1e-9, atol=1e-12
    )
    hessian = reference.hessian(expected, theta.tolist(), at.decay)
    x = np.random.default_rng(3).normal(size=theta.shape)
    product = np.zeros_like(x)
    for (s, a, b), h in hessian.items():
        product[s, a] += h * x[s, b]
    np.testing.assert_allclose(at.hessian_product(softmax(theta), x), product, rtol=1e-9, atol=1e-12)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_hessian_product_is_the_slope_of_the_direction(seed):
    at, rng = problem(), np.random.default_rng(seed)
    theta, x = rng.normal(size=(2, GRID.n_states, GRID.n_actions))
    slope = (direction(at, theta + 1e-5 * x) - direction(at, theta - 1e-5 * x)) / 2e-5
    np.testing.assert_allclose(at.hessian_product(softmax(theta), x), slope, atol=1e-8)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_curvature_is_within_the_step_and_negative(seed):
    at, rng = problem(), np.random.default_rng(seed)
    theta, x = rng.normal(size=(2, GRID.n_states, GRID.n_actions))
    curvature = (x * at.hessian_product(softmax(theta), x)).sum() / (x * x).sum()
    assert -1 / at.step * (1 + 1e-9) <= curvature <= -at.decay * (1 - 1e-9)


def test_mixed_derivatives_are_the_slopes_of_the_weights():
    at = problem()
    c = np.random.default_rng(1).normal(size=at.weights.shape)
    by_phi, by_gamma = at.pull_back(c)
    value = lambda phi, gamma: (  # noqa: E731
        (c * InnerProblem(at.tables, at.data, phi, gamma, at.decay).weights).sum()
    )
    for i, derivative in enumerate(by_phi):
        shift = np.zeros_like(at.phi)
        shift[i] = 1e-6
        slope = (value(at.phi + shift, at.gamma) - value(at.phi - shift, at.gamma)) / 2e-6
        assert derivative == pytest.approx(slope, rel=1e-5, abs=1e-7)
    slope = (value(at.phi, at.gamma + 1e-6) - value(at.phi, at.gamma - 1e-6)) / 2e-6
    assert by_gamma == pytest.approx(slope, rel=1e-5)


def test_hyper_gradient_is_the_slope_of_the_solved_inner_problem():
    at = problem()
    _, theta = solved(at, at.phi, at.gamma)
    value = lambda phi, gamma: policy_return(GRID, softmax(solved(at, phi, gamma)[1]), GAMMA)  # noqa: E731
    slopes = []
    for i in range(len(at.phi) + 1):
        shift = np.zeros(len(at.phi) + 1)
        shift[i] = 1e-4
        ahead = value(at.phi + shift[:-1], at.gamma + shift[-1])
        slopes.append((ahead - value(at.phi - shift[:-1], at.gamma - shift[-1])) / 2e-4)
    found = hyper_gradient(at, theta[None], return_gradient(GRID, theta), terms=100)
    gradient = np.append(found.by_phi, found.by_gamma)
    cosine = gradient @ slopes / np.linalg.norm(gradient) / np.linalg.norm(slopes)
    assert cosine >= 0.999
    assert np.linalg.norm(gradient) == pytest.approx(np.linalg.norm(slopes), rel=0.02)
    assert found.series.verdict is Verdict.CONVERGED


@pytest.mark.parametrize("terms", [1, 5, 20, 100])
def test_unrolling_at_the_optimum_is_the_series(terms):
    at = problem()
    path = at.solve(np.zeros((GRID.n_states, GRID.n_actions)), 3000)
    by_theta = return_gradient(GRID, path[-1])
    implicit = hyper_gradient(at, path, by_theta, terms)
    unrolled = hyper_gradient(at, path, by_theta, terms, "unrolled")
    np.testing.assert_allclose(unrolled.by_phi, implicit.by_phi, rtol=1e-6, atol=1e-9)
    assert unrolled.by_gamma == pytest.approx(implicit.by_gamma, rel=1e-6)
    assert unrolled.series.verdict is implicit.series.verdict


def test_unrolling_is_the_slope_of_the_ascent_that_it_unrolls():
    """Short of the optimum the two differ; unrolling all steps is exact for what was done."""
    at, start = problem(), np.zeros((GRID.n_states, GRID.n_actions))
    path = at.solve(start, 15)
    by_theta = return_gradient(GRID, path[-1])
    found = hyper_gradient(at, path, by_theta, 15, "unrolled")

    def value(phi):
        moved = InnerProblem(at.tables, at.data, phi, at.gamma, at.decay)
        path = np.zeros((16, *start.shape))
        learner._ascend(moved.weights, at.decay, at.step, path)
        return policy_return(GRID, softmax(path[-1]), GAMMA)

    for i in (3, 6, len(at.phi) - 2, len(at.phi) - 1):
        shift = np.zeros_like(at.phi)
        shift[i] = 1e-5
        slope = (value(at.phi + shift) - value(at.phi - shift)) / 2e-5
        assert found.by_phi[i] == pytest.approx(slope, rel=1e-3, abs=1e-8)


@pytest.mark.parametrize("task", [GRID, random_mdp(1, states=6, branching=3)], ids=lambda task: task.name)
def test_return_gradient_is_the_slope_of_the_return(task):
    theta = np.random.default_rng(0).normal(size=(task.n_states, task.n_actions))
    gradient = return_gradient(task, theta, 0.9)
    for index in [(0, 0), (1, 1), (task.n_states - 2, 0)]:
        shift = np.zeros_like(theta)
        shift[index] = 1e-6
        ahead, back = (policy_return(task, softmax(theta + sign * shift), 0.9) for sign in (1, -1))
        assert gradient[index] == pytest.approx((ahead - back) / 2e-6, abs=1e-7)


def test_estimated_return_gradient_tends_to_the_exact_one():
    theta = np.random.default_rng(0).normal(size=(GRID.n_states, GRID.n_actions))
    data = play(GRID, softmax(theta), 20_000, np.random.default_rng(0))
    estimate = estimated_return_gradient(data, data.look_up(GRID.tables()[1]), theta, 0.7)
    exact = return_gradient(GRID, theta, 0.7)
    cosine = (estimate * exact).sum() / np.linalg.norm(estimate) / np.linalg.norm(exact)
    assert cosine > 0.98
    assert np.linalg.norm(estimate) == pytest.approx(np.linalg.norm(exact), rel=0.05)


def test_play_has_the_frequencies_of_the_task():
    task = random_mdp(1, states=6, branching=3)
    policy = softmax(np.random.default_rng(0).normal(size=(task.n_states, task.n_actions)))
    data = play(task, policy, 5000, np.random.default_rng(0))
    P, _ = task.tables()
    counts = np.zeros_like(P)
    assert data.actions.shape == (5000, task.max_steps)
    np.add.at(counts, (data.states[:, :-1], data.actions, data.states[:, 1:]), 1)
    counts[task.terminal] = 0
    assert not counts[P == 0].any()
    taken = counts.sum(axis=2)
    visits = taken.sum(axis=1)
    known = visits > 500
    assert known.sum() >= 3
    np.testing.assert_allclose((taken[known].T / visits[known]).T, policy[known], atol=0.05)
    often = taken > 500
    assert often.any()
    np.testing.assert_allclose(counts[often] / taken[often][:, None], P[often], atol=0.1)


def test_kernels_compile_once():
    train(GRID, *blend(), seed=0, steps=3000)
    train(GRID, *blend(), seed=0, steps=3000, gradient="unrolled", terms=5)
    for name in ("_play", "_ascend"):
        assert len(getattr(learner, name).signatures) <= 1, name


@pytest.fixture(scope="module")
def learned():
    return train(GRID, *blend(), seed=100, steps=20_000)


def test_it_turns_a_reversed_heuristic_around(learned):
    naive = train(GRID, *blend(), seed=100, steps=20_000, learns=False)
    assert learned.returns[-1] > 0.8
    assert naive.returns[-1] < 0.2
    assert learned.phis[-1, -1] < 0
    assert naive.rejections == 0
    assert (naive.phis == blend()[1]).all()
    assert (naive.gammas == naive.gammas[0]).all()


def test_a_run_is_its_seed(learned):
    again = train(GRID, *blend(), seed=100, steps=20_000)
    np.testing.assert_array_equal(again.returns, learned.returns)
    np.testing.assert_array_equal(again.phis, learned.phis)
    assert learned.phis.shape == (len(learned.steps) + 1, GRID.n_states + 2)
    assert learned.steps[-2] < 20_000 <= learned.steps[-1]
    assert learned.rejections == 0
    assert (np.diff(learned.steps) > 0).all()


def test_a_failed_series_leaves_the_blend_and_is_counted(monkeypatch):
    """A positive curvature: what negative sums of W would give."""
    true = InnerProblem.hessian_product
    monkeypatch.setattr(InnerProblem, "hessian_product", lambda self, policy, x: -true(self, policy, x))
    trace = train(GRID, *blend(-1.0), seed=100, steps=4000)
    assert trace.rejections == len(trace.steps) > 1
    assert (trace.phis == blend()[1]).all()
    assert (trace.gammas == trace.gammas[0]).all()


def test_a_learner_without_decay_to_speak_of_is_singular():
    """Weight decay is what gives states without advantages a curvature."""
    at = problem(decay=1e-9)
    theta = np.zeros((GRID.n_states, GRID.n_actions))
    by_theta = np.zeros_like(theta)
    by_theta[GRID.terminal.argmax()] = [1.0, -1.0, 0.0, 0.0]
    assert hyper_gradient(at, theta[None], by_theta, 100).series.verdict is Verdict.SINGULAR


def test_no_success_means_no_step():
    far = open_grid(6, max_steps=9).task
    trace = train(far, *blend(task=far, distance=np.zeros(far.n_states)), seed=0, steps=2000)
    assert len(trace.steps) > 1
    assert (trace.phis == trace.phis[0]).all()
    assert trace.rejections == 0


def test_weights_rest_while_no_episode_is_paid(monkeypatch):
    """They do not coast on the averages that Adam keeps of earlier gradients."""
    gradient, called = learner.estimated_return_gradient, []

    def lost(*args):
        called.append(None)
        return gradient(*args) * (len(called) <= 3)

    monkeypatch.setattr(learner, "estimated_return_gradient", lost)
    trace = train(GRID, *blend(), seed=100, steps=6000)
    assert len(called) > 5
    weights = np.hstack([trace.gammas[:, None], trace.phis])
    assert (weights[3] != weights[0]).any()
    assert (weights[3:] == weights[3]).all()
