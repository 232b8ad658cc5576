"""Tabular BARFI: kernels against plain loops, derivatives against differences, and what it must survive."""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import cache

import bilevel_reference as reference
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shapegym.agents.bilevel import tabular
from shapegym.agents.bilevel import tabular_kernels as kernels
from shapegym.agents.bilevel.implicit import Verdict
from shapegym.agents.bilevel.tabular import (
    TabularSettings,
    estimated_return_gradient,
    return_gradient,
    train,
)
from shapegym.agents.bilevel.tabular_learner import (
    Blend,
    InnerProblem,
    Weighted,
    hyper_gradient,
    play,
    softmax,
)
from shapegym.agents.errors import SettingsError
from shapegym.envs.tabular.open_grid import open_grid
from shapegym.envs.tabular.random_mdp import random_mdp
from shapegym.envs.tabular.solver import policy_return

GAMMA = 0.99
GRID = open_grid(4, max_steps=24).task
DISTANCE = np.abs(GRID.features["agent_pos"] - 3).sum(axis=1).astype(float)


def by_successor(values):
    return np.broadcast_to(values, (GRID.n_states, GRID.n_actions, GRID.n_states)).copy()


def parts(**changes):
    """A bias by state, the task, and a reversed heuristic."""
    _, task = GRID.tables()
    return {
        "bias": Weighted(np.ones(task.shape), 0.0, "state"),
        "task": Weighted(task),
        "heuristic": Weighted(by_successor(0.1 * DISTANCE)),
        **changes,
    }


@cache
def problem(seed=0, gamma=0.9, decay=0.05):
    data = play(GRID, np.full((GRID.n_states, GRID.n_actions), 0.25), 80, np.random.default_rng(seed))
    blend = Blend(parts())
    phi = blend.initial + np.random.default_rng(seed).normal(0, 0.05, blend.initial.shape)
    return InnerProblem(blend, data, phi, gamma, decay)


def solved(at, phi, gamma):
    moved = InnerProblem(at.blend, at.data, phi, gamma, at.decay)
    return moved, moved.solve(np.zeros((GRID.n_states, GRID.n_actions)), 3000)[-1]


def episodes_of(at):
    """The data as the reference wants it."""
    data = at.data
    return [
        [
            (int(data.states[e, t]), int(data.actions[e, t]), at.parts[:, e, t].tolist())
            for t in range(data.lengths[e])
        ]
        for e in range(len(data.lengths))
    ]


