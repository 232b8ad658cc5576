"""Codes of what an episode has been so far: for tasks in which what is seen does not say where one is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from typing_extensions import override

from shapegym.shaping.limits import Count
from shapegym.shaping.models.sight import Sight
from shapegym.shaping.transitions import Spec, Transitions
from shapegym.shaping.types import Example, Model

if TYPE_CHECKING:
    from shapegym.shaping.networks import Networks


@dataclass(frozen=True)
class RecurrentEncoder(Model):
    """``code`` (B, width): h_{t+1} = GRU(e(s_{t+1}), h_t) of a random network that is never trained, and h_0 = GRU(e(s_0), 0).

    Two states that look alike have different codes where different episodes led to them. An untrained recurrent network keeps
    traces of what it read for some steps (Jaeger 2001, echo states), and like `RandomEncoder` it does not drift.

    Args:
        of: what it reads.
        width: numbers in a code.
        hidden: units in the layers before the recurrent one.
    """

    of: Sight = Sight()
    width: Count = 64
    hidden: Count = 64

    outputs: ClassVar[tuple[str, ...]] = ("code",)
    learned: ClassVar[bool] = False
    recurrent: ClassVar[bool] = True
    per_lane: ClassVar[tuple[str, ...]] = ("numbers/code",)

    @override
    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(cls(width=3, hidden=8)),
            Example(cls(Sight(("obs.observation",), standardise=True), width=3, hidden=8), "dict"),
        )

    @override
    def init(self, spec: Spec) -> Networks:
        from torch import nn

        from shapegym.shaping.networks import Networks

        return Networks(
            {
                "eye": lambda: self.of.body(type(self).__name__, spec, self.hidden, self.width),
                "cell": lambda: nn.GRUCell(self.width, self.width),
            },
            self,
            spec,
            fixed=("eye", "cell"),
            numbers={"code": np.zeros((spec.num_lanes, self.width), dtype=np.float32)},
        )

    @override
    def observe(self, transitions: Transitions, memory: Networks, *inputs: Any) -> None:
        code, rows = memory.numbers["code"], inputs[0]
        first = transitions.first & transitions.active
        if first.any():
            code[first] = self._next(memory, rows["before"][first], np.zeros_like(code[first]))
        active = transitions.active
        code[active] = self._next(memory, rows["after"], code)[active]

    def _next(self, memory: Networks, rows: np.ndarray, code: np.ndarray) -> np.ndarray:
        return memory.evaluate("cell", memory.evaluate("eye", rows), code)

    @override
    def evaluate(self, transitions: Transitions, memory: Networks, *inputs: Any) -> dict[str, np.ndarray]:
        return {"code": memory.numbers["code"].copy()}
