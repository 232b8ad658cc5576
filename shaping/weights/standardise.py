"""A part at unit scale and around 0, by moments that follow it from fit to fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
from annotated_types import Ge, Lt
from typing_extensions import override

from shapegym.shaping.algebra import TaskReward
from shapegym.shaping.limits import Positive
from shapegym.shaping.promises import Replay
from shapegym.shaping.remembered import COUNTS, Remembers
from shapegym.shaping.terms.potential import PROGRESS
from shapegym.shaping.transitions import Experience, Spec, State, Transitions
from shapegym.shaping.types import Elementwise, Example, Term

_LARGEST = 1e150
"""Values beyond are left out: their squares would overflow."""


@dataclass(frozen=True)
class Standardised(Term):
    """(x_t - m) / (sqrt(v) + epsilon), with m and v exponential moving averages of the mean and variance of x in each fit.

    A fit sets m to momentum m + (1 - momentum) mean(x), then v to momentum v + (1 - momentum) mean((x - m)^2), and a rollout is
    standardised by the moments that it has just moved. The first fit sets both; before it nothing is known of the scale of x, and
    0 is paid. Values that are not finite, or beyond 1e150, are left out. What is less than usual is paid less than 0, so where
    episodes can end early this also pays for ending. Source: Wan et al. 2023 (DEIR), whose m and v begin at 0 and 1.

    Replay: frozen (the moments of now).

    Args:
        of: what is measured.
        momentum: how much of the moments stays at each fit.
        epsilon: added to the deviation.
    """

    of: Elementwise
    momentum: Annotated[float, Ge(0), Lt(1)] = 0.9
    epsilon: Positive = 1e-5

    learned: ClassVar[bool] = True
    replay: ClassVar[Replay] = Replay.FROZEN
    remembers: ClassVar[Remembers] = {"fits": COUNTS, "variance": (Ge(0),)}

    @override
    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example(cls(PROGRESS)), Example(0.1 * cls(TaskReward(), momentum=0.5)))

    @override
    def init(self, spec: Spec) -> State:
        return {"fits": 0, "mean": 0.0, "variance": 0.0}

    @override
    def measure(self, transitions: Transitions, state: State, *inputs: Any) -> np.ndarray:
        if not state["fits"]:
            return np.zeros(transitions.num_lanes)
        standard = (inputs[0] - state["mean"]) / (np.sqrt(state["variance"]) + self.epsilon)
        return np.asarray(standard, dtype=np.float64)

    @override
    def fit(self, experience: Experience, state: State, *inputs: Any) -> Mapping[str, float]:
        values = experience.flat(np.asarray(inputs[0]))
        values = values[np.abs(values) <= _LARGEST]
        if len(values):
            moved = 1.0 - self.momentum if state["fits"] else 1.0
            state["mean"] += moved * (float(values.mean()) - state["mean"])
            squares = float(np.square(values - state["mean"]).mean())
            state["variance"] += moved * (squares - state["variance"])
            state["fits"] += 1
        return {"mean": state["mean"], "deviation": float(np.sqrt(state["variance"]))}
