"""The smallest algebra of rewards: the task's own, numbers, sums, multiples, products, bounds. Everything else is built beside it.

| written | node | value at a step |
|---|---|---|
| ``a + b - 2`` | `Sum` | left-to-right sum |
| ``0.5 * a`` | `Scale` | by * a |
| ``a * b`` | `Product` | product |
| `clip` | `Clip` | min(max(a, low), high) |

Weights that change over the run (`anneal`) and running normalisation (`normalize`) are products with a term that measures the
weight or the scale, so nothing here remembers anything.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any, ClassVar, overload

import numpy as np
from typing_extensions import override

from shapegym.shaping.errors import ExpressionError
from shapegym.shaping.limits import Extended, Unfit, fit
from shapegym.shaping.promises import Keeps
from shapegym.shaping.remembered import SAME, Remembers
from shapegym.shaping.states.functions import StateFunction
from shapegym.shaping.transitions import Array, Spec, State, Transitions
from shapegym.shaping.types import Combinator, Example, Expression, Operands, Term, times_task_is_paid


@dataclass(frozen=True)
class TaskReward(Term):
    """r_t: what the environment pays, untouched. Keeps everything (it is the task)."""

    keeps: ClassVar[Keeps] = Keeps.EVERYTHING

    @override
    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example(cls()),)

    @override
    def pays_task(self, times: Sequence[int]) -> int:
        return 1

    @override
    def measure(self, transitions: Transitions, state: State, *inputs: Any) -> np.ndarray:
        return transitions.reward


@dataclass(frozen=True)
class Constant(Term):
    """The same number at every step (a living cost, say). Bounded; changes optimal policies where episodes can end."""

    value: float = 0.0

    bound = property(lambda self: abs(self.value))
    weighs: ClassVar[bool] = True
    remembers: ClassVar[Remembers] = {"value": (SAME,)}

    @override
    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example(cls(-0.01)),)

    @override
    def init(self, spec: Spec) -> State:
        return {"value": np.full(spec.num_lanes, float(self.value))}

    @override
    def measure(self, transitions: Transitions, state: State, *inputs: Any) -> np.ndarray:
        if len(state["value"]) != transitions.num_lanes:  # a replay batch has its own number of rows
            return np.full(transitions.num_lanes, float(self.value))
        return state["value"]


@dataclass(frozen=True)
class Sum(Combinator):
    """Left-to-right sum; each operand is an addend whose value is logged as a named part. Keeps what all operands keep."""

    of: Operands

    linear: ClassVar[bool] = True
    named_after = None  # its operands are parts of their own

    @override
    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example(TaskReward() + Scale(Clip(TaskReward(), -0.5, 0.25), 0.3)),)

    @override
    def combine(self, values: Sequence[Array]) -> Array:
        return reduce(lambda total, value: total + value, values)

    def __str__(self) -> str:
        return " + ".join(map(str, self.of))

    def __repr__(self) -> str:
        merged = any(isinstance(operand, Sum) and operand.name is None for operand in self.of)
        return (
            super().__repr__()
            if merged or len(self.of) == 1
            else _named(self, " + ".join(map(repr, self.of)))
        )

    @override
    def pays_task(self, times: Sequence[int]) -> int:
        return sum(times)

    @override
    def compose_keeps(self, kept: Sequence[Keeps]) -> Keeps:
        all_keep = reduce(lambda left, right: left & right, kept)
        return all_keep if times_task_is_paid(self) <= 1 else all_keep & ~Keeps.RETURN

    @override
    def compose_bound(self, bounds: Sequence[float | None]) -> float | None:
        return bounded(sum, bounds)

    @override
    def leave_one_out(self) -> Iterator[tuple[Expression, Expression | None]]:
        for place, operand in enumerate(self.of):
            for part, rest in operand.leave_one_out():
                others = (*self.of[:place], *([] if rest is None else [rest]), *self.of[place + 1 :])
                yield part, replace(self, of=others) if len(others) > 1 else next(iter(others), None)

    @property
    def addends(self) -> tuple[Expression, ...]:
        """The operands, even if there is one."""
        return self.of

    @override
    def map_addends(self, each: Callable[[Expression], Expression | None]) -> Expression | None:
        left = tuple(operand for operand in map(each, self.of) if operand is not None)
        return replace(self, of=left) if len(left) > 1 or left == self.of else next(iter(left), None)


@dataclass(frozen=True)
class Scale(Combinator):
    """``by * of``. Keeps what its operand keeps, except that the task's reward must not be scaled by zero or less."""

    of: Expression
    by: float = 1.0

    linear: ClassVar[bool] = True
    paid = property(lambda self: self.of.paid)

    @override
    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example(cls(TaskReward(), -0.5)),)

    @override
    def combine(self, values: Sequence[Array]) -> Array:
        return values[0] * self.by

    def __str__(self) -> str:
        return f"{self.by:g} * {_bracket(self.of)}"

    def __repr__(self) -> str:
        merged = isinstance(self.of, Scale) and self.of.name is None
        return super().__repr__() if merged else _named(self, f"{self.by!r} * {_operand(self.of)}")

    @override
    def factors(self) -> tuple[float, tuple[Expression, ...]]:
        by, factors = self.of.factors()
        return self.by * by, factors

    @override
    def map_addends(self, each: Callable[[Expression], Expression | None]) -> Expression | None:
        left = each(self.of)
        return None if left is None else replace(self, of=left)

    @override
    def pays_task(self, times: Sequence[int]) -> int:
        """As often as its operand; what is subtracted is paid less often by one."""
        return times[0] if self.by >= 0 else -times[0]

    @override
    def compose_keeps(self, kept: Sequence[Keeps]) -> Keeps:
        if not times_task_is_paid(self.of) or self.by == 1:
            return kept[0]
        return kept[0] & ~Keeps.RETURN if self.by > 0 else Keeps.NOTHING

    @override
    def compose_bound(self, bounds: Sequence[float | None]) -> float | None:
        return bounded(lambda sizes: abs(self.by) * next(iter(sizes)), bounds)


