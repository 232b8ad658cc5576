"""Constraints: Lagrange multipliers that hold a part at its threshold, as terms that measure a weight.

A part that is worth having only up to some point (a proxy) or must stay below one (a cost) is not given a fixed weight, but one
that is learned so that the part's mean over episodes meets a threshold theta. With N constraints the agent is paid

    r_t = (N - sum_i l_i) * objective_t + sum_i s_i * l_i * part_{i,t},

where l_i = sigmoid(mu_i), or tanh(mu_i) for an equality, and s_i = -1 where the part is held below its threshold, else +1. Every
``every`` finished episodes mu_i takes one step of gradient descent with momentum on s_i * l_i * (mean_i - theta_i).
Source: Moskovitz et al. 2023, "Confronting Reward Model Overoptimization with Constrained RLHF" (mu-PPO and xi-PPO).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from annotated_types import Ge, Lt
from typing_extensions import override

from shapegym.shaping.algebra import Constant, Product, Scale, Sum, TaskReward, add, lift
from shapegym.shaping.errors import ExpressionError
from shapegym.shaping.kernels.moments import accumulate_returns
from shapegym.shaping.limits import Count, Positive
from shapegym.shaping.promises import Replay
from shapegym.shaping.remembered import COUNTS, Remembers
from shapegym.shaping.terms.events import EVENT
from shapegym.shaping.terms.potential import PROGRESS
from shapegym.shaping.transitions import Spec, State, Transitions
from shapegym.shaping.tree import paid_addends
from shapegym.shaping.types import Elementwise, Example, Expression, Term, walk

Hold = Literal["at_most", "at_least", "equal"]
"""Which side of its threshold a part is held on."""

_FURTHEST_TANH, _FURTHEST_SIGMOID = math.atanh(0.99), math.log(99.0)
"""|mu| beyond which the slope of l is too small to come back in a training run."""


@dataclass(frozen=True)
class Multiplier(Term):
    """l = sigmoid(mu) in (0, 1), or tanh(mu) in (-1, 1): the learned weight of a constraint on the mean of a part.

    ===========  ================  ======================  ==============================================================
    hold         constraint        l grows while           so the part, paid s * l * part, is
    ===========  ================  ======================  ==============================================================
    "at_most"    mean <= theta     the mean is above       punished while above the threshold, ignored below (s = -1)
    "at_least"   mean >= theta     the mean is below       rewarded until it reaches the threshold, no longer beyond (s = +1)
    "equal"      mean == theta     the mean is below       rewarded below and punished above (s = +1, l of either sign)
    ===========  ================  ======================  ==============================================================

    The mean is that of the episodes that finished since the last step of mu. The gradient has the unit of the part: where mean -
    theta is not about 1, divide ``learning_rate`` by its size. It also fades as l nears its limits, so mu stops where l is within
    0.01 of one, from where it can return (this is ours, not the source's). Bounded by 1. Replay: frozen, so a stored transition
    gets the weight of now.

    Args:
        of: the part.
        threshold: theta, in the unit of ``over``.
        hold: see above.
        over: what the mean is taken of: "episode", the part's sum over an episode, or "step", its mean over the episode's steps.
        every: finished episodes between two steps of mu.
        learning_rate: of mu.
        momentum: of mu.
        start: the first mu.
    """

    of: Elementwise
    threshold: float
    hold: Hold = "at_most"
    over: Literal["episode", "step"] = "episode"
    every: Count = 10
    learning_rate: Positive = 0.1
    momentum: Annotated[float, Ge(0), Lt(1)] = 0.1
    start: float = 0.0

    bound: ClassVar[float] = 1.0
    replay: ClassVar[Replay] = Replay.FROZEN
    weighs: ClassVar[bool] = True
    remembers: ClassVar[Remembers] = {"episodes": COUNTS, "lengths": COUNTS}

    @override
    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(cls(EVENT, 0.5, every=3)),
            Example(cls(PROGRESS, 0.1, "equal", over="step", every=2, start=0.5)),
            Example(constrained(TaskReward(), {EVENT: 0.75, PROGRESS: 0.0}, "at_least", every=2)),
        )

    @property
    def direction(self) -> float:
        """S: the sign with which the weighted part is paid."""
        return -1.0 if self.hold == "at_most" else 1.0

    @override
    def init(self, spec: Spec) -> State:
        return {
            "mu": float(self.start),
            "velocity": 0.0,
            "total": 0.0,
            "episodes": 0,
            "sums": np.zeros(spec.num_lanes),
            "lengths": np.zeros(spec.num_lanes),
        }

    @override
    def observe(self, transitions: Transitions, state: State, *inputs: Any) -> None:
        scores = finished_episodes(inputs[0], transitions, state, by=self.over)
        if not len(scores):
            return
        state["total"] += float(scores.sum())
        state["episodes"] += len(scores)
        if state["episodes"] >= self.every:
            self.descend(state, state["total"] / state["episodes"])
            state["total"], state["episodes"] = 0.0, 0

    def descend(self, state: State, mean: float) -> None:
        """One step of mu on s * l(mu) * (mean - theta), as SGD with momentum: v <- momentum v + gradient, mu <- mu - rate v."""
        weight = self.weight(state["mu"])
        slope = 1.0 - weight * weight if self.hold == "equal" else weight * (1.0 - weight)
        gradient = self.direction * slope * (mean - self.threshold)
        state["velocity"] = self.momentum * state["velocity"] + gradient
        state["mu"] -= self.learning_rate * state["velocity"]
        furthest = _FURTHEST_TANH if self.hold == "equal" else _FURTHEST_SIGMOID
        if abs(state["mu"]) > furthest:
            state["mu"], state["velocity"] = math.copysign(furthest, state["mu"]), 0.0

    def weight(self, mu: float) -> float:
        """Return l(mu)."""
        return math.tanh(mu) if self.hold == "equal" else (1.0 + math.tanh(mu / 2.0)) / 2.0

    @override
    def measure(self, transitions: Transitions, state: State, *inputs: Any) -> np.ndarray:
        return np.full(transitions.num_lanes, self.weight(state["mu"]))


def constrained(
    objective: Expression,
    thresholds: Mapping[Expression, float],
    hold: Hold = "at_most",
    **options: float | str,
) -> Expression:
    """Return ``(N - sum_i l_i) * objective + sum_i s_i * l_i * part_i``, with a `Multiplier` for each part.

        constrained(TaskReward(), {energy: 20.0})                            # a cost, held under 20 an episode
        constrained(TaskReward(), {proxy: 1.5}, hold="at_least")             # a hint, paid until an episode makes 1.5 of it

    ``thresholds`` holds theta of each part, ``options`` the other fields of `Multiplier`. Constraints of several kinds are sums of
    `Multiplier` products.
    """
    if not isinstance(thresholds, Mapping) or not thresholds:
        raise ExpressionError(
            f"constrained needs a threshold for at least one part, as {{part: threshold}}, got {thresholds!r}."
        )
    weights = [Multiplier(part, theta, hold, **options) for part, theta in thresholds.items()]  # type: ignore[arg-type]
    rest = Sum((Constant(float(len(weights))), *(Scale(weight, -1.0) for weight in weights)))
    paid = [
        Scale(Product((weight.of, weight)), -1.0) if weight.direction < 0 else Product((weight.of, weight))
        for weight in weights
    ]
    return add(Product((lift(objective), rest)), *paid)


@dataclass(frozen=True, slots=True)
class Weighted:
    """An addend of a constrained reward, taken apart: it pays ``weight * value``."""

    value: Expression
    weight: Expression


def weighted_addends(expression: Expression) -> tuple[Weighted, ...]:
    """Return the addends as values and weights: a product's multipliers are its weight; an addend without one has weight 1.

    Raises:
        ExpressionError: if there is no multiplier, or one stands inside something else than a top-level product.
    """
    if not any(isinstance(node, Multiplier) for node in walk(expression)):
        raise ExpressionError(
            f"{expression} has no multiplier, so nothing is constrained. Build the reward with "
            "constrained(objective, {part: threshold}), or train with PPO."
        )
    return tuple(map(_take_apart, paid_addends(expression)))


def _take_apart(addend: Expression) -> Weighted:
    if not has_multiplier(addend):
        return Weighted(addend, Constant(1.0))
    by, factors = addend.factors()
    weights = tuple(node for node in factors if has_multiplier(node))
    values = tuple(node for node in factors if not has_multiplier(node))
    if not values:
        raise ExpressionError(
            f"The multiplier inside {addend} is not a factor of what is paid. Write the sum as constrained(...) does: "
            "value * multiplier + ..."
        )
    value = values[0] if len(values) == 1 else Product(values)
    return Weighted(value, Product((*weights, Constant(by))))


def has_multiplier(node: Expression) -> bool:
    """Whether the weight of a constraint enters the value of ``node``."""
    return any(isinstance(inner, Multiplier) for inner in walk(node))


def finished_episodes(values: np.ndarray, transitions: Transitions, state: State, *, by: str) -> np.ndarray:
    """Add a step to every lane's open episode, and return what the episodes that end with it have come to.

    By "episode" that is their sum, by "step" its mean over their steps. Values, (B,), that are not finite are left out; ``state``
    holds ``sums`` and ``lengths``, (B,) each, and is updated.
    """
    first, active = transitions.first, transitions.active
    accumulate_returns(values, first, active, 1.0, state["sums"])
    accumulate_returns(np.ones(len(values)), first, active, 1.0, state["lengths"])
    ended = (transitions.terminated | transitions.truncated) & active
    sums: np.ndarray = state["sums"][ended]
    return sums if by == "episode" else sums / state["lengths"][ended]
