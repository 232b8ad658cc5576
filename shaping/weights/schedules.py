"""Schedules: weights that change over the run, as terms.

``anneal(bonus, Linear(1, 0, 100_000))`` is ``bonus * Linear(1, 0, 100_000)``: the part that a transition has when it is used is
its measurement times the weight of that time, so a replayed transition gets the weight of now. A potential keeps its policy
invariance only inside `DynamicPotential`, which takes a schedule too.

| schedule | w(t), with p = (t - delay) / steps limited to [0, 1] |
|---|---|
| `Linear` | start + (end - start) p |
| `Cosine` | start + (end - start) (1 - cos(pi p)) / 2 |
| `Exponential` | start + (end - start) (1 - 2^(-(t - delay) / half_life)) from t = delay on |
| `Piecewise` | the value of the last point reached, or the line between points |
| `OnPlateau` | start * factor^k after k periods without progress |
"""

from __future__ import annotations

import math
from abc import abstractmethod
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from shapegym.shaping.algebra import Product
from shapegym.shaping.checks import is_integer, is_number
from shapegym.shaping.errors import ExpressionError
from shapegym.shaping.transitions import Spec, State, Transitions
from shapegym.shaping.types import Expression, Guarantee, Replay, Term


@dataclass(frozen=True)
class Schedule(Term):
    """A weight w(t) of the global step t (`Transitions.clock`), the same for all lanes. Your own overrides `weight_at`.

    Guarantee: bounded. Replay: frozen, so a stored transition gets the weight of now.
    """

    abstract: ClassVar[bool] = True
    guarantee: ClassVar[Guarantee] = Guarantee.BOUNDED
    replay: ClassVar[Replay] = Replay.FROZEN

    @abstractmethod
    def weight_at(self, step: int) -> float:
        """Return w(step)."""

    def measure(self, transitions: Transitions, state: State, *inputs: np.ndarray) -> np.ndarray:
        """See `Term.measure`."""
        return np.full(transitions.num_lanes, self.weight_at(transitions.clock))


@dataclass(frozen=True)
class Linear(Schedule):
    """w(t) = start + (end - start) p: from ``start`` until step ``delay`` in a line to ``end`` from step ``delay + steps`` on.

    Args:
        start: the first weight.
        end: the last weight.
        steps: global steps from the one to the other, >= 1.
        delay: global steps before, >= 0.
    """

    start: float = 1.0
    end: float = 0.0
    steps: int = 100_000
    delay: int = 0

    def __post_init__(self) -> None:
        _require_numbers(self, "start", "end")
        _require_steps(self, "steps", 1)
        _require_steps(self, "delay", 0)

    def weight_at(self, step: int) -> float:
        """See `Schedule.weight_at`."""
        return _between(self.start, self.end, (step - self.delay) / self.steps)


@dataclass(frozen=True)
class Cosine(Linear):
    """w(t) = start + (end - start) (1 - cos(pi p)) / 2: as `Linear`, slow at both ends (Loshchilov & Hutter 2017, eq. 5)."""

    def weight_at(self, step: int) -> float:
        """See `Schedule.weight_at`."""
        progress = min(max((step - self.delay) / self.steps, 0.0), 1.0)
        return _between(self.start, self.end, (1.0 - math.cos(math.pi * progress)) / 2.0)


@dataclass(frozen=True)
class Exponential(Schedule):
    """w(t) = end + (start - end) 2^(-(t - delay) / half_life): the distance to ``end`` halves again and again.

    Args:
        start: the weight until step ``delay``.
        end: the weight that is approached.
        half_life: global steps in which the distance halves, > 0.
        delay: global steps before, >= 0.
    """

    start: float = 1.0
    end: float = 0.0
    half_life: float = 100_000.0
    delay: int = 0

    def __post_init__(self) -> None:
        _require_numbers(self, "start", "end", "half_life")
        _require_steps(self, "delay", 0)
        if self.half_life <= 0:
            raise ExpressionError(
                f"Exponential: half_life must be a number of steps > 0, got {self.half_life!r}."
            )

    def weight_at(self, step: int) -> float:
        """See `Schedule.weight_at`."""
        return _between(
            self.start, self.end, -math.expm1(-math.log(2.0) * max(step - self.delay, 0) / self.half_life)
        )


@dataclass(frozen=True)
class Piecewise(Schedule):
    """w(t) = v_i for the last point (t_i, v_i) with t_i <= t; before the first point its value.

    Args:
        points: (global step, weight) pairs in order of steps, at least one.
        interpolate: go from point to point in a line instead of jumping.
    """

    points: tuple[tuple[int, float], ...] = ()
    interpolate: bool = False

    def __post_init__(self) -> None:
        points = self.points
        if not (isinstance(points, Sequence) and points and all(_is_pair(point) for point in points)):
            raise ExpressionError(
                f"Piecewise: points must be pairs of a step >= 0 and a number, at least one; got {points!r}."
            )
        object.__setattr__(self, "points", tuple((int(step), float(value)) for step, value in points))
        steps = [step for step, _ in self.points]
        if steps != sorted(set(steps)):
            raise ExpressionError(f"Piecewise: the steps of the points must increase, got {steps}.")

    def weight_at(self, step: int) -> float:
        """See `Schedule.weight_at`."""
        index = bisect_right(self.points, step, key=lambda point: point[0])
        before = self.points[max(index - 1, 0)]
        if not self.interpolate or index in (0, len(self.points)):
            return before[1]
        after = self.points[index]
        return _between(before[1], after[1], (step - before[0]) / (after[0] - before[0]))


