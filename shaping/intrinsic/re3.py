"""RE3: state entropy in the space of a random encoder, as the distance to what was seen in all of the run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from typing_extensions import override

from shapegym.shaping.intrinsic.bonus import Bonus, Scale
from shapegym.shaping.intrinsic.codes import codes_of
from shapegym.shaping.kernels.neighbours import neighbour_distances
from shapegym.shaping.limits import Count
from shapegym.shaping.models.encoder import RandomEncoder
from shapegym.shaping.models.sight import Sight
from shapegym.shaping.promises import Replay
from shapegym.shaping.remembered import COUNTS, SAME, Remembers
from shapegym.shaping.transitions import Spec, State, Transitions
from shapegym.shaping.types import Example, Model, Term


@dataclass(frozen=True)
class NeighbourDistance(Term):
    """b_t = log(|y - y_k| + 1), with y the code of s_{t+1} and y_k the k-th nearest code among those that are remembered.

    Seo et al. 2021, "State Entropy Maximization with Random Encoders for Efficient Exploration" (RE3), eq. 3. Less than k codes
    count as k with the furthest of them, none pay 0.

    What is remembered is a uniform sample of the run, of whole steps of all lanes (a reservoir, Vitter 1985): at most ``memory``
    codes, or one step. A step is remembered after it was measured; a stored state that is among the sample is its own nearest.

    Replay: frozen (the sample of now).

    Args:
        codes: a model of which ``after``, or else the first output, is read; one that does not learn, or distances are to codes of
            former encoders.
        neighbours: k.
        memory: codes that are remembered.
    """

    codes: Model
    neighbours: Count = 3
    memory: Count = 2048

    replay: ClassVar[Replay] = Replay.FROZEN
    remembers: ClassVar[Remembers] = {"steps": COUNTS, "seed": (SAME,)}

    @override
    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(cls(Sight(("features.progress", "obs[0]")), neighbours=2, memory=12)),
            Example(cls(RandomEncoder(Sight(("obs.observation",)), width=3, hidden=8)), "dict"),
        )

    @override
    def init(self, spec: Spec) -> State:
        """Return a memory of no size until the first codes say how wide they are."""
        blanks = {"memory": np.zeros((0, 0), np.float32), "latest": np.zeros((spec.num_lanes, 0), np.float32)}
        return {**super().init(spec), **blanks, "steps": 0, "seed": spec.seed}

    @override
    def check_state(self, state: State, fresh: State) -> None:
        memory, (lanes, width) = state["memory"], state["latest"].shape
        shape = (width, self._steps(lanes) * lanes) if state["steps"] else (0, 0)
        if memory.shape != shape or lanes != len(fresh["latest"]) or (width > 0) != (state["steps"] > 0):
            raise ValueError("its memory is none that this term makes")

    @override
    def observe(self, transitions: Transitions, state: State, *inputs: Any) -> None:
        """Remember the step before, if it is drawn; this one waits until it was measured."""
        active = transitions.active
        if not active.any():
            return
        _, codes = codes_of("NeighbourDistance", inputs[0], np.float32, state["memory"].shape[0])
        lanes, width = codes.shape
        if state["steps"]:
            self._remember(state)
        else:
            state["memory"] = np.full((width, self._steps(lanes) * lanes), np.inf, dtype=np.float32)
        state["latest"] = np.where(active[:, None], codes, np.float32(np.inf))
        state["steps"] += 1

    @override
    def measure(self, transitions: Transitions, state: State, *inputs: Any) -> np.ndarray:
        memory = state["memory"]
        _, codes = codes_of("NeighbourDistance", inputs[0], np.float32, memory.shape[0])
        distances = np.empty(len(codes))
        places = min(max(state["steps"] - 1, 0) * len(state["latest"]), memory.shape[1])
        best = np.empty(self.neighbours)
        neighbour_distances(codes, transitions.active, memory, places, best, distances)
        paid: np.ndarray = np.log1p(distances)
        return paid

    def _remember(self, state: State) -> None:
        """Vitter's algorithm R over steps: the n-th takes a place drawn from n, if the memory has it."""
        lanes, earlier = len(state["latest"]), state["steps"] - 1
        place = earlier
        if place >= self._steps(lanes):
            place = int(np.random.default_rng([state["seed"], earlier]).integers(earlier + 1))
        if place < self._steps(lanes):
            state["memory"][:, place * lanes : (place + 1) * lanes] = state["latest"].T

    def _steps(self, lanes: int) -> int:
        """Whole steps that are remembered."""
        return max(self.memory // lanes, 1)


@dataclass(frozen=True)
class RE3(Bonus):
    """b_t = log(|y - y_k| + 1): `NeighbourDistance` in the space of a random encoder that is never trained.

    Seo et al. 2021, "State Entropy Maximization with Random Encoders for Efficient Exploration". Nothing is learned. The authors
    divide by the running standard deviation. Published weight: 0.05 for control, falling by (1 - 1e-5) a step (`anneal` does that),
    and 0.005 for DoorKey-6x6.

    Replay: frozen (the sample and the scale of now).

    Args:
        of: what the encoder reads.
        neighbours: k.
        memory: codes that are remembered, a uniform sample of the run.
        width: numbers in a code.
        hidden: units in hidden layers.
        scale: by what the bonus is divided.
    """

    of: Sight = Sight()
    neighbours: Count = 3
    memory: Count = 2048
    width: Count = 32
    hidden: Count = 64
    scale: Scale = "std"

    @override
    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(cls(memory=200, width=3, hidden=8)),
            Example(0.1 * cls(Sight(("obs.observation",)), 2, 12, 3, 8, scale="none"), "dict"),
        )

    @property
    def raw(self) -> NeighbourDistance:
        """The distance, as it is."""
        return NeighbourDistance(
            RandomEncoder(self.of, width=self.width, hidden=self.hidden), self.neighbours, self.memory
        )
