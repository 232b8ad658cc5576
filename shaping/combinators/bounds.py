"""Bounds on what a trajectory can collect: no repetition of a step reward pays more and more.

| mechanism | reward of step t | sum over any trajectory |
|---|---|---|
| `cap` (Clip) | min(p_t - eta, 0) | at most 0 |
| `delta` | p_t - p_{t+1}, and p_T at the last step | p_1: at most the largest p |

``delta(cap(p, eta))`` has both: the sum of every suffix is the clipped value of its first step.
Source: Gao et al. 2024, "On Designing Effective RL Reward at Training Time for LLM Reasoning" (arXiv 2410.15115).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from typing_extensions import override

from shapegym.shaping.algebra import Clip, TaskReward, add, bounded
from shapegym.shaping.combinators.advice import with_successors
from shapegym.shaping.terms.events import EVENT
from shapegym.shaping.transitions import Array, Episodes, State
from shapegym.shaping.types import EpisodicCombinator, Example, Expression


def cap(of: Expression, eta: float) -> Expression:
    """Return ``min(of - eta, 0)``: a step is at best free, so that more steps never pay. An upper bound, not a lower one."""
    return Clip(add(of, -eta), -math.inf, 0.0)


@dataclass(frozen=True)
class Delta(EpisodicCombinator):
    """``p_t - p_{t+1}`` within an episode, and p_T at its last step: the sum from any step on is that step's own p.

    So a step is paid for what it is, not for how often it can be repeated. The next value is known one step later; where a block
    ends inside an episode, its last step is paid p_t and the first step of the next block the -p_{t+1} that was due. So what an
    episode sums to does not depend on where rollouts were cut. Bounded if p is.

    Args:
        of: the step reward p.
    """

    of: Expression

    waits_for_end: ClassVar[bool] = False

    @override
    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example(TaskReward() + cls(EVENT)),)

    @override
    def compose_bound(self, bounds: Sequence[float | None]) -> float | None:
        return bounded(lambda sizes: 2.0 * sizes[0], bounds)

    @override
    def carry(self, num_lanes: int) -> State:
        """Return which lanes ended their last block inside an episode."""
        return {"unfinished": np.zeros(num_lanes, dtype=bool)}

    @override
    def combine_block(self, values: Sequence[Array], episodes: Episodes, carry: State) -> Array:
        own, following = with_successors(values[0], episodes, carry)
        return own - following


def delta(of: Expression) -> Expression:
    """Pay the difference to the next step's value. See `Delta`."""
    return Delta(of)