@dataclass(frozen=True)
class OnPlateau(Term):
    """w = max(floor, start * factor^k) after k periods in which the agent did not do better than ever before.

    A period is ``patience`` finished episodes, over all lanes; its score is their mean. If the score does not exceed the best
    one so far by more than ``min_improvement``, the weight is multiplied by ``factor``. So shaping fades once it has nothing
    more to teach. It is the rule by which learning rates are reduced on a plateau, applied to a reward's weight.

    Guarantee: bounded. Replay: frozen, so a stored transition gets the weight of now.

    Args:
        start: the first weight, >= 0.
        factor: what a period without progress multiplies it by, in [0, 1).
        patience: episodes in a period, >= 1.
        metric: "success" (the feature of that name at the last step) or "task_return" (undiscounted).
        min_improvement: how much better than the best is progress, >= 0.
        floor: the lowest weight, in [0, start].
    """

    start: float = 1.0
    factor: float = 0.5
    patience: int = 20
    metric: Literal["success", "task_return"] = "success"
    min_improvement: float = 0.0
    floor: float = 0.0

    guarantee: ClassVar[Guarantee] = Guarantee.BOUNDED
    replay: ClassVar[Replay] = Replay.FROZEN

    def __post_init__(self) -> None:
        _require_numbers(self, "start", "factor", "min_improvement", "floor")
        _require_steps(self, "patience", 1)
        if not 0.0 <= self.factor < 1.0:
            raise ExpressionError(f"OnPlateau: factor must be in [0, 1), got {self.factor!r}.")
        if not 0.0 <= self.floor <= self.start:
            raise ExpressionError(
                f"OnPlateau: needs 0 <= floor <= start, got floor={self.floor!r}, start={self.start!r}."
            )
        if self.min_improvement < 0.0:
            raise ExpressionError(f"OnPlateau: min_improvement must be >= 0, got {self.min_improvement!r}.")
        if self.metric not in ("success", "task_return"):
            raise ExpressionError(
                f"OnPlateau: metric must be 'success' or 'task_return', got {self.metric!r}."
            )

    @property
    def reads(self) -> tuple[str, ...]:
        """See `Term.reads`."""
        return ("success",) if self.metric == "success" else ()

    def init(self, spec: Spec) -> State:
        """See `Term.init`."""
        return {
            "weight": float(self.start),
            "best": -math.inf,
            "total": 0.0,
            "episodes": 0,
            "returns": np.zeros(spec.num_lanes),
        }

    def observe(self, transitions: Transitions, state: State, *inputs: np.ndarray) -> None:
        """See `Term.observe`."""
        active, returns = transitions.active, state["returns"]
        returns[transitions.first & active] = 0.0
        returns[active] += transitions.reward[active]
        ended = (transitions.terminated | transitions.truncated) & active
        if ended.any():
            scores = returns if self.metric == "task_return" else transitions.next_features["success"]
            for score in scores[ended].tolist():
                self._score(float(score), state)

    def _score(self, score: float, state: State) -> None:
        """Take in one finished episode, and at the end of a period decide."""
        state["total"] += score
        state["episodes"] += 1
        if state["episodes"] < self.patience:
            return
        mean = state["total"] / self.patience
        if mean > state["best"] + self.min_improvement:
            state["best"] = mean
        else:
            state["weight"] = max(state["weight"] * self.factor, float(self.floor))
        state["total"], state["episodes"] = 0.0, 0

    def measure(self, transitions: Transitions, state: State, *inputs: np.ndarray) -> np.ndarray:
        """See `Term.measure`."""
        return np.full(transitions.num_lanes, state["weight"])


def anneal(of: Expression, schedule: Schedule | OnPlateau) -> Product:
    """Return ``of`` weighted by a schedule; in logs the part keeps the name of ``of``.

    Raises:
        ExpressionError: if ``of`` is not an expression or ``schedule`` not a schedule.
    """
    if not isinstance(schedule, (Schedule, OnPlateau)):
        raise ExpressionError(
            f"anneal needs a schedule such as Linear(1, 0, 100_000), got {schedule!r}. A constant weight is 0.5 * term."
        )
    return Product((of, schedule))


def _between(start: float, end: float, progress: float) -> float:
    """Return the point of the way from start to end; exactly start at 0 and end at 1, and monotone, whatever the rounding."""
    if progress <= 0.0:
        return float(start)
    if progress >= 1.0:
        return float(end)
    return min(max(start + (end - start) * progress, min(start, end)), max(start, end))


def _require_numbers(node: Expression, *keys: str) -> None:
    for key in keys:
        if not is_number(value := getattr(node, key)):
            raise ExpressionError(f"{type(node).__name__}: {key} must be a finite number, got {value!r}.")


def _require_steps(node: Expression, key: str, low: int) -> None:
    if not is_integer(value := getattr(node, key), low):
        raise ExpressionError(
            f"{type(node).__name__}: {key} must be an integer of at least {low}, got {value!r}."
        )


def _is_pair(point: object) -> bool:
    return isinstance(point, Sequence) and len(point) == 2 and is_integer(point[0], 0) and is_number(point[1])
