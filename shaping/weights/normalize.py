"""Running normalisation: parts brought to unit scale by statistics of what was measured so far.

Unlike a normalising wrapper this scales one part, the one that needs it, and leaves the task's reward alone. The statistics are a
term of the expression: visible, saved, and frozen when a stored transition is used again.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from annotated_types import Ge
from typing_extensions import override

from shapegym.shaping.algebra import Clip, Product, Sum, TaskReward
from shapegym.shaping.errors import DiscountError
from shapegym.shaping.kernels.moments import accumulate_returns, merge_moments
from shapegym.shaping.limits import Fraction, Positive, checked
from shapegym.shaping.promises import Replay
from shapegym.shaping.remembered import COUNTS, SAME, At, Remembers
from shapegym.shaping.terms.potential import PROGRESS
from shapegym.shaping.transitions import Spec, State, Transitions
from shapegym.shaping.types import Elementwise, Example, Expression, Term

MOMENTS: Remembers = {"moments": (At(0, COUNTS), At(2, (Ge(0),)))}
"""Number of values, and their sum of squared deviations."""


@dataclass(frozen=True)
class RunningScale(Term):
    """w_t = 1 / sqrt(Var + epsilon), with Var that of all values x so far, or of their discounted returns.

    ``by="std"``: the variance of x. ``by="return"``: the variance of G_t = gamma G_{t-1} + x_t, as reward normalisation in OpenAI
    Baselines, VecNormalize and Gymnasium does (Engstrom et al. 2020, section 3, "reward scaling"). G starts anew with every
    episode, however the last one ended; ``by="stream"``: it goes on, as the bonus of Burda et al.
    2019, section 2.4, does. The batch is counted before it is scaled; population variance, merged over batches as in
    Chan, Golub & LeVeque 1983. Until two different values were seen, all were one x, and w_t = 1 / max(1, |x|). Values that are not
    finite, or beyond 1e300, are left out.

    Replay: frozen (the scale of now).

    Args:
        of: what is measured.
        by: "std", "return" or "stream".
        gamma: discount of the return; None takes the agent's. Not used by "std".
        epsilon: the scale is at most 1 / sqrt(epsilon).
    """

    of: Elementwise
    by: Literal["std", "return", "stream"] = "std"
    gamma: Fraction | None = None
    epsilon: Positive = 1e-8

    replay: ClassVar[Replay] = Replay.FROZEN
    weighs: ClassVar[bool] = True
    remembers: ClassVar[Remembers] = {**MOMENTS, "gamma": (SAME,)}

    @override
    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        task = TaskReward()
        return (Example(PROGRESS * cls(PROGRESS)), Example(task * cls(task, by="return", gamma=0.9)))

    @override
    def init(self, spec: Spec) -> State:
        """Return moments, and open returns if they are scaled; raises `DiscountError` if no discount is known for them."""
        state: State = {"moments": np.zeros(3)}
        if self.by != "std":
            gamma = self.gamma if self.gamma is not None else spec.gamma
            if gamma is None:
                raise DiscountError(
                    f"RunningScale(by={self.by!r}) scales by a discounted return, and no discount is known. Give it gamma=..., or "
                    "pass gamma= to the surface."
                )
            state |= {"gamma": float(gamma), "returns": np.zeros(spec.num_lanes)}
        return state

    @override
    def observe(self, transitions: Transitions, state: State, *inputs: Any) -> None:
        (values,) = inputs
        if self.by != "std":
            starts = transitions.first if self.by == "return" else np.zeros(len(values), dtype=np.bool_)
            accumulate_returns(values, starts, transitions.active, state["gamma"], state["returns"])
            values = state["returns"]
        merge_moments(values, transitions.active, state["moments"])

    @override
    def measure(self, transitions: Transitions, state: State, *inputs: Any) -> np.ndarray:
        count, mean, spread = state["moments"]
        size = (
            math.hypot(spread / math.sqrt(count), math.sqrt(self.epsilon))
            if spread > 0.0
            else max(1.0, abs(mean))
        )
        return np.full(transitions.num_lanes, 1.0 / size)


@dataclass(frozen=True)
class RunningMean(Term):
    """w_t = the mean of all values so far, this batch included; values that are not finite, or beyond 1e300, are left out.

    Replay: frozen (the mean of now).

    Args:
        of: what is measured.
    """

    of: Elementwise

    replay: ClassVar[Replay] = Replay.FROZEN
    weighs: ClassVar[bool] = True
    remembers: ClassVar[Remembers] = MOMENTS

    @override
    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example(cls(PROGRESS)),)

    @override
    def init(self, spec: Spec) -> State:
        return {"moments": np.zeros(3)}

    @override
    def observe(self, transitions: Transitions, state: State, *inputs: Any) -> None:
        merge_moments(inputs[0], transitions.active, state["moments"])

    @override
    def measure(self, transitions: Transitions, state: State, *inputs: Any) -> np.ndarray:
        return np.full(transitions.num_lanes, state["moments"][1])


def normalize(
    of: Expression,
    by: Literal["std", "return", "stream"] = "std",
    gamma: float | None = None,
    *,
    center: bool = False,
    clip: float | None = None,
    epsilon: float = 1e-8,
) -> Expression:
    """Return ``of`` at unit scale, in logs under its name: ``of * RunningScale(of)``, which has the other arguments.

    With ``center`` the running mean is subtracted first. Where episodes can end early this pays for ending or for going on: the sum
    over an episode changes with its length. With ``clip`` the result is then limited to [-clip, clip].
    """
    scale = RunningScale(of, by, gamma, epsilon)
    centered = Sum((of, -RunningMean(of)), name=of.name) if center else of
    scaled = Product((centered, scale))
    if clip is None:
        return scaled
    checked("normalize: clip", Positive, clip)
    return Clip(scaled, -clip, clip)
