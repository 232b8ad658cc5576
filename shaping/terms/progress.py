"""Progress as published environments pay it: by how much a state function rose, without discount and without a promise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from typing_extensions import override

from shapegym.shaping.algebra import bounded
from shapegym.shaping.states.distance import Distance
from shapegym.shaping.states.functions import Phi, as_state_function
from shapegym.shaping.transitions import State, Transitions
from shapegym.shaping.types import Example, Term


@dataclass(frozen=True)
class Progress(Term):
    """r_t = Phi(s_{t+1}) - Phi(s_t), at terminal states too.

    What Gymnasium's LunarLander and BipedalWalker pay ("shaping - prev_shaping"), and many robots that are paid for metres made.
    Over an episode it adds up to Phi(s_T) - Phi(s_0). It differs from ``Potential(phi)`` in two ways, and each can change optimal
    policies: nothing is discounted, whatever the agent's discount, and Phi counts in a terminal state, where the value of what
    comes is 0. So it keeps nothing; ``Potential(phi)`` is the same reward with the promise.

    Args:
        phi: the state function, or the name of one, as a `Potential` takes it.
    """

    phi: Phi

    looks = "both"
    bound = property(lambda self: bounded(lambda sizes: 2 * sizes[0], [as_state_function(self.phi).bound]))

    @override
    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(cls("features.progress")),
            Example(0.5 * cls(Distance("features.agent_pos", "features.goal_pos", "l1"))),
            Example(cls(Distance()), "dict"),
        )

    @override
    def measure(self, transitions: Transitions, state: State, *inputs: Any) -> np.ndarray:
        value = as_state_function(self.phi).value
        before = value(transitions.obs, transitions.features)
        return np.subtract(value(transitions.next_obs, transitions.next_features), before)
