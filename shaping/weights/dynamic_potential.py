"""Potentials that are weighted by a schedule and still keep optimal policies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
from typing_extensions import override

from shapegym.shaping.kernels.potential import potential_difference
from shapegym.shaping.promises import Keeps, Replay
from shapegym.shaping.remembered import SAME, Remembers
from shapegym.shaping.states.functions import Phi, as_state_function
from shapegym.shaping.terms.potential import Discount, agreed_gamma
from shapegym.shaping.transitions import Spec, State, Transitions
from shapegym.shaping.types import Elementwise, Example, Term
from shapegym.shaping.weights.schedules import Linear


@dataclass(frozen=True)
class DynamicPotential(Term):
    """F_t = gamma * w(t+1) Phi(s_{t+1}) - w(t) Phi(s_t): a potential whose weight w changes over the run.

    Phi(s_t) keeps the weight that it was paid with as a successor, so the sum still telescopes and policy invariance holds
    (Devlin & Kudenko 2012, Theorem 1), which ``anneal(Potential(...), schedule)`` would lose. Replay: stamped.

    Args:
        phi: the state function, or the name of one.
        weight: a schedule (`shapegym.shaping.weights.schedules`), read at the global step.
        gamma: as in `Potential`.
    """

    phi: Phi
    weight: Annotated[Elementwise, "a schedule such as Linear(1, 0, 100_000)"]
    gamma: Discount | None = None

    keeps: ClassVar[Keeps] = Keeps.POLICIES | Keeps.ADVICE
    replay: ClassVar[Replay] = Replay.STAMP
    remembers: ClassVar[Remembers] = {"gamma": (SAME,)}
    looks = "both"

    @override
    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example(cls("features.progress", Linear(1.0, 0.0, 60), gamma=0.9)),)

    @override
    def init(self, spec: Spec) -> State:
        lanes, gamma = np.zeros(spec.num_lanes), agreed_gamma(self.gamma, spec)
        return {**super().init(spec), "gamma": gamma, "phi_t": lanes, "phi_tp1": lanes.copy()}

    @override
    def observe(self, transitions: Transitions, state: State, *inputs: Any) -> None:
        (weight,) = inputs
        value = as_state_function(self.phi).value
        active = transitions.active
        fresh = weight * value(transitions.obs, transitions.features)
        state["phi_t"] = np.where(
            active, np.where(transitions.first, fresh, state["phi_tp1"]), state["phi_t"]
        )
        successor = weight * value(transitions.next_obs, transitions.next_features)
        state["phi_tp1"] = np.where(active, successor, state["phi_tp1"])

    @override
    def measure(self, transitions: Transitions, state: State, *inputs: Any) -> np.ndarray:
        out = np.empty(transitions.num_lanes)
        potential_difference(state["phi_t"], state["phi_tp1"], transitions.terminated, state["gamma"], out)
        return out
