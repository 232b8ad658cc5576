"""Whether a shaped reward asks for the same policies as the task's, as a certificate or with a state where it does not.

Exact, on the tables of a finite task. For recorded episodes of other tasks see `shapegym.shaping.audit.telescoping`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from shapegym.shaping.audit.arguments import Array, Given
from shapegym.shaping.audit.canonical import minimal
from shapegym.shaping.audit.mdp import MDP, TRIVIAL
from shapegym.shaping.audit.regret import optimal_actions, optimal_regret

Relation = Literal["potential", "redistribution", "none"]
Optima = Literal["same", "fewer", "other"]

_ROUNDING = 10 * TRIVIAL
"""A share of the largest reward: what is smaller is no deviation."""

_LOST = 16 * float(np.finfo(np.float64).eps)
"""Share of the largest potential that is rounding, for each state: near gamma = 1 a potential may be far larger than rewards."""


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
            same = self.optima == "same"
            agree = "the optimal actions are the same" if same else "its optimal actions are the task's"
            return f"{off}, but here {agree}."
        return (
            f"{off}: in state {self.witness.state} it asks for action {self.witness.shaped_action} where the task asks for "
            f"{self.witness.task_action}, which costs {self.witness.loss:.4g} of the task return; regret {self.regret:.1%}."
        )


def certificate(
    P: Given, task: Given, shaped: Given, gamma: float, terminal: Given | None, start: Given
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
    whole = MDP.of(P, gamma, terminal)
    whole.require_ends()
    # What is never reached is left out as terminal states are.
    mdp = MDP.of(P, gamma, whole.terminal | ~whole.reachable(whole.start(start)))
    paid, wanted = (np.where(mdp.possible, mdp.table(R), 0.0) for R in (shaped, task))

    fit = plain = _fit(mdp, wanted, paid, 1.0)
    if not plain.invariant and (scale := _scale(mdp, wanted, paid)) > 0:
        fit = _fit(mdp, wanted, paid, scale)
    if fit.invariant:
        return fit
    optima, witness = _optima(mdp, wanted, paid)
    regret = optimal_regret(P, task, shaped, gamma, start, terminal=terminal)
    return replace(plain, optima=optima, witness=witness, regret=regret)


def _fit(mdp: MDP, task: Array, shaped: Array, scale: float) -> Certificate:
    """Shaped - scale * task as shaping; the potential that leaves the least of it is the negative one of its minimal form.

    If it is shaping, all policies are ordered alike, so the best are the same.
    """
    difference = shaped - scale * task
    form = minimal(mdp, difference)
    potential = 0.0 - form.potential
    shaping = mdp.gamma * potential - potential[:, None, None]
    deviation = float(np.abs(difference - shaping)[mdp.possible].max())
    mean_deviation = float(np.abs(form.reward).max())
    tolerance = _tolerance(potential, shaped, scale * task)
    relation: Relation = (
        "potential" if deviation <= tolerance else "redistribution" if mean_deviation <= tolerance else "none"
    )
    return Certificate(relation, scale, potential, deviation, mean_deviation, "same", None, 0.0)


def _scale(mdp: MDP, task: Array, shaped: Array) -> float:
    """The factor that brings the minimal form of the task reward nearest to that of the shaped reward; 0 if the task is trivial."""
    form, other = minimal(mdp, task), minimal(mdp, shaped)
    if np.abs(form.reward).max() <= _tolerance(form.potential, task):
        return 0.0
    return float((form.reward * other.reward).sum() / (form.reward**2).sum())


def _tolerance(potential: Array, *rewards: Array) -> float:
    """What deviations may be and still be none: rounding of the rewards, and of differences of the potential."""
    largest = max(float(np.abs(table).max()) for table in rewards)
    return max(_ROUNDING * largest, _LOST * len(potential) * float(np.abs(potential).max()))


def _optima(mdp: MDP, task: Array, shaped: Array) -> tuple[Optima, Witness | None]:
    wanted, asked = optimal_actions(mdp, task), optimal_actions(mdp, shaped)
    if not (asked & ~wanted).any():
        return ("same" if (asked == wanted).all() else "fewer"), None
    q = mdp.best_q(mdp.expected(task))
    loss = np.where(asked & ~wanted, q.max(axis=1, keepdims=True) - q, -np.inf)
    state, action = map(int, np.unravel_index(loss.argmax(), loss.shape))
    return "other", Witness(state, int(q[state].argmax()), action, float(loss[state, action]))
