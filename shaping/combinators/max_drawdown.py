"""The maximum drawdown of an episode, as an objective or a cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from typing_extensions import override

from shapegym.shaping.algebra import TaskReward
from shapegym.shaping.arrays import as_plain, like
from shapegym.shaping.kernels.risk import deepest_fall
from shapegym.shaping.transitions import Array, Episodes, State
from shapegym.shaping.types import Elementwise, EpisodicCombinator, Example

_TASK = TaskReward()


@dataclass(frozen=True)
class MaxDrawdown(EpisodicCombinator):
    """At an episode's last step max_{s <= t} (E_s - E_t), how deep its equity E fell from its highest; nothing before.

    It is never negative, so it is a cost: ``TaskReward() - 0.5 * MaxDrawdown()``. E_t = r_1 + ... + r_t with E_0 = 0; or, if
    ``compounded``, E_t = (1 + r_1) ... (1 + r_t) with E_0 = 1, the fall is divided by E_s, and what loses all (r <= -1) stays at 0,
    a fall of 1. An equity that never falls, of one step or many, is paid 0. A truncated episode has the fall that it has reached.

    Bounded by 1 if compounded. Keeps nothing. Not differentiable. Source: Magdon-Ismail & Atiya 2004, "Maximum Drawdown".

    Args:
        of: r, known at its step; the task reward by default.
        compounded: r are returns on what there is, and not amounts.
    """

    of: Elementwise = _TASK
    compounded: bool = False

    @override
    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example(_TASK - 0.5 * cls()), Example(cls(0.1 * _TASK, compounded=True)))

    @override
    def compose_bound(self, bounds: Sequence[float | None]) -> float | None:
        return 1.0 if self.compounded else None

    @override
    def carry(self, num_lanes: int) -> State:
        """Return equity, its highest and its deepest fall of each lane's open episode, (3, B)."""
        return {"equity": np.zeros((3, num_lanes))}

    @override
    def combine_block(self, values: Sequence[Array], episodes: Episodes, carry: State) -> Array:
        paid = np.empty(episodes.first.shape)
        marks = (episodes.first, episodes.last, episodes.active)
        deepest_fall(as_plain(values[0]), *marks, self.compounded, carry["equity"], paid)
        return like(paid, values[0])
