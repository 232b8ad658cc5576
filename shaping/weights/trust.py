"""Trust: how much a process reward is worth, judged by whether it tells successful episodes from failed ones."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from annotated_types import Ge
from typing_extensions import override

from shapegym.shaping.algebra import Product
from shapegym.shaping.limits import checked
from shapegym.shaping.promises import Replay
from shapegym.shaping.remembered import COUNTS, Remembers
from shapegym.shaping.terms.events import EVENT
from shapegym.shaping.terms.potential import PROGRESS
from shapegym.shaping.transitions import Spec, State, Transitions
from shapegym.shaping.types import Elementwise, Example, Expression, Term
from shapegym.shaping.weights.multipliers import finished_episodes
from shapegym.shaping.weights.schedules import Schedule

_SEEN = 1e-300
"""What is left of the count of a kind that stayed out for long: its mean is still the last one that is known."""


@dataclass(frozen=True)
class Trust(Term):
    """w = 1 if m_success >= m_failure, else exp(m_success - m_failure): m is the mean of a part over episodes of each kind.

    A part that pays failures better than successes has no say on what is good, the less the larger the difference. Means forget:
    an episode counts less by a factor of 1 - 1/memory with each that finishes after it; with a memory of 1 only the last of each
    kind does. The weight is 1 until both kinds were seen.
    Source: Fan et al. 2025, "SophiaVL-R1: Reinforcing MLLMs Reasoning with Thinking Reward" (there within a group of
    rollouts of one prompt). The exponent has the unit of the part: step means of a part within [0, 1] never weigh it below 1/e.

    Bounded by 1. Replay: frozen, so a stored transition gets the weight of now.

    Args:
        of: the process reward.
        over: what an episode comes to: "step", the part's mean over its steps, or "episode", its sum.
        memory: episodes over which means forget.
    """

    of: Elementwise
    over: Literal["step", "episode"] = "step"
    memory: Annotated[float, Ge(1)] = 100.0

    bound: ClassVar[float] = 1.0
    replay: ClassVar[Replay] = Replay.FROZEN
    weighs: ClassVar[bool] = True
    remembers: ClassVar[Remembers] = {"counts": COUNTS, "lengths": COUNTS}

    @override
    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example(EVENT * cls(EVENT, memory=20.0)), Example(cls(PROGRESS, over="episode")))

    @property
    @override
    def reads(self) -> tuple[str, ...]:
        return ("success",)

    @override
    def init(self, spec: Spec) -> State:
        return {
            "counts": np.zeros(2),  # of failures and successes, discounted
            # Of the part; not as totals, which would fade away where one kind stays out for long.
            "means": np.zeros(2),
            "sums": np.zeros(spec.num_lanes),
            "lengths": np.zeros(spec.num_lanes),
        }

    @override
    def observe(self, transitions: Transitions, state: State, *inputs: Any) -> None:
        scores = finished_episodes(inputs[0], transitions, state, by=self.over)
        if not len(scores):
            return
        ended = (transitions.terminated | transitions.truncated) & transitions.active
        succeeded = np.asarray(transitions.next_features["success"])[ended].astype(bool)
        counts, means = state["counts"], state["means"]
        fade = (1.0 - 1.0 / self.memory) ** len(scores)
        counts[:] = np.where(counts > 0, np.maximum(counts * fade, _SEEN), 0.0)
        for kind in (0, 1):
            of_kind = scores[succeeded == kind]
            if len(of_kind):
                counts[kind] += len(of_kind)
                means[kind] += (of_kind - means[kind]).sum() / counts[kind]

    @override
    def measure(self, transitions: Transitions, state: State, *inputs: Any) -> np.ndarray:
        return np.full(transitions.num_lanes, trust(state["counts"], state["means"]))


def trust(counts: np.ndarray, means: np.ndarray) -> float:
    """Return the weight from the number of failures and successes and the means of the part over each, (2,) both."""
    if not counts.min() > 0.0:
        return 1.0
    failure, success = means
    return math.exp(min(success - failure, 0.0))


def trusted(
    of: Expression,
    schedule: Schedule | None = None,
    *,
    over: Literal["step", "episode"] = "step",
    memory: float = 100.0,
) -> Product:
    """Return ``of`` weighted by its trust and, if given, by a schedule that fades it out, such as ``Exponential(1, 0, 1e5)``.

    Raises:
        ExpressionError: see `Trust`, and if ``schedule`` is none.
    """
    checked("trusted: schedule", Schedule | None, schedule)
    weight = Trust(of, over, memory)
    return Product((of, weight) if schedule is None else (of, weight, schedule))
