"""An ensemble of forward models: where they disagree, more experience would tell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
from annotated_types import Ge
from typing_extensions import override

from shapegym.shaping.limits import Count, Positive, Share
from shapegym.shaping.models.sight import Sight
from shapegym.shaping.transitions import Experience, Spec, Transitions
from shapegym.shaping.types import Example, Model

if TYPE_CHECKING:
    from shapegym.shaping.networks import Networks

Members = Annotated[int, Ge(2)]
"""How many models there are: one alone agrees with itself."""


@dataclass(frozen=True)
class Ensemble(Model):
    """``variance`` (B,): that of the members' predictions of s_{t+1}'s code, of s_t's code and a_t, on average over its numbers.

    Codes are a fixed random network's. Members begin differently, and each learns by squared error in an order of its own.
    Source: Pathak, Gandhi & Gupta 2019, "Self-Supervised Exploration via Disagreement", eqs. 1 and 2. A rollout is judged before it
    is learned from.

    Args:
        of: what the encoder reads.
        members: how many models there are.
        width: numbers in a code.
        hidden: units in hidden layers.
        learning_rate: of Adam.
        share: of the experience that each fit learns from, drawn anew.
        epochs: passes over it.
        batch: rows of a step, for each member.
    """

    of: Sight = Sight()
    members: Members = 5
    width: Count = 64
    hidden: Count = 64
    learning_rate: Positive = 1e-3
    share: Share = 0.25
    epochs: Count = 1
    batch: Count = 256

    outputs: ClassVar[tuple[str, ...]] = ("variance",)
    judges_first: ClassVar[bool] = True

    @override
    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(cls(members=2, width=3, hidden=8)),
            Example(cls(Sight(("obs.observation",), standardise=True), 3, 2, 4, share=1.0), "dict"),
        )

    @override
    def init(self, spec: Spec) -> Networks:
        """Return fresh networks; raises `ObservationError` if actions are neither numbers nor choices."""
        from shapegym.shaping.models.action_code import ActionCode
        from shapegym.shaping.networks import Networks, Perceptrons

        reader = type(self).__name__
        actions = ActionCode(spec.action_space, reader)
        read = self.width + actions.width
        return Networks(
            {
                "actions": lambda: actions,
                "encoder": lambda: self.of.body(reader, spec, self.hidden, self.width),
                "members": lambda: Perceptrons(self.members, read, self.hidden, self.width),
            },
            self,
            spec,
            learning_rate=self.learning_rate,
            fixed=("encoder",),
        )

    @override
    def evaluate(self, transitions: Transitions, memory: Networks, *inputs: Any) -> dict[str, np.ndarray]:
        rows = self._read(memory, inputs[0]["before"], transitions.action)
        apart = memory.evaluate("members", rows)
        apart -= apart.mean(axis=1, keepdims=True)
        squares = np.einsum("bkd,bkd->b", apart, apart)
        return {"variance": squares.astype(np.float64) / (self.members * self.width)}

    @override
    def fit(self, experience: Experience, memory: Networks, *inputs: Any) -> dict[str, float]:
        """Descend; log the members' mean squared error in the last step."""
        import torch

        from shapegym.shaping.networks import as_tensor

        before, action, after = experience.flat(
            (inputs[0]["before"], experience.steps.action, inputs[0]["after"])
        )
        shown = max(1, round(self.share * len(before)))
        drawn = torch.randperm(len(before), generator=memory.generator)[:shown].numpy()
        rows = as_tensor(self._read(memory, before[drawn], action[drawn]))
        codes = as_tensor(memory.evaluate("encoder", after[drawn]))
        draws = [memory.minibatches(shown, self.batch, epochs=self.epochs) for _ in range(self.members)]
        for members in zip(*draws, strict=True):
            chosen = torch.stack(members, 1)  # (b, members)
            loss = (memory["members"](rows[chosen]) - codes[chosen]).square().mean()
            memory.descend(loss)
        return {"loss": loss.item()}

    def _read(self, memory: Networks, before: np.ndarray, action: np.ndarray) -> np.ndarray:
        """What the members read: codes of s_t, and actions."""
        code: Any = memory["actions"]
        return np.hstack([memory.evaluate("encoder", before), code.columns(action)])
