"""Never Give Up: pseudo-counts within the episode, alone (`PseudoCounts`) and times what is new in the lifetime (`NGU`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
from annotated_types import Ge
from typing_extensions import override

from shapegym.shaping.algebra import Clip, Product
from shapegym.shaping.intrinsic.bonus import Bonus, Scale
from shapegym.shaping.intrinsic.codes import codes_of
from shapegym.shaping.intrinsic.episode_memory import check_memory, empty_memory, make_room, remembered
from shapegym.shaping.intrinsic.rnd import Distillation
from shapegym.shaping.kernels.neighbours import pseudo_counts
from shapegym.shaping.limits import Count, NonNegative, Positive, Share
from shapegym.shaping.models.encoder import RandomEncoder
from shapegym.shaping.models.inverse_dynamics import InverseDynamics
from shapegym.shaping.models.sight import Sight
from shapegym.shaping.promises import Replay
from shapegym.shaping.remembered import COUNTS, At, Remembers
from shapegym.shaping.terms.output import ModelOutput
from shapegym.shaping.transitions import Spec, State, Transitions
from shapegym.shaping.types import Example, Model, Term
from shapegym.shaping.weights.normalize import normalize


@dataclass(frozen=True)
class KernelCount(Term):
    """b_t = 1 / s with s = sqrt(sum of K(d_i^2) over the k nearest codes of the episode) + c, and 0 where s is beyond its limit.

    K(d^2) = epsilon / (max(d^2 / d_m^2 - cluster, 0) + epsilon), where d is a distance from the code of s_{t+1} to one that the
    lane entered before in the episode, and d_m^2 the mean of all such d^2 of the lane so far. Badia et al. 2020, "Never Give Up",
    eq. 2 and Algorithm 1: about 1 / sqrt(N) where codes come again, about 30 where all is new. While less than k are remembered
    the missing ones count as at d_m, so that an episode's first steps are paid as new ones are later. s_0 is entered where the
    model gives its code (``before``).

    A lane remembers the newest ``memory`` codes of its episode; what is older is forgotten, and new again.

    Replay: stamped (depends on what happened before in the episode).

    Args:
        codes: a model of which ``after``, or else the first output, is read, and ``before`` where it has it.
        neighbours: k.
        memory: codes that are remembered of each episode.
        cluster: xi: codes within this share of d_m^2 are one.
        epsilon: of K.
        constant: c.
        largest: s above which nothing is paid.
    """

    codes: Model
    neighbours: Count = 10
    memory: Count = 512
    cluster: NonNegative = 0.008
    epsilon: Positive = 1e-4
    constant: Positive = 1e-3
    largest: Positive = 8.0

    replay: ClassVar[Replay] = Replay.STAMP
    bound = property(lambda self: 1.0 / self.constant)
    remembers: ClassVar[Remembers] = {
        **remembered("codes"),
        "distances": (At(0, COUNTS), At(1, (Ge(0),))),
        "paid": (Ge(0),),
    }

    @override
    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(cls(Sight(("features.progress", "obs[0]")), neighbours=3, memory=4)),
            Example(cls(RandomEncoder(Sight(("obs.observation",)), width=3, hidden=8), epsilon=0.01), "dict"),
        )

    @override
    def init(self, spec: Spec) -> State:
        """Return memories of no size until the first codes say how wide they are."""
        lanes = spec.num_lanes
        blank = empty_memory(lanes, self.memory, codes=0)
        return {**super().init(spec), **blank, "distances": np.zeros((2, lanes)), "paid": np.zeros(lanes)}

    @override
    def check_state(self, state: State, fresh: State) -> None:
        width = state["codes"].shape[1]
        check_memory(state, empty_memory(len(fresh["paid"]), self.memory, codes=width), self.memory, "codes")

    @override
    def observe(self, transitions: Transitions, state: State, *inputs: Any) -> None:
        before, after = codes_of("KernelCount", inputs[0], np.float32, state["codes"].shape[1])
        if not state["codes"].size:
            state.update(empty_memory(len(after), self.memory, codes=after.shape[1]))
        make_room(state, self.memory, "codes")
        pseudo_counts(
            before,
            after,
            transitions.first,
            transitions.active,
            self.epsilon,
            self.cluster,
            self.constant,
            self.largest,
            state["codes"],
            state["counts"],
            state["distances"],
            np.empty(self.neighbours),
            state["paid"],
        )

    @override
    def measure(self, transitions: Transitions, state: State, *inputs: Any) -> np.ndarray:
        paid: np.ndarray = state["paid"]
        return paid


@dataclass(frozen=True)
class PseudoCounts(Bonus):
    """b_t = about 1 / sqrt(N(s_{t+1})) within the episode: `KernelCount` of codes that are learned from what actions do.

    The episodic half of Badia et al. 2020, "Never Give Up", section 2. As there nothing is scaled; a scale of discounted sums ruins
    it. Published weight: up to 0.3.

    Replay: stamped at collection, at the scale of now.

    Args:
        of: what the encoder reads.
        neighbours: k, nearest codes that are looked at.
        memory: codes that each lane remembers of its episode, the newest.
        width: numbers in a code.
        hidden: units in hidden layers.
        learning_rate: of Adam.
        share: of each rollout that the encoder learns from.
        epochs: passes over it.
        batch: rows of a step.
        scale: by what the bonus is divided.
    """

    of: Sight = Sight()
    neighbours: Count = 10
    memory: Count = 512
    width: Count = 32
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
            Example(cls(memory=8, width=3, hidden=8)),
            Example(0.1 * cls(Sight(("obs.observation",)), 3, width=3, hidden=8, scale="std"), "dict"),
        )

    @property
    def raw(self) -> KernelCount:
        """The pseudo-counts, as they are."""
        codes = InverseDynamics(
            self.of,
            width=self.width,
            hidden=self.hidden,
            learning_rate=self.learning_rate,
            share=self.share,
            epochs=self.epochs,
            batch=self.batch,
        )
        return KernelCount(codes, self.neighbours, self.memory)


@dataclass(frozen=True)
class NGU(Bonus):
    """b_t = r_t min(max(alpha_t, 1), L): `PseudoCounts` r_t times how new s_{t+1} is in the lifetime, alpha_t = 1 + (e - m) / sd.

    e is the error of a `Distillation` at s_{t+1}, m and sd its running mean and standard deviation. Badia et al. 2020, "Never Give
    Up: Learning Directed Exploration Strategies", eq. 1. A state that is rare in the run is paid up to L times as much, and none is
    ever worth nothing within an episode. Published weight: up to 0.3, by a mixture of agents; nothing is scaled.

    It is the product ``KernelCount(InverseDynamics()) * clip(1 + normalize(error, center=True), 1, L)``.

    Replay: pseudo-counts as they were, times the novelty of now.

    Args:
        of: what all networks read.
        neighbours: k, nearest codes that are looked at.
        memory: codes that each lane remembers of its episode, the newest.
        largest: L, >= 1.
        width: numbers in a code.
        hidden: units in hidden layers.
        learning_rate: of Adam.
        share: of each rollout that the networks learn from.
        epochs: passes over it.
        batch: rows of a step.
        scale: by what the bonus is divided.
    """

    of: Sight = Sight()
    neighbours: Count = 10
    memory: Count = 512
    largest: Annotated[float, Ge(1)] = 5.0
    width: Count = 32
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
            Example(cls(memory=8, width=3, hidden=8)),
            Example(0.1 * cls(Sight(("obs.observation",)), 3, width=3, hidden=8), "dict"),
        )

    @property
    def raw(self) -> Product:
        """The product, as it is."""
        learning: dict[str, Any] = {
            "hidden": self.hidden,
            "learning_rate": self.learning_rate,
            "share": self.share,
            "epochs": self.epochs,
            "batch": self.batch,
        }
        codes = InverseDynamics(self.of, width=self.width, **learning)
        error = ModelOutput(Distillation(self.of, **learning))
        lifetime = Clip(1.0 + normalize(error, center=True), 1.0, self.largest)
        return Product((KernelCount(codes, self.neighbours, self.memory), lifetime))
