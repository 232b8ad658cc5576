"""The value of a reward machine as a potential: reward shaping that the machine itself provides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
from annotated_types import Gt, Lt
from typing_extensions import override

from shapegym.shaping.algebra import TaskReward
from shapegym.shaping.kernels.potential import potential_difference
from shapegym.shaping.promises import Keeps, Replay
from shapegym.shaping.remembered import SAME
from shapegym.shaping.terms.potential import Discount, agreed_gamma
from shapegym.shaping.terms.reward_machine import MACHINE, RewardMachine
from shapegym.shaping.transitions import Spec, State, Transitions
from shapegym.shaping.types import Example, Expression, Term


@dataclass(frozen=True)
class MachinePotential(Term):
    """F_t = gamma v(u_{t+1}) - v(u_t), with u the machine's state and v its value (`RewardMachine.values`), 0 at terminal states.

    An edge towards reward pays about nothing, one away from it costs, and waiting costs a little. It keeps optimal policies: u
    follows from the episode so far and begins in the same state, so the discounted sum is -v(start) in every episode that
    terminates, whatever happens. Among the policies that know u; one that does not is a policy of a task that is not Markov.

    Source: Toro Icarte et al. 2022, "automated reward shaping". Their released code takes -v as the potential, which
    pays for waiting; that is ``-1.0 * MachinePotential(machine)``, and keeps optimal policies as well.

    Replay: stamped (depends on what happened before in the episode).

    Args:
        machine: the machine; that its rewards are paid too is a part of its own, ``machine + MachinePotential(machine)``.
        gamma: the agent's discount; None takes it from the agent. If both are known they must be equal.
        planning_gamma: the discount in v, below 1; the nearer, the less far rewards fade.
    """

    machine: RewardMachine
    gamma: Discount | None = None
    planning_gamma: Annotated[float, Gt(0), Lt(1)] = 0.9

    keeps: ClassVar[Keeps] = Keeps.POLICIES
    replay: ClassVar[Replay] = Replay.STAMP
    remembers = property(lambda self: {**self.machine.remembers, "gamma": (SAME,)})
    _values: ClassVar[np.ndarray]

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "_values", self.machine.values(self.planning_gamma))

    @override
    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example(TaskReward() + MACHINE + cls(MACHINE, gamma=0.9)),)

    @property
    def inputs(self) -> tuple[Expression, ...]:
        """The events of the machine's edges."""
        return self.machine.children

    def init(self, spec: Spec) -> State:
        """Agree on the discount; raises `DiscountError` if it is unknown or not the agent's."""
        return {**self.machine.fresh(spec.num_lanes), "gamma": agreed_gamma(self.gamma, spec)}

    @override
    def observe(self, transitions: Transitions, state: State, *inputs: Any) -> None:
        self.machine.advance(transitions, state, inputs)
        before, now = (self._values[state[when]] for when in ("before", "now"))
        state["paid"] = np.empty(len(now))
        potential_difference(before, now, transitions.terminated, state["gamma"], state["paid"])

    @override
    def measure(self, transitions: Transitions, state: State, *inputs: Any) -> np.ndarray:
        paid: np.ndarray = state["paid"]
        return paid
