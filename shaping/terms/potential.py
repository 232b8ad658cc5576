"""Potential-based shaping: rewards that cannot change which policies are optimal.

F_t = gamma * Phi(s_{t+1}) - Phi(s_t), with Phi(s_{t+1}) = 0 if s_{t+1} is terminal, and only then: at a truncation s_{t+1} is an
ordinary state whose value the agent bootstraps, so its potential counts. Over an episode the discounted sum telescopes to
gamma^T Phi(s_T) - Phi(s_0), whatever happens in between (Ng, Harada & Russell 1999; Grzes 2017 for the terminal case).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, TypeAlias

import numpy as np
from annotated_types import Gt, Le
from typing_extensions import override

from shapegym.shaping.algebra import TaskReward, clip
from shapegym.shaping.errors import DiscountError, ObservationError
from shapegym.shaping.kernels.potential import potential_difference
from shapegym.shaping.promises import Keeps
from shapegym.shaping.remembered import SAME, Remembers
from shapegym.shaping.similarity.goal import GoalSimilarity
from shapegym.shaping.states.distance import Distance
from shapegym.shaping.states.functions import Phi, Table, as_state_function
from shapegym.shaping.terms.events import Event
from shapegym.shaping.transitions import Spec, State, Transitions
from shapegym.shaping.types import Example, Term

Discount: TypeAlias = Annotated[float, Gt(0), Le(1), "the agent's discount in (0, 1]"]


@dataclass(frozen=True)
class Potential(Term):
    """F_t = gamma * Phi(s_{t+1}) - Phi(s_t): state potential (Ng, Harada & Russell 1999, Theorem 1).

    Keeps optimal policies, and those of an agent that acts on Q + Phi.

    Args:
        phi: the state function, or the name of one.
        gamma: the agent's discount; None takes it from the agent. If both are known they must be equal.
    """

    phi: Phi
    gamma: Discount | None = None

    keeps: ClassVar[Keeps] = Keeps.POLICIES | Keeps.ADVICE
    remembers: ClassVar[Remembers] = {"gamma": (SAME,)}
    looks = "both"
    items = property(lambda self: as_state_function(self.phi).items)

    @override
    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        sevenths = Table((0.0, 0.5, -1.0, 2.0, 0.25, 1.5, -0.5))
        progress = cls("features.progress", gamma=0.9)
        return (
            Example(progress),
            Example(TaskReward() + progress + 0.3 * Event("features.event", 0.5, equals=2)),
            Example(clip(TaskReward() + 3.0 * progress, -0.5, 0.75)),
            Example(cls(Distance("features.agent_pos", "features.goal_pos", "l1"), gamma=0.9)),
            Example(cls(GoalSimilarity("you open the door"), gamma=0.9)),
            Example(cls(sevenths, gamma=0.9), "discrete"),
            Example(cls(Distance(), gamma=0.9), "dict"),
        )

    def init(self, spec: Spec) -> State:
        """Agree on the discount; raises `DiscountError` if it is unknown or not the agent's."""
        return {**super().init(spec), "gamma": agreed_gamma(self.gamma, spec)}

    @override
    def measure(self, transitions: Transitions, state: State, *inputs: Any) -> np.ndarray:
        value = self.phi.value  # type: ignore[union-attr]  # by now a state function; asking the ABC would take as long as reading
        phi_t = value(transitions.obs, transitions.features)
        phi_tp1 = value(transitions.next_obs, transitions.next_features)
        out = np.empty(len(transitions.reward))
        if not phi_t.shape == phi_tp1.shape == out.shape:  # the kernel does not check
            raise ObservationError(
                f"{self.phi} returned shapes {phi_t.shape} and {phi_tp1.shape} for {len(out)} lane(s); one number a lane is needed."
            )
        potential_difference(phi_t, phi_tp1, transitions.terminated, state["gamma"], out)
        return out

    @override
    def itemise(self, transitions: Transitions, state: State, *inputs: Any) -> np.ndarray:
        phi = as_state_function(self.phi)
        phi_t = phi.itemise(transitions.obs, transitions.features)
        phi_tp1 = phi.itemise(transitions.next_obs, transitions.next_features)
        out = np.empty(phi_t.shape)
        for before, after, difference in zip(phi_t, phi_tp1, out, strict=True):
            potential_difference(before, after, transitions.terminated, state["gamma"], difference)
        return out


PROGRESS = Potential("features.progress", gamma=0.9)
"""What examples shape with, on `shapegym.shaping.testing.ScriptedEnv`."""


def agreed_gamma(gamma: float | None, spec: Spec) -> float:
    """Return the discount on which term and agent agree.

    Raises:
        DiscountError: if they differ, or neither says.
    """
    if gamma is None and spec.gamma is None:
        raise DiscountError(
            "This potential has no gamma and none is known from an agent. Give Potential(..., gamma=...) the agent's discount, or "
            "pass gamma= to the surface. (Progress(phi) needs none: it pays Phi(s') - Phi(s), and promises nothing.)"
        )
    if gamma is None or spec.gamma is None:
        return float(gamma if gamma is not None else spec.gamma)  # type: ignore[arg-type]
    if gamma != spec.gamma:
        raise DiscountError(
            f"This potential has gamma={gamma}, the agent has gamma={spec.gamma}: with different discounts the shaping no longer "
            "telescopes and optimal policies can change. Make them equal, or leave the potential's gamma out. Progress(phi) pays "
            "Phi(s') - Phi(s) beside any discount, as many published environments do, and promises nothing."
        )
    return float(gamma)
