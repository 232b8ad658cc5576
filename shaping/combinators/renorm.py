"""ReNorm: a process reward calibrated by the outcome, so that good-looking steps cannot buy a failed episode."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from shapegym.shaping.algebra import TaskReward, lift
from shapegym.shaping.arrays import as_plain, like
from shapegym.shaping.checks import is_number
from shapegym.shaping.errors import ExpressionError
from shapegym.shaping.kernels.episodes import LAST, MAX, SUM, episode_totals, hold_back
from shapegym.shaping.transitions import Array, Episodes, State
from shapegym.shaping.types import EpisodicCombinator, Expression, Guarantee

_TASK = TaskReward()
_AGGREGATES = {"sum": SUM, "max": MAX, "last": LAST}


@dataclass(frozen=True)
class Renorm(EpisodicCombinator):
    """``r_t = p_t + o - mu`` at every step: p the process reward, o the outcome of the whole episode.

    With p in [0, 1], o in {0, 1} and mu = 1 the signs are consistent: no step of a failed episode is paid more than 0, none of a
    successful one less than 0. Operands outside of these ranges are taken as they are, and then the signs may differ. An episode of
    T steps earns sum p if its outcome is 1, and sum p - T if it is 0: failing late costs more than failing soon. Source: Xu et al.
    2025, "Hybrid Reward Normalization for Process-supervised Non-verifiable Agentic Tasks" (PPR with ReNorm).

    The outcome is known at the episode's end. Where a block ends before it, the open steps are paid 0, and what they are due is
    paid as one sum at the episode's last step. So an episode's return does not depend on where rollouts were cut. A truncated
    episode has the outcome that it has reached.

    Guarantee: none. The task's reward is paid again at every step.

    Args:
        process: p, paid at each step.
        outcome: what o is made of; the task reward by default.
        mu: the calibration, 1 for outcomes in {0, 1}.
        aggregate: how the outcome's values over the episode make o: "sum", "max" or "last".
    """

    process: Expression = None  # type: ignore[assignment]
    outcome: Expression = _TASK
    mu: float = 1.0
    aggregate: Literal["sum", "max", "last"] = "sum"

    def __post_init__(self) -> None:
        for key in ("process", "outcome"):
            if not isinstance(value := getattr(self, key), Expression):
                raise ExpressionError(f"Renorm: {key} must be an expression, got {value!r}.")
        if not is_number(self.mu):
            raise ExpressionError(f"Renorm: mu must be a finite number, got {self.mu!r}.")
        if self.aggregate not in _AGGREGATES:
            raise ExpressionError(
                f"Renorm: aggregate must be one of {', '.join(_AGGREGATES)}, got {self.aggregate!r}."
            )

    def compose_guarantee(self, guarantees: Sequence[Guarantee]) -> Guarantee:
        """Nothing, whatever the operands."""
        del guarantees
        return Guarantee.NONE

    def carry(self, num_lanes: int) -> State:
        """Return, of each lane's open episode, the outcome so far, the process rewards held back and the number of their steps."""
        return {
            "outcome": np.full(num_lanes, np.nan),
            "held": np.zeros(num_lanes),
            "steps": np.zeros(num_lanes),
        }

    def combine_block(self, values: Sequence[Array], episodes: Episodes, carry: State) -> Array:
        """See `EpisodicCombinator.combine_block`."""
        process, outcome = values
        shape = episodes.first.shape
        marks = (episodes.first, episodes.last, episodes.active)
        totals, closed = np.empty(shape), np.empty(shape, dtype=bool)
        episode_totals(
            as_plain(outcome), *marks, _AGGREGATES[self.aggregate], carry["outcome"], totals, closed
        )
        late, late_steps = np.empty(shape), np.empty(shape)
        everyone = np.ones(shape, dtype=bool)
        hold_back(as_plain(process), *marks, closed, everyone, carry["held"], late)
        hold_back(np.ones(shape), *marks, closed, everyone, carry["steps"], late_steps)
        calibration = np.where(closed & episodes.active, totals - self.mu, 0.0)
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
