"""Whether a shaped reward asks for the same policies as the task's, as a certificate or with a state where it does not.

Exact, on the tables of a finite task. For recorded episodes of other tasks see `shapegym.shaping.audit.telescoping`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from shapegym.shaping.audit.canonical import minimal
from shapegym.shaping.audit.model import TRIVIAL, Array, Mask, Model
from shapegym.shaping.audit.regret import optimal_actions, optimal_regret

Relation = Literal["potential", "redistribution", "none"]
Optima = Literal["same", "fewer", "other"]

_ROUNDING = 10 * TRIVIAL
"""A share of the largest reward, potential or multiple of the task reward: what is smaller is no deviation."""


@dataclass(frozen=True)
class Witness:
    """A state in which the shaped reward asks for something else.

    Attributes:
        state: its index.
        task_action: an optimal action under the task reward.
        shaped_action: an optimal action under the shaped reward, and not under the task's.
        loss: V*(state) - Q*(state, shaped_action), both of the task reward.
    """

    state: int
    task_action: int
    shaped_action: int
    loss: float


@dataclass(frozen=True, eq=False)
class Certificate:
    """What a shaped reward is to the task reward, on the states that can be reached.

    Attributes:
        relation: "potential": scale * task + gamma Phi(s') - Phi(s), transition by transition. "redistribution": so in expectation
            over s'. Both order all policies as the task does. "none": neither.
        scale: the positive factor on the task reward; 1 if there is no relation.
        potential: (S,), the Phi that fits best in expectation; zero in terminal and unreachable states.
        deviation: largest |shaped - scale * task - (gamma Phi(s') - Phi(s))| over transitions that can happen.
        mean_deviation: the same over (s, a), in expectation over s'.
        optima: "same": the optimal actions agree in every state. "fewer": the shaped reward's are some of the task's. "other": see
            `witness`.
        witness: where an action that is optimal under the shaped reward loses the most task reward; None unless "other".
        regret: the share of the task's range of returns that the worst policy optimal under the shaped reward loses, from the start
            (`shapegym.shaping.audit.regret.optimal_regret`).
    """

    relation: Relation
    scale: float
    potential: Array
    deviation: float
    mean_deviation: float
    optima: Optima
    witness: Witness | None
    regret: float

    @property
    def invariant(self) -> bool:
        """Whether all policies are ordered as the task orders them."""
        return self.relation != "none"

    def __str__(self) -> str:
        """The verdict in one sentence."""
        if self.invariant:
            times = "" if self.scale == 1 else f"{self.scale:.6g} times "
            how = " in expectation over s'" if self.relation == "redistribution" else ""
            return f"Invariant: {times}the task reward plus potential shaping{how} (within {self.mean_deviation:.1e})."
        off = f"Not potential shaping (off by {self.mean_deviation:.3g})"
        if self.witness is None:
            agree = (
                "the optimal actions are the same"
                if self.optima == "same"
                else "its optimal actions are the task's"
            )
            return f"{off}, but here {agree}."
        return (
            f"{off}: in state {self.witness.state} it asks for action {self.witness.shaped_action} where the task asks for "
            f"{self.witness.task_action}, which costs {self.witness.loss:.4g} of the task return; regret {self.regret:.1%}."
        )


def certificate(
    P: NDArray[Any],
    task: NDArray[Any],
    shaped: NDArray[Any],
    gamma: float,
    terminal: NDArray[np.bool_] | None,
    start: NDArray[Any],
) -> Certificate:
    """Compare a shaped reward with the task's, without a time limit.

    Two rewards order all policies alike, from every start, exactly if one is a positive multiple of the other plus potential
    shaping plus S'-redistribution (Skalse et al. 2023); a least-squares fit decides it. If they do not, the optimal actions are
    compared. A potential has to be zero in terminal states: the reward of the last step is shaped with gamma Phi(s') = 0.

    Args:
        P: (S, A, S).
        task: (S, A) or (S, A, S).
        shaped: (S, A) or (S, A, S), all that the agent is paid.
        gamma: discount in [0, 1].
        terminal: (S,) bool; None = no terminal states.
        start: (S,), the start distribution.

    Raises:
        AuditError: the arrays do not fit, or gamma = 1 and an episode need not end.
    """
    model = Model.of(P, gamma, terminal)
    model.require_ends()
    reachable = model.reachable(model.start(start)) & ~model.terminal
    happens = model.possible & reachable[:, None, None]
    paid, wanted = (np.where(happens, model.table(R), 0.0) for R in (shaped, task))

    fit = plain = _fit(model, wanted, paid, 1.0, reachable)
    if plain.relation == "none" and (scale := _scale(model, wanted, paid, reachable)) > 0:
        fit = _fit(model, wanted, paid, scale, reachable)
    if fit.relation != "none":  # all policies are ordered alike, so the best are the same
        return Certificate(*fit, optima="same", witness=None, regret=0.0)
    optima, witness = _optima(model, wanted, paid, reachable)
    regret = optimal_regret(P, task, shaped, gamma, start, terminal=terminal)
    return Certificate(*plain, optima=optima, witness=witness, regret=regret)


class _Fit(NamedTuple):
    """The first attributes of a `Certificate`."""

    relation: Relation
    scale: float
    potential: Array
    deviation: float
    mean_deviation: float


def _fit(model: Model, task: Array, shaped: Array, scale: float, reachable: Mask) -> _Fit:
    """Shaped - scale * task as shaping; the potential that leaves the least of it is the negative one of its minimal form."""
    difference = shaped - scale * task
    form = minimal(model, difference, _weights(model, reachable))
    potential = 0.0 - form.potential
    shaping = model.gamma * potential - potential[:, None, None]
    deviation = float(np.abs(difference - shaping)[model.possible & reachable[:, None, None]].max())
    mean_deviation = float(np.abs(form.reward[reachable]).max())
    tolerance = _ROUNDING * max(form.scale, float(np.abs(shaped).max()), float(np.abs(scale * task).max()))
    relation: Relation = (
        "potential" if deviation <= tolerance else "redistribution" if mean_deviation <= tolerance else "none"
    )
    return _Fit(relation, scale, potential, deviation, mean_deviation)


def _scale(model: Model, task: Array, shaped: Array, reachable: Mask) -> float:
    """The factor that brings the minimal form of the task reward nearest to that of the shaped reward; 0 if the task is trivial."""
    form, other = (minimal(model, R, _weights(model, reachable)) for R in (task, shaped))
    one, two = form.reward[reachable], other.reward[reachable]
    if np.abs(one).max() <= _ROUNDING * form.scale:
        return 0.0
    return float((one * two).sum() / (one * one).sum())


def _weights(model: Model, reachable: Mask) -> Array:
    return np.broadcast_to(reachable[:, None], model.pairs).astype(np.float64)


def _optima(model: Model, task: Array, shaped: Array, reachable: Mask) -> tuple[Optima, Witness | None]:
    wanted, asked = optimal_actions(model, task)[reachable], optimal_actions(model, shaped)[reachable]
    if not (asked & ~wanted).any():
        return ("same" if (asked == wanted).all() else "fewer"), None
    q = model.best_q(model.expected(task))[reachable]
    loss = np.where(asked & ~wanted, q.max(axis=1, keepdims=True) - q, -np.inf)
    row, action = np.unravel_index(loss.argmax(), loss.shape)
    state = int(np.flatnonzero(reachable)[row])
    return "other", Witness(state, int(q[row].argmax()), int(action), float(loss[row, action]))
