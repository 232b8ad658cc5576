"""Terms that pay for things that happen: events, first times, comparisons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from shapegym.shaping.checks import is_number
from shapegym.shaping.errors import ExpressionError
from shapegym.shaping.kernels import events as kernels
from shapegym.shaping.terms.select import selector
from shapegym.shaping.terms.states import Read, features_of
from shapegym.shaping.transitions import Spec, State, Transitions
from shapegym.shaping.tree import guarantee_of, is_episodic
from shapegym.shaping.types import Expression, Guarantee, Replay, Term

_OPERATORS = {
    ">": kernels.GT,
    ">=": kernels.GE,
    "<": kernels.LT,
    "<=": kernels.LE,
    "==": kernels.EQ,
    "!=": kernels.NE,
}
_TRIGGERS = ("level", "rise", "change")


@dataclass(frozen=True)
class Event(Term):
    """Pays ``value`` when something holds, begins, or changes. Guarantee: bounded by ``abs(value)``.

    With x_t the number that ``of`` selects in s_t, and h_t = [x_t = equals], or [x_t != 0] if ``equals`` is not given:

    * ``trigger="level"``: value * h_{t+1}, at every step after which it holds;
    * ``trigger="rise"``: value * h_{t+1} (1 - h_t), when it begins to hold;
    * ``trigger="change"``: value * [h_{t+1} != h_t], or value * [x_{t+1} != x_t] if ``equals`` is not given.

    Args:
        of: selector of one number: a flag such as success, or an id such as that of an event.
        value: what it pays.
        trigger: when.
        equals: the id that counts.
    """

    of: str = "features.success"
    value: float = 1.0
    trigger: Literal["level", "rise", "change"] = "level"
    equals: float | None = None

    guarantee: ClassVar[Guarantee] = Guarantee.BOUNDED

    def __post_init__(self) -> None:
        selector(self.of)
        _require_finite("Event", "value", self.value)
        if self.equals is not None:
            _require_finite("Event", "equals", self.equals)
        if self.trigger not in _TRIGGERS:
            raise ExpressionError(
                f"Event: trigger must be one of {', '.join(_TRIGGERS)}, got {self.trigger!r}."
            )

    @property
    def reads(self) -> tuple[str, ...]:
        """See `Term.reads`."""
        return features_of(self.of)

    @property
    def reads_before(self) -> tuple[str, ...]:
        """See `Term.reads_before`; ``level`` needs only the successor."""
        return () if self.trigger == "level" else self.reads

    def init(self, spec: Spec) -> State:
        """See `Term.init`; raises `ObservationError` unless exactly one number is selected."""
        Read(self.of).check(spec)
        return {}

    def measure(self, transitions: Transitions, state: State, *inputs: np.ndarray) -> np.ndarray:
        """See `Term.measure`."""
        now = selector(self.of).read_one(transitions.next_obs, transitions.next_features)
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


@dataclass(frozen=True)
class Compare(Term):
    """r_t = 1 if ``of op to`` holds in s_{t+1}, else 0: a condition for `when`, or a factor. Guarantee: bounded.

    Args:
        of: selector of one number.
        op: one of > >= < <= == !=.
        to: a number, or a selector of one.
    """

    of: str = "obs"
    op: Literal[">", ">=", "<", "<=", "==", "!="] = ">"
    to: float | str = 0.0

    guarantee: ClassVar[Guarantee] = Guarantee.BOUNDED

    def __post_init__(self) -> None:
        selector(self.of)
        if isinstance(self.to, str):
            selector(self.to)
        else:
            _require_finite("Compare", "to", self.to)
        if self.op not in _OPERATORS:
            raise ExpressionError(f"Compare: op must be one of {' '.join(_OPERATORS)}, got {self.op!r}.")

    @property
    def reads(self) -> tuple[str, ...]:
        """See `Term.reads`."""
        return features_of(self.of, self.to) if isinstance(self.to, str) else features_of(self.of)

    def init(self, spec: Spec) -> State:
        """See `Term.init`; raises `ObservationError` unless exactly one number is selected on each side."""
        Read(self.of).check(spec)
        if isinstance(self.to, str):
            Read(self.to).check(spec)
        return {}

    def measure(self, transitions: Transitions, state: State, *inputs: np.ndarray) -> np.ndarray:
        """See `Term.measure`."""
        obs, features = transitions.next_obs, transitions.next_features
        to = selector(self.to).read_one(obs, features) if isinstance(self.to, str) else float(self.to)
        return _indicate(selector(self.of).read_one(obs, features), self.op, to)


@dataclass(frozen=True)
class Milestones(Term):
    """Pays each milestone once an episode: r_t = sum_m v_m(t) [v_m(t) != 0 and milestone m was not paid before in the episode].

    A milestone is an expression that is 0 until it is reached; its value then is what it pays:

        Milestones((Event("features.event", 0.2, equals=KEY), Event("features.event", 0.3, equals=DOOR)), ordered=True)

    With ``ordered`` a milestone counts only once all before it have been paid: one that happens out of order pays nothing, and can
    still be reached later. Those reached at the same step count in the order written.

    Guarantee: bounded if the milestones are. Replay: stamped (depends on what happened before in the episode).

    Args:
        of: the milestones, elementwise expressions such as `Event` or `GoalReached`.
        ordered: whether the order matters.
    """

    of: tuple[Expression, ...] = ()
    ordered: bool = False

    replay: ClassVar[Replay] = Replay.STAMP

    def __post_init__(self) -> None:
        if (
            not isinstance(self.of, tuple)
            or not self.of
            or not all(isinstance(node, Expression) for node in self.of)
        ):
            raise ExpressionError(
                f"Milestones needs a non-empty tuple of expressions such as Event(...), got {self.of!r}."
            )
        for node in self.of:
            if is_episodic(node):
                raise ExpressionError(
                    f"Milestones: {node} is known only when the episode ends; a milestone must be known at its step."
                )
            if isinstance(node, Event) and node.value == 0:
                raise ExpressionError(
                    f"Milestones: {node} pays 0, so it would never count as reached; give it a value."
                )

    @property
    def guarantee(self) -> Guarantee:  # type: ignore[override]  # a fact of the instance here
        """Bounded if every milestone is."""
        bounded = all(guarantee_of(node) is Guarantee.BOUNDED for node in self.of)
        return Guarantee.BOUNDED if bounded else Guarantee.NONE

    def init(self, spec: Spec) -> State:
        """See `Term.init`."""
        return {
            "reached": np.zeros((spec.num_lanes, len(self.of)), dtype=np.bool_),
            "paid": np.zeros(spec.num_lanes),
        }

    def observe(self, transitions: Transitions, state: State, *inputs: np.ndarray) -> None:
        """See `Term.observe`."""
        values = np.stack(inputs)
        kernels.pay_first_times(
            values, transitions.first, transitions.active, self.ordered, state["reached"], state["paid"]
        )

    def measure(self, transitions: Transitions, state: State, *inputs: np.ndarray) -> np.ndarray:
        """See `Term.measure`."""
        return state["paid"]


def _indicate(left: np.ndarray, op: str, right: np.ndarray | float) -> np.ndarray:
    out = np.empty(len(left))
    kernels.indicate(
        left, _OPERATORS[op], right if isinstance(right, np.ndarray) else np.array([float(right)]), out
    )
    return out


def _require_finite(node: str, key: str, value: object) -> None:
    if not is_number(value):
        raise ExpressionError(f"{node}: {key} must be a finite number, got {value!r}.")
