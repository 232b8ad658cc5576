"""Where a reward machine is, as a condition."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from typing_extensions import override

from shapegym.shaping.errors import ExpressionError, suggest
from shapegym.shaping.promises import Replay
from shapegym.shaping.terms.reward_machine import MACHINE, RewardMachine
from shapegym.shaping.transitions import Spec, State, Transitions
from shapegym.shaping.types import Example, Expression, Term


@dataclass(frozen=True)
class MachineState(Term):
    """1 where the machine is in ``state`` after the step, else 0: a condition for `when`, or a factor. Bounded by 1.

    Replay: stamped (depends on what happened before in the episode).

    Args:
        machine: the machine; its rewards are not paid by this.
        state: the name of one of its states.
    """

    machine: RewardMachine
    state: str

    replay: ClassVar[Replay] = Replay.STAMP
    bound: ClassVar[float] = 1.0
    remembers = property(lambda self: self.machine.remembers)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.state not in self.machine.states:
            raise ExpressionError(
                f"MachineState: the machine has no state {self.state!r}.{suggest(self.state, self.machine.states)}"
            )

    @override
    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example(cls(MACHINE, "armed")),)

    @property
    def inputs(self) -> tuple[Expression, ...]:
        """The events of the machine's edges."""
        return self.machine.children

    @override
    def init(self, spec: Spec) -> State:
        return self.machine.fresh(spec.num_lanes)

    @override
    def observe(self, transitions: Transitions, state: State, *inputs: Any) -> None:
        self.machine.advance(transitions, state, inputs)

    @override
    def measure(self, transitions: Transitions, state: State, *inputs: Any) -> np.ndarray:
        return (state["now"] == self.machine.states.index(self.state)).astype(np.float64)
