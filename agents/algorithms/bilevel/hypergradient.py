"""The gradient of an outer objective through what an inner learner makes of its reward, in torch.

Two ways: implicitly, from the condition that the inner optimum satisfies (`implicit`), and through a few steps of the inner learner
itself (`unrolled`, an ablation: it needs memory for every step, and sees no further than they lead).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from shapegym.agents.algorithms.bilevel.implicit import Verdict, largest_eigenvalue, neumann, norm

Objective = Callable[[Tensor], Tensor]
"""theta -> a number; the inner one also depends on the outer parameters."""

NO_SIGNAL = "no signal"
"""The verdict where dJ/dtheta is zero."""

_ITERATIONS = 10
_MARGIN = 1.2
"""Power iteration approaches the largest eigenvalue from below."""


@dataclass(frozen=True)
class HyperGradient:
    """dJ/dphi for every outer parameter, and whether it can be used.

    Attributes:
        gradients: in the order of the parameters; zeros if it cannot.
        usable: whether to make the outer step.
        verdict: on the Neumann series, "no signal" where dJ/dtheta is zero, or "unrolled".
        residual: of the series, 0 where there is none.
    """

    gradients: tuple[Tensor, ...]
    usable: bool
    verdict: str
    residual: float


def implicit(
    inner: Objective,
    outer: Objective,
    theta: Tensor,
    parameters: Sequence[Tensor],
    *,
    terms: int,
    damping: float,
) -> HyperGradient:
    """dJ/dphi = -(dJ/dtheta)^T (H - damping I)^{-1} A with A = d(dL/dtheta)/dphi, never forming H or A.

    Each term of the Neumann series is a Hessian-vector product, its step comes from power iteration, and A is contracted with the
    sum in one more backward pass.

    Args:
        inner: L(theta), differentiable in the parameters, with theta at its optimum. What it is made of can be used again.
        outer: what has the gradient dJ/dtheta.
        theta: (n,).
        parameters: phi; a parameter on which L does not depend gets zeros.
        terms: K of the series, at least 1.
        damping: >= 0; what makes a slightly indefinite Hessian usable.
    """
    theta = theta.detach().requires_grad_()
    (ascent,) = torch.autograd.grad(outer(theta), theta)
    length = norm(ascent)
    if length == 0:
        return _unused(parameters, NO_SIGNAL)
    if not math.isfinite(length):
        return _unused(parameters, Verdict.EXPLODING.value)
    (update,) = torch.autograd.grad(inner(theta), theta, create_graph=True)

    def hessian_product(vector: Tensor) -> Tensor:
        (product,) = torch.autograd.grad(update, theta, vector, retain_graph=True)
        return product - damping * vector

    curvature = largest_eigenvalue(hessian_product, ascent, _ITERATIONS)
    if not curvature > 0:
        return _unused(parameters, Verdict.SINGULAR.value)
    series = neumann(hessian_product, ascent, step=1.0 / (_MARGIN * curvature), terms=terms)
    if not series.verdict.usable:
        return _unused(parameters, series.verdict.value, series.residual)
    gradients = torch.autograd.grad(update, parameters, series.solution, allow_unused=True, retain_graph=True)
    return _used(gradients, parameters, series.verdict.value, series.residual)


def unrolled(
    inner: Objective,
    outer: Objective,
    theta: Tensor,
    parameters: Sequence[Tensor],
    *,
    steps: int,
    step: float,
) -> HyperGradient:
    """dJ(theta_K)/dphi through theta_{k+1} = theta_k + step * dL/dtheta(theta_k; phi), from theta_0 = theta; K is ``steps``.

    The other arguments are those of `implicit`.
    """
    point = theta.detach().requires_grad_()
    for _ in range(steps):
        (update,) = torch.autograd.grad(inner(point), point, create_graph=True)
        point = point + step * update
    gradients = torch.autograd.grad(outer(point), parameters, allow_unused=True, retain_graph=True)
    return _used(gradients, parameters, "unrolled", 0.0)


def _used(
    gradients: Sequence[Tensor | None], parameters: Sequence[Tensor], verdict: str, residual: float
) -> HyperGradient:
    filled = tuple(
        torch.zeros_like(parameter) if gradient is None else gradient
        for gradient, parameter in zip(gradients, parameters, strict=True)
    )
    if not all(bool(gradient.isfinite().all()) for gradient in filled):
        return _unused(parameters, Verdict.EXPLODING.value, residual)
    return HyperGradient(filled, True, verdict, residual)


def _unused(parameters: Sequence[Tensor], verdict: str, residual: float = 0.0) -> HyperGradient:
    return HyperGradient(tuple(map(torch.zeros_like, parameters)), False, verdict, residual)
