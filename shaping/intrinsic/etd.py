"""Episodic novelty by temporal distance: how many steps a state is away from all that its episode has seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
from annotated_types import Ge, Gt, Lt
from typing_extensions import override

from shapegym.shaping.intrinsic.bonus import Bonus, Scale
from shapegym.shaping.intrinsic.episode_memory import SIZE, check_memory, empty_memory, make_room, remembered
from shapegym.shaping.kernels.recall import nearest_in_time
from shapegym.shaping.limits import Count, Positive, Share
from shapegym.shaping.models.sight import Sight
from shapegym.shaping.promises import Replay
from shapegym.shaping.remembered import Remembers
from shapegym.shaping.transitions import Episodes, Experience, Spec, State, Transitions
from shapegym.shaping.types import Example, Model, Term

if TYPE_CHECKING:
    import torch

    from shapegym.shaping.networks import Networks


@dataclass(frozen=True)
class TemporalDistance(Model):
    """``after`` (B, 2 width): codes of s_{t+1} between which `quasimetric` is a distance in time; ``before`` of s_t at first steps.

    Elsewhere ``before`` is 0: there s_t was s_{t+1} a step earlier. The distance d is learned by telling which of N states came
    after which: of pairs (x_i, y_i) of states of one episode, y_i a geometric number of steps after x_i, the logits are
    l_ij = c(y_j) - d(x_i, y_j), and the loss is the mean of the cross entropies of the rows and of the columns of l with the pairs
    (symmetric InfoNCE). Its minimum is the successor distance of Myers et al. 2024. Source: Jiang et al. 2025, "Episodic Novelty
    Through Temporal Distance", section 4. A rollout is judged before it is learned from.

    Args:
        of: what the networks read.
        width: numbers in each half of a code.
        hidden: units in hidden layers.
        discount: of the number of steps between the states of a pair, P(k) ~ discount^k.
        learning_rate: of Adam.
        share: of the experience that each fit learns from, drawn anew; every row is the first state of a pair.
        epochs: passes over it.
        batch: N, pairs that are told apart.
    """

    of: Sight = Sight()
    width: Count = 32
    hidden: Count = 64
    discount: Annotated[float, Gt(0), Lt(1)] = 0.99
    learning_rate: Positive = 3e-4
    share: Share = 0.25
    epochs: Count = 1
    batch: Annotated[int, Ge(2)] = 128

    outputs: ClassVar[tuple[str, ...]] = ("after", "before")
    judges_first: ClassVar[bool] = True

    @override
    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(cls(width=2, hidden=8, share=1.0)),
            Example(cls(Sight(("obs.observation",)), width=2, hidden=8, epochs=2, batch=8), "dict"),
        )

    @override
    def init(self, spec: Spec) -> Networks:
        from torch import nn

        from shapegym.shaping.networks import Networks, perceptron

        hidden = self.hidden
        return Networks(
            {
                "trunk": lambda: nn.Sequential(
                    self.of.body(type(self).__name__, spec, hidden, hidden), nn.LeakyReLU()
                ),
                "code": lambda: perceptron(hidden, hidden, 2 * self.width, layers=1),
                "potential": lambda: perceptron(hidden, hidden, 1, layers=1),
            },
            self,
            spec,
            learning_rate=self.learning_rate,
        )

    @override
    def evaluate(self, transitions: Transitions, memory: Networks, *inputs: Any) -> dict[str, np.ndarray]:
        rows, first = inputs[0], transitions.first
        before = np.zeros((len(first), 2 * self.width), dtype=np.float32)
        if first.any():
            before[first] = self._codes(memory, rows["before"][first])
        return {"after": self._codes(memory, rows["after"]), "before": before}

    def _codes(self, memory: Networks, rows: np.ndarray) -> np.ndarray:
        return memory.evaluate("code", memory.evaluate("trunk", rows))

    @override
    def fit(self, experience: Experience, memory: Networks, *inputs: Any) -> dict[str, float]:
        import torch
        from torch.nn.functional import cross_entropy

        from shapegym.shaping.networks import as_tensor

        active = experience.steps.active
        uniform = torch.rand(int(active.sum()), generator=memory.generator).numpy()
        later = later_steps(experience.episodes, uniform, self.discount)
        early, late = inputs[0]["before"][active], inputs[0]["after"][later]
        early, late = as_tensor(early), as_tensor(late)
        for chosen in memory.minibatches(len(early), self.batch, epochs=self.epochs, share=self.share):
            features = memory["trunk"](torch.cat([early[chosen], late[chosen]]))
            x, y = memory["code"](features).split(len(chosen))
            logits = memory["potential"](features[len(chosen) :])[:, 0] - quasimetric(x, y)
            pairs = torch.arange(len(chosen))
            loss = (cross_entropy(logits, pairs) + cross_entropy(logits.T, pairs)) / 2
            memory.descend(loss)
        found = (logits.argmax(dim=1) == pairs).float().mean()
        return {"loss": loss.item(), "found": found.item()}


def quasimetric(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return d(x_i, y_j) of codes (N, 2 k) and (M, 2 k), (N, M): `shapegym.shaping.kernels.recall.nearest_in_time`."""
    from torch import cdist

    half = x.shape[1] // 2
    furthest = (x[:, None, :half] - y[None, :, :half]).amax(dim=2).relu()
    apart = cdist(x[:, half:], y[:, half:], compute_mode="donot_use_mm_for_euclid_dist")  # exact near 0
    return furthest + (apart.square() + 1e-8).sqrt()