@dataclass(frozen=True)
class Product(Combinator):
    """Product of all operands. Bounded if all are; a product never keeps optimal policies."""

    of: Operands

    named_after = property(lambda self: self.of[0])  # weights come second

    def __post_init__(self) -> None:
        super().__post_init__()
        if logged := next((factor for factor in self.of if not factor.paid), None):
            raise ExpressionError(
                f"Product: {logged} is logged and not paid, so as a factor it would make everything 0. Multiply inside: "
                f"{type(logged).__name__}(a * b)."
            )

    @override
    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example(cls((TaskReward(), Clip(TaskReward(), -0.5, 0.25)))),)

    @override
    def combine(self, values: Sequence[Array]) -> Array:
        return reduce(lambda total, value: total * value, values)

    def __str__(self) -> str:
        return " * ".join(map(_bracket, self.of))

    def __repr__(self) -> str:
        return super().__repr__() if len(self.of) != 2 else _named(self, " * ".join(map(_operand, self.of)))

    @override
    def factors(self) -> tuple[float, tuple[Expression, ...]]:
        return 1.0, self.of

    @override
    def map_addends(self, each: Callable[[Expression], Expression | None]) -> Expression | None:
        """Of the one factor that is no weight."""
        measured = [place for place, factor in enumerate(self.of) if not factor.weighs]
        if len(measured) != 1:
            return super().map_addends(each)
        (place,) = measured
        left = each(self.of[place])
        return None if left is None else replace(self, of=(*self.of[:place], left, *self.of[place + 1 :]))

    @override
    def compose_bound(self, bounds: Sequence[float | None]) -> float | None:
        return bounded(math.prod, bounds)

    @override
    def leave_one_out(self) -> Iterator[tuple[Expression, Expression | None]]:
        if len(self.of) == 1:
            yield from super().leave_one_out()
        elif times_task_is_paid(self) == 0:
            yield self, None


@dataclass(frozen=True)
class Clip(Combinator):
    """``min(max(of, low), high)``. Bounded; a potential clipped at ±0.1 loses optimal policies in 28 of 300 random MDPs."""

    of: Expression
    low: Extended = -1.0
    high: Extended = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.low <= self.high:
            raise ExpressionError(f"Clip needs low <= high, got low={self.low!r}, high={self.high!r}.")

    @override
    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example(cls(TaskReward() * 3.0, -0.5, 0.75)),)

    @override
    def combine(self, values: Sequence[Array]) -> Array:
        return values[0].clip(self.low, self.high)

    @override
    def compose_bound(self, bounds: Sequence[float | None]) -> float | None:
        limit = max(abs(self.low), abs(self.high))
        return limit if math.isfinite(limit) else bounds[0]


def add(*operands: Expression | float) -> Expression:
    """``a + b + ...``; nested unnamed sums are one sum, numbers become constants."""
    flat: list[Expression] = []
    for operand in map(lift, operands):
        if isinstance(operand, Sum) and operand.name is None:
            flat.extend(operand.of)
        else:
            flat.append(operand)
    return Sum(tuple(flat))


def multiply(left: Expression | float, right: Expression | float) -> Expression:
    """``a * b``: a `Scale` if one is a number (nested unnamed ones fold into one), else a `Product`."""
    if isinstance(left, Expression) and isinstance(right, Expression):
        return Product((left, right))
    of, by = (left, right) if isinstance(left, Expression) else (right, left)
    of, by = lift(of), _number(by)
    if isinstance(of, Scale) and of.name is None:
        return Scale(of.of, of.by * by)
    return Scale(of, by)


@overload
def clip(of: Expression, low: float = ..., high: float = ...) -> Expression: ...
@overload
def clip(of: StateFunction, low: float = ..., high: float = ...) -> StateFunction: ...
def clip(of: Any, low: float = -1.0, high: float = 1.0) -> Any:
    """Limit an expression to [low, high], see `Clip`; or a state function, see `Clipped`: a potential of that keeps its promise."""
    return of.clip(low, high) if isinstance(of, StateFunction) else Clip(of, low, high)


def lift(operand: Expression | float) -> Expression:
    """Return an expression: numbers become `Constant`.

    Raises:
        ExpressionError: for anything else.
    """
    return operand if isinstance(operand, Expression) else Constant(_number(operand))


def bounded(compose: Any, bounds: Sequence[float | None]) -> float | None:
    """Return ``compose(bounds)``, a number from numbers, or None if one of them is None."""
    return None if None in bounds else float(compose(bounds))


def _number(operand: Any) -> float:
    try:
        return float(fit(float, operand))
    except Unfit:
        raise ExpressionError(
            f"Cannot combine an expression with {operand!r} ({type(operand).__name__}): operands are expressions or finite numbers."
        ) from None


def _bracket(operand: Expression) -> str:
    return f"({operand})" if isinstance(operand, Sum) else str(operand)


def _operand(of: Expression) -> str:
    return f"({of!r})" if isinstance(of, (Sum, Scale, Product)) and of.name is None else repr(of)


def _named(node: Expression, written: str) -> str:
    return written if node.name is None else f"({written}).named({node.name!r})"


Expression._add, Expression._multiply = add, multiply
