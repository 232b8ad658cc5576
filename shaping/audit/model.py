"""The finite task that an audit is about, checked once: transitions, discount, terminal states."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shapegym.shaping.errors import AuditError

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

TRIVIAL = 1e-11  # what is smaller than this share of the numbers it was computed from is rounding error


@dataclass(frozen=True, eq=False)
class Model:
    """Transitions P[s, a, s'] = P(s' | s, a), discount gamma, and the terminal states, absorbing and without reward.

    Attributes:
        P: (S, A, S) float64.
        gamma: in [0, 1].
        terminal: (S,) bool.
    """

    P: Array
    gamma: float
    terminal: Mask

    @classmethod
    def of(cls, P: NDArray[Any], gamma: float, terminal: NDArray[Any] | None = None) -> Model:
        """Check the arrays and make terminal states absorbing.

        Raises:
            AuditError: P is no transition table, gamma no discount, or terminal no mask of its states.
        """
        P = np.asarray(P, np.float64)
        if P.ndim != 3 or P.shape[0] != P.shape[2] or 0 in P.shape:
            raise AuditError(f"P must be (S, A, S) with at least one state and action, got shape {P.shape}.")
        if not ((P >= 0).all() and np.allclose(P.sum(axis=2), 1.0, rtol=0, atol=1e-9)):
            raise AuditError("Every row P[s, a] must be non-negative and sum to 1.")
        if not (isinstance(gamma, (int, float, np.floating)) and 0 <= gamma <= 1):
            raise AuditError(f"gamma must be in [0, 1], got {gamma!r}.")
        ends = np.zeros(len(P), np.bool_) if terminal is None else np.asarray(terminal)
        if ends.shape != (len(P),) or ends.dtype != np.bool_:
            raise AuditError(f"terminal must be ({len(P)},) bool, got {ends.dtype} of shape {ends.shape}.")
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

    def table(self, R: NDArray[Any]) -> Array:
        """A reward (S, A) or (S, A, S) as (S, A, S).

        Raises:
            AuditError: the reward has another shape, or is NaN or infinite somewhere.
        """
        R = np.asarray(R, np.float64)
        if R.shape == self.pairs:
            R = np.broadcast_to(R[:, :, None], self.P.shape)
        if R.shape != self.P.shape:
            raise AuditError(f"A reward must be {self.pairs} or {self.P.shape}, got shape {R.shape}.")
        if not np.isfinite(R).all():
            raise AuditError(f"The reward is not finite at {np.argwhere(~np.isfinite(R))[0].tolist()}.")
        return R

    def expected(self, R: NDArray[Any]) -> Array:
        """r(s, a) = sum_s' P(s' | s, a) R(s, a, s'), (S, A), zero in terminal states."""
        mean = np.einsum("sat,sat->sa", self.P, self.table(R))
        return np.where(self.terminal[:, None], 0.0, mean)

    def advantage(self, r: Array, potential: Array) -> Array:
        """r(s, a) + gamma E[Phi(S')] - Phi(s), (S, A), of a potential that is zero in terminal states."""
        return r + self.gamma * (self.P @ potential) - potential[:, None]

    def policy(self, policy: NDArray[Any] | None) -> Array:
        """Probabilities (S, A) of a policy given so, as actions (S,), or as None, which is uniform.

        Raises:
            AuditError: the policy fits neither.
        """
        states, actions = self.pairs
        if policy is None:
            return np.full((states, actions), 1 / actions)
        policy = np.asarray(policy)
        if policy.shape == (states,) and policy.dtype.kind in "iu":
            if policy.min() < 0 or policy.max() >= actions:
                raise AuditError(f"A policy's actions must be in 0 .. {actions - 1}.")
            return np.eye(actions)[policy]
        if policy.shape != self.pairs or not ((policy >= 0).all() and np.allclose(policy.sum(axis=1), 1.0)):
            raise AuditError(
                f"A policy must be {self.pairs} probabilities or ({states},) actions, got shape {policy.shape}."
            )
        return policy.astype(np.float64)

    def value(self, r: Array, policy: Array) -> Array:
        """V^pi (S,), which solves V = r_pi + gamma P_pi V with V = 0 in terminal states.

        Raises:
            AuditError: gamma = 1 and the policy need not end.
        """
        p_pi = np.einsum("sa,sat->st", policy, self.P)
        if self.gamma == 1 and (endless := np.flatnonzero(~_reaches(p_pi, self.terminal))).size:
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
        if self.gamma == 1 and (recurrent := self._recurrent()).size:
            raise AuditError(
                f"gamma = 1: states {_some(recurrent)} need not be left for good, so optimal values may be infinite. "
                "Take gamma < 1."
            )

    def weights(self, weights: NDArray[Any] | None) -> Array:
        """A distribution over (s, a), (S, A); None = uniform over the states that are not terminal.

        Raises:
            AuditError: the weights have another shape, are negative or not finite, or are zero outside terminal states.
        """
        given = np.ones(self.pairs) if weights is None else np.asarray(weights, np.float64)
        if given.shape != self.pairs or not (np.isfinite(given) & (given >= 0)).all():
            raise AuditError(
                f"weights must be {self.pairs}, finite and not negative; got shape {given.shape}."
            )
        inner = np.where(self.terminal[:, None], 0.0, given)
        if not inner.any():
            raise AuditError("weights are zero in every state that is not terminal, so nothing is compared.")
        return inner / inner.sum()

    def start(self, start: NDArray[Any]) -> Array:
        """A checked start distribution (S,).

        Raises:
            AuditError: it is no distribution over the states.
        """
        start = np.asarray(start, np.float64)
        if start.shape != (len(self.P),) or not ((start >= 0).all() and np.isclose(start.sum(), 1.0)):
            raise AuditError(
                f"start must be a distribution over {len(self.P)} states, got shape {start.shape}."
            )
        return start

    def reachable(self, start: Array) -> Mask:
        """(S,): the states that some policy visits."""
        linked, seen = self.P.max(axis=1) > 0, start > 0
        while (more := seen | linked[seen].any(axis=0)).sum() > seen.sum():
            seen = more
        return seen

    def _recurrent(self) -> NDArray[np.int64]:
        """States that can be visited again, or that lead to such: peel off those whose successors are all off."""
        linked, left = self.P.max(axis=1) > 0, ~self.terminal
        while left.any() and (off := left & ~linked[:, left].any(axis=1)).any():
            left &= ~off
        return np.flatnonzero(left)


def _reaches(p_pi: Array, ends: Mask) -> Mask:
    """States from which a terminal state can be reached."""
    reached = ends
    while (more := reached | (p_pi[:, reached] > 0).any(axis=1)).sum() > reached.sum():
        reached = more
    return reached


def _some(states: NDArray[np.int64]) -> str:
    return f"{states[:5].tolist()}{' ...' if states.size > 5 else ''}"
