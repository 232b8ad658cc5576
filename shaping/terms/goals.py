"""Terms that pay for where the agent has got to.

Progress towards a goal is a potential, ``Potential(Distance(...), gamma)``, which leaves optimal policies alone. The terms here pay
for the state itself, which is often what a paper did and can change the task: an agent may linger near the goal instead of reaching
it. All of them are pure in the transition, so hindsight relabelling (HER) measures them again for the virtual goal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from typing_extensions import override

from shapegym.shaping.limits import NonNegative
from shapegym.shaping.similarity.goal import GoalSimilarity
from shapegym.shaping.states.arithmetic import maximum, minimum
from shapegym.shaping.states.distance import Distance, ExponentialKernel, Gaussian, Norm, Tiered
from shapegym.shaping.states.functions import Phi, Read, as_state_function
from shapegym.shaping.states.select import Selects
from shapegym.shaping.transitions import Spec, State, Transitions
from shapegym.shaping.types import Example, Term


@dataclass(frozen=True)
class StateReward(Term):
    """r_t = Phi(s_{t+1}): the value of the state reached, raw; or of the step that led there.

    What an action costs is ``StateReward(Distance("action", (0.0, 0.0), "l2_squared"))``, -||a_t||^2, and what changing it costs
    ``StateReward(Distance("action", "previous_action", "l2_squared"))``, -||a_t - a_{t-1}||^2, 0 at an episode's first step.

    Bounded if Phi is (a `Distance` with a kernel). Never keeps optimal policies: for that, use the same Phi in a `Potential`.

    Args:
        phi: the state function, or the name of one.
    """

    phi: Phi

    bound = property(lambda self: as_state_function(self.phi).bound)

    @override
    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        zones = Tiered((1.0, 3.0), (1.0, 0.25))
        return (
            Example(cls(Distance("obs.achieved_goal", "obs.desired_goal", kernel=Gaussian(0.5))), "dict"),
            Example(cls(Distance("features.agent_pos", (2.0, 3.0), "linf", ExponentialKernel(2.0)))),
            Example(cls(Distance("features.agent_pos", "features.goal_pos", kernel=zones))),
            Example(0.1 * cls(Distance("action", "previous_action", "l2_squared"))),
            Example(cls("features.limb.joint.angle")),
            Example(
                cls(GoalSimilarity(("you open the door", "the door is open"), "the door is locked", 0.5))
            ),
            Example(cls(maximum(abs(Read("obs[0]")), 2 * Read("features.progress") - 0.5).clip(0, 1) ** 2)),
            Example(cls(minimum("action", Distance("obs[0]", (0.5,)) / 4))),
        )

    @override
    def measure(self, transitions: Transitions, state: State, *inputs: Any) -> np.ndarray:
        return as_state_function(self.phi).value(*transitions.after)


@dataclass(frozen=True)
class GoalReached(Term):
    """r_t = reward if ||of(s_{t+1}) - to(s_{t+1})|| <= radius, else 0. Bounded by ``abs(reward)``.

    Args:
        of: selector of where the agent is.
        to: selector of the goal, or the goal itself.
        radius: how near counts as reached.
        reward: what reaching pays, at every step spent within the radius.
        norm: as in `Distance`.
    """

    of: Selects = "obs.achieved_goal"
    to: Selects | tuple[float, ...] = "obs.desired_goal"
    radius: NonNegative = 0.05
    reward: float = 1.0
    norm: Norm = "l2"

    _nearness: ClassVar[Distance]
    bound = property(lambda self: abs(self.reward))

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "_nearness", Distance(self.of, self.to, self.norm))

    @override
    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example(cls(radius=0.5), "dict"),)

    def init(self, spec: Spec) -> State:
        """Raise `ObservationError` unless both sides select as many numbers."""
        self._nearness.check(spec)
        return {}

    @override
    def measure(self, transitions: Transitions, state: State, *inputs: Any) -> np.ndarray:
        nearness = self._nearness.value(*transitions.after)
        reached = np.where(nearness >= -self.radius, float(self.reward), 0.0)
        return np.where(np.isnan(nearness), nearness, reached)  # a NaN position is reported, not "far away"
