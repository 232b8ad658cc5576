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
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

import numpy as np
from annotated_types import Ge, Le, Lt, MinLen
from typing_extensions import override

from shapegym.shaping.algebra import Product
from shapegym.shaping.errors import ExpressionError
from shapegym.shaping.limits import Count, Natural, NonNegative, Positive, checked
from shapegym.shaping.promises import Replay
from shapegym.shaping.reading import Reads
from shapegym.shaping.remembered import COUNTS
from shapegym.shaping.transitions import Spec, State, Transitions
from shapegym.shaping.types import Example, Expression, Term

Metric: TypeAlias = Annotated[
    Literal["task_return", "success"],
    Reads(
        lambda metric: metric,
        features=lambda metric: ("success",) if metric == "success" else (),
        entries=lambda metric: (),
    ),
]
"""What scores an episode: whether it succeeded, a feature of its last step, or its undiscounted task return."""


@dataclass(frozen=True)
class Schedule(Term):
    """A weight that changes over the run, the same for all lanes; a stored transition gets that of now."""

    abstract: ClassVar[bool] = True
    in_words: ClassVar[str] = "a schedule such as Linear(1, 0, 100_000)"
    replay: ClassVar[Replay] = Replay.FROZEN
    weighs: ClassVar[bool] = True


@dataclass(frozen=True)
class ClockSchedule(Schedule):
    """A weight w(t) of the global step t (`Transitions.clock`). Your own overrides `weight_at`, and `bound` if it has one."""

    abstract: ClassVar[bool] = True

    @abstractmethod
    def weight_at(self, step: int) -> float:
        """Return w(step)."""

    @override
    def measure(self, transitions: Transitions, state: State, *inputs: Any) -> np.ndarray:
        return np.full(transitions.num_lanes, float(self.weight_at(transitions.clock)))


@dataclass(frozen=True)
class Linear(ClockSchedule):
    """w(t) = start + (end - start) p: from ``start`` until step ``delay`` in a line to ``end`` from step ``delay + steps`` on.

    Args:
        start: the first weight.
        end: the last weight.
        steps: global steps from the one to the other.
        delay: global steps before.
    """

    start: float
    end: float
    steps: Count
    delay: Natural = 0

    bound = property(lambda self: float(max(abs(self.start), abs(self.end))))

    @override
    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example(cls(1.0, 0.0, 30, delay=4)),)

    @override
    def weight_at(self, step: int) -> float:
        return _between(self.start, self.end, (step - self.delay) / self.steps)


@dataclass(frozen=True)
class Cosine(Linear):
    """w(t) = start + (end - start) (1 - cos(pi p)) / 2: as `Linear`, slow at both ends (Loshchilov & Hutter 2017, eq. 5)."""

    @override
    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example(cls(1.0, 0.1, 40, delay=5)),)

    @override
    def weight_at(self, step: int) -> float:
        progress = min(max((step - self.delay) / self.steps, 0.0), 1.0)
        return _between(self.start, self.end, (1.0 - math.cos(math.pi * progress)) / 2.0)


@dataclass(frozen=True)
class Exponential(ClockSchedule):
    """w(t) = end + (start - end) 2^(-(t - delay) / half_life): the distance to ``end`` halves again and again.

    Args:
        start: the weight until step ``delay``.
        end: the weight that is approached.
        half_life: global steps in which the distance halves.
        delay: global steps before.
    """

    start: float
    end: float
    half_life: Positive
    delay: Natural = 0

    bound = property(lambda self: float(max(abs(self.start), abs(self.end))))

    @override
    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example(cls(1.0, 0.1, 20.0)),)

    @override
    def weight_at(self, step: int) -> float:
        return _between(
            self.start, self.end, -math.expm1(-math.log(2.0) * max(step - self.delay, 0) / self.half_life)
        )


