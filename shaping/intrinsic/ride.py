"""Impact: how far an action moves what the agent controls, less each time that the same is seen in an episode."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from typing_extensions import override

from shapegym.shaping.errors import UnknownNameError
from shapegym.shaping.intrinsic.bonus import Bonus, Scale
from shapegym.shaping.limits import Count, Fraction, Positive, Share
from shapegym.shaping.models.inverse_dynamics import InverseDynamics
from shapegym.shaping.models.sight import Sight
from shapegym.shaping.promises import Replay
from shapegym.shaping.states.keys import Key
from shapegym.shaping.terms.counts import CountBonus
from shapegym.shaping.transitions import Spec, State, Transitions
from shapegym.shaping.types import Example, Expression, Model, Term


@dataclass(frozen=True)
class Impact(Term):
    """b_t = |phi(s_{t+1}) - phi(s_t)|, the Euclidean distance between the codes that a model gives two states in a row.

    Replay: frozen (the model of now).

    Args:
        model: what makes the codes, as its outputs ``before`` and ``after``: an `InverseDynamics`, or a `Sight` for states as they
            are.
    """

    model: Model

    replay: ClassVar[Replay] = Replay.FROZEN

    @override
    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example(cls(Sight())), Example(cls(InverseDynamics(width=3, hidden=8))))

    @override
    def init(self, spec: Spec) -> State:
        """Raise `UnknownNameError` if the model has no codes of both states."""
        missing = {"before", "after"}.difference(self.model.outputs)
        if missing:
            raise UnknownNameError(
                f"Impact compares the outputs 'before' and 'after', and {type(self.model).__name__} has no {min(missing)!r}. Take "
                "InverseDynamics(), or a Sight."
            )
        return {}

    @override
    def measure(self, transitions: Transitions, state: State, *inputs: Any) -> np.ndarray:
        moved = np.subtract(inputs[0]["after"], inputs[0]["before"], dtype=np.float64)
        return np.sqrt(np.einsum("bd,bd->b", moved, moved))


@dataclass(frozen=True)
class RIDE(Bonus):
    """b_t = |phi(s_{t+1}) - phi(s_t)| / sqrt(N_ep(s_{t+1})): `Impact` times an episodic `CountBonus`, as one term.

    Raileanu & Rocktäschel 2020, "RIDE: Rewarding Impact-Driven Exploration", eq. 3, with codes as in `ICM`, whose models it shares
    where the fields are equal. The count keeps the agent from going back and forth between two states that differ much. Published
    weights are 0.1 and 0.5, without any scale; see it also as ``Impact(model) * CountBonus(key, scope="episode")``.

    Replay: the impact is frozen (the encoder of now), the count is stamped.

    Args:
        of: what the encoder reads.
        key: what is counted in each episode, as for `CountBonus`; None is what the encoder reads.
        beta: weight of the forward model's loss while codes are learned; 0 trains none.
        width: numbers in a code.
        hidden: units in hidden layers.
        learning_rate: of Adam.
        share: of each rollout that the models learn from.
        epochs: passes over it.
        batch: rows of a step.
        scale: by what the bonus is divided.
    """

    of: Sight = Sight()
    key: Key | None = None
    beta: Fraction = 0.2
    width: Count = 64
    hidden: Count = 64
    learning_rate: Positive = 1e-3
    share: Share = 0.25
    epochs: Count = 1
    batch: Count = 256
    scale: Scale = "none"

    @override
    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(0.1 * cls(width=3, hidden=8)),
            Example(cls(Sight(("obs.observation",)), "features.agent_pos", 0.0, 3, 8, scale="std"), "dict"),
        )

    @property
    def raw(self) -> Expression:
        """Impact times the count, as it is."""
        model = InverseDynamics(
            self.of,
            self.beta,
            self.width,
            self.hidden,
            self.learning_rate,
            self.share,
            self.epochs,
            self.batch,
        )
        read = self.of.keys if len(self.of.keys) > 1 else self.of.keys[0]
        return Impact(model) * CountBonus(read if self.key is None else self.key, scope="episode")
