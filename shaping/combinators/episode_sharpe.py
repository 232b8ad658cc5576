"""The Sharpe ratio of an episode, as its objective."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from typing_extensions import override

from shapegym.shaping.algebra import TaskReward
from shapegym.shaping.arrays import as_plain, like
from shapegym.shaping.kernels.risk import episode_sharpe
from shapegym.shaping.terms.potential import PROGRESS
from shapegym.shaping.transitions import Array, Episodes, State
from shapegym.shaping.types import Elementwise, EpisodicCombinator, Example

_TASK = TaskReward()


@dataclass(frozen=True)
class EpisodeSharpe(EpisodicCombinator):
    """At an episode's last step mean(r) / std(r) of all its values r_1 ... r_T, with T - 1 in the deviation; nothing before.

    0 if the episode has one step, or if its values are equal (the deviation is below 1e-12 of the largest): there is no ratio then,
    and an agent is not paid for finding that out. Against a benchmark it is that of the difference, ``EpisodeSharpe(r - 0.01)``. A
    truncated episode has the ratio that it has reached. Where episodes are long, `DifferentialSharpe` says at each step what it
    does to the ratio. Keeps nothing. Not differentiable.

    Source: Sharpe 1994, "The Sharpe Ratio", the historic (ex post) ratio.

    Args:
        of: r, known at its step; the task reward by default.
    """

    of: Elementwise = _TASK

    @override
    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example(cls()), Example(_TASK + 0.5 * cls(_TASK + PROGRESS)))

    @override
    def carry(self, num_lanes: int) -> State:
        """Return the moments of each lane's open episode, (4, B)."""
        return {"moments": np.zeros((4, num_lanes))}

    @override
    def combine_block(self, values: Sequence[Array], episodes: Episodes, carry: State) -> Array:
        paid = np.empty(episodes.first.shape)
        marks = (episodes.first, episodes.last, episodes.active)
        episode_sharpe(as_plain(values[0]), *marks, carry["moments"], paid)
        return like(paid, values[0])
