"""Disagreement: how far the predictions of several models of the world lie apart."""

from __future__ import annotations

from dataclasses import dataclass

from typing_extensions import override

from shapegym.shaping.intrinsic.bonus import Bonus, Scale
from shapegym.shaping.limits import Count, Positive, Share
from shapegym.shaping.models.ensemble import Ensemble, Members
from shapegym.shaping.models.sight import Sight
from shapegym.shaping.terms.output import ModelOutput
from shapegym.shaping.types import Example


@dataclass(frozen=True)
class Disagreement(Bonus):
    """b_t = the variance of what the members of an `Ensemble` say of s_{t+1}, on average over the numbers of its code.

    Pathak, Gandhi & Gupta 2019, "Self-Supervised Exploration via Disagreement", eq. 2. Noise that nobody can foresee is not paid
    for in the end: all members come to say its mean. The authors divide the bonus by the running standard deviation of its
    discounted sums.

    Replay: frozen (the members and the scale of now).

    Args:
        of: what the encoder reads.
        members: how many models there are.
        width: numbers in a code.
        hidden: units in hidden layers.
        learning_rate: of Adam.
        share: of each rollout that the members learn from.
        epochs: passes over it.
        batch: rows of a step, for each member.
        scale: by what the variance is divided.
    """

    of: Sight = Sight()
    members: Members = 5
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
            Example(cls(members=2, width=3, hidden=8)),
            Example(0.1 * cls(Sight(("obs.observation",)), 3, 3, 8, scale="none"), "dict"),
        )

    @property
    def raw(self) -> ModelOutput:
        """The variance, as it is."""
        return ModelOutput(
            Ensemble(
                self.of,
                self.members,
                self.width,
                self.hidden,
                self.learning_rate,
                self.share,
                self.epochs,
                self.batch,
            )
        )
