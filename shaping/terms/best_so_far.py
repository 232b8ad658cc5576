"""The best so far: only what is better than anything before in the episode is paid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from typing_extensions import override

from shapegym.shaping.algebra import bounded
from shapegym.shaping.promises import Replay
from shapegym.shaping.states.distance import Distance
from shapegym.shaping.states.functions import Phi, as_state_function
from shapegym.shaping.transitions import Spec, State, Transitions
from shapegym.shaping.types import Example, Term


@dataclass(frozen=True)
class BestSoFar(Term):
    """r_t = max(Phi(s_{t+1}) - m_t, 0), where m_t = max(Phi(s_0), ..., Phi(s_t)) is the best of the episode before the step.

    With a `Distance`, "closer than ever before": walking to and fro earns nothing, and over an episode it adds up to
    max_t Phi(s_t) - Phi(s_0). Going back is free, unlike with `Progress`. Keeps nothing.

    Replay: stamped (depends on what happened before in the episode).

    Args:
        phi: the state function, or the name of one; higher is better.
    """

    phi: Phi

    replay: ClassVar[Replay] = Replay.STAMP
    looks = "both"
    bound = property(lambda self: bounded(lambda sizes: 2 * sizes[0], [as_state_function(self.phi).bound]))

    @override
    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(cls("features.progress")),
            Example(cls(Distance("features.agent_pos", "features.goal_pos"))),
            Example(cls(Distance()), "dict"),
        )

    @override
    def init(self, spec: Spec) -> State:
        return {**super().init(spec), "best": np.zeros(spec.num_lanes), "paid": np.zeros(spec.num_lanes)}

    @override
    def observe(self, transitions: Transitions, state: State, *inputs: Any) -> None:
        value = as_state_function(self.phi).value
        now = value(transitions.next_obs, transitions.next_features)
        best = state["best"]
        if (transitions.first & transitions.active).any():
            start = value(transitions.obs, transitions.features)
            best = np.where(transitions.first, start, best)
        state["paid"] = np.maximum(now - best, 0.0)
        state["best"] = np.where(transitions.active, np.fmax(now, best), state["best"])

    @override
    def measure(self, transitions: Transitions, state: State, *inputs: Any) -> np.ndarray:
        paid: np.ndarray = state["paid"]
        return paid
