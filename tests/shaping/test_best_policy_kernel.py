"""What acting best is worth in a process that is kept as lists, held to plain value iteration on tables."""

from __future__ import annotations

import numpy as np
import pytest

from shapegym.envs.tabular.random_mdp import random_mdp
from shapegym.shaping.kernels.best_policy import solve
from shapegym.shaping.programs.critic.known import Graph


def as_graph(seed: int) -> tuple[Graph, np.ndarray, np.ndarray]:
    """A random process without terminal states, as lists; its tables P (S, A, S) and R (S, A)."""
    task = random_mdp(seed, states=7, actions=3, branching=3, terminals=0)
    transition, _ = task.tables()
    pay = (task.probability * task.reward).sum(axis=2)
    edges, kinds = 7 * 3 * 3, 7 * 3
    graph = Graph(
        first_group=np.arange(0, kinds + 1, 3),
        first_edge=np.arange(0, edges + 1, 3),
        target=task.next_state.reshape(-1),
        probability=task.probability.reshape(-1),
        steps=np.ones(edges, np.int64),
        ends=np.zeros(edges, np.bool_),
        start=np.full(7, 1 / 7),
    )
    return graph, transition, pay


def iterated(transition: np.ndarray, pay: np.ndarray, gamma: float, allowed: np.ndarray) -> np.ndarray:
    values = np.zeros(len(pay))
    for _ in range(2_000):
        values = np.where(allowed, pay + gamma * transition @ values, -np.inf).max(axis=1)
    return values


@pytest.mark.parametrize("seed", range(4))
def test_values_are_those_of_value_iteration(seed: int) -> None:
    graph, transition, pay = as_graph(seed)
    allowed = np.random.default_rng(seed).random(pay.shape) < 0.6
    allowed[:, 0] = True
    for some in (np.ones_like(allowed), allowed):
        values, by_group = graph.best(pay.reshape(-1), 0.9, some.reshape(-1))
        expected = iterated(transition, pay, 0.9, some)
        np.testing.assert_allclose(values, expected, rtol=0, atol=1e-7)
        np.testing.assert_allclose(
            by_group, (pay + 0.9 * transition @ expected).reshape(-1), rtol=0, atol=1e-7
        )


def test_an_end_has_nothing_behind_it_and_longer_edges_are_discounted_more() -> None:
    line = Graph(
        first_group=np.array([0, 2, 3]),
        first_edge=np.array([0, 1, 2, 3]),
        target=np.array([1, 0, 1]),
        probability=np.ones(3),
        steps=np.array([4, 1, 1]),
        ends=np.array([False, True, True]),
        start=np.array([1.0, 0.0]),
    )
    values, by_group = line.best(np.array([0.0, 0.25, 1.0]), 0.5)
    assert values.tolist() == [0.25, 1.0]
    assert by_group.tolist() == [0.5**4, 0.25, 1.0]


@pytest.mark.parametrize("seed", range(4))
def test_an_agent_that_draws_among_allowed_actions_is_worth_what_its_policy_is(seed: int) -> None:
    graph, transition, pay = as_graph(seed)
    allowed = np.random.default_rng(seed).random(pay.shape) < 0.6
    allowed[:, 0] = True
    policy = allowed / allowed.sum(axis=1, keepdims=True)
    chain = np.einsum("sa,sat->st", policy, transition)
    expected = np.linalg.solve(np.eye(len(pay)) - 0.9 * chain, (policy * pay).sum(axis=1))
    found = graph.followed(pay.reshape(-1), 0.9, allowed.reshape(-1))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-7)


def test_a_second_call_compiles_nothing() -> None:
    graph, _, pay = as_graph(0)
    graph.best(pay.reshape(-1), 0.9)
    compiled = len(solve.signatures)
    graph.best(pay.reshape(-1), 0.8)
    assert len(solve.signatures) == compiled


def test_visits_are_where_an_agent_is_that_half_knows_the_way() -> None:
    graph, transition, pay = as_graph(1)
    good = np.zeros(pay.size, np.bool_)
    good[::3] = True
    visits = graph.visits(good)
    assert visits.sum() == pytest.approx(1.0)
    policy = np.full(pay.shape, 0.5 / 3)
    policy[:, 0] += 0.5
    step = np.einsum("sa,sat->st", policy, transition)
    here, seen = graph.start.copy(), np.zeros(7)
    for _ in range(200):
        seen, here = seen + here, here @ step
    np.testing.assert_allclose(visits, seen / seen.sum(), atol=1e-12)
