"""Terms that pay for where the agent has got to.

Progress towards a goal is a potential, ``Potential(Distance(...), gamma)``, which leaves optimal policies alone. The terms here pay
for the state itself, which is often what a paper did and can change the task: an agent may linger near the goal instead of reaching
it. All of them are pure in the transition, so hindsight relabelling (HER) measures them again for the virtual goal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from shapegym.shaping.checks import is_number
from shapegym.shaping.errors import ExpressionError
from shapegym.shaping.terms.distance import Distance
from shapegym.shaping.terms.states import StateFunction, StateFunctionLike, as_state_function
from shapegym.shaping.transitions import Spec, State, Transitions
from shapegym.shaping.types import Guarantee, Term


@dataclass(frozen=True)
class StateReward(Term):
    """r_t = Phi(s_{t+1}): the value of the state reached, raw.

    Guarantee: bounded if Phi declares itself ``bounded`` (a `Distance` with a kernel), else none. Never policy-invariant: for that,
    use the same Phi in a `Potential`.

    Args:
        phi: the state function, or the name of one.
    """

    phi: StateFunctionLike = ""

    _function: ClassVar[StateFunction]

    def __post_init__(self) -> None:
        object.__setattr__(self, "phi", as_state_function(self.phi))
        object.__setattr__(self, "_function", self.phi)

    @property
    def guarantee(self) -> Guarantee:  # type: ignore[override]  # a fact of the instance here
        """Bounded if Phi is."""
        return Guarantee.BOUNDED if self._function.bounded else Guarantee.NONE

    @property
    def reads(self) -> tuple[str, ...]:
        """See `Term.reads`."""
        return self._function.reads

    def init(self, spec: Spec) -> State:
        """See `Term.init`; raises `ObservationError` if Phi cannot read this environment."""
        self._function.check(spec)
        return {}

    def measure(self, transitions: Transitions, state: State, *inputs: np.ndarray) -> np.ndarray:
        """See `Term.measure`."""
        return self._function.value(transitions.next_obs, transitions.next_features)


@dataclass(frozen=True)
class GoalReached(Term):
    """r_t = reward if ||of(s_{t+1}) - to(s_{t+1})|| <= radius, else 0. Guarantee: bounded by ``abs(reward)``.

    Args:
        of: selector of where the agent is.
        to: selector of the goal, or the goal itself.
        radius: how near counts as reached.
        reward: what reaching pays, at every step spent within the radius.
        norm: as in `Distance`.
    """

    of: str = "obs.achieved_goal"
    to: str | tuple[float, ...] = "obs.desired_goal"
    radius: float = 0.05
    reward: float = 1.0
    norm: Literal["l1", "l2", "linf", "l2_squared"] = "l2"

    guarantee: ClassVar[Guarantee] = Guarantee.BOUNDED
    _nearness: ClassVar[Distance]

    def __post_init__(self) -> None:
        nearness = Distance(self.of, self.to, self.norm)
        object.__setattr__(self, "to", nearness.to)
        object.__setattr__(self, "_nearness", nearness)
        if not (is_number(self.radius) and self.radius >= 0):
            raise ExpressionError(
                f"GoalReached: radius must be a finite number, at least 0, got {self.radius!r}."
            )
        if not is_number(self.reward):
            raise ExpressionError(f"GoalReached: reward must be a finite number, got {self.reward!r}.")

    @property
    def reads(self) -> tuple[str, ...]:
        """See `Term.reads`."""
        return self._nearness.reads

    def init(self, spec: Spec) -> State:
        """See `Term.init`; raises `ObservationError` unless both sides select as many numbers."""
        self._nearness.check(spec)
        return {}

    def measure(self, transitions: Transitions, state: State, *inputs: np.ndarray) -> np.ndarray:
        """See `Term.measure`."""
        nearness = self._nearness.value(transitions.next_obs, transitions.next_features)
        reached = np.where(nearness >= -self.radius, float(self.reward), 0.0)
        return np.where(np.isnan(nearness), nearness, reached)  # a NaN position is reported, not "far away"
