"""Codes of states: what several terms read instead of raw observations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from annotated_types import MinLen
from typing_extensions import override

from shapegym.shaping.limits import Count
from shapegym.shaping.states.select import Selects, width_for_network
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
        keys: selectors of what it reads.
        side: of s_{t+1} ("after") or of s_t ("before"); both with the same network.
        width: numbers in a code.
        hidden: units in each of its two layers.
    """

    keys: Annotated[tuple[Selects, ...], MinLen(1)] = ("obs",)
    side: Literal["after", "before"] = "after"
    width: Count = 64
    hidden: Count = 64

    outputs: ClassVar[tuple[str, ...]] = ("code",)
    learned: ClassVar[bool] = False
    looks = property(lambda self: self.side)

    @override
    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example(cls(width=3, hidden=8)), Example(cls(("obs.observation",), "before", 3, 8), "dict"))

    @override
    def init(self, spec: Spec) -> Networks:
        from shapegym.shaping.networks import Networks, perceptron

        numbers = width_for_network("RandomEncoder", self.keys, spec)
        make = {"encoder": lambda: perceptron(numbers, self.hidden, self.width)}
        return Networks(make, self, spec, fixed=("encoder",), key=f"{self.keys} {self.width} {self.hidden}")

    @override
    def evaluate(self, transitions: Transitions, memory: Networks, *inputs: Any) -> dict[str, np.ndarray]:
        from shapegym.shaping.networks import read_rows

        if self.side == "after":
            rows = read_rows(self.keys, *transitions.after)
        else:
            rows = read_rows(self.keys, transitions.obs, transitions.features)
        return {"code": memory.evaluate("encoder", rows)}
