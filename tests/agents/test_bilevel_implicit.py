"""The Neumann series against solved linear systems, on NumPy and torch; series that fail are told from those that do not."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from shapegym.agents.algorithms.bilevel.implicit import Verdict, judge, largest_eigenvalue, neumann


def symmetric(eigenvalues, seed=0):
    basis = np.linalg.qr(np.random.default_rng(seed).normal(size=(len(eigenvalues),) * 2))[0]
    return basis @ np.diag(eigenvalues) @ basis.T


@settings(max_examples=50, deadline=None)
@given(
    eigenvalues=st.lists(st.floats(-3.0, -0.2), min_size=1, max_size=6),
    seed=st.integers(0, 1000),
    terms=st.integers(1, 60),
)
def test_sum_is_the_truncated_series_and_the_residual_is_what_it_leaves(eigenvalues, seed, terms):
    hessian = symmetric(eigenvalues, seed)
    vector = np.random.default_rng(seed + 1).normal(size=len(eigenvalues))
    found = neumann(lambda x: hessian @ x, vector, step=0.3, terms=terms)
    growth = np.eye(len(eigenvalues)) + 0.3 * hessian
    expected = 0.3 * sum(np.linalg.matrix_power(growth, k) @ vector for k in range(terms))
    np.testing.assert_allclose(found.solution, expected, rtol=1e-9, atol=1e-12)
    left = np.linalg.norm(hessian @ found.solution + vector) / np.linalg.norm(vector)
    assert found.residual == pytest.approx(left, abs=1e-12)
    assert found.verdict.usable


def test_many_terms_solve_the_system():
    hessian = symmetric([-4.0, -1.0, -0.5])
    vector = np.array([1.0, -2.0, 0.5])
    step = 1 / largest_eigenvalue(lambda x: hessian @ x, vector, 50)
    found = neumann(lambda x: hessian @ x, vector, step=step, terms=300)
    np.testing.assert_allclose(found.solution, -np.linalg.solve(hessian, vector), rtol=1e-10)
    assert found.verdict is Verdict.CONVERGED


def test_torch_and_numpy_agree():
    hessian = symmetric([-4.0, -1.0, -0.5, -0.1])
    vector = np.array([1.0, -2.0, 0.5, 3.0])
    tensor = torch.as_tensor(hessian)
    one = neumann(lambda x: hessian @ x, vector, step=0.2, terms=30)
    other = neumann(lambda x: tensor @ x, torch.as_tensor(vector), step=0.2, terms=30)
    assert isinstance(other.solution, torch.Tensor)
    np.testing.assert_allclose(other.solution.numpy(), one.solution, rtol=1e-12)
    assert other.verdict is one.verdict


@pytest.mark.parametrize("eigenvalues", [[-1.0, 0.05], [-1.0, -0.5, -30.0], [math.nan, -1.0]])
def test_explosion_is_a_verdict(eigenvalues):
    hessian = symmetric(eigenvalues)
    found = neumann(lambda x: hessian @ x, np.ones(len(eigenvalues)), step=0.5, terms=100)
    assert found.verdict is Verdict.EXPLODING
    assert not found.verdict.usable
    assert len(found.norms) < 102


@pytest.mark.parametrize("lost", [0.0, -1e-6])
def test_what_lies_in_the_null_space_is_a_verdict(lost):
    hessian = symmetric([-1.0, -0.5, lost])
    vector = np.ones(3)
    found = neumann(lambda x: hessian @ x, vector, step=0.9, terms=100)
    assert found.verdict is Verdict.SINGULAR
    assert not found.verdict.usable


def test_a_vector_outside_the_null_space_is_no_matter():
    hessian = np.diag([-1.0, -0.5, 0.0])
    found = neumann(lambda x: hessian @ x, np.array([1.0, 1.0, 0.0]), step=0.9, terms=100)
    assert found.verdict is Verdict.CONVERGED


def test_few_terms_are_an_approximation_and_not_a_failure():
    hessian = symmetric([-1.0, -0.01])
    for terms in (1, 5, 20):
        found = neumann(lambda x: hessian @ x, np.ones(2), step=1.0, terms=terms)
        assert found.verdict is Verdict.TRUNCATED


def test_the_zero_vector_has_the_zero_solution():
    found = neumann(lambda x: -x, np.zeros(3), step=0.5, terms=20)
    assert found.verdict is Verdict.CONVERGED
    assert found.residual == 0.0
    assert not found.solution.any()


def test_a_vector_that_is_not_finite_explodes():
    assert neumann(lambda x: -x, np.array([math.nan]), step=0.5, terms=20).verdict is Verdict.EXPLODING


def test_judge_reads_norms():
    assert judge([1.0, 0.5, 0.6]) is Verdict.EXPLODING
    assert judge([1.0, 0.5, 0.005]) is Verdict.CONVERGED
    assert judge([1.0, *[0.5] * 10]) is Verdict.SINGULAR
    assert judge([1.0, *[0.5] * 5]) is Verdict.TRUNCATED


@settings(max_examples=50, deadline=None)
@given(eigenvalues=st.lists(st.floats(-5.0, 5.0), min_size=1, max_size=6), seed=st.integers(0, 1000))
def test_power_iteration_never_overestimates(eigenvalues, seed):
    hessian = symmetric(eigenvalues, seed)
    start = np.random.default_rng(seed).normal(size=len(eigenvalues))
    found = largest_eigenvalue(lambda x: hessian @ x, start)
    assert found <= max(map(abs, eigenvalues)) * (1 + 1e-9) + 1e-12


def test_power_iteration_finds_the_largest():
    hessian = symmetric([-7.0, 2.0, 0.1])
    assert largest_eigenvalue(lambda x: hessian @ x, np.ones(3), 60) == pytest.approx(7.0)


@pytest.mark.parametrize(("step", "terms"), [(0.0, 5), (-1.0, 5), (math.nan, 5), (0.1, 0)])
def test_numbers_out_of_range_are_refused(step, terms):
    with pytest.raises(ValueError, match="needs step > 0"):
        neumann(lambda x: -x, np.ones(1), step=step, terms=terms)


def test_power_iteration_refuses_the_zero_vector():
    with pytest.raises(ValueError, match="finite length"):
        largest_eigenvalue(lambda x: -x, np.zeros(2))
