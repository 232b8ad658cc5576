"""Distances and the shapes over them, one number at a time. Imports nothing of the project."""

from __future__ import annotations

import math


def distance(of, to, norm: str) -> float:
    gaps = [abs(float(a) - float(b)) for a, b in zip(of, to, strict=True)]
    squares = sum(gap * gap for gap in gaps)
    return {"l1": sum(gaps), "l2": math.sqrt(squares), "linf": max(gaps, default=0.0), "l2_squared": squares}[
        norm
    ]


def gaussian(d: float, sigma: float, alpha: float) -> float:
    """GUI-G^2: exp(-d^2 / 2 sigma^2), sigma = alpha * size."""
    return math.exp(-(d**2) / (2 * (alpha * sigma) ** 2))


def lucy_distance(d: float, c_d: float, w_dis: float, w_den: float) -> float:
    """Lucy-SKG, eq. 3."""
    return math.exp(-0.5 * d / (c_d * w_dis)) ** (1 / w_den)


def tiered(d: float, edges, values) -> float:
    """The innermost zone reached; failures stay at 0."""
    worth = 0.0
    for edge, value in sorted(zip(edges, values, strict=True), reverse=True):  # from the outside in
        if d <= edge:
            worth = value
    return worth
