"""An adversary that learns to act as the agent does, from what the agent did."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from typing_extensions import override

from shapegym.shaping.limits import Count, Positive, Share
from shapegym.shaping.models.sight import Sight
from shapegym.shaping.transitions import Experience, Spec, Transitions
from shapegym.shaping.types import Example, Model

if TYPE_CHECKING:
    from torch import Tensor

    from shapegym.shaping.networks import Networks


@dataclass(frozen=True)
class Adversary(Model):
    """``log_prob`` (B,): log pi_adv(a_t | s_t), where pi_adv follows the policy that chose the actions.

    It descends -log pi_adv(a_t | s_t) of the actions that were taken, whose gradient is on average that of KL(pi || pi_adv)
    (Flet-Berliac et al. 2021, "Adversarially Guided Actor-Critic", eq. 5). Choices and bits have logits, numbers a Gaussian whose
    mean and deviation depend on the state. A rollout is judged before it is learned from.

    Args:
        of: what it reads.
        hidden: units in hidden layers.
        learning_rate: of Adam.
        share: of the experience that each fit learns from, drawn anew.
        epochs: passes over it.
        batch: rows of a step.
    """

    of: Sight = Sight()
    hidden: Count = 64
    learning_rate: Positive = 9e-5
    share: Share = 1.0
    epochs: Count = 1
    batch: Count = 256

    outputs: ClassVar[tuple[str, ...]] = ("log_prob",)
    judges_first: ClassVar[bool] = True

    @override
    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example(cls(hidden=8)), Example(cls(Sight(("obs.observation",)), 8, 1e-2, 0.5), "dict"))

    @override
    def init(self, spec: Spec) -> Networks:
        """Return fresh networks; raises `ObservationError` if actions are neither numbers nor choices."""
        from shapegym.shaping.models.action_code import ActionCode
        from shapegym.shaping.networks import Networks

        reader = type(self).__name__
        actions = ActionCode(spec.action_space, reader)
        said = actions.width * (2 if actions.are_numbers else 1)
        return Networks(
            {"actions": lambda: actions, "policy": lambda: self.of.body(reader, spec, self.hidden, said)},
            self,
            spec,
            learning_rate=self.learning_rate,
        )

    @override
    def evaluate(self, transitions: Transitions, memory: Networks, *inputs: Any) -> dict[str, np.ndarray]:
        from shapegym.shaping.networks import as_tensor

        code: Any = memory["actions"]
        said = as_tensor(memory.evaluate("policy", inputs[0]["before"]))
        told: Tensor = code.density(said, as_tensor(code.columns(transitions.action)))
        return {"log_prob": told.numpy().astype(np.float64)}

    @override
    def fit(self, experience: Experience, memory: Networks, *inputs: Any) -> dict[str, float]:
        """Descend; log the loss of the last step."""
        from shapegym.shaping.networks import as_tensor

        code: Any = memory["actions"]
        rows = as_tensor(experience.flat(inputs[0]["before"]))
        actions = as_tensor(code.columns(experience.flat(experience.steps.action)))
        for chosen in memory.minibatches(len(rows), self.batch, epochs=self.epochs, share=self.share):
            loss = -code.density(memory["policy"](rows[chosen]), actions[chosen]).mean()
            memory.descend(loss)
        return {"loss": loss.item()}
