"""What an agent earns beyond the others of its team."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from typing_extensions import override

from shapegym.shaping.algebra import bounded
from shapegym.shaping.promises import Replay
from shapegym.shaping.remembered import SAME, Remembers
from shapegym.shaping.terms.events import EVENT
from shapegym.shaping.transitions import Spec, State, Transitions
from shapegym.shaping.tree import largest
from shapegym.shaping.types import Elementwise, Example, Term


@dataclass(frozen=True)
class TeamDifference(Term):
    """d_t = x_i - mean of x_j over the other active lanes j of lane i's world.

    With x = ``of``. Over the team it sums to 0. A lane that is alone, or whose company has ended, is paid x_i: there is nobody to
    compare with.

    It is a difference reward in the sense of Wolpert & Tumer 2002 (D_i = G(z) - G(z without i)) where G is the mean of x over the
    team and an agent's absence leaves the others' x as it was: then G(z) - G(z without i) = d / N for N agents. The counterfactual
    of what the others would have earned without the agent needs a simulator and is not computed. `TeamMean` is G itself.

    Bounded by twice the bound of ``of``. Keeps nothing. Replay: stamped (a stored transition has lost its company).

    Args:
        of: the expression x; its value must be known at each step.
    """

    of: Elementwise

    replay: ClassVar[Replay] = Replay.STAMP
    sees_world: ClassVar[bool] = True
    remembers: ClassVar[Remembers] = {"world": (SAME,)}
    bound = property(lambda self: bounded(lambda sizes: 2 * sizes[0], [largest(self.of)]))

    @override
    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example(cls(EVENT)),)

    @override
    def init(self, spec: Spec) -> State:
        return {"world": spec.world_of_lane}

    @override
    def measure(self, transitions: Transitions, state: State, *inputs: Any) -> np.ndarray:
        (values,) = inputs
        world, active = state["world"], transitions.active
        own = np.where(active, values, 0.0)
        others = np.bincount(world, own)[world] - own
        company = np.bincount(world, active)[world] - active
        return values - np.where(company > 0, others / np.maximum(company, 1.0), 0.0)
