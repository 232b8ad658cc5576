"""E3B: an elliptical bonus, how far a state lies outside of what the episode has seen so far."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from annotated_types import Ge
from typing_extensions import override

from shapegym.shaping.intrinsic.bonus import Bonus, Scale
from shapegym.shaping.intrinsic.codes import codes_of
from shapegym.shaping.kernels.elliptical import elliptical
from shapegym.shaping.limits import Count, Positive, Share
from shapegym.shaping.models.encoder import RandomEncoder
from shapegym.shaping.models.inverse_dynamics import InverseDynamics
from shapegym.shaping.models.sight import Sight
from shapegym.shaping.promises import Replay
from shapegym.shaping.remembered import Remembers
from shapegym.shaping.transitions import Spec, State, Transitions
from shapegym.shaping.types import Example, Model, Term


@dataclass(frozen=True)
class EllipticalNovelty(Term):
    """b_t = phi^T C^-1 phi of the code phi of s_{t+1}, with C = ridge I + sum of phi phi^T over the states entered before it.

    Henaff et al. 2022, "Exploration via Elliptical Episodic Bonuses", eq. 1. Counts for codes: where codes are one-hot it is
    1 / (N + ridge), with N the visits before. C^-1 is updated by one rank a step (Sherman & Morrison 1950), B d^2 numbers however
    long an episode is. s_0 is entered where the model gives its code (``before``).

    Replay: stamped (depends on what happened before in the episode).

    Args:
        codes: a model of which ``after``, or else the first output, is read, and ``before`` where it has it.
        ridge: lambda, the weight of the identity; the first state is paid |phi|^2 / lambda.
    """

    codes: Model
    ridge: Positive = 0.1

    replay: ClassVar[Replay] = Replay.STAMP
    remembers: ClassVar[Remembers] = {"paid": (Ge(0),)}

    @override
    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(cls(Sight(("features.progress", "obs[0]")), ridge=0.5)),
            Example(cls(RandomEncoder(Sight(("obs.observation",)), width=3, hidden=8)), "dict"),
        )

    @override
    def init(self, spec: Spec) -> State:
        """Return matrices of no size until the first codes say how wide they are."""
        return {**super().init(spec), "inverse": np.zeros((0, 0, 0)), "paid": np.zeros(spec.num_lanes)}

    @override
    def check_state(self, state: State, fresh: State) -> None:
        inverse, lanes = state["inverse"], len(fresh["paid"])
        if not inverse.size:
            return
        own = np.diagonal(inverse, axis1=1, axis2=2) if inverse.shape[1] == inverse.shape[2] else inverse[:0]
        if len(own) != lanes or not (own.min() > 0.0 and own.max() <= 1.0 / self.ridge):
            raise ValueError("its matrices are none that this term makes")

    @override
    def observe(self, transitions: Transitions, state: State, *inputs: Any) -> None:
        before, after = codes_of("EllipticalNovelty", inputs[0], np.float64, state["inverse"].shape[2])
        lanes, width = after.shape
        if not state["inverse"].size:
            state["inverse"] = np.tile(np.eye(width) / self.ridge, (lanes, 1, 1))
        first, active = transitions.first, transitions.active
        elliptical(before, after, first, active, self.ridge, state["inverse"], state["paid"])

    @override
    def measure(self, transitions: Transitions, state: State, *inputs: Any) -> np.ndarray:
        paid: np.ndarray = state["paid"]
        return paid


@dataclass(frozen=True)
class E3B(Bonus):
    """b_t = phi^T C^-1 phi at its running scale: `EllipticalNovelty` of codes that are learned from what actions do.

    Henaff et al. 2022, "Exploration via Elliptical Episodic Bonuses". Codes keep what the agent controls (`InverseDynamics`), so
    noise is not novel; C starts anew in each episode, so the bonus does not fade with training. The authors divide by the bonus's
    own standard deviation, without taking off the mean; a scale of discounted sums ruins it. Published weight: 1, with rewards
    clipped to [-1, 1].

    Replay: stamped at collection, at the scale of now.

    Args:
        of: what the encoder reads.
        ridge: lambda of C.
        width: d, numbers in a code; a step costs d^2 in every lane.
        hidden: units in hidden layers.
        learning_rate: of Adam.
        share: of each rollout that the encoder learns from; half of that of `RND`, as it learns from two states a row.
        epochs: passes over it.
        batch: rows of a step.
        scale: by what the bonus is divided.
    """

    of: Sight = Sight()
    ridge: Positive = 0.1
    width: Count = 32
    hidden: Count = 64
    learning_rate: Positive = 1e-3
    share: Share = 0.125
    epochs: Count = 1
    batch: Count = 256
    scale: Scale = "std"

    @override
    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(cls(width=3, hidden=8)),
            Example(0.5 * cls(Sight(("obs.observation",)), width=3, hidden=8, scale="none"), "dict"),
        )

    @property
    def raw(self) -> EllipticalNovelty:
        """The bonus, as it is."""
        codes = InverseDynamics(
            self.of,
            width=self.width,
            hidden=self.hidden,
            learning_rate=self.learning_rate,
            share=self.share,
            epochs=self.epochs,
            batch=self.batch,
        )
        return EllipticalNovelty(codes, self.ridge)
