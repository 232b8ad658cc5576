"""Terms of several agents: what a lane is paid in view of those that share its world (`Spec.worlds`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from typing_extensions import override

from shapegym.shaping.promises import Replay
from shapegym.shaping.remembered import SAME, Remembers
from shapegym.shaping.terms.events import EVENT
from shapegym.shaping.transitions import Spec, State, Transitions
from shapegym.shaping.tree import largest
from shapegym.shaping.types import Elementwise, Example, Term


@dataclass(frozen=True)
class TeamMean(Term):
    """m_t = mean of ``of`` over the active lanes of the lane's world, the lane itself among them.

    What an agent earns beyond its team is ``of - TeamMean(of)``, which sums to 0 over the team. A lane that is alone gets ``of``.
    Bounded as ``of`` is. Replay: stamped (a stored transition has lost its company).

    Args:
        of: the expression whose mean it is; its value must be known at each step.
    """

    of: Elementwise

    replay: ClassVar[Replay] = Replay.STAMP
    remembers: ClassVar[Remembers] = {"world": (SAME,)}
    sees_world: ClassVar[bool] = True
    bound = property(lambda self: largest(self.of))

    @override
    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example(cls(EVENT)), Example(EVENT - cls(EVENT)))

    @override
    def init(self, spec: Spec) -> State:
        return {"world": spec.world_of_lane}

    @override
    def measure(self, transitions: Transitions, state: State, *inputs: Any) -> np.ndarray:
        (values,) = inputs
        world, active = state["world"], transitions.active
        total = np.bincount(world, np.where(active, values, 0.0))
        mean: np.ndarray = total / np.maximum(np.bincount(world, active), 1.0)
        return mean[world]
