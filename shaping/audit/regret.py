"""What optimising one reward costs under another, exactly, on a finite task."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from shapegym.shaping.audit.arguments import Array, Given, Mask
from shapegym.shaping.audit.mdp import MDP, TRIVIAL


def optimal_regret(
    P: Given, R1: Given, R2: Given, gamma: float, start: Given, *, terminal: Given | None = None
) -> float:
    """(max J1 - min J1 over the policies optimal under R2) / (max J1 - min J1), in [0, 1]; 0 if all policies are equal under R1.

    Optimal under R2 means optimal from every state. Ties are broken against the agent.

    Args:
        P: (S, A, S).
        R1: the reward that matters, (S, A) or (S, A, S).
        R2: the reward that is optimised.
        gamma: discount in [0, 1].
        start: (S,), the start distribution.
        terminal: (S,) bool; None = no terminal states.

    Raises:
        AuditError: the arrays do not fit, or gamma = 1 and an episode need not end.
    """
    mdp = MDP.of(P, gamma, terminal)
    begin, r1 = mdp.start(start), mdp.expected(R1)
    low, high = _lowest(mdp, r1, begin), float(begin @ mdp.best_q(r1).max(axis=1))
    if high - low <= TRIVIAL * largest_value(mdp, R1):
        return 0.0
    worst = _lowest(mdp, r1, begin, optimal_actions(mdp, R2))
    return float(np.clip((high - worst) / (high - low), 0.0, 1.0))


def worst_regret(
    P: Given, R1: Given, R2: Given, gamma: float, start: Given, *, terminal: Given | None = None
) -> float:
    """The most that a change which R2 does not call worse can cost: max J1(pi1) - J1(pi2) with J2(pi2) >= J2(pi1).

    It is given as a share of max J1 - min J1, in [0, 1], and is 0 if all policies are equal under R1. This is the regret that
    STARC bounds (Skalse et al. 2024, definition of soundness).

    Its dual is one number, the multiplier of the condition: min_{m >= 0} (max J - min J) of the reward R1 - m R2, a convex function
    of m with finitely many pieces. Each m gives the piece through it; the lowest point is where a falling and a rising piece meet.

    Arguments and errors as `optimal_regret`.
    """
    mdp = MDP.of(P, gamma, terminal)
    begin, rewards, rows = mdp.start(start), (mdp.expected(R1), mdp.expected(R2)), np.eye(mdp.pairs[1])

    def piece_of(weight: float, multiplier: float) -> _Piece:
        """Of the policies that are best and worst under weight R1 - multiplier R2."""
        r = weight * rewards[0] - multiplier * rewards[1]
        best, worst = (rows[mdp.best_q(sign * r).argmax(axis=1)] for sign in (1.0, -1.0))
        return _Piece(*(float(begin @ (mdp.value(each, best) - mdp.value(each, worst))) for each in rewards))

    falling = piece_of(1.0, 0.0)
    if falling.height <= TRIVIAL * largest_value(mdp, R1):
        return 0.0
    rising = piece_of(0.0, 1.0)
    if falling.slope <= 0 or -rising.slope <= TRIVIAL * largest_value(mdp, R2):
        return 1.0  # no m improves on 0, or all policies are equal under R2
    span = falling.height
    while True:
        m = (falling.height - rising.height) / (falling.slope - rising.slope)
        crossing = falling.height - m * falling.slope
        piece = piece_of(1.0, m)
        gained = piece.height - m * piece.slope - crossing
        if gained <= 1e-12 * span or piece in (falling, rising):
            return float(np.clip(crossing / span, 0.0, 1.0))
        if piece.slope > 0:
            falling = piece
        else:
            rising = piece


def optimal_actions(mdp: MDP, R: Given) -> Mask:
    """(S, A): the actions within rounding of the best, all of them in terminal states."""
    q = mdp.best_q(mdp.expected(R))
    return q >= q.max(axis=1, keepdims=True) - 1e-9 * largest_value(mdp, R)


def largest_value(mdp: MDP, R: Given) -> float:
    """What values under |R| reach, by which rounding errors of values under R are judged."""
    return float(mdp.best_q(mdp.expected(np.abs(R))).max())


class _Piece(NamedTuple):
    """The difference of two policies in J_{r1 - m r2}, a line in the multiplier m: height - m slope."""

    height: float
    slope: float


def _lowest(mdp: MDP, r: Array, start: Array, allowed: Mask | None = None) -> float:
    q = -mdp.best_q(-r, allowed)
    return float(start @ (q if allowed is None else np.where(allowed, q, np.inf)).min(axis=1))
