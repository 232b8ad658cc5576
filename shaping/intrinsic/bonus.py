"""A bonus: what a method measures, at the scale that its authors give it."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar, Literal, TypeAlias

import numpy as np
from typing_extensions import override

from shapegym.shaping.promises import Replay
from shapegym.shaping.transitions import State, Transitions
from shapegym.shaping.types import Expression, Term
from shapegym.shaping.weights.normalize import RunningScale
from shapegym.shaping.weights.standardise import Standardised

Scale: TypeAlias = Literal["stream", "return", "std", "ema", "none"]
"""By what a bonus is divided (`RunningScale`): the standard deviation of its discounted sum over the run ("stream") or within
episodes ("return"), its own ("std"), or nothing; with "ema" its moving average is taken off too (`Standardised`)."""

DISCOUNT = 0.99
"""Of the sums by which bonuses are scaled: gamma_I of Burda et al. 2019."""


class Bonus(Term):
    """Pays ``raw / scale``. Its field ``scale`` has the default of the paper, because a scale that makes one method ruins another.

    Replay: frozen, the model and the scale of now; where ``raw`` is stamped, its stored value at the scale of now.
    """

    abstract: ClassVar[bool] = True
    replay: ClassVar[Replay] = Replay.FROZEN
    scale: Scale

    @property
    @abstractmethod
    def raw(self) -> Expression:
        """What the method measures, before it is scaled."""

    @property
    def inputs(self) -> tuple[Expression, ...]:
        """The measurement, and its scale."""
        raw = self.raw
        if self.scale == "none":
            return (raw,)
        if self.scale == "ema":
            return (Standardised(raw),)
        return (raw, RunningScale(raw, self.scale, None if self.scale == "std" else DISCOUNT))

    @override
    def measure(self, transitions: Transitions, state: State, *inputs: Any) -> np.ndarray:
        return np.array(inputs[0] * inputs[1] if len(inputs) == 2 else inputs[0], dtype=np.float64)
