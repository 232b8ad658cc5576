"""Composition: the arithmetic of expressions, and the elementwise nodes behind it.

| function | node | value at a step |
|---|---|---|
| ``a + b - 2`` | `Sum` | left-to-right sum |
| ``0.5 * a`` | `Scale` | by * a |
| ``a * b`` | `Product` | product |
| `clip` | `Clip` | min(max(a, low), high) |
| `sign` | `Sign` | -1, 0 or 1 |
| `when` | `When` | then if condition > 0, else otherwise |
| `geometric_mean` | `GeometricMean` | +-(prod abs a_i)^(1/n) |
| `log_sigmoid_and` | `LogSigmoidAnd` | sum log sigmoid(a_i - r_i) |

Weights that change over the run (`anneal`) and running normalisation (`normalize`) are products with a term that measures the
weight or the scale, so nothing here remembers anything. Gates live in `shapegym.shaping.gate`.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from types import ModuleType
from typing import ClassVar

import numpy as np

from shapegym.shaping.errors import ExpressionError
from shapegym.shaping.types import Array, Combinator, Expression, Guarantee, Spec, State, Term, Transitions


def array_namespace(value: Array) -> ModuleType:
    """Return the module whose functions apply to ``value``: torch for its tensors, else numpy."""
    return sys.modules["torch"] if type(value).__module__.startswith("torch") else np


def as_plain(values: Array) -> np.ndarray:
    """Return a contiguous NumPy view of a tensor or array: what is decided from it is not differentiated."""
    if array_namespace(values) is not np:
        values = values.detach().cpu().numpy()
    return np.ascontiguousarray(values, dtype=np.float64)


def like(factors: np.ndarray, values: Array) -> Array:
    """Return ``factors`` as an array or tensor that combines with ``values``."""
    xp = array_namespace(values)
    return factors if xp is np else xp.as_tensor(factors, dtype=values.dtype, device=values.device)


def _bracket(operand: Expression) -> str:
    return f"({operand})" if isinstance(operand, Sum) else str(operand)


def _require_operands(node: str, operands: tuple[object, ...]) -> None:
    if not isinstance(operands, tuple) or not operands:
        raise ExpressionError(f"{node} needs a non-empty tuple of expressions, got {operands!r}.")
    for position, operand in enumerate(operands):
        if not isinstance(operand, Expression):
            raise ExpressionError(f"{node}: operand {position} is {operand!r}, which is not an expression.")


def _require_number(node: str, key: str, value: object, *, infinite: bool = False) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise ExpressionError(f"{node}: {key} must be a number, got {value!r} ({type(value).__name__}).")
    if math.isnan(value) or (math.isinf(value) and not infinite):
        raise ExpressionError(f"{node}: {key} must be finite, got {value!r}.")
    return float(value)


@dataclass(frozen=True)
class TaskReward(Term):
    """r_t: what the environment pays, untouched. Guarantee: invariant (it is the task)."""

    guarantee: ClassVar[Guarantee] = Guarantee.INVARIANT

    def measure(self, transitions: Transitions, state: State, *inputs: np.ndarray) -> np.ndarray:
        """See `Term.measure`."""
        return transitions.reward


@dataclass(frozen=True)
class Constant(Term):
    """The same number at every step (a living cost, say). Bounded; changes optimal policies where episodes can end."""

    value: float = 0.0
    guarantee: ClassVar[Guarantee] = Guarantee.BOUNDED

    def __post_init__(self) -> None:
        _require_number("Constant", "value", self.value)

    def init(self, spec: Spec) -> State:
        """See `Term.init`."""
        return {"value": np.full(spec.num_lanes, float(self.value))}

    def measure(self, transitions: Transitions, state: State, *inputs: np.ndarray) -> np.ndarray:
        """See `Term.measure`."""
        if len(state["value"]) != transitions.num_lanes:  # a replay batch has its own number of rows
            return np.full(transitions.num_lanes, float(self.value))
        return state["value"]


@dataclass(frozen=True)
class Sum(Combinator):
    """Left-to-right sum; each operand is an addend whose value is logged as a named part. Keeps the weakest guarantee."""

    of: tuple[Expression, ...] = ()

    def __post_init__(self) -> None:
        _require_operands("Sum", self.of)

    def combine(self, values: Sequence[Array]) -> Array:
        """See `Combinator.combine`."""
        return reduce(lambda total, value: total + value, values)

    def __str__(self) -> str:
        return " + ".join(map(str, self.of))

    def compose_guarantee(self, guarantees: Sequence[Guarantee]) -> Guarantee:
        """Sums of invariant expressions are invariant, of bounded ones bounded."""
        return min(guarantees)


@dataclass(frozen=True)
class Scale(Combinator):
    """``by * of``. Keeps every guarantee, except that the task's reward must not be scaled by zero or less."""

    of: Expression = None  # type: ignore[assignment]
    by: float = 1.0

    def __post_init__(self) -> None:
        _require_operands("Scale", (self.of,))
        _require_number("Scale", "by", self.by)

    def combine(self, values: Sequence[Array]) -> Array:
        """See `Combinator.combine`."""
        return values[0] * self.by

    def __str__(self) -> str:
        return f"{self.by:g} * {_bracket(self.of)}"

    def compose_guarantee(self, guarantees: Sequence[Guarantee]) -> Guarantee:
        """A scaled potential is a potential; a task scaled by zero or less is another task."""
        return guarantees[0] if self.by > 0 or not _has_task(self.of) else Guarantee.NONE


