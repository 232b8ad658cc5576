"""Pay for subgoals that a teacher laid out, the sooner the more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from typing_extensions import override

from shapegym.shaping.limits import NonNegative
from shapegym.shaping.states.select import SelectsOne, selector
from shapegym.shaping.transitions import State, Transitions
from shapegym.shaping.types import Example, Term


@dataclass(frozen=True)
class Subgoal(Term):
    """Pays ``alpha * (1 - k / limit)`` when a subgoal is reached, with k the steps since the subgoal before. Bounded by ``alpha``.

    Grid worlds made with ``subgoals=...`` report both features, and each subgoal once, in its turn
    (`shapegym.envs.grid.beacons.guide`). Subgoals are paid beside the task, so optimal policies may change; as each is paid once,
    an episode is paid at most ``alpha`` times their number.

    Args:
        alpha: what a subgoal pays that is reached at once.
        reached: selector of the flag.
        time: selector of k / limit, in [0, 1].

    Source: Ruiz-Gonzalez et al. (2024), "Words as Beacons", equation 1; alpha is 0.2 in their experiments, 1 in their code.
    """

    alpha: NonNegative = 0.2
    reached: SelectsOne = "features.subgoal_reached"
    time: SelectsOne = "features.subgoal_time"

    bound = property(lambda self: self.alpha)

    @override
    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example(cls(0.5, reached="features.success", time="features.progress")),)

    @override
    def measure(self, transitions: Transitions, state: State, *inputs: Any) -> np.ndarray:
        reached, time = (selector(field).read_one(*transitions.after) for field in (self.reached, self.time))
        return np.where(reached != 0, self.alpha * (1.0 - time), 0.0)