def later_steps(episodes: Episodes, uniform: np.ndarray, discount: float) -> tuple[np.ndarray, np.ndarray]:
    """Return for each active step a step of the same episode and block that is the same or comes after it, as steps and lanes (M,).

    The number of steps between them is geometric, P(k) ~ discount^k, among those that there are, at the quantiles ``uniform`` (M,).
    """
    ends = episodes.last | ~episodes.active
    ends[-1] = True
    ends[:-1] |= episodes.first[1:] | ~episodes.active[1:]
    left = np.zeros(ends.shape, dtype=np.int64)
    for t in range(len(ends) - 2, -1, -1):
        left[t] = np.where(ends[t], 0, left[t + 1] + 1)
    steps, lanes = np.nonzero(episodes.active)
    most = left[steps, lanes]
    between = np.log1p(-uniform * (1.0 - discount ** (most + 1.0))) / np.log(discount)
    return steps + np.minimum(between.astype(np.int64), most), lanes


@dataclass(frozen=True)
class EpisodicDistance(Term):
    """min over the earlier states s_i of the episode of d(s_i, s_{t+1}), with the codes that they had when they were seen.

    Remembered are the latest ``memory`` different states of each lane's open episode; on a task that never ends, what was seen
    before them is new again.

    Replay: stamped.

    Args:
        model: what makes codes of states.
        memory: states that are remembered of an episode.
    """

    model: TemporalDistance
    memory: Count = SIZE

    replay: ClassVar[Replay] = Replay.STAMP
    remembers: ClassVar[Remembers] = remembered("codes")

    @override
    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example(cls(TemporalDistance(width=2, hidden=8), memory=3)),)

    @override
    def init(self, spec: Spec) -> State:
        nearest = np.zeros(spec.num_lanes, dtype=np.float32)
        return {**empty_memory(spec.num_lanes, self.memory, codes=2 * self.model.width), "nearest": nearest}

    @override
    def check_state(self, state: State, fresh: State) -> None:
        check_memory(state, fresh, self.memory, "codes")

    @override
    def observe(self, transitions: Transitions, state: State, *inputs: Any) -> None:
        make_room(state, self.memory, "codes")
        nearest_in_time(
            inputs[0]["before"],
            inputs[0]["after"],
            transitions.first,
            transitions.active,
            self.memory,
            state["codes"],
            state["counts"],
            state["nearest"],
        )

    @override
    def measure(self, transitions: Transitions, state: State, *inputs: Any) -> np.ndarray:
        return np.array(state["nearest"], dtype=np.float64)


@dataclass(frozen=True)
class ETD(Bonus):
    """b_t = min over the earlier states s_i of the episode of d(s_i, s_{t+1}), a learned number of steps between them.

    Jiang et al. 2025, "Episodic Novelty Through Temporal Distance" (ICLR). A state is new if it is far from all that its episode
    has seen, in steps and not in how it looks, so noise and small changes of a picture are worth little. The authors standardise
    the bonus by moving averages; published weights: 0.01 for the bonus, and 1 or 10 for the task. They learn in 4 passes over 8,192
    steps with batches of 512; here ``share`` and ``batch`` keep the bonus cheaper than PPO at hundreds of lanes.

    Replay: the distance is stamped; its scale is the one of now.

    Args:
        of: what the networks read.
        width: numbers in each half of a code.
        hidden: units in hidden layers.
        discount: of the number of steps between the states of a pair that is learned from.
        learning_rate: of Adam.
        share: of each rollout that the distance learns from.
        epochs: passes over it.
        batch: pairs that are told apart.
        memory: states that are remembered of an episode, the latest.
        scale: by what the distance is divided.
    """

    of: Sight = Sight()
    width: Count = 32
    hidden: Count = 64
    discount: Annotated[float, Gt(0), Lt(1)] = 0.99
    learning_rate: Positive = 3e-4
    share: Share = 0.25
    epochs: Count = 1
    batch: Annotated[int, Ge(2)] = 128
    memory: Count = SIZE
    scale: Scale = "ema"

    @override
    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(cls(width=2, hidden=8)),
            Example(
                0.01 * cls(Sight(("obs.observation",)), width=2, hidden=8, memory=2, scale="none"), "dict"
            ),
        )

    @property
    def raw(self) -> EpisodicDistance:
        """The distance, as it is."""
        model = TemporalDistance(
            self.of,
            self.width,
            self.hidden,
            self.discount,
            self.learning_rate,
            self.share,
            self.epochs,
            self.batch,
        )
        return EpisodicDistance(model, self.memory)
