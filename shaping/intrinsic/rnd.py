"""Random network distillation: what a trained network cannot yet say of a fixed random one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from typing_extensions import override

from shapegym.shaping.intrinsic.bonus import Bonus, Scale
from shapegym.shaping.limits import Count, Positive, Share
from shapegym.shaping.models.sight import Sight
from shapegym.shaping.terms.output import ModelOutput
from shapegym.shaping.transitions import Experience, Spec, Transitions
from shapegym.shaping.types import Example, Model

if TYPE_CHECKING:
    from torch import nn

    from shapegym.shaping.networks import Networks


@dataclass(frozen=True)
class Distillation(Model):
    """``error`` (B,) of s_{t+1}: the mean squared difference of a trained network and a fixed random one; ``error_before`` of s_t.

    Burda et al. 2019, "Exploration by Random Network Distillation", section 2.2. A rollout is judged before it is learned from.

    Args:
        of: what both networks read.
        both: whether to judge s_t too.
        width: k, numbers that are predicted.
        hidden: units in hidden layers; the trained network has one layer more than the fixed one.
        learning_rate: of Adam.
        share: of the experience that each fit learns from, drawn anew. Burda et al. show the predictor as many rows as 32
            environments make: a share of 0.25 for 128.
        epochs: passes over it.
        batch: rows of a step.
    """

    of: Sight = Sight()
    both: bool = False
    width: Count = 64
    hidden: Count = 64
    learning_rate: Positive = 1e-3
    share: Share = 0.25
    epochs: Count = 1
    batch: Count = 256

    outputs = property(lambda self: ("error", "error_before") if self.both else ("error",))
    judges_first: ClassVar[bool] = True

    @override
    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(cls(width=3, hidden=8, share=1.0)),
            Example(cls(Sight(("obs.observation",), standardise=True), both=True, width=3, hidden=8), "dict"),
        )

    @override
    def init(self, spec: Spec) -> Networks:
        from torch import nn

        from shapegym.shaping.networks import Networks

        def network(*more: Callable[[], nn.Module]) -> nn.Module:
            first = self.of.body(type(self).__name__, spec, self.hidden, self.width)
            return nn.Sequential(first, *(make() for make in more))

        layer = (nn.LeakyReLU, lambda: nn.Linear(self.width, self.width))
        return Networks(
            {"fixed": network, "trained": lambda: network(*layer)},
            self,
            spec,
            learning_rate=self.learning_rate,
            fixed=("fixed",),
        )

    @override
    def evaluate(self, transitions: Transitions, memory: Networks, *inputs: Any) -> dict[str, np.ndarray]:
        sides = {"error": "after", "error_before": "before"}
        return {name: self._errors(memory, inputs[0][sides[name]]) for name in self.outputs}

    def _errors(self, memory: Networks, rows: np.ndarray) -> np.ndarray:
        from shapegym.shaping.networks import distinct_rows

        distinct, places = distinct_rows(rows)
        apart = memory.evaluate("trained", distinct) - memory.evaluate("fixed", distinct)
        errors = np.square(apart, dtype=np.float64).mean(axis=1)
        return errors if places is None else errors[places]

    @override
    def fit(self, experience: Experience, memory: Networks, *inputs: Any) -> dict[str, float]:
        import torch

        from shapegym.shaping.networks import as_tensor

        rows = as_tensor(experience.flat(inputs[0])["after"])
        for chosen in memory.minibatches(len(rows), self.batch, epochs=self.epochs, share=self.share):
            with torch.no_grad():
                said = memory["fixed"](rows[chosen])
            loss = (memory["trained"](rows[chosen]) - said).square().mean()
            memory.descend(loss)
        return {"loss": loss.item()}


@dataclass(frozen=True)
class RND(Bonus):
    """b_t = |f(s_{t+1}) - g(s_{t+1})|^2 / k at the scale of its discounted stream, with g fixed and random, and f trained on it.

    Burda et al. 2019, "Exploration by Random Network Distillation". Where the agent has seldom been f knows little of g. The
    authors standardise observations (``Sight(standardise=True)``; not symbols of a grid), divide the bonus by the running standard
    deviation of its discounted returns, which is what lifts it above nothing, and let its returns go on across episodes
    (`TwoHeadPPO`). Published weights beside the task: 2 for the task, 1 for the bonus.

    Replay: frozen (the predictor and the scale of now).

    Args:
        of: what both networks read.
        width: k, numbers that are predicted.
        hidden: units in hidden layers.
        learning_rate: of Adam.
        share: of each rollout that the predictor learns from.
        epochs: passes over it.
        batch: rows of a step.
        scale: by what the error is divided.
    """

    of: Sight = Sight()
    width: Count = 64
    hidden: Count = 64
    learning_rate: Positive = 1e-3
    share: Share = 0.25
    epochs: Count = 1
    batch: Count = 256
    scale: Scale = "stream"

    @override
    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(cls(width=3, hidden=8)),
            Example(0.1 * cls(Sight(("obs.observation",), standardise=True), 3, 8, scale="none"), "dict"),
        )

    @property
    def raw(self) -> ModelOutput:
        """The error, as it is."""
        return ModelOutput(
            Distillation(
                self.of,
                False,
                self.width,
                self.hidden,
                self.learning_rate,
                self.share,
                self.epochs,
                self.batch,
            )
        )
