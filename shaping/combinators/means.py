"""Means of several measurements that one of them alone cannot raise, and references for `log_sigmoid_and`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
from typing_extensions import override

from shapegym.shaping.algebra import TaskReward, bounded
from shapegym.shaping.arrays import array_namespace
from shapegym.shaping.errors import ExpressionError
from shapegym.shaping.limits import Fraction, Positive, checked
from shapegym.shaping.terms.events import EVENT
from shapegym.shaping.terms.potential import PROGRESS
from shapegym.shaping.transitions import Array
from shapegym.shaping.types import Combinator, Example, Expression, Operands


@dataclass(frozen=True)
class HarmonicMean(Combinator):
    """``sum_i w_i / sum_i (w_i / v_i)`` where every v_i > 0, else the smallest v_i.

    Dominated by whichever operand is worst, so that one that is hacked buys little: with equal weights it is at most n times the
    smallest. The second branch makes it continuous and non-decreasing in every operand, whatever their signs. Source: the
    lambda-harmonic reward of Miao et al. 2024, "Subject-driven Text-to-Image Generation via Preference-based Reinforcement
    Learning", with weights lambda and 1 - lambda. Bounded if all operands are.

    Args:
        of: the operands.
        weights: w_i, one each; none for equal weights.
    """

    of: Operands
    weights: tuple[Positive, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.weights and len(self.weights) != len(self.of):
            raise ExpressionError(
                f"HarmonicMean has {len(self.of)} operands and {len(self.weights)} weights: give one each, or none."
            )

    @override
    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example(cls((EVENT + 0.1, PROGRESS + 1.0, TaskReward()), (1.0, 2.0, 0.5))),)

    @override
    def combine(self, values: Sequence[Array]) -> Array:
        xp = array_namespace(values[0])
        weights = self.weights or (1.0,) * len(values)
        smallest = reduce(xp.minimum, values)
        positive = smallest > 0.0
        # Relative to the smallest, so that neither tiny nor huge operands overflow.
        safe = [xp.where(positive, value, xp.ones_like(value)) for value in values]
        least = reduce(xp.minimum, safe)
        harmonic = (
            least
            * sum(weights)
            / sum(weight * (least / value) for weight, value in zip(weights, safe, strict=True))
        )
        return xp.where(positive, harmonic, smallest)

    @override
    def compose_bound(self, bounds: Sequence[float | None]) -> float | None:
        return bounded(max, bounds)


def harmonic_mean(*of: Expression, weights: Sequence[float] = ()) -> Expression:
    """Weighted harmonic mean. See `HarmonicMean`."""
    return HarmonicMean(of, tuple(weights))


def reference_quantiles(parts: np.ndarray, quantile: float = 0.85) -> tuple[float, ...]:
    """Return the references of `log_sigmoid_and`: a quantile of each operand under a base policy.

    Above its reference an operand is worth little more: it is as good as the base policy's best. Source: Wang et al. 2024.

    Args:
        parts: (N, ...), the recorded values of each of N operands, as in ``settled.parts`` of a rollout or those that
            `RewardEngine.measure` returned, stacked on a later axis.
        quantile: in [0, 1].

    Raises:
        ExpressionError: if there is nothing to take quantiles of, or they are not finite.
    """
    values = np.asarray(parts, dtype=np.float64)
    if values.ndim < 2 or values.size == 0 or not np.isfinite(values).all():
        raise ExpressionError(
            f"reference_quantiles needs finite values of shape (operands, ...), got an array of shape {values.shape}"
            + ("." if np.isfinite(values).all() else " with values that are not finite.")
        )
    checked("reference_quantiles: quantile", Fraction, quantile)
    return tuple(np.quantile(values.reshape(len(values), -1), quantile, axis=1).tolist())
