"""Curiosity: how badly the next state is foreseen, in codes that keep what the agent controls."""

from __future__ import annotations

from dataclasses import dataclass

from typing_extensions import override

from shapegym.shaping.intrinsic.bonus import Bonus, Scale
from shapegym.shaping.limits import Count, Fraction, Positive, Share
from shapegym.shaping.models.inverse_dynamics import InverseDynamics
from shapegym.shaping.models.sight import Sight
from shapegym.shaping.terms.output import ModelOutput
from shapegym.shaping.types import Example


@dataclass(frozen=True)
class ICM(Bonus):
    """b_t = |phi_hat(s_{t+1}) - phi(s_{t+1})|^2 / 2: the error of a forward model in the codes of an `InverseDynamics`.

    Pathak et al. 2017, "Curiosity-driven Exploration by Self-supervised Prediction", eqs. 2 to 7, with the eta of eq. 6 left to the
    weight. What the agent cannot influence is not in the codes, so its noise is not paid for; noise that an action sets off is.
    Burda et al. 2019, "Large-Scale Study of Curiosity-Driven Learning", divide the bonus by the running standard deviation of its
    discounted sums, as here; the first authors took it as it is (``scale="none"``), with eta = 0.01.

    Replay: frozen (the models and the scale of now).

    Args:
        of: what the encoder reads.
        beta: weight of the forward model's loss; that of the inverse model has 1 - beta.
        width: numbers in a code.
        hidden: units in hidden layers.
        learning_rate: of Adam.
        share: of each rollout that the models learn from.
        epochs: passes over it.
        batch: rows of a step.
        scale: by what the error is divided.
    """

    of: Sight = Sight()
    beta: Fraction = 0.2
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
            Example(0.1 * cls(Sight(("obs.observation",)), 0.5, 3, 8, scale="none"), "dict"),
        )

    @property
    def raw(self) -> ModelOutput:
        """The error, as it is."""
        return ModelOutput(
            InverseDynamics(
                self.of,
                self.beta,
                self.width,
                self.hidden,
                self.learning_rate,
                self.share,
                self.epochs,
                self.batch,
            ),
            "error",
        )
