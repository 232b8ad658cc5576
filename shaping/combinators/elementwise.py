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

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
from typing_extensions import override

from shapegym.shaping.algebra import Constant, TaskReward, bounded, lift
from shapegym.shaping.arrays import array_namespace
from shapegym.shaping.errors import ExpressionError
from shapegym.shaping.terms.events import EVENT, Compare
from shapegym.shaping.terms.potential import PROGRESS
from shapegym.shaping.transitions import Array
from shapegym.shaping.types import Combinator, Example, Expression, Operands

_NOTHING = Constant(0.0)


@dataclass(frozen=True)
class Sign(Combinator):
    """-1, 0 or 1."""

    of: Expression

    @override
    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example(cls(TaskReward())),)

    @override
    def combine(self, values: Sequence[Array]) -> Array:
        return array_namespace(values[0]).sign(values[0])

    @override
    def compose_bound(self, bounds: Sequence[float | None]) -> float:
        return 1.0


@dataclass(frozen=True)
class When(Combinator):
    """``then`` at steps where ``condition > 0``, else ``otherwise``. Bounded if both branches are."""

    condition: Expression
    then: Expression
    otherwise: Expression = _NOTHING

    @override
    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example(cls(Compare("features.progress", ">", 0.25), EVENT, PROGRESS)),)

    @override
    def combine(self, values: Sequence[Array]) -> Array:
        condition, then, otherwise = values
        return array_namespace(then).where(condition > 0, then, otherwise)

    @override
    def pays_task(self, times: Sequence[int]) -> int:
        return max(times[1:])

    @override
    def compose_bound(self, bounds: Sequence[float | None]) -> float | None:
        return bounded(max, bounds[1:])


@dataclass(frozen=True)
class GeometricMean(Combinator):
    """``s * (prod_i |v_i|)^(1/n)`` with s = +1 if every v_i > 0, else -1.

    All operands must be good at once: a small one pulls the whole down. In log space, so that many small operands do not
    underflow. Discontinuous in sign at 0. Bounded if all operands are. Source: Moschopoulos et al. 2023 (Lucy-SKG), eq. 2 (KRC).
    """

    of: Operands

    @override
    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example(cls((EVENT + 0.1, PROGRESS))),)

    @override
    def combine(self, values: Sequence[Array]) -> Array:
        xp = array_namespace(values[0])
        with np.errstate(divide="ignore"):  # log 0 = -inf and exp(-inf) = 0 is the value wanted
            magnitude = xp.exp(sum(xp.log(abs(value)) for value in values) / len(values))
        positive = reduce(lambda all_, value: all_ & (value > 0), values[1:], values[0] > 0)
        return xp.where(positive, magnitude, -magnitude)

    @override
    def compose_bound(self, bounds: Sequence[float | None]) -> float | None:
        return bounded(max, bounds)


@dataclass(frozen=True)
class LogSigmoidAnd(Combinator):
    """``sum_i log sigmoid(v_i - reference_i)``: the log-probability that every operand beats its reference.

    Saturates above the references and pushes whichever operand is worst. Source: Wang et al. 2024, "Transforming and Combining
    Rewards for Aligning Large Language Models". Never above 0; bounded if all operands are.
    """

    of: Operands
    references: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.references and len(self.references) != len(self.of):
            raise ExpressionError(
                f"LogSigmoidAnd has {len(self.of)} operands and {len(self.references)} references: give one each, or none."
            )

    @override
    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example(cls((TaskReward(), PROGRESS), (0.5, 0.0))),)

    @override
    def combine(self, values: Sequence[Array]) -> Array:
        xp = array_namespace(values[0])
        references = self.references or (0.0,) * len(values)
        zeros = xp.zeros_like(values[0])
        return -sum(xp.logaddexp(zeros, ref - value) for value, ref in zip(values, references, strict=True))

    @override
    def compose_bound(self, bounds: Sequence[float | None]) -> float | None:
        references = sum(map(abs, self.references))
        return bounded(lambda sizes: sum(sizes) + references + len(self.of) * math.log(2.0), bounds)


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
