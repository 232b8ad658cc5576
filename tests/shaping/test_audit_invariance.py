"""The certificate of invariance: what is shaping passes with its potential, and what is not is shown a state."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shapegym.shaping.audit.invariance import certificate
from shapegym.shaping.errors import AuditError

S, A, GAMMA = 6, 3, 0.9
SEEDS = st.integers(0, 2**32 - 1)


def draw(seed, terminals=1, gamma=GAMMA):
    rng = np.random.default_rng(seed)
    P = rng.dirichlet(np.ones(S), size=(S, A)) * (rng.random((S, A, S)) < 0.5)
    P += 1e-3 * np.eye(S)[(np.arange(S) + 1) % S][:, None, :]
    P /= P.sum(axis=2, keepdims=True)
    terminal = np.arange(S) >= S - terminals
    start = np.where(terminal, 0.0, 1.0 / (S - terminals))
    task = np.where((P > 0) & ~terminal[:, None, None], rng.normal(size=P.shape), 0.0)
    phi = np.where(terminal, 0.0, rng.normal(size=S))
    return P, task, terminal, start, phi, rng


def shaping(phi, gamma=GAMMA):
    return gamma * phi - phi[:, None, None]


@given(seed=SEEDS, terminals=st.integers(0, 2))
def test_shaping_is_found_with_its_potential(seed, terminals):
    P, task, terminal, start, phi, _ = draw(seed, terminals)
    found = certificate(P, task, task + shaping(phi), GAMMA, terminal, start)
    assert (found.relation, found.scale, found.optima, found.witness) == ("potential", 1.0, "same", None)
    np.testing.assert_allclose(found.potential, phi, atol=1e-9)
    assert found.invariant
    assert found.regret <= 1e-9


@given(seed=SEEDS, scale=st.floats(0.01, 100))
def test_scale_and_redistribution_are_found(seed, scale):
    P, task, terminal, start, phi, rng = draw(seed)
    noise = rng.normal(size=P.shape)
    moved = noise - (P * noise).sum(axis=2, keepdims=True)
    scaled = certificate(P, task, scale * task + shaping(phi), GAMMA, terminal, start)
    assert scaled.relation == "potential"
    assert scaled.scale == pytest.approx(scale)
    both = certificate(P, task, scale * task + shaping(phi) + moved, GAMMA, terminal, start)
    assert both.relation == "redistribution"
    assert both.scale == pytest.approx(scale)
    np.testing.assert_allclose(both.potential, phi, atol=1e-7)
    assert both.optima == "same"
    assert both.deviation > 1e-3 >= both.mean_deviation


@given(seed=SEEDS)
def test_a_witness_is_optimal_for_one_and_loses_for_the_other(seed):
    P, task, terminal, start, _, rng = draw(seed)
    shaped = task + 2 * rng.normal(size=P.shape)
    found = certificate(P, task, shaped, GAMMA, terminal, start)
    assert found.relation == "none"
    assert found.scale == 1
    task_q, shaped_q = (_best_q(P, R, terminal) for R in (task, shaped))
    wanted, asked = task_q.argmax(axis=1), shaped_q.argmax(axis=1)
    inner = np.flatnonzero(~terminal)
    if (wanted[inner] == asked[inner]).all():
        assert found.optima == "same"
        assert found.witness is None
        return
    loss = (task_q.max(axis=1) - task_q[np.arange(S), asked])[inner]
    witness = found.witness
    assert (witness.state, witness.task_action, witness.shaped_action) == (
        inner[loss.argmax()],
        wanted[witness.state],
        asked[witness.state],
    )
    assert witness.loss == pytest.approx(loss.max())
    assert found.optima == "other"


def _best_q(P, R, terminal, sweeps=400):
    """Value iteration."""
    r = np.where(terminal[:, None], 0.0, (P * R).sum(axis=2))
    going = np.where(terminal[:, None, None], 0.0, P)
    q = np.zeros((S, A))
    for _ in range(sweeps):
        q = r + GAMMA * going @ np.where(terminal, 0.0, q.max(axis=1))
    return q


def test_a_reversed_task_is_no_scaling():
    P, task, terminal, start, _, _ = draw(0)
    found = certificate(P, task, -task, GAMMA, terminal, start)
    assert not found.invariant
    assert found.regret == pytest.approx(1.0)
    assert "asks for action" in str(found)


def test_a_bonus_that_only_agrees_is_not_called_shaping():
    """Two steps to the goal; a bonus on the way there, which is where one wants to go anyway."""
    P = np.zeros((3, 2, 3))
    P[0, 0, 0] = P[0, 1, 1] = P[1, 0, 0] = P[1, 1, 2] = P[2, :, 2] = 1.0
    task, bonus = np.zeros(P.shape), np.zeros(P.shape)
    task[1, 1, 2], bonus[0, 1, 1] = 1.0, 0.1
    terminal, start = np.arange(3) == 2, np.eye(3)[0]
    small = certificate(P, task, task + bonus, GAMMA, terminal, start)
    assert (small.relation, small.optima, small.witness) == ("none", "same", None)
    assert "optimal actions are the same" in str(small)
    loop = certificate(P, task, task + 30 * bonus, GAMMA, terminal, start)  # worth turning round for
    assert (loop.witness.state, loop.witness.task_action, loop.witness.shaped_action) == (1, 1, 0)
    assert loop.regret == pytest.approx(1.0)


def test_fewer_optimal_actions_are_no_harm():
    P = np.ones((2, 2, 2)) * [0.0, 1.0]
    task = np.where(np.arange(2) == 0, 1.0, 0.0)[:, None, None] * np.ones((2, 2, 2))
    shaped = task + np.array([0.5, 0.0])[:, None]
    found = certificate(P, task, shaped, GAMMA, np.array([False, True]), np.array([1.0, 0.0]))
    assert (found.optima, found.witness, found.regret) == ("fewer", None, 0.0)


def test_a_potential_that_stays_at_the_end_is_caught():
    P, task, terminal, start, phi, _ = draw(1)
    wrong = np.where(terminal, 2.0, phi)
    assert not certificate(P, task, task + shaping(wrong), GAMMA, terminal, start).invariant


def test_unreachable_states_do_not_count():
    P, task, _, _, phi, _ = draw(2, terminals=0)
    P[:, :, 0], P[:, :, 1] = 0.0, P[:, :, 1] + P[:, :, 0]  # nothing leads to state 0
    shaped = task + shaping(phi)
    shaped[0, 0] += 5.0
    start = np.eye(S)[1]
    assert certificate(P, task, shaped, GAMMA, None, start).relation == "potential"
    assert certificate(P, task, shaped, GAMMA, None, np.full(S, 1 / S)).relation == "none"


def test_nothing_is_reached_through_a_terminal_state():
    P, task, terminal, _, phi, _ = draw(5)
    P[:, :, 0], P[:, :, 1] = 0.0, P[:, :, 1] + P[:, :, 0]
    P[-1] = np.eye(S)[0]  # rows of terminal states mean nothing
    shaped = task + shaping(phi)
    shaped[0, 0] += 5.0
    found = certificate(P, task, shaped, GAMMA, terminal, np.eye(S)[1])
    assert found.relation == "potential"
    assert found.potential[0] == 0


def test_a_task_that_pays_nothing_is_only_equivalent_to_shaping():
    P, _, terminal, start, phi, rng = draw(3)
    nothing = np.zeros(P.shape)
    assert certificate(P, nothing, nothing + shaping(phi), GAMMA, terminal, start).relation == "potential"
    noise = rng.normal(size=P.shape)
    assert certificate(P, nothing, noise, GAMMA, terminal, start).relation == "none"
    assert certificate(P, nothing + shaping(phi), noise, GAMMA, terminal, start).relation == "none"


def test_no_discount_needs_episodes_that_end():
    P, task, _, start, phi, _ = draw(4, terminals=0)
    with pytest.raises(AuditError, match="need not be left"):
        certificate(P, task, task, 1.0, None, start)
    line = np.zeros((3, 2, 3))
    line[0, :, 1] = line[1, :, 2] = line[2, :, 2] = 1.0
    phi = np.array([1.0, -2.0, 0.0])
    found = certificate(line, np.zeros((3, 2)), shaping(phi, 1.0) + 0 * line, 1.0, phi == 0, np.eye(3)[0])
    assert found.relation == "potential"
    np.testing.assert_allclose(found.potential, phi)


@given(seed=SEEDS, far=st.sampled_from([1e-4, 1e-6, 1e-8, 1e-9]))
def test_a_bonus_beside_a_large_potential_is_seen_near_gamma_one(seed, far):
    """Without an end a constant reward is a potential of 1 / (1 - gamma), which must not hide what is none."""
    gamma = 1.0 - far
    P, task, _, start, phi, rng = draw(seed, 0, gamma)
    living = task + 1.0 + shaping(phi, gamma)
    assert certificate(P, task, living, gamma, None, start).invariant
    bonus = np.zeros_like(task)
    bonus[rng.integers(S), rng.integers(A)] = 0.05
    found = certificate(P, task, living + bonus, gamma, None, start)
    assert not found.invariant
    assert found.mean_deviation > 1e-4