@dataclass(frozen=True)
class Product(Combinator):
    """Product of all operands. Bounded if all are; a product never keeps policy invariance."""

    of: tuple[Expression, ...] = ()

    def __post_init__(self) -> None:
        _require_operands("Product", self.of)

    def combine(self, values: Sequence[Array]) -> Array:
        """See `Combinator.combine`."""
        return reduce(lambda total, value: total * value, values)

    def __str__(self) -> str:
        return " * ".join(map(_bracket, self.of))


@dataclass(frozen=True)
class Clip(Combinator):
    """``min(max(of, low), high)``. Bounded; clipping a potential loses its invariance (measured: 292 of 300 random MDPs)."""

    of: Expression = None  # type: ignore[assignment]
    low: float = -1.0
    high: float = 1.0

    def __post_init__(self) -> None:
        _require_operands("Clip", (self.of,))
        for key in ("low", "high"):
            _require_number("Clip", key, getattr(self, key), infinite=True)
        if not self.low <= self.high:
            raise ExpressionError(f"Clip needs low <= high, got low={self.low!r}, high={self.high!r}.")

    def combine(self, values: Sequence[Array]) -> Array:
        """See `Combinator.combine`."""
        return values[0].clip(self.low, self.high)

    def compose_guarantee(self, guarantees: Sequence[Guarantee]) -> Guarantee:
        """Bounded, whatever is clipped (unless a bound is infinite)."""
        del guarantees
        return Guarantee.BOUNDED if math.isfinite(self.low) and math.isfinite(self.high) else Guarantee.NONE


@dataclass(frozen=True)
class Sign(Combinator):
    """-1, 0 or 1. Bounded."""

    of: Expression = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        _require_operands("Sign", (self.of,))

    def combine(self, values: Sequence[Array]) -> Array:
        """See `Combinator.combine`."""
        return array_namespace(values[0]).sign(values[0])

    def compose_guarantee(self, guarantees: Sequence[Guarantee]) -> Guarantee:
        """Bounded, whatever the operand."""
        del guarantees
        return Guarantee.BOUNDED


@dataclass(frozen=True)
class When(Combinator):
    """``then`` at steps where ``condition > 0``, else ``otherwise``. Bounded if both branches are."""

    condition: Expression = None  # type: ignore[assignment]
    then: Expression = None  # type: ignore[assignment]
    otherwise: Expression = Constant(0.0)

    def __post_init__(self) -> None:
        _require_operands("When", (self.condition, self.then, self.otherwise))

    def combine(self, values: Sequence[Array]) -> Array:
        """See `Combinator.combine`."""
        condition, then, otherwise = values
        return array_namespace(then).where(condition > 0, then, otherwise)

    def compose_guarantee(self, guarantees: Sequence[Guarantee]) -> Guarantee:
        """The condition only selects, so its own guarantee does not matter."""
        return super().compose_guarantee(guarantees[1:])


