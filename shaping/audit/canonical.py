"""Canonical rewards: of all rewards that mean the same, one.

Two changes of a reward leave the order of all policies as it is: potential shaping (Ng et al. 1999), with Phi = 0 in terminal
states, and S'-redistribution, which moves reward between the successors of (s, a) and keeps its mean (Skalse et al. 2023). A
canonicalisation maps all rewards that differ by these to one. VAL and the minimal form do; EPIC and DARD undo shaping only, and
VALPotential too, which is the form that single transitions allow.

VAL and the minimal form read a reward on the transitions that can happen. EPIC reads it on every triple (s, a, s'), DARD on some
impossible ones, terminal states included: on a table that is zero wherever P is they do not even undo shaping.

All take the task, a reward (S, A) or (S, A, S) and what they average over, and raise `AuditError` if the arrays do not fit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import lstsq

from shapegym.shaping.audit.arguments import Array, Given, distribution
from shapegym.shaping.audit.mdp import MDP


@dataclass(frozen=True, eq=False)
class Canonical:
    """A canonical reward.

    Attributes:
        reward: (S, A), or (S, A, S) if it depends on s'.
        scale: largest of the numbers it is a difference of, for telling a zero reward from rounding error.
    """

    reward: Array
    scale: float


@dataclass(frozen=True, eq=False)
class Levelled(Canonical):
    """A canonical reward that one potential leads to, (S,), zero in terminal states."""

    potential: Array


def val(mdp: MDP, R: Given, policy: Given | None = None) -> Levelled:
    """VAL: c(s, a) = E_{S' ~ P(s, a)}[R(s, a, S') - V(s) + gamma V(S')], V the value of R under a fixed policy.

    The policy, (S, A) or (S,), None = uniform, is the same for all rewards that are compared.

    Source: Skalse et al. 2024 (STARC), definition of value-adjusted levelling.

    Raises:
        AuditError: gamma = 1 and the policy does not end.
    """
    return _levelled(mdp, R, mdp.value(mdp.expected(R), mdp.policy(policy)))


def val_potential(mdp: MDP, R: Given, policy: Given | None = None) -> Levelled:
    """VALPotential: c(s, a, s') = R(s, a, s') - V(s) + gamma V(s'), zero in terminal states; otherwise as `val`.

    It undoes shaping but not S'-redistribution, and is the form that can be computed on single transitions.
    """
    table = mdp.table(R)
    potential = mdp.value(mdp.expected(R), mdp.policy(policy))
    levelled = table + mdp.gamma * potential - potential[:, None, None]
    reward = np.where(mdp.terminal[:, None, None], 0.0, levelled)
    return Levelled(reward, _largest(table, potential), potential)


def minimal(mdp: MDP, R: Given, weights: Given | None = None) -> Levelled:
    """The equivalent reward of least norm, ||c||^2 = sum w(s, a) P(s' | s, a) c(s, a, s')^2.

    S'-redistribution is at its least where the reward of (s, a) is its mean, whatever the potential, which leaves one least-squares
    problem, min_Phi sum_sa w(s, a) (r(s, a) + gamma E[Phi(S')] - Phi(s))^2. Unique for positive weights (S, A), None = uniform over
    the states that are not terminal; no policy is needed, and gamma may be 1.

    Source: Skalse et al. 2024 (STARC), the minimal canonicalisation.
    """
    r, inner = mdp.expected(R), np.flatnonzero(~mdp.terminal)
    root = np.sqrt(mdp.weights(weights))[inner]
    design = mdp.gamma * mdp.P[inner][:, :, inner]
    design[np.arange(inner.size), :, np.arange(inner.size)] -= 1.0
    potential = np.zeros(len(r))
    system, right = (root[:, :, None] * design).reshape(-1, inner.size), -(root * r[inner]).ravel()
    potential[inner] = lstsq(system, right, lapack_driver="gelsy", check_finite=False)[0]
    return _levelled(mdp, R, potential)


def epic(mdp: MDP, R: Given, states: Given | None = None, actions: Given | None = None) -> Canonical:
    """EPIC: C(s, a, s') = R(s, a, s') + gamma m(s') - m(s) - gamma E[m(S)], m(s) = E[R(s, A, S')], S, S' and A independent.

    Of the task it reads its sizes and gamma only; S and S' are distributed as ``states``, (S,), A as ``actions``, (A,), None =
    uniform.

    Source: Gleave et al. 2021, definition 4.1.
    """
    table, (n_states, n_actions) = mdp.table(R), mdp.pairs
    of_state, of_action = (
        distribution("states", states, n_states),
        distribution("actions", actions, n_actions),
    )
    mean = np.einsum("sat,a,t->s", table, of_action, of_state, optimize=True)
    canonical = table + mdp.gamma * (mean - of_state @ mean) - mean[:, None, None]
    return Canonical(canonical, _largest(table, mean))


def dard(mdp: MDP, R: Given, actions: Given | None = None) -> Canonical:
    """DARD: C(s, a, s') = R(s, a, s') + E[gamma R(s', A, S'') - R(s, A, S') - gamma R(S', A, S'')].

    S' ~ P(s, A) and S'' ~ P(s', A), so the last reward is of a pair that need not follow each other. A is distributed as
    ``actions``, (A,), None = uniform.

    Source: Wulfe et al. 2022, definition of the dynamics-aware transformation.
    """
    table, of_action = mdp.table(R), distribution("actions", actions, mdp.pairs[1])
    mean = np.einsum("sat,sat,a->s", mdp.P, table, of_action, optimize=True)
    crossed = np.zeros((len(table), len(table)))
    for action, share in enumerate(of_action):
        step = mdp.P[:, action]
        crossed += share * (step @ table[:, action] @ step.T)
    canonical = table + (mdp.gamma * (mean - crossed) - mean[:, None])[:, None, :]
    return Canonical(canonical, _largest(table, mean))


def _levelled(mdp: MDP, R: Given, potential: Array) -> Levelled:
    """By a potential, in expectation: of R only the transitions that can happen are read."""
    read = np.where(mdp.possible, mdp.table(R), 0.0)
    return Levelled(mdp.advantage(mdp.expected(R), potential), _largest(read, potential), potential)


def _largest(*arrays: Array) -> float:
    return max(float(np.abs(array).max()) for array in arrays)