@dataclass(frozen=True)
class Piecewise(ClockSchedule):
    """w(t) = v_i for the last point (t_i, v_i) with t_i <= t; before the first point its value.

    Args:
        points: (global step, weight) pairs in order of steps.
        interpolate: go from point to point in a line instead of jumping.
    """

    points: Annotated[tuple[tuple[Natural, float], ...], MinLen(1)]
    interpolate: bool = False

    bound = property(lambda self: float(max(abs(value) for _, value in self.points)))

    def __post_init__(self) -> None:
        super().__post_init__()
        steps = [step for step, _ in self.points]
        if steps != sorted(set(steps)):
            raise ExpressionError(f"Piecewise: the steps of the points must increase, got {steps}.")

    @override
    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example(cls(((0, 1.0), (20, 0.5), (50, 0.0)), interpolate=True)),)

    @override
    def weight_at(self, step: int) -> float:
        index = bisect_right(self.points, step, key=lambda point: point[0])
        before = self.points[max(index - 1, 0)]
        if not self.interpolate or index in (0, len(self.points)):
            return before[1]
        after = self.points[index]
        return _between(before[1], after[1], (step - before[0]) / (after[0] - before[0]))


@dataclass(frozen=True)
class OnPlateau(Schedule):
    """w = max(floor, start * factor^k) after k periods in which the agent did not do better than ever before.

    A period is ``patience`` finished episodes, over all lanes; its score is their mean. If the score does not exceed the best
    one so far by more than ``min_improvement``, the weight is multiplied by ``factor``. So shaping fades once it has nothing
    more to teach. It is the rule by which learning rates are reduced on a plateau, applied to a reward's weight.

    Bounded by ``start``.

    Args:
        start: the first weight.
        factor: what a period without progress multiplies it by.
        patience: episodes in a period.
        metric: "success" (the feature of that name at the last step) or "task_return" (undiscounted).
        min_improvement: how much better than the best is progress.
        floor: the lowest weight, at most ``start``.
    """

    start: NonNegative = 1.0
    factor: Annotated[float, Ge(0), Lt(1)] = 0.5
    patience: Count = 20
    metric: Metric = "success"
    min_improvement: NonNegative = 0.0
    floor: NonNegative = 0.0

    bound = property(lambda self: float(self.start))
    remembers = property(lambda self: {"episodes": COUNTS, "weight": (Ge(0), Le(self.start))})

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.floor > self.start:
            raise ExpressionError(
                f"OnPlateau: needs floor <= start, got floor={self.floor!r}, start={self.start!r}."
            )

    @override
    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example(cls(1.0, patience=2)), Example(cls(1.0, patience=2, metric="task_return")))

    @override
    def init(self, spec: Spec) -> State:
        return {
            "weight": float(self.start),
            "best": -math.inf,
            "total": 0.0,
            "episodes": 0,
            "returns": np.zeros(spec.num_lanes),
        }

    @override
    def observe(self, transitions: Transitions, state: State, *inputs: Any) -> None:
        active, returns = transitions.active, state["returns"]
        returns[transitions.first & active] = 0.0
        returns[active] += transitions.reward[active]
        ended = (transitions.terminated | transitions.truncated) & active
        if ended.any():
            scores = returns if self.metric == "task_return" else transitions.next_features["success"]
            for score in np.sort(scores[ended]).tolist():  # lanes have no order
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

    @override
    def measure(self, transitions: Transitions, state: State, *inputs: Any) -> np.ndarray:
        return np.full(transitions.num_lanes, state["weight"])


def anneal(of: Expression, schedule: Schedule) -> Product:
    """Return ``of`` weighted by a schedule; in logs the part keeps the name of ``of``.

    Raises:
        ExpressionError: if ``of`` is not an expression or ``schedule`` not a schedule.
    """
    return Product((of, checked("anneal: the weight (for a fixed one write 0.5 * term)", Schedule, schedule)))


def _between(start: float, end: float, progress: float) -> float:
    """Return the point of the way from start to end; exactly start at 0 and end at 1, and monotone, whatever the rounding."""
    if progress <= 0.0:
        return float(start)
    if progress >= 1.0:
        return float(end)
    return min(max(start + (end - start) * progress, min(start, end)), max(start, end))
