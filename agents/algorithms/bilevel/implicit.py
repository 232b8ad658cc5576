"""Implicit gradients: -H^{-1} v by a Neumann series, and whether the series can be trusted.

An inner learner ends where its update vanishes, Delta(theta*, phi) = 0. So the outer objective J(theta*(phi)) has the gradient

    dJ/dphi = -(dJ/dtheta)^T H^{-1} A,   H = dDelta/dtheta,   A = dDelta/dphi,

and H, which is only known by its products with vectors, is inverted by u = step * sum_{k<K} (I + step H)^k v -> -H^{-1} v, which
converges where H is negative definite and step < 2 / max|eig(H)|. H is symmetric: the Hessian of the inner objective.

Source: Gupta et al. (2023), *Behavior Alignment via Reward Function Optimization*; Lorraine, Vicol & Duvenaud (2020), algorithm 3.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Any, TypeAlias

Vector: TypeAlias = Any
"""A flat NumPy array or torch tensor."""

HessianProduct: TypeAlias = Callable[[Vector], Vector]
"""x -> H x, which leaves x as it is."""

_ROUNDING = 1e-4
"""Growth of a norm from term to term that is put down to float32."""


class Verdict(StrEnum):
    """What the norms of a series' terms say about its sum."""

    CONVERGED = "converged"
    """The rest is within the tolerance."""
    TRUNCATED = "truncated"
    """The terms still fall: an approximation, biased toward the directions of high curvature."""
    SINGULAR = "singular"
    """The terms have stopped falling: part of v lies where H is (almost) zero, and the sum grows there with every term."""
    EXPLODING = "exploding"
    """The terms grow or are not finite: H is not negative definite, or the step is too long."""

    @property
    def usable(self) -> bool:
        """An outer step may be made with the sum."""
        return self in {Verdict.CONVERGED, Verdict.TRUNCATED}


@dataclass(frozen=True)
class Neumann:
    """The sum of a Neumann series.

    Attributes:
        solution: u, an approximation of -H^{-1} v, of v's kind and shape.
        norms: |(I + step H)^k v| for k = 0 .. the number of terms; fewer where the series exploded.
        verdict: whether the solution can be used.
    """

    solution: Vector
    norms: tuple[float, ...]
    verdict: Verdict

    @property
    def residual(self) -> float:
        """|H u + v| / |v|, which is the last norm over the first, as H u + v = (I + step H)^K v; 0 where v = 0."""
        return self.norms[-1] / self.norms[0] if self.norms[0] else 0.0


def neumann(
    hessian_product: HessianProduct,
    vector: Vector,
    *,
    step: float,
    terms: int,
    tolerance: float = 1e-2,
    stagnation: float = 1e-2,
) -> Neumann:
    """Sum u = step * sum_{k<terms} (I + step H)^k v, one Hessian-vector product a term; ``vector`` is v.

    The step must be below 2 / max|eig(H)|; 1 / `largest_eigenvalue` is safe. A series that fails is a value and not an exception
    (`judge`): callers leave the outer parameters as they are, and count and log it.

    Raises:
        ValueError: step is not positive, or there are no terms.
    """
    if not step > 0 or terms < 1:
        raise ValueError(f"A Neumann series needs step > 0 and terms >= 1, got {step} and {terms}.")
    term, total = vector, vector * 0.0
    norms = [norm(vector)]
    for _ in range(terms):
        total = total + step * term
        term = term + step * hessian_product(term)
        norms.append(norm(term))
        if grows(norms[-2], norms[-1]):
            break
    return Neumann(total, tuple(norms), judge(norms, tolerance, stagnation))


def judge(norms: Sequence[float], tolerance: float = 1e-2, stagnation: float = 1e-2) -> Verdict:
    """What the norms of the terms, from |v| on, say of their sum.

    Of a symmetric H, the ratio of successive norms never falls. So growth at one term means growth at all later ones; and once the
    second half of the terms lowers the norm by less than the share `stagnation`, more terms of that number will not either. That is
    judged from 10 terms on: before, slow directions cannot be told from lost ones. ``tolerance`` is a share of the first norm.
    """
    if any(grows(before, after) for before, after in pairwise(norms)):
        return Verdict.EXPLODING
    if norms[-1] <= tolerance * norms[0]:
        return Verdict.CONVERGED
    terms = len(norms) - 1
    if terms >= 10 and norms[-1] > (1 - stagnation) * norms[terms // 2]:
        return Verdict.SINGULAR
    return Verdict.TRUNCATED


def grows(before: float, after: float) -> bool:
    """A term is larger than the one before it by more than rounding, or is not finite."""
    return not after <= before * (1 + _ROUNDING) or not math.isfinite(after)


def largest_eigenvalue(hessian_product: HessianProduct, like: Vector, iterations: int = 20) -> float:
    """max|eig(H)| from below, by power iteration from `like`, within the directions that are present in it.

    Started from the v of a Neumann series, these are the directions that the series has to do with, and the step 1 / max|eig(H)|
    is safe as soon as the estimate is above half the truth. The estimate is 0 where H x = 0 on the way.

    Raises:
        ValueError: `like` is zero or not finite, or there are no iterations.
    """
    length = norm(like)
    if not 0 < length < math.inf or iterations < 1:
        raise ValueError(
            f"Power iteration needs a start of finite length above 0 and at least one iteration, got {length} and {iterations}."
        )
    direction, estimate = like / length, 0.0
    for _ in range(iterations):
        image = hessian_product(direction)
        estimate = norm(image)
        if not 0 < estimate < math.inf:
            break
        direction = image / estimate
    return estimate


def norm(vector: Vector) -> float:
    """|x|."""
    return math.sqrt(float((vector * vector).sum()))
