"""The finite task that an audit is about: transitions, discount and terminal states."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shapegym.shaping.audit.arguments import (
    AMOUNTS,
    FLAGS,
    NUMBERS,
    TRANSITIONS,
    Array,
    Given,
    Kind,
    Mask,
    distribution,
    number,
    table,
)
from shapegym.shaping.errors import AuditError

TRIVIAL = 1e-11  # what is smaller than this share of the numbers it was computed from is rounding error


@dataclass(frozen=True, eq=False)
class MDP:
    """Transitions P[s, a, s'] = P(s' | s, a), discount gamma, and the terminal states, absorbing and without reward.

    Methods that are given tables or vectors raise `AuditError` if these do not fit.

    Attributes:
        P: (S, A, S) float64.
        gamma: in [0, 1].
        terminal: (S,) bool.
    """

    P: Array
    gamma: float
    terminal: Mask

    @classmethod
    def of(cls, P: Given, gamma: float, terminal: Given | None = None) -> MDP:
        """Check the arrays and make terminal states, None = none, absorbing."""
        P = table("P", P, TRANSITIONS, ("S", "A", "S"))
        number("gamma", gamma, 0, 1)
        ends = (
            np.zeros(len(P), np.bool_) if terminal is None else table("terminal", terminal, FLAGS, (len(P),))
        )
        absorbing = np.where(ends[:, None, None], np.eye(len(P))[:, None, :], P)
        return cls(absorbing, float(gamma), ends)

    @property
    def pairs(self) -> tuple[int, int]:
        """(S, A)."""
        return self.P.shape[0], self.P.shape[1]

    @property
    def possible(self) -> Mask:
        """(S, A, S): the transitions that can happen before an episode has ended."""
        return (self.P > 0) & ~self.terminal[:, None, None]

    def table(self, R: Given) -> Array:
        """A reward (S, A) or (S, A, S) as (S, A, S)."""
        R = table("A reward", R, NUMBERS, self.pairs, self.P.shape)
        return np.broadcast_to(R.reshape(*self.pairs, -1), self.P.shape)

    def expected(self, R: Given) -> Array:
        """r(s, a) = sum_s' P(s' | s, a) R(s, a, s'), (S, A), zero in terminal states."""
        mean = np.einsum("sat,sat->sa", self.P, self.table(R))
        return np.where(self.terminal[:, None], 0.0, mean)

    def advantage(self, r: Array, potential: Array) -> Array:
        """r(s, a) + gamma E[Phi(S')] - Phi(s), (S, A), of a potential that is zero in terminal states."""
        return r + self.gamma * (self.P @ potential) - potential[:, None]

    def policy(self, policy: Given | None) -> Array:
        """Probabilities (S, A) of a policy given so, as actions (S,), or as None, which is uniform."""
        states, actions = self.pairs
        if policy is not None and np.ndim(policy) == 1:
            words = f"in 0 .. {actions - 1} (or a policy {self.pairs} probabilities)"
            kind = Kind(words, "iu", lambda given: (given >= 0) & (given < actions))
            return np.eye(actions)[table("A policy's actions", policy, kind, (states,))]
        return distribution(f"A policy that is not ({states},) actions", policy, *self.pairs)

    def weights(self, weights: Given | None) -> Array:
        """A distribution over (s, a), (S, A), zero in terminal states and not everywhere else; None = uniform over the rest."""
        given = np.ones(self.pairs) if weights is None else table("weights", weights, AMOUNTS, self.pairs)
        inner = np.where(self.terminal[:, None], 0.0, given)
        if not inner.any():
            raise AuditError("weights are zero in every state that is not terminal, so nothing is compared.")
        return inner / inner.sum()

    def start(self, start: Given) -> Array:
        """A start distribution (S,)."""
        return distribution("start", start, len(self.P))

    def value(self, r: Array, policy: Array) -> Array:
        """V^pi (S,), which solves V = r_pi + gamma P_pi V with V = 0 in terminal states.

        Raises:
            AuditError: gamma = 1 and the policy need not end.
        """
        p_pi = np.einsum("sa,sat->st", policy, self.P)
        if self.gamma == 1 and (endless := np.flatnonzero(~_led_to((p_pi > 0).T, self.terminal))).size:
            raise AuditError(
                f"gamma = 1: from states {_some(endless)} the policy never ends, so it has no value. Take gamma < 1, a policy "
                'that ends from every state, or canonical="minimal", which needs no policy.'
            )
        value, inner = np.zeros(len(r)), np.flatnonzero(~self.terminal)
        system = np.eye(inner.size) - self.gamma * p_pi[np.ix_(inner, inner)]
        value[inner] = np.linalg.solve(system, (policy * r).sum(axis=1)[inner])
        return value

    def best_q(self, r: Array, allowed: Mask | None = None) -> Array:
        """Q* (S, A) by policy iteration (Howard 1960), where only the actions `allowed`, (S, A), may be taken.

        It is exact but for rounding: an action is exchanged for one that is better by more than that.

        Raises:
            AuditError: gamma = 1 and an episode need not end.
        """
        self.require_ends()
        forbidden = np.zeros(self.pairs, np.bool_) if allowed is None else ~allowed
        actions, rows = np.argmin(forbidden, axis=1), np.arange(len(r))
        while True:
            q = r + self.gamma * (self.P @ self.value(r, np.eye(r.shape[1])[actions]))
            candidates = np.where(forbidden, -np.inf, q)
            better = candidates.max(axis=1) > q[rows, actions] + 1e-12 * (1e-300 + np.abs(q).max())
            if not better.any():
                return q
            actions = np.where(better, candidates.argmax(axis=1), actions)

    def require_ends(self) -> None:
        """Raise `AuditError` if gamma = 1 and an episode need not end."""
        linked, left = self.P.max(axis=1) > 0, ~self.terminal
        while left.any() and (off := left & ~linked[:, left].any(axis=1)).any():
            left &= ~off  # their successors are all off, so they cannot be visited again
        if self.gamma == 1 and left.any():
            raise AuditError(
                f"gamma = 1: states {_some(np.flatnonzero(left))} need not be left for good, so optimal values may be infinite. "
                "Take gamma < 1."
            )

    def reachable(self, start: Array) -> Mask:
        """(S,): the states that some policy visits."""
        return _led_to(self.P.max(axis=1) > 0, start > 0)


def _led_to(linked: Mask, seen: Mask) -> Mask:
    """States to which links (S, S) lead from those seen, these included."""
    while (more := seen | linked[seen].any(axis=0)).sum() > seen.sum():
        seen = more
    return seen


def _some(states: NDArray[np.int64]) -> str:
    return f"{states[:5].tolist()}{' ...' if states.size > 5 else ''}"
