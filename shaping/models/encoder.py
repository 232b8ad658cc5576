"""Codes of states: what several terms read instead of raw observations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from typing_extensions import override

from shapegym.shaping.limits import Count
from shapegym.shaping.models.sight import Sight
from shapegym.shaping.transitions import Spec, Transitions
from shapegym.shaping.types import Example, Model

if TYPE_CHECKING:
    from shapegym.shaping.networks import Networks


@dataclass(frozen=True)
class RandomEncoder(Model):
    """``code`` (B, width): a random network's view of a state, which is never trained.

    Random features keep distances about as they are, cost no training, and do not drift, so what is counted or predicted from them
    means the same at every step. Source: Burda et al. 2019, "Large-Scale Study of Curiosity-Driven Learning" (random features);
    Seo et al. 2021 (RE3).

    Args:
        of: what it reads.
        side: of s_{t+1} ("after") or of s_t ("before"); both with the same network.
        width: numbers in a code.
        hidden: units in hidden layers.
    """

    of: Sight = Sight()
    side: Literal["after", "before"] = "after"
    width: Count = 64
    hidden: Count = 64

    outputs: ClassVar[tuple[str, ...]] = ("code",)
    learned: ClassVar[bool] = False

    @override
    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(cls(width=3, hidden=8)),
            Example(cls(Sight(("obs.observation",)), "before", 3, 8), "dict"),
        )

    @override
    def init(self, spec: Spec) -> Networks:
        from shapegym.shaping.networks import Networks

        make = {"encoder": lambda: self.of.body(type(self).__name__, spec, self.hidden, self.width)}
        return Networks(make, self, spec, fixed=("encoder",), key=f"{self.of} {self.width} {self.hidden}")

    @override
    def evaluate(self, transitions: Transitions, memory: Networks, *inputs: Any) -> dict[str, np.ndarray]:
        return {"code": memory.evaluate("encoder", inputs[0][self.side])}
