"""Distances as state functions: how near a state is to a target, optionally shaped by a kernel.

Higher is always nearer. As a potential, ``Potential(Distance("features.agent_pos", "features.goal_pos"))`` pays progress without
changing optimal policies; raw, ``StateReward(Distance(...))`` pays for being near (see `shapegym.shaping.terms.goals`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, ClassVar, Literal, TypeAlias

import numpy as np
from annotated_types import MinLen
from typing_extensions import override

from shapegym.shaping.errors import ExpressionError, ObservationError
from shapegym.shaping.kernels import distance as kernels
from shapegym.shaping.limits import NonNegative, Positive
from shapegym.shaping.reading import Reading
from shapegym.shaping.states.functions import StateFunction
from shapegym.shaping.states.select import Selects, SelectsOne, selector
from shapegym.shaping.transitions import Features, Observation, Spec

Norm: TypeAlias = Literal["l1", "l2", "linf", "l2_squared"]

_NORMS = {"l1": kernels.L1, "l2": kernels.L2, "linf": kernels.LINF, "l2_squared": kernels.L2_SQUARED}


@dataclass(frozen=True)
class DistanceKernel(Reading, ABC):
    """Turns distances into bounded values that fall with distance."""

    in_words: ClassVar[str] = "Gaussian(...), ExponentialKernel(...), Tiered(...)"
    bound: ClassVar[float | property] = 1.0
    """The largest value."""

    @abstractmethod
    def apply(self, distances: np.ndarray, obs: Observation, features: Features) -> None:
        """Replace each distance d >= 0, (B,) float64, by its value."""


@dataclass(frozen=True)
class Gaussian(DistanceKernel):
    """``exp(-d^2 / (2 (alpha sigma)^2))``, in [0, 1].

    Args:
        sigma: the width in units of distance, or a selector of it: tied to the size of the target, small targets ask for precision
            and large ones forgive.
        alpha: factor on sigma.

    Source: GUI-G^2 2025, the Gaussian point reward with adaptive variance.
    """

    sigma: Positive | SelectsOne = 1.0
    alpha: Positive = 1.0

    @override
    def apply(self, distances: np.ndarray, obs: Observation, features: Features) -> None:
        widths = (
            selector(self.sigma).read_one(obs, features)
            if isinstance(self.sigma, str)
            else np.array([float(self.sigma)])
        )
        kernels.gaussian(distances, widths, float(self.alpha))


@dataclass(frozen=True)
class ExponentialKernel(DistanceKernel):
    """``exp(-d / scale)``, in [0, 1]: 1/e at a distance of ``scale``.

    Source: Moschopoulos et al. 2023 (Lucy-SKG), eq. 3, ``exp(-0.5 d / (c_d w_dis))^(1 / w_den)``. Its dispersion w_dis and density
    w_den act as one parameter: ``scale = 2 c_d w_dis w_den``.
    """

    scale: Positive = 1.0

    @override
    def apply(self, distances: np.ndarray, obs: Observation, features: Features) -> None:
        kernels.exponential(distances, float(self.scale))


@dataclass(frozen=True)
class Tiered(DistanceKernel):
    """The value of the innermost zone reached: ``values[k]`` for the smallest k with ``d <= edges[k]``, and 0 outside all zones.

    Values are positive and fall outwards, so of two states the nearer one is never worth less.

    Args:
        edges: radii of the nested zones, increasing.
        values: what each zone is worth, decreasing, all above 0.

    Source: "Sweet Spot Learning" 2026 (arXiv 2601.22491), the tiered reward.
    """

    edges: Annotated[tuple[NonNegative, ...], MinLen(1)]
    values: Annotated[tuple[Positive, ...], MinLen(1)]

    bound = property(lambda self: max(self.values))

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.edges) != len(self.values):
            raise ExpressionError(
                f"Tiered needs one value for each edge, got {len(self.edges)} and {len(self.values)}."
            )
        if any(inner >= outer for inner, outer in pairwise(self.edges)):
            raise ExpressionError(
                f"Tiered: edges are radii from the inside out, so increasing; got {self.edges}."
            )
        if any(inner <= outer for inner, outer in pairwise(self.values)):
            raise ExpressionError(
                f"Tiered: values must decrease outwards, so that nearer is never worth less; got {self.values}."
            )

    @override
    def apply(self, distances: np.ndarray, obs: Observation, features: Features) -> None:
        edges, values = (np.array(numbers, dtype=np.float64) for numbers in (self.edges, self.values))
        kernels.tiered(distances, edges, values)


@dataclass(frozen=True)
class Distance(StateFunction):
    """How near ``of`` is to ``to``: ``kernel(d)``, or ``-d`` without a kernel, with ``d = ||of - to||``. Higher is nearer.

    Args:
        of: selector of W numbers.
        to: selector of as many, or the target itself.
        norm: "l1", "l2", "linf" (the largest gap) or "l2_squared".
        kernel: `Gaussian`, `ExponentialKernel` or `Tiered`, which make the value bounded.
    """

    of: Selects = "obs.achieved_goal"
    to: Selects | tuple[float, ...] = "obs.desired_goal"
    norm: Norm = "l2"
    kernel: DistanceKernel | None = None

    bound = property(lambda self: None if self.kernel is None else self.kernel.bound)
    _target: ClassVar[np.ndarray]

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.to, str):
            object.__setattr__(self, "_target", np.array([self.to], dtype=np.float64))
        if isinstance(self.kernel, Gaussian) and self.norm == "l2_squared":
            raise ExpressionError("Distance: Gaussian squares the distance itself; use norm='l2' with it.")

    def check(self, spec: Spec) -> None:
        """Raise `ObservationError` unless both sides select as many numbers."""
        super().check(spec)
        width = selector(self.of).width(spec)
        target = selector(self.to).width(spec) if isinstance(self.to, str) else len(self.to)
        if width is not None and target is not None:
            self._require_equal(width, target)

    def value(self, obs: Observation, features: Features) -> np.ndarray:
        """Return Phi; raises `ObservationError` if the two sides differ in width."""
        of = np.ascontiguousarray(selector(self.of).read(obs, features), dtype=np.float64)
        if isinstance(self.to, str):
            to = np.ascontiguousarray(selector(self.to).read(obs, features), dtype=np.float64)
        else:
            to = self._target
        self._require_equal(
            of.shape[1], to.shape[1]
        )  # an undeclared feature's width was not known at binding
        out = np.empty(len(of))
        kernels.row_distances(of, to, _NORMS[self.norm], out)
        if self.kernel is None:
            return np.negative(out, out=out)
        self.kernel.apply(out, obs, features)
        return out

    def _require_equal(self, width: int, target: int) -> None:
        if width != target:
            raise ObservationError(
                f"Distance from {self.of!r} to {self.to!r} compares {width} numbers with {target}: select the same number on both "
                f"sides, e.g. '{self.of}[0:{min(width, target)}]'."
            )
