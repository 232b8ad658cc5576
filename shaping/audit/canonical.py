"""Canonical rewards: of all rewards that mean the same, one.

Two changes of a reward leave the order of all policies as it is: potential shaping (Ng et al. 1999), with Phi = 0 in terminal
states, and S'-redistribution, which moves reward between the successors of (s, a) and keeps its mean (Skalse et al. 2023). A
canonicalisation maps all rewards that differ by these to one. VAL and the minimal form do; EPIC and DARD undo shaping only, and
VALPotential too, which is the form that single transitions allow.

VAL and the minimal form read a reward on the transitions that can happen. EPIC reads it on every triple (s, a, s'), DARD on some
impossible ones, terminal states included: on a table that is zero wherever P is they do not even undo shaping.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lstsq

from shapegym.shaping.audit.model import Array, Model
from shapegym.shaping.errors import AuditError


@dataclass(frozen=True, eq=False)
class Canonical:
    """A canonical reward and the size of the numbers it is a difference of.

    Attributes:
        reward: (S, A), or (S, A, S) if it depends on s'.
        scale: largest of the numbers that were added up, for telling a zero reward from rounding error.
    """

    reward: Array
    scale: float


@dataclass(frozen=True, eq=False)
class Levelled(Canonical):
    """A canonical reward that one potential leads to.

    Attributes:
        potential: (S,), the Phi of that shaping; zero in terminal states.
    """

    potential: Array


def val(model: Model, R: NDArray[Any], policy: NDArray[Any] | None = None) -> Levelled:
    """VAL: c(s, a) = E_{S' ~ P(s, a)}[R(s, a, S') - V(s) + gamma V(S')], V the value of R under a fixed policy.

    Source: Skalse et al. 2024 (STARC), definition of value-adjusted levelling.

    Args:
        model: the task.
        R: (S, A) or (S, A, S).
        policy: any, the same for all rewards that are compared; (S, A) or (S,), None = uniform.

    Raises:
        AuditError: the arrays do not fit, or gamma = 1 and the policy does not end.
    """
    r = model.expected(R)
    potential = model.value(r, model.policy(policy))
    return Levelled(model.advantage(r, potential), _largest(_read(model, R), potential), potential)


def val_potential(model: Model, R: NDArray[Any], policy: NDArray[Any] | None = None) -> Levelled:
    """VALPotential: c(s, a, s') = R(s, a, s') - V(s) + gamma V(s'), zero in terminal states; arguments as `val`.

    It undoes shaping but not S'-redistribution, and is the form that can be computed on single transitions.
    """
    table = model.table(R)
    potential = model.value(model.expected(R), model.policy(policy))
    levelled = table + model.gamma * potential - potential[:, None, None]
    return Levelled(
        np.where(model.terminal[:, None, None], 0.0, levelled), _largest(table, potential), potential
    )


def minimal(model: Model, R: NDArray[Any], weights: NDArray[Any] | None = None) -> Levelled:
    """The equivalent reward of least norm, ||c||^2 = sum w(s, a) P(s' | s, a) c(s, a, s')^2.

    S'-redistribution is at its least where the reward of (s, a) is its mean, whatever the potential, which leaves one least-squares
    problem, min_Phi sum_sa w(s, a) (r(s, a) + gamma E[Phi(S')] - Phi(s))^2. Unique for positive weights; no policy is needed, and
    gamma may be 1.

    Source: Skalse et al. 2024 (STARC), the minimal canonicalisation.

    Args:
        model: the task.
        R: (S, A) or (S, A, S).
        weights: (S, A), None = uniform over the states that are not terminal.

    Raises:
        AuditError: the arrays do not fit.
    """
    r, inner = model.expected(R), np.flatnonzero(~model.terminal)
    root = np.sqrt(model.weights(weights))[inner]
    design = model.gamma * model.P[inner][:, :, inner]
    design[np.arange(inner.size), :, np.arange(inner.size)] -= 1.0
    potential = np.zeros(len(r))
    potential[inner] = lstsq(
        (root[:, :, None] * design).reshape(-1, inner.size),
        -(root * r[inner]).ravel(),
        lapack_driver="gelsy",
        check_finite=False,
    )[0]
    return Levelled(model.advantage(r, potential), _largest(_read(model, R), potential), potential)


def epic(
    model: Model,
    R: NDArray[Any],
    states: NDArray[Any] | None = None,
    actions: NDArray[Any] | None = None,
) -> Canonical:
    """EPIC: C(s, a, s') = R(s, a, s') + gamma m(s') - m(s) - gamma E[m(S)], m(s) = E[R(s, A, S')], S, S' and A independent.

    Source: Gleave et al. 2021, definition 4.1.

    Args:
        model: the task; EPIC reads nothing of it but its sizes and gamma.
        R: (S, A) or (S, A, S), defined on every triple.
        states: (S,), the distribution of S and S'; None = uniform.
        actions: (A,), the distribution of A; None = uniform.

    Raises:
        AuditError: the arrays do not fit.
    """
    table, (n_states, n_actions) = model.table(R), model.pairs
    of_state, of_action = (
        _distribution("states", states, n_states),
        _distribution("actions", actions, n_actions),
    )
    mean = np.einsum("sat,a,t->s", table, of_action, of_state, optimize=True)
    canonical = table + model.gamma * (mean - of_state @ mean) - mean[:, None, None]
    return Canonical(canonical, _largest(table, mean))


def dard(model: Model, R: NDArray[Any], actions: NDArray[Any] | None = None) -> Canonical:
    """DARD: C(s, a, s') = R(s, a, s') + E[gamma R(s', A, S'') - R(s, A, S') - gamma R(S', A, S'')].

    S' ~ P(s, A) and S'' ~ P(s', A), so the last reward is of a pair that need not follow each other.

    Source: Wulfe et al. 2022, definition of the dynamics-aware transformation.

    Args:
        model: the task.
        R: (S, A) or (S, A, S), defined on every triple.
        actions: (A,), the distribution of A; None = uniform.

    Raises:
        AuditError: the arrays do not fit.
    """
    table, of_action = model.table(R), _distribution("actions", actions, model.pairs[1])
    mean = np.einsum("sat,sat,a->s", model.P, table, of_action, optimize=True)
    crossed = np.zeros((len(table), len(table)))
    for action, share in enumerate(of_action):
        step = model.P[:, action]
        crossed += share * (step @ table[:, action] @ step.T)
    canonical = table + (model.gamma * (mean - crossed) - mean[:, None])[:, None, :]
    return Canonical(canonical, _largest(table, mean))


def _read(model: Model, R: NDArray[Any]) -> Array:
    """The rewards of transitions that can happen, which is all that VAL and the minimal form read."""
    return np.where(model.possible, model.table(R), 0.0)


def _largest(*arrays: Array) -> float:
    return max(float(np.abs(array).max()) for array in arrays)


def _distribution(name: str, given: NDArray[Any] | None, size: int) -> Array:
    mass = np.full(size, 1 / size) if given is None else np.asarray(given, np.float64)
    if mass.shape != (size,) or not ((mass >= 0).all() and np.isclose(mass.sum(), 1.0)):
        raise AuditError(f"{name} must be a distribution over {size}, got shape {mass.shape}.")
    return mass
