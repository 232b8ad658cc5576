"""The differential Sharpe ratio: what one step does to the Sharpe ratio so far, paid at that step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from annotated_types import Gt, Lt
from typing_extensions import override

from shapegym.shaping.algebra import TaskReward
from shapegym.shaping.promises import Replay
from shapegym.shaping.transitions import Spec, State, Transitions
from shapegym.shaping.types import Elementwise, Example, Term

_TASK = TaskReward()
_EQUAL = 1e-12  # a variance below this part of the second moment is rounding


@dataclass(frozen=True)
class DifferentialSharpe(Term):
    """D_t = (B_{t-1} dA_t - A_{t-1} dB_t / 2) / (B_{t-1} - A_{t-1}^2)^(3/2), with dA_t = r_t - A_{t-1} and dB_t = r_t^2 - B_{t-1}.

    A and B are moving averages of r and r^2, A_t = A_{t-1} + rate dA_t and B_t = B_{t-1} + rate dB_t, from A_0 = B_0 = 0. D_t is
    the derivative of their Sharpe ratio A / sqrt(B - A^2) by the rate. Where there is no variance, B - A^2 <= 1e-12 B, as at
    the first step, D_t is 0. It has no bound: near the end of a row of equal values the ratio rises without limit, so clip it
    (``clip(DifferentialSharpe(), -10, 10)``).

    `EpisodeSharpe` is exact for an episode and comes at its end. Keeps nothing. Replay: stamped (depends on what came before).

    Source: Moody & Saffell 1998, "Reinforcement Learning for Trading".

    Args:
        of: r, known at its step; the task reward by default.
        rate: of the averages, about 1 / the steps that they look back.
        over: whether averages begin anew with each episode ("episode"), or go on over those of a lane ("run").
    """

    of: Elementwise = _TASK
    rate: Annotated[float, Gt(0), Lt(1)] = 0.01
    over: Literal["episode", "run"] = "episode"

    replay: ClassVar[Replay] = Replay.STAMP

    @override
    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example(cls(rate=0.25)), Example(cls(_TASK * 0.5, 0.5, "run")))

    @override
    def init(self, spec: Spec) -> State:
        return {"averages": np.zeros((2, spec.num_lanes)), "paid": np.zeros(spec.num_lanes)}

    @override
    def observe(self, transitions: Transitions, state: State, *inputs: Any) -> None:
        value = np.where(np.isfinite(inputs[0]), inputs[0], 0.0)  # the part itself is reported
        averages = state["averages"]
        if self.over == "episode":
            averages = np.where(transitions.first, 0.0, averages)
        mean, square = averages
        steps = np.stack((value, value**2)) - averages
        variance = square - mean**2
        varies = variance > _EQUAL * square
        above = square * steps[0] - mean * steps[1] / 2.0
        state["paid"] = np.where(varies, above / np.where(varies, variance, 1.0) ** 1.5, 0.0)
        state["averages"] = np.where(transitions.active, averages + self.rate * steps, state["averages"])

    @override
    def measure(self, transitions: Transitions, state: State, *inputs: Any) -> np.ndarray:
        paid: np.ndarray = state["paid"]
        return paid
