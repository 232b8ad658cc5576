"""Elementwise nodes beyond arithmetic.

| function | node | value at a step |
|---|---|---|
| `sign` | `Sign` | -1, 0 or 1 |
| `when` | `When` | then if condition > 0, else otherwise |
| `geometric_mean` | `GeometricMean` | +-(prod abs a_i)^(1/n) |
| `log_sigmoid_and` | `LogSigmoidAnd` | sum log sigmoid(a_i - r_i) |

Weights that change over the run (`anneal`) and running normalisation (`normalize`) are products with a term that measures the
weight or the scale, so nothing here remembers anything. Gates live in `shapegym.shaping.combinators.gate`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np

from shapegym.shaping.algebra import Constant, lift, require_number, require_operands
from shapegym.shaping.arrays import array_namespace
from shapegym.shaping.errors import ExpressionError
from shapegym.shaping.transitions import Array
from shapegym.shaping.types import Combinator, Expression, Guarantee

_NOTHING = Constant(0.0)


@dataclass(frozen=True)
class Sign(Combinator):
    """-1, 0 or 1. Bounded."""

    of: Expression = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        require_operands("Sign", (self.of,))

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
    otherwise: Expression = _NOTHING

    def __post_init__(self) -> None:
        require_operands("When", (self.condition, self.then, self.otherwise))

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
        require_operands("GeometricMean", self.of)

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
        require_operands("LogSigmoidAnd", self.of)
        references = tuple(require_number("LogSigmoidAnd", "a reference", value) for value in self.references)
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
