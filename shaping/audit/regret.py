"""What optimising one reward costs under another, exactly, on a finite task."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from shapegym.shaping.audit.model import TRIVIAL, Array, Mask, Model


class _Line(NamedTuple):
    """The range of J_{r1 - m r2} of one pair of policies as a function of the multiplier m: height - m slope."""

    height: float
    slope: float


def optimal_regret(
    P: NDArray[Any],
    R1: NDArray[Any],
    R2: NDArray[Any],
    gamma: float,
    start: NDArray[Any],
    *,
    terminal: NDArray[np.bool_] | None = None,
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
    model = Model.of(P, gamma, terminal)
    begin, r1 = model.start(start), model.expected(R1)
    low, high = _lowest(model, r1, begin), float(begin @ model.best_q(r1).max(axis=1))
    if high - low <= TRIVIAL * largest_value(model, R1):
        return 0.0
    worst = _lowest(model, r1, begin, optimal_actions(model, R2))
    return float(np.clip((high - worst) / (high - low), 0.0, 1.0))


def worst_regret(
    P: NDArray[Any],
    R1: NDArray[Any],
    R2: NDArray[Any],
    gamma: float,
    start: NDArray[Any],
    *,
    terminal: NDArray[np.bool_] | None = None,
) -> float:
    """The most that a change which R2 does not call worse can cost: max J1(pi1) - J1(pi2) with J2(pi2) >= J2(pi1).

    It is given as a share of max J1 - min J1, in [0, 1], and is 0 if all policies are equal under R1. This is the regret that
    STARC bounds (Skalse et al. 2024, definition of soundness).

    Its dual is one number, the multiplier of the condition: min_{m >= 0} (max J - min J) of the reward R1 - m R2, a convex function
    of m with finitely many pieces. Each m gives the piece through it; the lowest point is where a falling and a rising piece meet.

    Args:
        P: (S, A, S).
        R1: the reward that matters, (S, A) or (S, A, S).
        R2: the reward that is improved.
        gamma: discount in [0, 1].
        start: (S,), the start distribution.
        terminal: (S,) bool; None = no terminal states.

    Raises:
        AuditError: the arrays do not fit, or gamma = 1 and an episode need not end.
    """
    model = Model.of(P, gamma, terminal)
    begin = model.start(start)
    r1, r2 = model.expected(R1), model.expected(R2)
    falling = _piece(model, r1, r2, begin, r1)
    if falling.height <= TRIVIAL * largest_value(model, R1):
        return 0.0
    rising = _piece(model, r1, r2, begin, -r2)
    if falling.slope <= 0 or -rising.slope <= TRIVIAL * largest_value(model, R2):
        return 1.0  # no m improves on 0, or all policies are equal under R2
    span = falling.height
    while True:
        m = (falling.height - rising.height) / (falling.slope - rising.slope)
        crossing = falling.height - m * falling.slope
        piece = _piece(model, r1, r2, begin, r1 - m * r2)
        gained = piece.height - m * piece.slope - crossing
        if gained <= 1e-12 * span or piece in (falling, rising):
            return float(np.clip(crossing / span, 0.0, 1.0))
        if piece.slope > 0:
            falling = piece
        else:
            rising = piece


def optimal_actions(model: Model, R: NDArray[Any]) -> Mask:
    """(S, A): the actions within rounding of the best, all of them in terminal states."""
    q = model.best_q(model.expected(R))
    return q >= q.max(axis=1, keepdims=True) - 1e-9 * largest_value(model, R)


def largest_value(model: Model, R: NDArray[Any]) -> float:
    """What values under |R| reach, by which rounding errors of values under R are judged."""
    return float(model.best_q(model.expected(np.abs(R))).max())


def _piece(model: Model, r1: Array, r2: Array, start: Array, r: Array) -> _Line:
    """The pair of policies that is best and worst under r, as a line."""
    best, worst = (model.best_q(sign * r).argmax(axis=1) for sign in (1.0, -1.0))
    rows = np.eye(r.shape[1])
    height, slope = (
        float(start @ (model.value(each, rows[best]) - model.value(each, rows[worst]))) for each in (r1, r2)
    )
    return _Line(height, slope)


def _lowest(model: Model, r: Array, start: Array, allowed: Mask | None = None) -> float:
    q = -model.best_q(-r, allowed)
    return float(start @ (q if allowed is None else np.where(allowed, q, np.inf)).min(axis=1))
