"""Terms that pay for things that happen: events, first times, comparisons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from typing_extensions import override

from shapegym.shaping.algebra import bounded
from shapegym.shaping.errors import ExpressionError
from shapegym.shaping.kernels import events as kernels
from shapegym.shaping.promises import Replay
from shapegym.shaping.states.select import SelectsOne, selector
from shapegym.shaping.transitions import Spec, State, Transitions
from shapegym.shaping.tree import largest
from shapegym.shaping.types import ElementwiseOperands, Example, Term

_OPERATORS = {
    ">": kernels.GT,
    ">=": kernels.GE,
    "<": kernels.LT,
    "<=": kernels.LE,
    "==": kernels.EQ,
    "!=": kernels.NE,
}


@dataclass(frozen=True)
class Event(Term):
    """Pays ``value`` when something holds, begins, or changes. Bounded by ``abs(value)``.

    With x_t the number that ``of`` selects in s_t, and h_t = [x_t = equals], or [x_t != 0] if ``equals`` is not given:

    * ``trigger="level"``: value * h_{t+1}, at every step after which it holds;
    * ``trigger="rise"``: value * h_{t+1} (1 - h_t), when it begins to hold;
    * ``trigger="change"``: value * [h_{t+1} != h_t], or value * [x_{t+1} != x_t] if ``equals`` is not given.

    Args:
        of: selector of one number: a flag such as success, or an id such as that of an event; "terminated", "truncated" or "ended"
            for how the step ended its episode (with ``trigger="level"``).
        value: what it pays.
        trigger: when.
        equals: the id that counts.
    """

    of: SelectsOne = "features.success"
    value: float = 1.0
    trigger: Literal["level", "rise", "change"] = "level"
    equals: float | None = None

    bound = property(lambda self: abs(self.value))
    looks = property(lambda self: "after" if self.trigger == "level" else "both")

    @override
    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(cls("features.event", 0.5, equals=2)),
            Example(cls("features.success", trigger="rise")),
            Example(cls("obs", 0.1, trigger="change"), "discrete"),
            Example(cls("terminated", -1.0) + cls("truncated", 0.25) + cls("ended", 0.5)),
            Example(cls("features.limb.strain", trigger="rise")),
        )

    @override
    def measure(self, transitions: Transitions, state: State, *inputs: Any) -> np.ndarray:
        now = selector(self.of).read_one(*transitions.after)
        if self.trigger == "level":
            return self.value * self._holds(now)
        before = selector(self.of).read_one(transitions.obs, transitions.features)
        if self.trigger == "rise":
            return self.value * self._holds(now) * (1.0 - self._holds(before))
        if self.equals is None:
            return self.value * _indicate(now, "!=", before)
        return self.value * abs(self._holds(now) - self._holds(before))

    def _holds(self, x: np.ndarray) -> np.ndarray:
        return _indicate(x, "!=", 0.0) if self.equals is None else _indicate(x, "==", self.equals)


EVENT = Event("features.event", 0.5, equals=2)
"""What examples pay for: an event of `shapegym.shaping.testing.ScriptedEnv`."""


@dataclass(frozen=True)
class Compare(Term):
    """r_t = 1 if ``of op to`` holds in s_{t+1}, else 0: a condition for `when`, or a factor. Bounded by 1.

    Args:
        of: selector of one number.
        op: one of > >= < <= == !=.
        to: a number, or a selector of one.
    """

    of: SelectsOne = "obs"
    op: Literal[">", ">=", "<", "<=", "==", "!="] = ">"
    to: float | SelectsOne = 0.0

    bound: ClassVar[float] = 1.0

    @override
    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(cls("features.progress", ">", 0.5)),
            Example(cls("features.agent_pos[0]", "==", "features.goal_pos[0]")),
            Example(cls("obs", "<=", 3), "discrete"),
            Example(cls("action", "!=", "previous_action")),
        )

    @override
    def measure(self, transitions: Transitions, state: State, *inputs: Any) -> np.ndarray:
        obs, features = transitions.after
        to = selector(self.to).read_one(obs, features) if isinstance(self.to, str) else float(self.to)
        return _indicate(selector(self.of).read_one(obs, features), self.op, to)


@dataclass(frozen=True)
class Milestones(Term):
    """Pays each milestone once an episode: r_t = sum_m v_m(t) [v_m(t) != 0 and milestone m was not paid before in the episode].

    A milestone is an expression that is 0 until it is reached; its value then is what it pays:

        Milestones((Event("features.event", 0.2, equals=KEY), Event("features.event", 0.3, equals=DOOR)), ordered=True)

    With ``ordered`` a milestone counts only once all before it have been paid: one that happens out of order pays nothing, and can
    still be reached later. Those reached at the same step count in the order written.

    Bounded by the sum of the milestones' bounds. Replay: stamped (depends on what happened before in the episode).

    Args:
        of: the milestones, elementwise expressions such as `Event` or `GoalReached`.
        ordered: whether the order matters.
    """

    of: ElementwiseOperands
    ordered: bool = False

    replay: ClassVar[Replay] = Replay.STAMP
    bound = property(lambda self: bounded(sum, [largest(node) for node in self.of]))

    def __post_init__(self) -> None:
        super().__post_init__()
        for node in self.of:
            if isinstance(node, Event) and node.value == 0:
                raise ExpressionError(
                    f"Milestones: {node} pays 0, so it would never count as reached; give it a value."
                )

    @override
    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(cls((EVENT, Event("features.event", 0.25, equals=1)), ordered=True)),
            Example(cls((EVENT, Compare("features.progress", ">=", 0.75)))),
        )

    @override
    def init(self, spec: Spec) -> State:
        return {
            "reached": np.zeros((spec.num_lanes, len(self.of)), dtype=np.bool_),
            "paid": np.zeros(spec.num_lanes),
        }

    @override
    def observe(self, transitions: Transitions, state: State, *inputs: Any) -> None:
        values = np.stack(inputs)
        kernels.pay_first_times(
            values, transitions.first, transitions.active, self.ordered, state["reached"], state["paid"]
        )

    @override
    def measure(self, transitions: Transitions, state: State, *inputs: Any) -> np.ndarray:
        return state["paid"]


def _indicate(left: np.ndarray, op: str, right: np.ndarray | float) -> np.ndarray:
    out = np.empty(len(left))
    kernels.indicate(
        left, _OPERATORS[op], right if isinstance(right, np.ndarray) else np.array([float(right)]), out
    )
    return out
