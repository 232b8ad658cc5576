"""Codes of states that are learned from what actions do: they keep what the agent controls and drop what it does not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from typing_extensions import override

from shapegym.shaping.limits import Count, Fraction, Positive, Share
from shapegym.shaping.models.sight import Sight
from shapegym.shaping.transitions import Experience, Spec, Transitions
from shapegym.shaping.types import Example, Model

if TYPE_CHECKING:
    from torch import Tensor, nn

    from shapegym.shaping.networks import Networks


@dataclass(frozen=True)
class InverseDynamics(Model):
    """``before`` and ``after`` (B, width): codes phi of s_t and of s_{t+1} by one encoder; ``error`` (B,) where they are predicted.

    The encoder is trained so that a network tells a_t from both codes, and with ``forward`` = beta > 0 also so that another says
    phi(s_{t+1}) of phi(s_t) and a_t. It descends, on average over transitions,

        (1 - beta) * -log p(a_t | phi(s_t), phi(s_{t+1})) + beta * |phi_hat - phi(s_{t+1})|^2 / 2,

    and ``error`` is the |phi_hat - phi(s_{t+1})|^2 / 2 of it. Choices and bits are told by their log-likelihood; numbers by half
    the squared error, with their bounds at -1 and 1. Source: Pathak et al. 2017, "Curiosity-driven Exploration by Self-supervised
    Prediction", eqs. 2 to 7. A rollout is judged before it is learned from.

    Args:
        of: what the encoder reads.
        forward: beta; 0 trains no forward model, and there is no ``error``.
        width: numbers in a code.
        hidden: units in hidden layers.
        learning_rate: of Adam.
        share: of the experience that each fit learns from, drawn anew.
        epochs: passes over it.
        batch: rows of a step.
    """

    of: Sight = Sight()
    forward: Fraction = 0.0
    width: Count = 64
    hidden: Count = 64
    learning_rate: Positive = 1e-3
    share: Share = 0.25
    epochs: Count = 1
    batch: Count = 256

    outputs = property(lambda self: ("before", "after", "error") if self.forward else ("before", "after"))
    judges_first: ClassVar[bool] = True

    @override
    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(cls(width=3, hidden=8)),
            Example(cls(Sight(("obs.observation",), standardise=True), 0.2, 3, 8, share=1.0), "dict"),
        )

    @override
    def init(self, spec: Spec) -> Networks:
        """Return fresh networks; raises `ObservationError` if actions are neither numbers nor choices."""
        from shapegym.shaping.models.action_code import ActionCode
        from shapegym.shaping.networks import Networks, perceptron

        reader, width, hidden = type(self).__name__, self.width, self.hidden
        actions = ActionCode(spec.action_space, reader)
        modules: dict[str, Callable[[], nn.Module]] = {
            "actions": lambda: actions,
            "encoder": lambda: self.of.body(reader, spec, hidden, width),
            "inverse_model": lambda: perceptron(2 * width, hidden, actions.width, layers=1),
        }
        if self.forward:
            modules["forward_model"] = lambda: perceptron(width + actions.width, hidden, width, layers=1)
        return Networks(modules, self, spec, learning_rate=self.learning_rate)

    @override
    def evaluate(self, transitions: Transitions, memory: Networks, *inputs: Any) -> dict[str, np.ndarray]:
        codes = {side: memory.evaluate("encoder", inputs[0][side]) for side in ("before", "after")}
        if not self.forward:
            return codes
        code: Any = memory["actions"]
        known = np.hstack([codes["before"], code.columns(transitions.action)])
        apart = np.subtract(memory.evaluate("forward_model", known), codes["after"], dtype=np.float64)
        return {**codes, "error": np.square(apart).sum(axis=1) / 2.0}

    @override
    def fit(self, experience: Experience, memory: Networks, *inputs: Any) -> dict[str, float]:
        """Descend; log both losses of the last step."""
        from shapegym.shaping.networks import as_tensor

        before, after = (as_tensor(experience.flat(inputs[0][side])) for side in ("before", "after"))
        code: Any = memory["actions"]
        actions = as_tensor(code.columns(experience.flat(experience.steps.action)))
        for chosen in memory.minibatches(len(actions), self.batch, epochs=self.epochs, share=self.share):
            told, foreseen = self.losses(memory, before[chosen], actions[chosen], after[chosen])
            memory.descend((1.0 - self.forward) * told + self.forward * foreseen)
        return {"inverse_loss": told.item()} | ({"forward_loss": foreseen.item()} if self.forward else {})

    def losses(
        self, memory: Networks, before: Tensor, actions: Tensor, after: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the mean loss of telling actions, and of foreseeing codes (0 without a forward model).

        Args:
            memory: the networks.
            before: what is seen of s_t, (M, n).
            actions: as the networks read them, (M, k).
            after: what is seen of s_{t+1}, (M, n).
        """
        import torch

        code: Any = memory["actions"]
        codes = memory["encoder"](torch.cat([before, after]))
        here, there = codes.split(len(before))
        told = code.log_likelihood(memory["inverse_model"](torch.cat([here, there], 1)), actions)
        if not self.forward:
            return -told.mean(), torch.zeros(())
        foreseen = memory["forward_model"](torch.cat([here, actions], 1))
        return -told.mean(), (foreseen - there).square().sum(1).mean() / 2.0