@pytest.mark.parametrize("seed", [0, 1])
def test_weights_and_derivatives_are_the_plain_loops(seed):
    at = problem(seed)
    theta = np.random.default_rng(seed + 9).normal(size=(GRID.n_states, GRID.n_actions))
    weight_of = lambda i, s, a: at.phi[at.blend.cells[i, s, a]]  # noqa: E731
    expected = reference.action_weights(episodes_of(at), weight_of, at.gamma, *theta.shape)
    np.testing.assert_allclose(at.weights, expected, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(
        at.direction(theta), reference.direction(expected, theta.tolist(), at.decay), rtol=1e-9, atol=1e-12
    )
    hessian = reference.hessian(expected, theta.tolist(), at.decay)
    x = np.random.default_rng(3).normal(size=theta.shape)
    product = np.zeros_like(x)
    for (s, a, b), h in hessian.items():
        product[s, a] += h * x[s, b]
    np.testing.assert_allclose(at.hessian_product(theta, x), product, rtol=1e-9, atol=1e-12)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_hessian_product_is_the_slope_of_the_direction(seed):
    at, rng = problem(), np.random.default_rng(seed)
    theta, x = rng.normal(size=(2, GRID.n_states, GRID.n_actions))
    slope = (at.direction(theta + 1e-5 * x) - at.direction(theta - 1e-5 * x)) / 2e-5
    np.testing.assert_allclose(at.hessian_product(theta, x), slope, atol=1e-8)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_curvature_is_within_the_step_and_negative(seed):
    at, rng = problem(), np.random.default_rng(seed)
    theta, x = rng.normal(size=(2, GRID.n_states, GRID.n_actions))
    curvature = (x * at.hessian_product(theta, x)).sum() / (x * x).sum()
    assert -1 / at.step * (1 + 1e-9) <= curvature <= -at.decay * (1 - 1e-9)


def test_mixed_derivatives_are_the_slopes_of_the_weights():
    at = problem()
    c = np.random.default_rng(1).normal(size=at.weights.shape)
    by_phi, by_gamma = at.pull_back(c)
    value = lambda phi, gamma: (  # noqa: E731
        (c * InnerProblem(at.blend, at.data, phi, gamma, at.decay).weights).sum()
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
    found = hyper_gradient(at, theta[None], return_gradient(GRID, theta, GAMMA), terms=100)
    gradient = np.append(found.by_phi, found.by_gamma)
    cosine = gradient @ slopes / np.linalg.norm(gradient) / np.linalg.norm(slopes)
    assert cosine >= 0.999
    assert np.linalg.norm(gradient) == pytest.approx(np.linalg.norm(slopes), rel=0.02)
    assert found.series.verdict is Verdict.CONVERGED


@pytest.mark.parametrize("terms", [1, 5, 20, 100])
def test_unrolling_at_the_optimum_is_the_series(terms):
    at = problem()
    path = at.solve(np.zeros((GRID.n_states, GRID.n_actions)), 3000, terms)
    by_theta = return_gradient(GRID, path[-1], GAMMA)
    implicit = hyper_gradient(at, path, by_theta, terms)
    unrolled = hyper_gradient(at, path, by_theta, terms, "unrolled")
    np.testing.assert_allclose(unrolled.by_phi, implicit.by_phi, rtol=1e-6, atol=1e-9)
    assert unrolled.by_gamma == pytest.approx(implicit.by_gamma, rel=1e-6)
    assert unrolled.series.verdict is implicit.series.verdict


def test_unrolling_is_the_slope_of_the_ascent_that_it_unrolls():
    """Short of the optimum the two differ; unrolling all steps is exact for what was done."""
    at, start = problem(), np.zeros((GRID.n_states, GRID.n_actions))
    path = at.solve(start, 15, 15)
    by_theta = return_gradient(GRID, path[-1], GAMMA)
    found = hyper_gradient(at, path, by_theta, 15, "unrolled")

    def value(phi):
        moved = InnerProblem(at.blend, at.data, phi, at.gamma, at.decay)
        theta = start.copy()
        kernels.ascend(moved.weights, at.decay, at.step, 15, theta, np.empty((1, *theta.shape)))
        return policy_return(GRID, softmax(theta), GAMMA)

    for i in (3, 6, len(at.phi) - 2, len(at.phi) - 1):
        shift = np.zeros_like(at.phi)
        shift[i] = 1e-5
        slope = (value(at.phi + shift) - value(at.phi - shift)) / 2e-5
        assert found.by_phi[i] == pytest.approx(slope, rel=1e-3, abs=1e-8)
    with pytest.raises(SettingsError, match="needs 17 iterates"):
        hyper_gradient(at, path, by_theta, 16, "unrolled")


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
    for e, length in enumerate(data.lengths):
        s, t = data.states[e, :length], data.states[e, 1 : length + 1]
        assert not task.terminal[s].any()
        assert length == task.max_steps or task.terminal[t[-1]]
        np.add.at(counts, (s, data.actions[e, :length], t), 1)
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
    train(GRID, parts(), TabularSettings(steps=300, warm_up=5, fresh=2))
    train(GRID, parts(), TabularSettings(steps=300, warm_up=5, fresh=2, gradient="unrolled", terms=5))
    for name in ("softmax", "direction", "hessian_product", "ascend", "play", "blend_rewards"):
        assert len(getattr(kernels, name).signatures) <= 1, name
    assert len(kernels.sum_returns.signatures) == len(kernels.pull_back_returns.signatures) == 1


QUICK = TabularSettings(steps=20_000)


@pytest.fixture(scope="module")
def learned():
    return train(GRID, parts(), QUICK, seed=100)


def test_it_turns_a_reversed_heuristic_around(learned):
    frozen = {name: replace(part, learned=False) for name, part in parts().items()}
    naive = train(GRID, frozen, replace(QUICK, discount_rate=0.0), seed=100)
    assert learned.returns[-1] > 0.8
    assert naive.returns[-1] < 0.2
    assert learned.weights["heuristic"][-1, 0] < 0
    assert len(naive.verdicts) == 0
    assert (naive.weights["heuristic"] == 1.0).all()
    assert (naive.gammas == naive.gammas[0]).all()


def test_a_run_is_its_seed(learned):
    again = train(GRID, parts(), QUICK, seed=100)
    np.testing.assert_array_equal(again.returns, learned.returns)
    np.testing.assert_array_equal(again.policy, learned.policy)
    assert learned.weights["bias"].shape == (len(learned.steps) + 1, GRID.n_states)
    assert learned.steps[-2] < QUICK.steps <= learned.steps[-1]
    assert learned.rejections == 0
    assert (np.diff(learned.steps) > 0).all()


def test_weights_that_are_not_learned_stay():
    blend = parts(task=replace(parts()["task"], learned=False))
    trace = train(GRID, blend, replace(QUICK, steps=6000), seed=100)
    assert (trace.weights["task"] == 1.0).all()
    assert not (trace.weights["heuristic"] == 1.0).all()


def test_a_discount_penalty_lowers_the_discount():
    free, held = (
        train(GRID, parts(), replace(QUICK, steps=8000, discount_penalty=penalty), seed=100).gammas[-1]
        for penalty in (0.0, 100.0)
    )
    assert held < free


def test_a_failed_series_leaves_the_blend_and_says_so(monkeypatch, caplog):
    """A positive curvature: what negative sums of W would give."""
    true = kernels.hessian_product

    def repelled(weights, decay, policy, x, out):
        true(-weights, -decay, policy, x, out)

    monkeypatch.setattr(kernels, "hessian_product", repelled)
    with caplog.at_level(logging.INFO, "shapegym.agents.bilevel"):
        good = parts(heuristic=Weighted(by_successor(-0.1 * DISTANCE)))
        trace = train(GRID, good, replace(QUICK, steps=3000), seed=100)
    assert set(trace.verdicts) == {Verdict.EXPLODING}
    assert trace.rejections == len(trace.steps) > 1
    assert (trace.weights["heuristic"] == 1.0).all()
    assert (trace.gammas == trace.gammas[0]).all()
    assert "exploding" in caplog.text


def test_a_learner_without_decay_to_speak_of_is_singular():
    """Weight decay is what gives states without advantages a curvature."""
    at = problem(decay=1e-9)
    theta = np.zeros((GRID.n_states, GRID.n_actions))
    by_theta = np.zeros_like(theta)
    by_theta[GRID.terminal.argmax()] = [1.0, -1.0, 0.0, 0.0]
    assert hyper_gradient(at, theta[None], by_theta, 100).series.verdict is Verdict.SINGULAR


def test_no_success_means_no_step():
    far = open_grid(6, max_steps=9).task
    _, table = far.tables()
    blend = {"task": Weighted(table), "bias": Weighted(np.ones(table.shape), 0.0)}
    trace = train(far, blend, TabularSettings(steps=30, warm_up=1, fresh=1), seed=0)
    assert (trace.weights["task"] == 1.0).all()
    assert trace.rejections == 0


def test_weights_rest_while_no_episode_is_paid(monkeypatch):
    """They do not coast on the averages that Adam keeps of earlier gradients."""
    gradient, called = tabular.estimated_return_gradient, []

    def lost(*args):
        called.append(None)
        return gradient(*args) * (len(called) <= 3)

    monkeypatch.setattr(tabular, "estimated_return_gradient", lost)
    trace = train(GRID, parts(), replace(QUICK, steps=6000, discount_penalty=1.0), seed=100)
    assert len(called) > 5
    weights = np.hstack([trace.gammas[:, None], *trace.weights.values()])
    assert (weights[3] != weights[0]).any()
    assert (weights[3:] == weights[3]).all()


@pytest.mark.parametrize(
    "change",
    [
        {"gamma": 1.1},
        {"inner_gamma": 1.0},
        {"steps": 0},
        {"capacity": 5},
        {"decay": 0.0},
        {"restart": -0.1},
        {"terms": 0},
        {"terms": 2.5},
        {"warm_up": True},
        {"gradient": "exact"},
        {"learning_rate": float("nan")},
    ],
    ids=str,
)
def test_settings_out_of_range_are_refused(change):
    with pytest.raises(SettingsError, match=next(iter(change))):
        TabularSettings(**change)


def test_unrolling_more_than_there_is_is_refused():
    with pytest.raises(SettingsError, match="inner_steps of at least as many"):
        TabularSettings(gradient="unrolled", inner_steps=10, terms=20)


@pytest.mark.parametrize(
    ("made", "message"),
    [
        ({}, "at least one part"),
        ({"x": Weighted(np.zeros((2, 2)))}, r"\(S, A, S\)"),
        ({"x": Weighted(np.zeros((2, 2, 2))), "y": Weighted(np.zeros((3, 2, 3)))}, "'y'"),
        ({"x": Weighted(np.full((2, 2, 2), np.nan))}, "'x'"),
        ({"x": Weighted(np.zeros((2, 2, 2)), per="lane")}, "'x' are per 'lane'"),
    ],
)
def test_blends_that_do_not_fit_are_refused(made, message):
    with pytest.raises(SettingsError, match=message):
        Blend(made)


def test_a_blend_of_another_task_is_refused():
    with pytest.raises(SettingsError, match="open_grid"):
        train(GRID, {"x": Weighted(np.zeros((2, 2, 2)))})
