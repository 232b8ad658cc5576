"""What potentials promise: discounted sums telescope, and the policies that were optimal stay so, exactly those."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stream_reference import episodes, random_stream

from shapegym.envs.tabular.random_mdp import random_mdp
from shapegym.envs.tabular.solver import optimal_actions, value_iteration
from shapegym.shaping.algebra import Constant, TaskReward, clip
from shapegym.shaping.combinators.advice import look_ahead_advice
from shapegym.shaping.evaluation.engine import RewardEngine
from shapegym.shaping.files import reward_files as config
from shapegym.shaping.promises import Keeps, Replay
from shapegym.shaping.states.functions import Table, state_function
from shapegym.shaping.terms.events import Compare, Event
from shapegym.shaping.terms.machine_potential import MachinePotential
from shapegym.shaping.terms.potential import Potential
from shapegym.shaping.terms.reward_machine import Edge, RewardMachine
from shapegym.shaping.transitions import Spec, Transitions
from shapegym.shaping.tree import guarantee_of, has_task_reward
from shapegym.shaping.types import NODES, Expression, Term
from shapegym.shaping.weights.dynamic_potential import DynamicPotential
from shapegym.shaping.weights.schedules import Linear, OnPlateau
from shapegym.shaping.weights.trust import Trust

GAMMA = 0.95
MDPS = 300
STATES, ACTIONS = 6, 3


@state_function
def wave(obs, features):
    """A potential that is no multiple of anything in the stream."""
    return np.sin(3 * obs[:, 0]) + obs[:, 1] ** 2


def play(expression: Expression, stream, lanes: int) -> np.ndarray:
    """Shaped rewards (T, B) of a stream."""
    spec = Spec(lanes, gym.spaces.Box(-np.inf, np.inf, (3,)), gym.spaces.Discrete(2), gamma=GAMMA)
    engine = RewardEngine(expression, spec)
    return np.stack([engine.step(Transitions(**vars(step)))[0] for step in stream])


@given(st.integers(0, 100_000), st.sampled_from([1, 3, 16]), st.floats(0.05, 0.5))
def test_potentials_telescope_under_termination_and_truncation(seed, lanes, end):
    """sum_k gamma^k F_k = gamma^T Phi(s_T) - Phi(s_0), with Phi(s_T) = 0 if and only if s_T is terminal."""
    stream = random_stream(seed, 40, lanes, end=end, idle=0.1)
    shaped = play(Potential(wave), stream, lanes)
    for steps in episodes(stream):
        total = sum(GAMMA**k * shaped[step] for k, step in enumerate(steps))
        (t_0, lane), (t_end, _) = steps[0], steps[-1]
        phi_0 = wave.value(stream[t_0].obs, {})[lane]
        phi_end = wave.value(stream[t_end].next_obs, {})[lane] * (not stream[t_end].terminated[lane])
        assert total == pytest.approx(GAMMA ** len(steps) * phi_end - phi_0, abs=1e-10)


@given(st.integers(0, 100_000), st.sampled_from([1, 3, 16]))
def test_dynamic_potentials_telescope_while_their_weight_changes(seed, lanes):
    """sum_k gamma^k F_k = gamma^T w_T Phi(s_T) - w_0 Phi(s_0) (Devlin & Kudenko 2012)."""
    stream = random_stream(seed, 40, lanes, idle=0.1)
    schedule = Linear(1.0, -2.0, 30 * lanes)
    shaped = play(DynamicPotential(wave, schedule), stream, lanes)
    clocks = np.cumsum([0] + [int(step.active.sum()) for step in stream])
    for steps in episodes(stream):
        total = sum(GAMMA**k * shaped[step] for k, step in enumerate(steps))
        (t_0, lane), (t_end, _) = steps[0], steps[-1]
        start = schedule.weight_at(int(clocks[t_0])) * wave.value(stream[t_0].obs, {})[lane]
        end = schedule.weight_at(int(clocks[t_end])) * wave.value(stream[t_end].next_obs, {})[lane]
        end *= not stream[t_end].terminated[lane]
        assert total == pytest.approx(GAMMA ** len(steps) * end - start, abs=1e-10)


@given(st.integers(0, 100_000), st.sampled_from([1, 3]))
def test_a_replayed_dynamic_potential_is_an_ordinary_one_with_the_weight_of_now(seed, lanes):
    """Whatever the weight was when a step was made, a batch is paid by one potential."""
    stream = random_stream(seed, 10, lanes)
    node, weight = DynamicPotential(wave, Linear(1.0, 0.0, 100), GAMMA), np.full(lanes, 0.3)
    spec = Spec(lanes, gym.spaces.Box(-np.inf, np.inf, (3,)), gym.spaces.Discrete(2), gamma=GAMMA)
    state, plain = node.init(spec), Potential(wave, GAMMA)
    assert node.replay is Replay.FROZEN
    for step in (Transitions(**vars(step)) for step in stream):
        expected = plain.measure(step, plain.init(spec))
        node.observe(step, state, np.ones(lanes))
        np.testing.assert_allclose(node.remeasure(step, state, weight), 0.3 * expected, atol=1e-12)


@pytest.mark.parametrize(
    ("weight", "known_before"),
    [
        (Linear(1.0, 0.0, 10), True),
        (Constant(0.5) * Linear(1.0, 0.0, 10), True),
        (Compare("obs", "==", 2), False),
        (Linear(1.0, 0.0, 10) * Event("features.event"), False),
        (OnPlateau(), False),
        (Trust(Constant(1.0)), False),
    ],
)
def test_a_dynamic_potential_keeps_policies_if_its_weight_is_known_before_the_action(weight, known_before):
    kept = guarantee_of(TaskReward() + DynamicPotential("obs", weight)).keeps
    assert (Keeps.POLICIES in kept) is known_before


def tables(seed: int):
    """A random MDP with a terminal state, as dense tables P (S, A, S), R (S, A, S), terminal (S,)."""
    task = random_mdp(seed, states=STATES, actions=ACTIONS)
    P, R = task.tables()
    return P, np.broadcast_to(R if R.ndim == 3 else R[:, :, None], P.shape), task.terminal


def shaped_table(expression: Expression, P: np.ndarray, R: np.ndarray, terminal: np.ndarray) -> np.ndarray:
    """R'(s, a, s'): the engine itself, fed one lane for every transition of the MDP."""
    s, a, s_next = (index.ravel() for index in np.indices(P.shape))
    lanes = len(s)
    spec = Spec(lanes, gym.spaces.Discrete(len(P)), gym.spaces.Discrete(P.shape[1]), gamma=GAMMA)
    nothing = np.zeros(lanes, dtype=bool)
    transitions = Transitions(s, a, s_next, R.ravel().copy(), terminal[s_next], nothing, ~nothing, ~nothing)
    return RewardEngine(expression, spec).step(transitions)[0].reshape(P.shape)


def optimal_sets(P, R, terminal, advice=None) -> np.ndarray:
    _, Q = value_iteration(P, R, GAMMA, terminal=terminal, tolerance=1e-11)
    if advice is not None:
        Q = Q + advice
    return optimal_actions(Q, tolerance=1e-7)[~terminal]


def phi_of(seed: int) -> Table:
    return Table(tuple(np.random.default_rng(seed + 1).normal(scale=2.0, size=STATES)))


INVARIANT = {
    "task_reward": lambda phi: TaskReward(),
    "potential": lambda phi: TaskReward() + Potential(phi),
    "scaled": lambda phi: 2.0 * TaskReward() - 0.7 * Potential(phi),
    "dynamic potential": lambda phi: (
        TaskReward() + DynamicPotential(phi, 2.0 * Linear(0.5, 1.0, 9) + Constant(0.5))
    ),
    "two potentials": lambda phi: TaskReward() + Potential(phi) + 3.0 * Potential("obs"),
}
CHANGING = {
    "clipped potential": lambda phi: TaskReward() + clip(Potential(phi), -0.1, 0.1),
    "weighted potential": lambda phi: TaskReward() + Potential(phi) * Potential("obs"),
    "constant": lambda phi: TaskReward() + Constant(1.0),
    "weighted by an event": lambda phi: TaskReward() + DynamicPotential(phi, Compare("obs", "==", 2)),
}


@pytest.mark.parametrize("name", INVARIANT)
def test_invariant_expressions_keep_the_optimal_actions_of_random_mdps(name):
    changed = 0
    for seed in range(MDPS):
        expression = INVARIANT[name](phi_of(seed))
        assert Keeps.POLICIES in guarantee_of(expression).keeps
        P, R, terminal = tables(seed)
        before = optimal_sets(P, R, terminal)
        after = optimal_sets(P, shaped_table(expression, P, R, terminal), terminal)
        changed += not np.array_equal(before, after)
    assert changed == 0


@pytest.mark.parametrize("name", CHANGING)
def test_expressions_without_the_guarantee_do_change_optimal_actions(name):
    """The check above can fail: what claims less does change policies somewhere."""
    changed = 0
    for seed in range(40):
        expression = CHANGING[name](phi_of(seed))
        assert Keeps.POLICIES not in guarantee_of(expression).keeps
        P, R, terminal = tables(seed)
        before = optimal_sets(P, R, terminal)
        changed += not np.array_equal(
            before, optimal_sets(P, shaped_table(expression, P, R, terminal), terminal)
        )
    assert changed > 0


def test_a_machines_potential_keeps_the_optimal_actions_of_those_who_see_the_machine():
    """In the MDP over (s, u), whose machine state u the states that are entered move."""
    seen = [Compare("obs", "==", state) for state in range(STATES)]
    machine = RewardMachine(
        (
            Edge("start", seen[1], "armed", 0.5),
            Edge("armed", seen[2], "start", -0.25),
            Edge("armed", seen[3] + seen[4], "done", 2.0),
        ),
        terminal=("done",),
    )
    moves = {(0, 1): 1, (1, 2): 0, (1, 3): 2, (1, 4): 2}
    size = len(machine.states)
    for seed in range(60):
        P, R, terminal = tables(seed)
        s, a, s_next, u = (index.ravel() for index in np.indices((*P.shape, size)))
        after = np.array([moves.get((now, entered), now) for now, entered in zip(u, s_next, strict=True)])
        lanes, nothing = len(s), np.zeros(len(s), dtype=bool)
        spec = Spec(lanes, gym.spaces.Discrete(STATES), gym.spaces.Discrete(ACTIONS), gamma=GAMMA)
        expression = TaskReward() + MachinePotential(machine, planning_gamma=0.8)
        engine = RewardEngine(expression, spec)
        engine.states[engine.term_names.index("machine_potential")]["now"][:] = u
        step = Transitions(s, a, s_next, R[s, a, s_next], terminal[s_next], nothing, nothing, ~nothing)
        shaped = engine.step(step)[0]
        both = (s * size + u, a, s_next * size + after)
        joint, plain, paid = (np.zeros((STATES * size, ACTIONS, STATES * size)) for _ in range(3))
        joint[both], plain[both], paid[both] = P[s, a, s_next], step.reward, shaped
        ends = np.repeat(terminal, size)
        np.testing.assert_array_equal(optimal_sets(joint, plain, ends), optimal_sets(joint, paid, ends))


def test_every_term_that_claims_invariance_is_checked_here():
    config.to_data(TaskReward())  # importing config imports every module that registers nodes
    terms = {name: node.keeps for name, node in NODES.items() if issubclass(node, Term)}
    claims = {name for name, kept in terms.items() if not isinstance(kept, Keeps) or Keeps.POLICIES in kept}
    # The dynamic potential has no reward table; its telescoping sum, above, is what the theorem rests on.
    assert claims == {"task_reward", "potential", "dynamic_potential", "machine_potential"}
    assert all(has_task_reward(build(phi_of(0))) for build in INVARIANT.values())


def test_look_ahead_advice_keeps_the_greedy_actions_of_q_plus_phi():
    """In the MDP over (s, a) pairs: Q'(s, a) = Q(s, a) - Phi(s, a) solves the advised problem (Wiewiora et al. 2003)."""
    for seed in range(50):
        P, R, terminal = tables(seed)
        rng = np.random.default_rng(seed)
        phi = rng.normal(size=(STATES, ACTIONS)) * ~terminal[:, None]
        _, Q = value_iteration(P, R, GAMMA, terminal=terminal, tolerance=1e-12)
        # Expected advised return of taking a in s and following any policy pi afterwards is Q_pi - Phi; check the fixed point
        # for the policy that is greedy on Q' + Phi.
        advised = Q - phi
        greedy = np.argmax(advised + phi, axis=1)
        reward = np.einsum("sat,sat->sa", P, R)
        next_phi = phi[np.arange(STATES), greedy] * ~terminal
        next_q = advised[np.arange(STATES), greedy] * ~terminal
        backup = reward + P @ (GAMMA * next_phi) - phi + P @ (GAMMA * next_q)
        np.testing.assert_allclose(backup[~terminal], advised[~terminal], atol=1e-9)
        advice = look_ahead_advice([Table(tuple(column)) for column in phi.T], GAMMA)
        assert guarantee_of(TaskReward() + advice).keeps is Keeps.ADVICE
