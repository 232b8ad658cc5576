"""Where a part prefers one action to another: does it prefer what leads to the solution?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from shapegym.shaping.programs.critic.known import Floats, Mask
from shapegym.shaping.programs.critic.paid import Measured, Paid

_EQUAL = 1e-9
"""Share of the largest pay below which two are equal."""


@dataclass(frozen=True)
class Opinions:
    """How a part judges actions in the known states, each weighed by how often a half-trained agent is there.

    Attributes:
        held: share of states in which it prefers some actions to others.
        wrong: share of these in which all that it prefers leads away from the solution.
        paid: where that shows most: the known part of the task.
        state: a state of its graph.
        states: how many states it was wrong in.
    """

    held: float
    wrong: float
    paid: Paid | None = None
    state: int = 0
    states: int = 0

    def steps(self, values: Floats) -> tuple[int, int]:
        """The edges that a part of pays (E,) prefers in the state, and that of the best action there."""
        assert self.paid is not None  # noqa: S101  # asked where something is wrong
        graph, known = self.paid.graph, self.paid.known
        groups = np.arange(graph.first_group[self.state], graph.first_group[self.state + 1])
        pays = graph.expected(values)[groups]
        good = np.flatnonzero(known.good[self.paid.group[groups]])
        first = graph.first_edge
        return int(first[groups[pays.argmax()]]), int(first[groups[good[0] if len(good) else pays.argmin()]])


def opinions(measured: Measured, part: int | None) -> Opinions:
    """Return the opinions of a part, or of the total (None).

    Of several parts one may give way to another, as a distance does that grows when a new stage of the task begins: a part is wrong
    only where the total is wrong, too.
    """
    held = wrong = everywhere = 0.0
    worst: tuple[float, Paid | None, int, int] = (0.0, None, 0, 0)
    for paid in measured.paid:
        has, fails = _judged(paid, paid.total if part is None else paid.parts[part])
        if part is not None:
            fails = fails & _judged(paid, paid.total)[1]
        weight = paid.presence
        everywhere += float(weight[paid.known.worth[paid.state] > 0].sum())
        held += float(weight[has].sum())
        wrong += float(weight[fails].sum())
        shown = weight * fails
        if fails.any() and shown.max() > worst[0]:
            worst = float(shown.max()), paid, int(shown.argmax()), worst[3]
        worst = (*worst[:3], worst[3] + int(fails.sum()))
    return Opinions(held / max(everywhere, 1e-300), wrong / max(held, 1e-300), *worst[1:])


def _judged(paid: Paid, values: Floats) -> tuple[Mask, Mask]:
    """In which states of the graph something is preferred, and in which only what leads away from the solution, (S,) each."""
    pay = paid.graph.expected(np.nan_to_num(values))
    most, least = paid.graph.most(pay), paid.graph.least(pay)
    level = _EQUAL * max(float(np.abs(pay).max(initial=0.0)), 1e-300)
    first = paid.graph.first_group[:-1]
    has = (paid.known.worth[paid.state] > 0) & ((most - least)[first] > level)
    fine = np.maximum.reduceat((pay >= most - level) & ~paid.known.bad[paid.group], first)
    return has, has & ~fine
