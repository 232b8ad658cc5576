"""Distances as state functions: how near a state is to a target, optionally shaped by a kernel.

Higher is always nearer. As a potential, ``Potential(Distance("features.agent_pos", "features.goal_pos"))`` pays progress without
changing optimal policies; raw, ``StateReward(Distance(...))`` pays for being near (see `shapegym.shaping.terms.goals`).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Literal

import numpy as np

from shapegym.shaping.checks import is_number
from shapegym.shaping.errors import ExpressionError, ObservationError
from shapegym.shaping.kernels import distance as kernels
from shapegym.shaping.terms.select import selector
from shapegym.shaping.terms.states import Read, StateFunction, features_of
from shapegym.shaping.transitions import Features, Observation, Spec

_NORMS = {"l1": kernels.L1, "l2": kernels.L2, "linf": kernels.LINF, "l2_squared": kernels.L2_SQUARED}


@dataclass(frozen=True)
class DistanceKernel(ABC):
    """Turns distances into bounded values that fall with distance."""

    @property
    def reads(self) -> tuple[str, ...]:
        """Features that it reads."""
        return ()

    def check(self, spec: Spec) -> None:
        """Raise a `ShapingError` if it cannot be evaluated on this environment."""
        del spec

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

    sigma: float | str = 1.0
    alpha: float = 1.0

    def __post_init__(self) -> None:
        _require_positive("Gaussian", "alpha", self.alpha)
        if isinstance(self.sigma, str):
            selector(self.sigma)
        else:
            _require_positive("Gaussian", "sigma", self.sigma)

    @property
    def reads(self) -> tuple[str, ...]:
        """See `DistanceKernel.reads`."""
        return features_of(self.sigma) if isinstance(self.sigma, str) else ()

    def check(self, spec: Spec) -> None:
        """See `DistanceKernel.check`."""
        if isinstance(self.sigma, str):
            Read(self.sigma).check(spec)

    def apply(self, distances: np.ndarray, obs: Observation, features: Features) -> None:
        """See `DistanceKernel.apply`."""
        widths = (
            Read(self.sigma).value(obs, features)
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

    scale: float = 1.0

    def __post_init__(self) -> None:
        _require_positive("ExponentialKernel", "scale", self.scale)

    def apply(self, distances: np.ndarray, obs: Observation, features: Features) -> None:
        """See `DistanceKernel.apply`."""
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

    edges: tuple[float, ...] = ()
    values: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        edges, values = _floats("Tiered", "edges", self.edges), _floats("Tiered", "values", self.values)
        object.__setattr__(self, "edges", edges)
        object.__setattr__(self, "values", values)
        if not edges or len(edges) != len(values):
            raise ExpressionError(
                f"Tiered needs one value for each edge, at least one, got {len(edges)} and {len(values)}."
            )
        if edges[0] < 0 or any(inner >= outer for inner, outer in pairwise(edges)):
            raise ExpressionError(
                f"Tiered: edges are radii from the inside out, so increasing, none negative; got {edges}."
            )
        if any(inner <= outer for inner, outer in zip(values, (*values[1:], 0.0), strict=True)):
            raise ExpressionError(
                f"Tiered: values must decrease outwards and stay above 0, so that nearer is never worth less; got {values}."
            )

    def apply(self, distances: np.ndarray, obs: Observation, features: Features) -> None:
        """See `DistanceKernel.apply`."""
        kernels.tiered(distances, np.array(self.edges), np.array(self.values))


@dataclass(frozen=True)
class Distance(StateFunction):
    """How near ``of`` is to ``to``: ``kernel(d)``, or ``-d`` without a kernel, with ``d = ||of - to||``. Higher is nearer.

    Args:
        of: selector of W numbers.
        to: selector of as many, or the target itself.
        norm: "l1", "l2", "linf" (the largest gap) or "l2_squared".
        kernel: `Gaussian`, `ExponentialKernel` or `Tiered`, which make the value bounded.
    """

    of: str = "obs.achieved_goal"
    to: str | tuple[float, ...] = "obs.desired_goal"
    norm: Literal["l1", "l2", "linf", "l2_squared"] = "l2"
    kernel: DistanceKernel | None = None

    _target: ClassVar[np.ndarray]

    def __post_init__(self) -> None:
        selector(self.of)
        if isinstance(self.to, str):
            selector(self.to)
        else:
            object.__setattr__(self, "to", _floats("Distance", "to", self.to))
            object.__setattr__(self, "_target", np.array([self.to]))
        if self.norm not in _NORMS:
            raise ExpressionError(f"Distance: norm must be one of {', '.join(_NORMS)}, got {self.norm!r}.")
        if self.kernel is not None and not isinstance(self.kernel, DistanceKernel):
            raise ExpressionError(
                f"Distance: kernel must be Gaussian, ExponentialKernel, Tiered or None, got {self.kernel!r}."
            )
        if isinstance(self.kernel, Gaussian) and self.norm == "l2_squared":
            raise ExpressionError("Distance: Gaussian squares the distance itself; use norm='l2' with it.")

    @property
    def bounded(self) -> bool:
        """Whether the value stays in a fixed interval."""
        return self.kernel is not None

    @property
    def reads(self) -> tuple[str, ...]:
        """See `StateFunction.reads`."""
        texts = (self.of, self.to) if isinstance(self.to, str) else (self.of,)
        return (*features_of(*texts), *(self.kernel.reads if self.kernel else ()))

    def check(self, spec: Spec) -> None:
        """Raise `ObservationError` unless both sides select as many numbers."""
        width = selector(self.of).width(spec)
        target = selector(self.to).width(spec) if isinstance(self.to, str) else len(self.to)
        if width is not None and target is not None:
            self._require_equal(width, target)
        if self.kernel is not None:
            self.kernel.check(spec)

    def value(self, obs: Observation, features: Features) -> np.ndarray:
        """See `StateFunction.value`; raises `ObservationError` if the two sides differ in width."""
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


def _require_positive(node: str, key: str, value: object) -> None:
    if not (is_number(value) and value > 0):
        raise ExpressionError(f"{node}: {key} must be a finite number above 0, got {value!r}.")


def _floats(node: str, key: str, values: object) -> tuple[float, ...]:
    if not isinstance(values, (tuple, list, np.ndarray)):
        raise ExpressionError(f"{node}: {key} must be a tuple of numbers, got {values!r}.")
    try:
        numbers = tuple(float(value) for value in values)
    except (TypeError, ValueError):
        raise ExpressionError(f"{node}: {key} must hold numbers only, got {values!r}.") from None
    if not all(map(math.isfinite, numbers)):
        raise ExpressionError(f"{node}: {key} must hold finite numbers only, got {values!r}.")
    return numbers
