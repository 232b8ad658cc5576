"""Loops that pay more than the task: found where there are some, and none where the reward only looks different."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from loops_reference import average, best_loop, closed_classes, gains

from shapegym.shaping.audit.loops import find_exploit
from shapegym.shaping.errors import AuditError

seeds = st.integers(0, 1_000_000)


def random_task(seed, states=4, actions=2, branches=2, terminals=1):
    """A random MDP (P, R, terminal, start); with one branch its outcomes are certain."""
    rng = np.random.default_rng(seed)
    P = np.zeros((states, actions, states))
    for s in range(states):
        for a in range(actions):
            P[s, a, rng.choice(states, branches, replace=False)] = rng.dirichlet(np.ones(branches))
    terminal = np.arange(states) >= states - terminals
    P[terminal] = np.eye(states)[terminal][:, None]
    R = rng.normal(size=P.shape) * ~terminal[:, None, None]
    return P, R, terminal, np.eye(states)[0]


def shaped_by(P, R, terminal, gamma, phi):
    phi = np.where(terminal, 0.0, phi)
    return np.where(terminal[:, None, None], 0.0, R + gamma * phi - phi[:, None, None])


@settings(max_examples=60, deadline=None)
@given(seeds, st.integers(1, 3), st.integers(0, 2), st.sampled_from([0.5, 0.9, 0.99]))
def test_a_loop_is_found_exactly_where_trying_every_policy_finds_one(seed, branches, terminals, gamma):
    P, task, terminal, start = random_task(seed, branches=branches, terminals=terminals)
    shaped = random_task(seed + 1, branches=branches, terminals=terminals)[1]
    found = find_exploit(P, task, shaped, gamma, terminal=terminal, start=start)
    gain, best = gains(P.tolist(), task.tolist(), shaped.tolist(), gamma, terminal.tolist())
    expected = best_loop(P.tolist(), gain, start.tolist(), terminal.tolist())
    if expected is not None and expected > 1e-6:
        assert found.loops
        policy = [found.policy.get(s, 0) for s in range(len(P))]
        assert frozenset(found.policy) in closed_classes(P.tolist(), policy, terminal.tolist())
        assert found.gain == pytest.approx(
            average(P.tolist(), policy, found.policy, gain), rel=1e-5, abs=1e-6
        )
        assert 0 < found.gain < expected + 1e-6
        assert found.lure > 1e-7 or found.gain == pytest.approx(expected, rel=1e-5, abs=1e-6)
        assert found.shaped.solution == pytest.approx(best[found.turn[0].state], abs=1e-6)
    else:
        assert found is None or not found.loops


@settings(max_examples=60, deadline=None)
@given(seeds, st.integers(1, 3), st.integers(0, 1))
def test_without_a_discount_the_loop_is_compared_with_the_tasks_own(seed, branches, terminals):
    P, task, terminal, start = random_task(seed, branches=branches, terminals=terminals)
    shaped = random_task(seed + 1, branches=branches, terminals=terminals)[1]
    mean = np.einsum("sat,sat->sa", P, shaped).tolist()
    expected = best_loop(P.tolist(), mean, start.tolist(), terminal.tolist())
    found = find_exploit(P, task, shaped, 1.0, terminal=terminal, start=start)
    if found is not None:
        assert found.shaped.exploit == pytest.approx(expected, rel=1e-6, abs=1e-7)
        assert found.gain == pytest.approx(found.shaped.exploit - found.shaped.solution)
    elif expected is not None:
        own = best_loop(
            P.tolist(), np.einsum("sat,sat->sa", P, task).tolist(), start.tolist(), terminal.tolist()
        )
        # Nothing pays more than the solution: a loop of the task's own, or an end.
        assert expected <= 1e-7 or own > -1e-9


@settings(max_examples=150, deadline=None)
@given(
    seeds,
    st.integers(1, 3),
    st.integers(0, 2),
    st.sampled_from([0.5, 0.9, 0.99, 1.0]),
    st.floats(-5, 5),
    st.floats(0.1, 4),
)
def test_rewards_that_only_look_different_have_no_exploit(seed, branches, terminals, gamma, height, factor):
    """Potentials of any sign, positive factors and redistribution over successors, together."""
    P, task, terminal, start = random_task(seed, 6, 3, branches, terminals)
    rng = np.random.default_rng(seed + 7)
    phi = height * (1 + rng.random(6))
    moved = rng.normal(size=P.shape)
    moved -= (P * moved).sum(axis=2, keepdims=True)
    shaped = factor * shaped_by(P, task, terminal, gamma, phi) + np.where(terminal[:, None, None], 0.0, moved)
    assert find_exploit(P, task, shaped, gamma, terminal=terminal, start=start) is None


@settings(max_examples=60, deadline=None)
@given(seeds, st.integers(1, 3), st.floats(-5, 5))
def test_potentials_do_not_move_the_exploit_of_another_reward(seed, branches, height):
    P, task, terminal, start = random_task(seed, 5, 2, branches)
    shaped = random_task(seed + 1, 5, 2, branches)[1]
    one = find_exploit(P, task, shaped, 0.9, terminal=terminal, start=start)
    phi = height * np.random.default_rng(seed).random(5)
    other = find_exploit(
        P, task, shaped_by(P, shaped, terminal, 0.9, phi), 0.9, terminal=terminal, start=start
    )
    assert (one is None) == (other is None)
    if one is not None:
        assert one.gain == pytest.approx(other.gain, rel=1e-6, abs=1e-8)
        assert one.lure == pytest.approx(other.lure, rel=1e-6, abs=1e-8)
        assert one.task.solution == pytest.approx(other.task.solution)


@settings(max_examples=60, deadline=None)
@given(seeds, st.integers(1, 3))
def test_what_is_shown_is_possible_and_closes(seed, branches):
    P, task, terminal, start = random_task(seed, 6, 2, branches, terminals=1)
    found = find_exploit(P, task, -task, 0.95, terminal=terminal, start=start)
    assume(found is not None)
    moves = (*found.lead, *found.turn)
    assert start[moves[0].state] > 0
    for move, after in pairwise(moves):
        assert move.next_state == after.state
    for move in moves:
        assert move.probability == P[move.state, move.action, move.next_state] > 0
        assert (move.shaped, move.task) == (
            -task[move.state, move.action, move.next_state],
            task[move.state, move.action, move.next_state],
        )
    if found.loops:
        assert found.turn[-1].next_state == found.turn[0].state
        assert {move.state for move in found.turn} <= set(found.policy)
        assert not terminal[list(found.policy)].any()
    assert found.task.exploit < found.task.solution + 1e-9


def track(gamma, bonus, bonus_task=0.0):
    """Cells 0 .. 3 in a row and a goal behind; action 0 steps back (or stays at cell 0), 1 ahead; cell 0 pays for staying."""
    P, task = np.zeros((5, 2, 5)), np.zeros((5, 2, 5))
    for cell in range(4):
        P[cell, 0, max(cell - 1, 0)] = P[cell, 1, cell + 1] = 1.0
    P[4, :, 4] = 1.0
    task[3, 1, 4] = 1.0
    shaped = task.copy()
    shaped[0, 0, 0] = bonus
    return P, task, shaped, gamma, np.arange(5) == 4, np.eye(5)[1]


def test_a_bonus_is_an_exploit_from_where_it_outweighs_the_goal():
    """Staying at cell 0 pays bonus / (1 - gamma) for ever, the goal gamma^3 from there."""
    gamma = 0.9
    limit = gamma**3 * (1 - gamma)
    for bonus, expected in ((0.99 * limit, False), (1.01 * limit, True)):
        P, task, shaped, _, terminal, start = track(gamma, bonus)
        found = find_exploit(P, task, shaped, gamma, terminal=terminal, start=start)
        assert (found is not None) is expected
    assert [(move.state, move.action) for move in found.lead] == [(1, 0)]
    assert [(move.state, move.action) for move in found.turn] == [(0, 0)]
    assert found.gain == pytest.approx(0.01 * limit)
    assert found.shaped.exploit == pytest.approx(bonus / (1 - gamma))
    assert found.shaped.solution == pytest.approx(gamma**3)
    assert (found.task.exploit, found.task.solution) == (0.0, pytest.approx(gamma**3))
    assert found.lure == 0.0  # the goal is nearer from the start: the loop catches who is in it


def test_behaviour_that_ends_is_shown_when_it_beats_the_solution():
    """A vase on the short way: the task charges for it, the proxy does not know it."""
    P, task = np.zeros((4, 2, 4)), np.zeros((4, 2, 4))
    P[0, 0, 3] = P[0, 1, 1] = P[1, :, 2] = P[2, :, 3] = P[3, :, 3] = 1.0
    task[0, 0, 3], task[2, :, 3] = -1.0, 1.0
    proxy = np.abs(task)
    found = find_exploit(P, task, proxy, 0.9, terminal=np.arange(4) == 3, start=np.eye(4)[0])
    assert not found.loops
    assert [(move.state, move.action, move.next_state) for move in found.lead] == [(0, 0, 3)]
    assert found.gain == found.lure == pytest.approx(1 - 0.9**2)
    assert (found.task.exploit, found.task.solution) == (pytest.approx(-1.0), pytest.approx(0.81))


def test_behaviour_that_ends_is_shown_up_to_its_end_where_outcomes_slip():
    """On ice most moves fail: the likeliest episode waits where it is, and tells nothing."""
    P, task = np.zeros((4, 2, 4)), np.zeros((4, 2, 4))
    P[0, :, 0], P[0, 0, 3], P[0, 1, 1] = 0.6, 0.4, 0.4
    P[1, :, 1], P[1, :, 2] = 0.6, 0.4
    P[2, :, 3] = P[3, :, 3] = 1.0
    task[0, 0, 3], task[2, :, 3] = -1.0, 1.0
    found = find_exploit(P, task, np.abs(task), 0.9, terminal=np.arange(4) == 3, start=np.eye(4)[0])
    (move,) = found.lead
    assert (move.state, move.next_state, move.probability, move.shaped) == (0, 3, 0.4, 1.0)


def test_forbidden_actions_are_not_used():
    P, task, shaped, gamma, terminal, start = track(0.9, 1.0)
    allowed = np.ones((5, 2), np.bool_)
    assert find_exploit(P, task, shaped, gamma, terminal=terminal, start=start, allowed=allowed) is not None
    allowed[0, 0] = False
    assert find_exploit(P, task, shaped, gamma, terminal=terminal, start=start, allowed=allowed) is None


def test_input_that_does_not_fit_is_refused():
    P, task, shaped, gamma, terminal, start = track(0.9, 1.0)
    with pytest.raises(AuditError, match="start"):
        find_exploit(P, task, shaped, gamma, terminal=terminal, start=np.ones(5))
    with pytest.raises(AuditError, match="not finite"):
        find_exploit(P, task, shaped * np.nan, gamma, terminal=terminal, start=start)
    with pytest.raises(AuditError, match="gamma"):
        find_exploit(P, task, shaped, 1.5, terminal=terminal, start=start)
    with pytest.raises(AuditError, match="allowed"):
        find_exploit(
            P, task, shaped, gamma, terminal=terminal, start=start, allowed=np.zeros((5, 2), np.bool_)
        )


def test_a_task_whose_episodes_all_end_has_no_loop():
    P = np.zeros((3, 2, 3))
    P[0, 0, 1] = P[0, 1, 2] = P[1, :, 2] = P[2, :, 2] = 1.0
    task, terminal = np.zeros_like(P), np.arange(3) == 2
    for gamma in (0.9, 1.0):
        shaped = np.zeros_like(P)
        assert find_exploit(P, task, shaped, gamma, terminal=terminal, start=np.eye(3)[0]) is None


def test_without_a_discount_a_task_that_never_ends_is_compared_with_its_best_loops():
    """State 0 leads to 1 or 2 for good; the task pays in 1, the proxy a little more in 2."""
    P, task = np.zeros((3, 2, 3)), np.zeros((3, 2, 3))
    P[0, 0, 1] = P[0, 1, 2] = P[1, :, 1] = P[2, :, 2] = 1.0
    task[1, :, 1] = 1.0
    proxy = 2 * task
    for pays, expected in ((1.9, False), (2.1, True)):
        proxy[2, :, 2] = pays
        found = find_exploit(P, task, proxy, 1.0, start=np.eye(3)[0])
        assert (found is not None) is expected
    assert found.gain == pytest.approx(0.1, abs=1e-5)
    assert (found.task.exploit, found.task.solution) == (0.0, pytest.approx(1.0))
    assert (found.shaped.exploit, found.shaped.solution) == (pytest.approx(2.1), pytest.approx(2.0, abs=1e-5))


@pytest.mark.parametrize("gamma", [0.99, 1.0])
@pytest.mark.parametrize("rises", [0.1, 0.01])
def test_a_loop_is_found_whose_rare_states_are_too_rare_for_the_linear_program(gamma, rises):
    """A queue that hardly ever grows: staying pays; its longest lengths have frequencies below any solver's digits."""
    length = 14
    P, task, shaped = (np.zeros((length + 1, 2, length + 1)) for _ in range(3))
    for k in range(length):
        P[k, 0, min(k + 1, length - 1)] += rises
        P[k, 0, max(k - 1, 0)] += 1 - rises
        P[k, 1, length] = task[k, 1, length] = 1.0
    P[length, :, length] = 1.0
    shaped[:length, 0], shaped[:, 1] = 0.5, 100 * task[:, 1]  # off the best way where there is a discount
    terminal = np.arange(length + 1) == length
    start = np.eye(length + 1)[0]
    found = find_exploit(P, task, shaped, gamma, terminal=terminal, start=start)
    if gamma < 1:
        assert found is None
        shaped[:, 1] = task[:, 1]
        found = find_exploit(P, task, shaped, gamma, terminal=terminal, start=start)
    assert found.policy == dict.fromkeys(range(length), 0)
    assert found.gain == pytest.approx(0.5 if gamma == 1 else 0.49)