@dataclass(frozen=True)
class GeometricMean(Combinator):
    """``s * (prod_i |v_i|)^(1/n)`` with s = +1 if every v_i > 0, else -1.

    All operands must be good at once: a small one pulls the whole down. In log space, so that many small operands do not
    underflow. Discontinuous in sign at 0. Source: Moschopoulos et al. 2023 (Lucy-SKG), eq. 2 (KRC).
    """

    of: tuple[Expression, ...] = ()

    def __post_init__(self) -> None:
        _require_operands("GeometricMean", self.of)

    def combine(self, values: Sequence[Array]) -> Array:
        """See `Combinator.combine`."""
        xp = array_namespace(values[0])
        with np.errstate(divide="ignore"):  # log 0 = -inf and exp(-inf) = 0 is the value wanted
            magnitude = xp.exp(sum(xp.log(abs(value)) for value in values) / len(values))
        positive = reduce(lambda all_, value: all_ & (value > 0), values[1:], values[0] > 0)
        return xp.where(positive, magnitude, -magnitude)


@dataclass(frozen=True)
class LogSigmoidAnd(Combinator):
    """``sum_i log sigmoid(v_i - reference_i)``: the log-probability that every operand beats its reference.

    Saturates above the references and pushes whichever operand is worst. Source: Wang et al. 2024, "Transforming and Combining
    Rewards for Aligning Large Language Models". Never above 0; bounded if all operands are.
    """

    of: tuple[Expression, ...] = ()
    references: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        _require_operands("LogSigmoidAnd", self.of)
        references = tuple(
            _require_number("LogSigmoidAnd", "a reference", value) for value in self.references
        )
        object.__setattr__(self, "references", references)
        if self.references and len(self.references) != len(self.of):
            raise ExpressionError(
                f"LogSigmoidAnd has {len(self.of)} operands and {len(self.references)} references: give one each, or none."
            )

    def combine(self, values: Sequence[Array]) -> Array:
        """See `Combinator.combine`."""
        xp = array_namespace(values[0])
        references = self.references or (0.0,) * len(values)
        zeros = xp.zeros_like(values[0])
        return -sum(xp.logaddexp(zeros, ref - value) for value, ref in zip(values, references, strict=True))


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
    by = _require_number("Scale", "by", by)
    of = lift(of)
    if isinstance(of, Scale) and of.name is None:
        return Scale(of.of, of.by * by)
    return Scale(of, by)


def clip(of: Expression, low: float = -1.0, high: float = 1.0) -> Expression:
    """Limit ``of`` to [low, high]. See `Clip`."""
    return Clip(of, low, high)


def sign(of: Expression) -> Expression:
    """Keep only the sign of ``of``. See `Sign`."""
    return Sign(of)


def when(condition: Expression, then: Expression | float, otherwise: Expression | float = 0.0) -> Expression:
    """``then`` where ``condition > 0``, else ``otherwise``. See `When`."""
    return When(lift(condition), lift(then), lift(otherwise))


def geometric_mean(*of: Expression) -> Expression:
    """Signed geometric mean. See `GeometricMean`."""
    return GeometricMean(of)


def log_sigmoid_and(*of: Expression, references: Sequence[float] = ()) -> Expression:
    """Soft AND of several measurements. See `LogSigmoidAnd`."""
    return LogSigmoidAnd(of, tuple(references))


def lift(operand: Expression | float) -> Expression:
    """Return an expression: numbers become `Constant`.

    Raises:
        ExpressionError: for anything else.
    """
    if isinstance(operand, Expression):
        return operand
    if isinstance(operand, (int, float, np.integer, np.floating)) and not isinstance(operand, bool):
        return Constant(_require_number("Constant", "value", float(operand)))
    raise ExpressionError(
        f"Cannot combine an expression with {operand!r} ({type(operand).__name__}): operands are expressions or numbers."
    )


def _has_task(expression: Expression) -> bool:
    return isinstance(expression, TaskReward) or any(map(_has_task, expression.children))
