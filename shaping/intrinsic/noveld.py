"""NovelD: paid for stepping from what is known into what is not, once an episode."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from typing_extensions import override

from shapegym.shaping.algebra import Product
from shapegym.shaping.errors import ExpressionError
from shapegym.shaping.intrinsic.bonus import Bonus, Scale
from shapegym.shaping.intrinsic.rnd import Distillation
from shapegym.shaping.limits import Count, NonNegative, Positive, Share
from shapegym.shaping.models.sight import Sight
from shapegym.shaping.promises import Replay
from shapegym.shaping.states.keys import Key
from shapegym.shaping.terms.counts import CountBonus
from shapegym.shaping.transitions import State, Transitions
from shapegym.shaping.types import Example, Term


@dataclass(frozen=True)
class NoveltyGain(Term):
    """g_t = max(nov(s_{t+1}) - alpha nov(s_t), 0), where nov(s) = |f(s) - g(s)| is what a `Distillation` gets wrong.

    Zhang et al. 2021, "NovelD: A Simple yet Effective Exploration Criterion", eq. 2. Replay: frozen (the model of now).

    Args:
        model: a `Distillation` that judges both states (``both=True``).
        alpha: how much of the novelty of s_t is taken off.
    """

    model: Distillation
    alpha: NonNegative = 0.5

    replay: ClassVar[Replay] = Replay.FROZEN

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.model.both:
            raise ExpressionError("NoveltyGain compares s_{t+1} with s_t: give it Distillation(both=True).")

    @override
    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example(cls(Distillation(both=True, width=3, hidden=8), alpha=0.25)),)

    @override
    def measure(self, transitions: Transitions, state: State, *inputs: Any) -> np.ndarray:
        there, here = (np.sqrt(self.model.width * inputs[0][name]) for name in ("error", "error_before"))
        gain: np.ndarray = np.maximum(there - self.alpha * here, 0.0)
        return gain


@dataclass(frozen=True)
class NovelD(Bonus):
    """b_t = max(nov(s_{t+1}) - alpha nov(s_t), 0) where s_{t+1} is new in the episode, else 0; nov(s) = |f(s) - g(s)| of `RND`.

    Zhang et al. 2021, "NovelD: A Simple yet Effective Exploration Criterion", eqs. 2 and 3. The difference pays at the border of
    what is known; that a state is paid once an episode keeps the agent from walking to and fro over it. As in the authors' code
    s_0 is not a visit, and nothing is scaled. Published weight: 0.05 on MiniGrid.

    It is the product ``NoveltyGain(Distillation(both=True)) * CountBonus(key, exponent=inf, scope="episode")``.

    Replay: the novelty of now, for states that were new when they were visited.

    Args:
        of: what both networks read.
        key: what makes a state the same, as in `CountBonus`; None takes what the networks read. Where states hardly ever repeat
            every visit is a first one.
        resolution: of keys, as in `CountBonus`.
        alpha: how much of the novelty of s_t is taken off.
        width: k, numbers that are predicted.
        hidden: units in hidden layers.
        learning_rate: of Adam.
        share: of each rollout that the predictor learns from.
        epochs: passes over it.
        batch: rows of a step.
        scale: by what the bonus is divided.
    """

    of: Sight = Sight()
    key: Key | None = None
    resolution: Positive | None = None
    alpha: NonNegative = 0.5
    width: Count = 64
    hidden: Count = 64
    learning_rate: Positive = 1e-3
    share: Share = 0.25
    epochs: Count = 1
    batch: Count = 256
    scale: Scale = "none"

    @override
    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(cls(width=3, hidden=8)),
            Example(cls(key="features.agent_pos", width=3, hidden=8, scale="stream")),
            Example(0.1 * cls(Sight(("obs.observation",), standardise=True), width=3, hidden=8), "dict"),
        )

    @property
    def raw(self) -> Product:
        """The gain in novelty on first visits, as it is."""
        model = Distillation(
            self.of,
            True,
            self.width,
            self.hidden,
            self.learning_rate,
            self.share,
            self.epochs,
            self.batch,
        )
        key = self.of.keys if self.key is None else self.key
        first_visit = CountBonus(key, exponent=math.inf, scope="episode", resolution=self.resolution)
        return Product((NoveltyGain(model, self.alpha), first_visit))
