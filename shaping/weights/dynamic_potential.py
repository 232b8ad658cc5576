"""Potentials that are weighted by a schedule and still keep optimal policies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
from typing_extensions import override

from shapegym.shaping.algebra import Constant
from shapegym.shaping.kernels.potential import potential_difference
from shapegym.shaping.promises import Keeps, Replay
from shapegym.shaping.remembered import SAME, Remembers
from shapegym.shaping.states.functions import Phi, as_state_function
from shapegym.shaping.terms.potential import Discount, agreed_gamma
from shapegym.shaping.transitions import Spec, State, Transitions
from shapegym.shaping.types import Combinator, Elementwise, Example, Expression, Term, walk
from shapegym.shaping.weights.schedules import ClockSchedule, Linear


@dataclass(frozen=True)
class DynamicPotential(Term):
    """F_t = gamma * w(t+1) Phi(s_{t+1}) - w(t) Phi(s_t): a potential whose weight w changes over the run.

    Phi(s_t) keeps the weight that it was paid with as a successor, so the sum still telescopes and policy invariance holds
    (Devlin & Kudenko 2012, Theorem 1), which ``anneal(Potential(...), schedule)`` would lose. It holds if the weight is known
    before the agent acts: weights of the clock (`ClockSchedule`), constants, and sums and products of these. Any other one, which
    reads the state or follows how episodes end, is allowed and promises nothing: -w(0) Phi(s_0) is paid at the first step, and
    what the first action changes of w(0) is a reward for that action.

    Replay: frozen. A sampled transition is paid w (gamma Phi(s_{t+1}) - Phi(s_t)) with the one weight of now, which is an ordinary
    potential; with the weights of their times, the steps of a batch would belong to different ones.

    Args:
        phi: the state function, or the name of one.
        weight: a schedule (`shapegym.shaping.weights.schedules`), read at the global step, or another weight.
        gamma: as in `Potential`.
    """

    phi: Phi
    weight: Annotated[Elementwise, "a schedule such as Linear(1, 0, 100_000)"]
    gamma: Discount | None = None

    keeps = property(
        lambda self: Keeps.POLICIES | Keeps.ADVICE if _by_the_clock(self.weight) else Keeps.NOTHING
    )
    replay: ClassVar[Replay] = Replay.FROZEN
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

    @override
    def remeasure(self, transitions: Transitions, state: State, *inputs: Any) -> np.ndarray:
        (weight,) = inputs
        value, out = as_state_function(self.phi).value, np.empty(transitions.num_lanes)
        phi_t, phi_tp1 = (
            weight * value(obs, features)
            for obs, features in (
                (transitions.obs, transitions.features),
                (transitions.next_obs, transitions.next_features),
            )
        )
        potential_difference(phi_t, phi_tp1, transitions.terminated, state["gamma"], out)
        return out


def _by_the_clock(weight: Expression) -> bool:
    """Whether a weight is known before the agent acts."""
    return all(isinstance(node, (ClockSchedule, Constant, Combinator)) for node in walk(weight))
