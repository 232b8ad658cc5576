"""ReNorm: a process reward calibrated by the outcome, so that good-looking steps cannot buy a failed episode."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from typing_extensions import override

from shapegym.shaping.algebra import TaskReward, lift
from shapegym.shaping.arrays import like
from shapegym.shaping.combinators.whole_episodes import held_back, totals
from shapegym.shaping.terms.events import EVENT
from shapegym.shaping.terms.potential import PROGRESS
from shapegym.shaping.transitions import Array, Episodes, State
from shapegym.shaping.types import EpisodicCombinator, Example, Expression

_TASK = TaskReward()


@dataclass(frozen=True)
class Renorm(EpisodicCombinator):
    """``r_t = p_t + o - mu`` at every step: p the process reward, o the outcome of the whole episode.

    With p in [0, 1], o in {0, 1} and mu = 1 the signs are consistent: no step of a failed episode is paid more than 0, none of a
    successful one less than 0. Operands outside of these ranges are taken as they are, and then the signs may differ. An episode of
    T steps earns sum p if its outcome is 1, and sum p - T if it is 0: failing late costs more than failing soon. Source: Xu et al.
    2025, "Hybrid Reward Normalization for Process-supervised Non-verifiable Agentic Tasks" (PPR with ReNorm).

    The outcome is known at the episode's end. Where a block ends before it, the open steps are paid 0, and what they are due is
    paid as one sum at the episode's last step. So the sum of an episode's rewards does not depend on where rollouts were cut, and
    its discounted return does. A truncated episode has the outcome that it has reached.

    Keeps nothing: the task's reward is paid again at every step.

    Args:
        process: p, paid at each step.
        outcome: what o is made of; the task reward by default.
        mu: the calibration, 1 for outcomes in {0, 1}.
        aggregate: how the outcome's values over the episode make o: "sum", "max" or "last".
    """

    process: Expression
    outcome: Expression = _TASK
    mu: float = 1.0
    aggregate: Literal["sum", "max", "last"] = "sum"

    @override
    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example(cls(EVENT)), Example(0.5 * cls(PROGRESS, _TASK, 0.5, "last") + _TASK))

    @override
    def pays_task(self, times: Sequence[int]) -> int:
        return sum(times)

    @override
    def carry(self, num_lanes: int) -> State:
        """Return, of each lane's open episode, the outcome so far, the process rewards held back and the number of their steps."""
        return {
            "outcome": np.full(num_lanes, np.nan),
            "held": np.zeros(num_lanes),
            "steps": np.zeros(num_lanes),
        }

    @override
    def combine_block(self, values: Sequence[Array], episodes: Episodes, carry: State) -> Array:
        process, outcome = values
        marks = (episodes.first, episodes.last, episodes.active)
        outcomes, closed = totals(outcome, marks, carry["outcome"], self.aggregate)
        late = held_back(process, marks, closed, None, carry["held"])
        late_steps = held_back(np.ones(late.shape), marks, closed, None, carry["steps"])
        calibration = np.where(closed & episodes.active, outcomes - self.mu, 0.0)
        return (
            process * like(closed, process)
            + like(calibration, process)
            + like(late + late_steps * calibration, process)
        )


def renorm(
    process: Expression,
    outcome: Expression | None = None,
    mu: float = 1.0,
    aggregate: Literal["sum", "max", "last"] = "sum",
) -> Expression:
    """Return ``process + outcome - mu`` at every step, with the outcome of the whole episode. See `Renorm`."""
    return Renorm(process, TaskReward() if outcome is None else lift(outcome), mu, aggregate)
