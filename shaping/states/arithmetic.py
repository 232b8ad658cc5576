"""Arithmetic on state functions: sums, products, powers, bounds.

    far = -Distance("obs.achieved_goal", "obs.desired_goal")
    phi = 2 * far + abs(Read("obs[0]")) - 5
    Potential(phi.clip(-1, 1))

| written | node | value in a state |
|---|---|---|
| ``a + b - 5`` | `Plus` | left-to-right sum |
| ``2 * a``, ``-a``, ``a / b`` | `Times` | left-to-right product, with ``b ** -1`` for a divisor |
| ``a ** 2`` | `Power` | a to a number |
| ``abs(a)`` | `Absolute` | |a| |
| `minimum`, `maximum` | `Minimum`, `Maximum` | the least, the greatest |
| ``a.clip(low, high)`` | `Clipped` | min(max(a, low), high) |

An operand is a state function, the name of one, a selector or a number. What is not defined (0 to a negative power, a negative
number to a broken one) is not finite, and the engine says which part it made so (`NonFiniteError`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Annotated, Any, ClassVar, TypeAlias

import numpy as np
from annotated_types import MinLen
from typing_extensions import override

from shapegym.shaping.errors import ExpressionError
from shapegym.shaping.limits import Extended, Unfit, fit
from shapegym.shaping.states.functions import Phi, StateFunction
from shapegym.shaping.transitions import Features, Observation

Operand: TypeAlias = Phi | float
Operands: TypeAlias = Annotated[tuple[Operand, ...], MinLen(1)]


@dataclass(frozen=True)
class Fold(StateFunction):
    """One value of several, from left to right; at least one operand is no number."""

    abstract: ClassVar[bool] = True
    of: Operands

    def __post_init__(self) -> None:
        super().__post_init__()
        if not any(isinstance(operand, StateFunction) for operand in self.of):
            raise ExpressionError(
                f"{type(self).__name__}: {self.of} are numbers alone; a state function is among the operands."
            )

    @override
    def value(self, obs: Observation, features: Features) -> np.ndarray:
        with np.errstate(over="ignore", invalid="ignore"):  # the engine reports what is not finite
            total: np.ndarray = reduce(self._join, (_value(operand, obs, features) for operand in self.of))
        return total

    _join: ClassVar[Any]


@dataclass(frozen=True)
class Plus(Fold):
    """The sum of all operands."""

    _join = staticmethod(np.add)
    bound = property(lambda self: _of_bounds(sum, self.of))

    def __str__(self) -> str:
        return " + ".join(map(str, self.of)).replace(" + -", " - ")


@dataclass(frozen=True)
class Times(Fold):
    """The product of all operands."""

    _join = staticmethod(np.multiply)
    bound = property(lambda self: _of_bounds(math.prod, self.of))

    def __str__(self) -> str:
        sign, of = ("-", self.of[1:]) if self.of[0] == -1.0 and len(self.of) > 1 else ("", self.of)
        return sign + " * ".join(map(_bracket, of))


@dataclass(frozen=True)
class Minimum(Fold):
    """The least of all operands."""

    _join = staticmethod(np.minimum)
    bound = property(lambda self: _of_bounds(max, self.of))

    def __str__(self) -> str:
        return f"minimum({', '.join(map(str, self.of))})"


@dataclass(frozen=True)
class Maximum(Fold):
    """The greatest of all operands."""

    _join = staticmethod(np.maximum)
    bound = property(lambda self: _of_bounds(max, self.of))

    def __str__(self) -> str:
        return f"maximum({', '.join(map(str, self.of))})"


@dataclass(frozen=True)
class Power(StateFunction):
    """``of ** exponent``. Where that is not defined (0 ** -1, (-1) ** 0.5) the part is not finite, which is an error."""

    of: Phi
    exponent: float

    @property
    def bound(self) -> float | None:  # type: ignore[override]
        """That of the operand, to the same power; none for a negative one."""
        return _of_bounds(lambda sizes: sizes[0] ** self.exponent, (self.of,)) if self.exponent >= 0 else None

    @override
    def value(self, obs: Observation, features: Features) -> np.ndarray:
        with np.errstate(all="ignore"):
            return np.power(_value(self.of, obs, features), float(self.exponent))

    def __str__(self) -> str:
        return f"{_bracket(self.of)} ** {self.exponent:g}"


@dataclass(frozen=True)
class Absolute(StateFunction):
    """``|of|``."""

    of: Phi

    bound = property(lambda self: self.of.bound)

    @override
    def value(self, obs: Observation, features: Features) -> np.ndarray:
        return np.abs(_value(self.of, obs, features))

    def __str__(self) -> str:
        return f"abs({self.of})"


@dataclass(frozen=True)
class Clipped(StateFunction):
    """``min(max(of, low), high)``, bounded if both ends are finite.

    A potential of it keeps optimal policies, unlike a potential that is clipped.
    """

    of: Phi
    low: Extended = -math.inf
    high: Extended = math.inf

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.low <= self.high:
            raise ExpressionError(f"Clipped needs low <= high, got low={self.low!r}, high={self.high!r}.")

    @property
    def bound(self) -> float | None:  # type: ignore[override]
        """The farther end, or that of the operand where an end is open."""
        limit = max(abs(self.low), abs(self.high))
        return float(limit) if math.isfinite(limit) else None

    @override
    def value(self, obs: Observation, features: Features) -> np.ndarray:
        return np.clip(_value(self.of, obs, features), self.low, self.high)

    def __str__(self) -> str:
        return f"{_bracket(self.of)}.clip({self.low:g}, {self.high:g})"


def minimum(*operands: Operand) -> StateFunction:
    """Return the least of state functions and numbers."""
    return Minimum(tuple(map(_operand, operands)))


def maximum(*operands: Operand) -> StateFunction:
    """Return the greatest of state functions and numbers."""
    return Maximum(tuple(map(_operand, operands)))


def plus(left: Operand, right: Operand) -> StateFunction:
    """``left + right``; a sum on the left goes on."""
    before = left.of if isinstance(left, Plus) else (_operand(left),)
    return Plus((*before, _operand(right)))


def times(left: Operand, right: Operand) -> StateFunction:
    """``left * right``; a product on the left goes on."""
    before = left.of if isinstance(left, Times) else (_operand(left),)
    return Times((*before, _operand(right)))


def power(of: Operand, exponent: float) -> StateFunction:
    """``of ** exponent``."""
    return Power(_operand(of), exponent)


def _operand(operand: Any) -> Any:
    """An operand as it is written into a node, or an error that says what would fit."""
    try:
        return fit(Operand, operand)
    except Unfit:
        raise ExpressionError(
            f"Cannot combine a state function with {operand!r} ({type(operand).__name__}): operands are state functions, selectors "
            "and finite numbers. It becomes a reward in StateReward(...), Progress(...) or Potential(...)."
        ) from None


def _value(operand: Any, obs: Observation, features: Features) -> Any:
    return operand.value(obs, features) if isinstance(operand, StateFunction) else float(operand)


def _of_bounds(compose: Callable[[Sequence[float]], float], operands: Sequence[Any]) -> float | None:
    bounds: list[Any] = [one.bound if isinstance(one, StateFunction) else abs(one) for one in operands]
    return None if None in bounds else float(compose(bounds))


def _bracket(operand: Any) -> str:
    return f"({operand})" if isinstance(operand, (Plus, Times)) else str(operand)


StateFunction._plus, StateFunction._times, StateFunction._power = plus, times, power
StateFunction._clipped, StateFunction._absolute = Clipped, Absolute
