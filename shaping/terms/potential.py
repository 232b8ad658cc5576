"""Potential-based shaping: rewards that cannot change which policies are optimal.

F_t = gamma * Phi(s_{t+1}) - Phi(s_t), with Phi(s_{t+1}) = 0 if s_{t+1} is terminal, and only then: at a truncation s_{t+1} is an
ordinary state whose value the agent bootstraps, so its potential counts. Over an episode the discounted sum telescopes to
gamma^T Phi(s_T) - Phi(s_0), whatever happens in between (Ng, Harada & Russell 1999; Grzes 2017 for the terminal case).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from shapegym.shaping.errors import DiscountError, ExpressionError, ObservationError
from shapegym.shaping.kernels.potential import potential_difference
from shapegym.shaping.terms.states import StateFunction, StateFunctionLike, as_state_function
from shapegym.shaping.transitions import Spec, State, Transitions
from shapegym.shaping.types import Expression, Guarantee, Replay, Term


@dataclass(frozen=True)
class Potential(Term):
    """F_t = gamma * Phi(s_{t+1}) - Phi(s_t): state potential (Ng, Harada & Russell 1999, Theorem 1).

    Guarantee: invariant.

    Args:
        phi: the state function, or the name of one.
        gamma: the agent's discount; None takes it from the agent. If both are known they must be equal.
    """

    phi: StateFunctionLike = ""
    gamma: float | None = None

    guarantee: ClassVar[Guarantee] = Guarantee.INVARIANT

    def __post_init__(self) -> None:
        object.__setattr__(self, "phi", as_state_function(self.phi))
        check_gamma(self.gamma)

    @property
    def reads(self) -> tuple[str, ...]:
        """See `Term.reads`."""
        return _function(self.phi).reads

    reads_before = reads

    def init(self, spec: Spec) -> State:
        """See `Term.init`.

        Raises:
            DiscountError: if gamma is unknown or is not the agent's.
            ObservationError: if Phi cannot read this environment.
        """
        _function(self.phi).check(spec)
        return {"gamma": agreed_gamma(self.gamma, spec)}

    def measure(self, transitions: Transitions, state: State, *inputs: np.ndarray) -> np.ndarray:
        """See `Term.measure`."""
        value = self.phi.value  # type: ignore[union-attr]
        phi_t = value(transitions.obs, transitions.features)
        phi_tp1 = value(transitions.next_obs, transitions.next_features)
        out = np.empty(len(transitions.reward))
        if not phi_t.shape == phi_tp1.shape == out.shape:  # the kernel does not check
            raise ObservationError(
                f"{self.phi} returned shapes {phi_t.shape} and {phi_tp1.shape} for {len(out)} lane(s); one number a lane is needed."
            )
        potential_difference(phi_t, phi_tp1, transitions.terminated, state["gamma"], out)
        return out


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

    phi: StateFunctionLike = ""
    weight: Expression = None  # type: ignore[assignment]
    gamma: float | None = None

    guarantee: ClassVar[Guarantee] = Guarantee.INVARIANT
    replay: ClassVar[Replay] = Replay.STAMP

    def __post_init__(self) -> None:
        object.__setattr__(self, "phi", as_state_function(self.phi))
        check_gamma(self.gamma)
        if not isinstance(self.weight, Expression):
            raise ExpressionError(
                f"DynamicPotential: weight must be a schedule such as Linear(1, 0, 100_000), got {self.weight!r}."
            )

    @property
    def reads(self) -> tuple[str, ...]:
        """See `Term.reads`."""
        return _function(self.phi).reads

    reads_before = reads

    def init(self, spec: Spec) -> State:
        """See `Potential.init`."""
        _function(self.phi).check(spec)
        lanes = np.zeros(spec.num_lanes)
        return {"gamma": agreed_gamma(self.gamma, spec), "phi_t": lanes, "phi_tp1": lanes.copy()}

    def observe(self, transitions: Transitions, state: State, *inputs: np.ndarray) -> None:
        """See `Term.observe`."""
        (weight,) = inputs
        value = _function(self.phi).value
        active = transitions.active
        fresh = weight * value(transitions.obs, transitions.features)
        state["phi_t"] = np.where(
            active, np.where(transitions.first, fresh, state["phi_tp1"]), state["phi_t"]
        )
        successor = weight * value(transitions.next_obs, transitions.next_features)
        state["phi_tp1"] = np.where(active, successor, state["phi_tp1"])

    def measure(self, transitions: Transitions, state: State, *inputs: np.ndarray) -> np.ndarray:
        """See `Term.measure`."""
        out = np.empty(transitions.num_lanes)
        potential_difference(state["phi_t"], state["phi_tp1"], transitions.terminated, state["gamma"], out)
        return out


def check_gamma(gamma: float | None) -> None:
    """Raise `ExpressionError` unless ``gamma`` is None or in (0, 1]."""
    if gamma is not None and not (isinstance(gamma, (int, float)) and 0.0 < gamma <= 1.0):
        raise ExpressionError(f"A potential's gamma is the agent's discount, in (0, 1], got {gamma!r}.")


def agreed_gamma(gamma: float | None, spec: Spec) -> float:
    """Return the discount on which term and agent agree.

    Raises:
        DiscountError: if they differ, or neither says.
    """
    if gamma is None and spec.gamma is None:
        raise DiscountError(
            "This potential has no gamma and none is known from an agent. Give Potential(..., gamma=...) the agent's discount, or "
            "pass gamma= to the surface."
        )
    if gamma is None or spec.gamma is None:
        return float(gamma if gamma is not None else spec.gamma)  # type: ignore[arg-type]
    if gamma != spec.gamma:
        raise DiscountError(
            f"This potential has gamma={gamma}, the agent has gamma={spec.gamma}: with different discounts the shaping no longer "
            "telescopes and optimal policies can change. Make them equal, or leave the potential's gamma out."
        )
    return float(gamma)


def _function(phi: StateFunctionLike) -> StateFunction:
    return phi  # type: ignore[return-value]  # __post_init__ resolved names
