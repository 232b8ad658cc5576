"""Episodic novelty by a discriminator of transitions: far from what the episode has seen, and not because of the way there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from annotated_types import Ge
from typing_extensions import override

from shapegym.shaping.intrinsic.bonus import Bonus, Scale
from shapegym.shaping.intrinsic.episode_memory import SIZE, check_memory, empty_memory, make_room, remembered
from shapegym.shaping.kernels.recall import nearest_off_path
from shapegym.shaping.limits import Count, Positive, Share
from shapegym.shaping.models.sight import Sight
from shapegym.shaping.remembered import COUNTS, Remembers
from shapegym.shaping.states.select import selector, width_for_network
from shapegym.shaping.terms.output import ModelOutput
from shapegym.shaping.transitions import Experience, Spec, State, Transitions
from shapegym.shaping.types import Example, Model

if TYPE_CHECKING:
    import torch

    from shapegym.shaping.networks import Networks

_MOMENTUM = 0.9
"""Of the mean novelty above which an observation is queued."""
_QUEUE_BYTES = 2**28
"""Memory of queued observations, whatever their number: pictures are large."""


@dataclass(frozen=True)
class EpisodicDiscriminator(Model):
    """``novelty`` (B,) of s_{t+1}: min over the episode's earlier states i of |e_i - e_{t+1}|^2 / (|h_{i-1} - h_t| + 1e-6).

    e are codes of observations, h = GRU(e, h before) of trajectories up to them (0 before the first), by a network that learns to
    tell transitions (o_t, a_t, o_{t+1}) from such with a false o_{t+1}, by a logit of h_t, h_{t+1} and a_t; the loss is the mean of
    the cross entropies of both. False observations are drawn from the latest ``queue`` of those whose novelty was at least its
    moving mean (all of the first rollout). Where the true one is drawn another is, and the false transition is left out if that is
    true too. Source: Wan et al. 2023, "DEIR", equation 4 and algorithms A1 and A2. They normalise codes over a batch, by which one
    would depend on others; here it is each code by itself. A rollout is judged before it is learned from.

    Remembered are the latest ``memory`` states of each lane's open episode with the codes that they had when they were seen; only
    the last has a new code after a fit, so that staying there is nothing new. On a task that never ends, what was seen before them
    is new again. Of observations that are queued, as many as fit in 256 MiB.

    Args:
        of: what the networks read.
        width: numbers in the code of an observation, and of a trajectory.
        hidden: units in hidden layers.
        gru: whether trajectories have codes of their own; else a trajectory's is that of its last observation.
        queue: observations to draw false ones from.
        memory: states that are remembered of an episode.
        learning_rate: of Adam.
        share: of the experience that each fit learns from, drawn anew.
        epochs: passes over it.
        batch: rows of a step, half of them false.
    """

    of: Sight = Sight()
    width: Count = 32
    hidden: Count = 64
    gru: bool = True
    queue: Count = 100_000
    memory: Count = SIZE
    learning_rate: Positive = 3e-4
    share: Share = 0.125
    epochs: Count = 1
    batch: Count = 256

    outputs: ClassVar[tuple[str, ...]] = ("novelty",)
    recurrent: ClassVar[bool] = True
    judges_first: ClassVar[bool] = True
    per_lane: ClassVar[tuple[str, ...]] = tuple(
        f"numbers/{name}" for name in ("codes", "paths", "counts", "path", "way", "start", "old", "novelty")
    )
    remembers: ClassVar[Remembers] = {
        **remembered("codes", "paths", under="numbers/"),
        "numbers/queued": COUNTS,
        "numbers/fits": COUNTS,
        "numbers/judged": COUNTS,
        "numbers/novelty": (Ge(0),),
        "numbers/mean": (Ge(0),),
        "numbers/total": (Ge(0),),
    }

    @override
    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(cls(width=3, hidden=8, queue=16, memory=4, share=1.0)),
            Example(cls(Sight(("obs.observation",)), width=3, hidden=8, gru=False, queue=8), "dict"),
        )

    @override
    def init(self, spec: Spec) -> Networks:
        from torch import nn

        from shapegym.shaping.models.action_code import ActionCode
        from shapegym.shaping.networks import Networks, perceptron

        reader, lanes, width = type(self).__name__, spec.num_lanes, self.width
        action = ActionCode(spec.action_space, reader)
        modules = {
            "eye": lambda: nn.Sequential(self.of.body(reader, spec, self.hidden, width), nn.LayerNorm(width)),
            "judge": lambda: perceptron(2 * width + action.width, self.hidden, 1, layers=1),
            "action": lambda: action,
        }
        if self.gru:
            modules["cell"] = lambda: nn.GRUCell(width, width)
        nothing = np.zeros((lanes, width), dtype=np.float32)
        numbers: State = {
            **empty_memory(lanes, self.memory, codes=width, paths=width),
            "path": nothing,  # h_t, of the trajectory up to the state that comes next
            "way": nothing.copy(),  # h_{t-1}, of the trajectory that led to it
            "start": nothing.copy(),  # the same at the last fit
            "old": np.zeros(lanes, dtype=np.bool_),  # whether path is of a network before the last fit
            "novelty": np.zeros(lanes, dtype=np.float32),
            "queue": self._empty_queue(spec),
            "queued": 0,
            "fits": 0,
            "mean": 0.0,  # novelty: its moving mean, and its sum and number since the last fit
            "total": 0.0,
            "judged": 0,
        }
        fresh = dict(numbers)
        return Networks(
            modules,
            self,
            spec,
            learning_rate=self.learning_rate,
            numbers=numbers,
            check=lambda saved: self._check(saved, fresh),
        )

    def _check(self, numbers: State, fresh: State) -> None:
        check_memory(numbers, fresh, self.memory, "codes", "paths")
        if (numbers["old"] & (numbers["counts"] == 0)).any():
            raise ValueError("a state that it does not remember has an old code")

    def _empty_queue(self, spec: Spec) -> np.ndarray:
        spaces = [selector(key).space(spec) for key in self.of.keys]
        bytes_only = all(space is not None and space.dtype == np.uint8 for space in spaces)
        kind = np.dtype(np.uint8 if bytes_only and not self.of.standardise else np.float32)
        numbers = width_for_network(type(self).__name__, self.of.keys, spec)
        rows = max(1, min(self.queue, _QUEUE_BYTES // (numbers * kind.itemsize)))
        return np.zeros((rows, numbers), dtype=kind)

    @override
    def observe(self, transitions: Transitions, memory: Networks, *inputs: Any) -> None:
        numbers, rows = memory.numbers, inputs[0]
        active, first = transitions.active, transitions.first & transitions.active
        path, before = numbers["path"], np.zeros_like(numbers["path"])
        numbers["way"][first] = 0.0
        if (now := first | numbers["old"] & active).any():
            before[now] = memory.evaluate("eye", rows["before"][now])
            path[now] = self._follow(memory, before[now], numbers["way"][now])
            if (again := np.flatnonzero(now & ~first)).size:
                numbers["codes"][again, :, (numbers["counts"][again] - 1) % self.memory] = before[again]
            numbers["old"][now] = False
        after = memory.evaluate("eye", rows["after"])
        make_room(numbers, self.memory, "codes", "paths")
        nearest_off_path(
            before,
            after,
            path,
            first,
            active,
            self.memory,
            numbers["codes"],
            numbers["paths"],
            numbers["counts"],
            numbers["novelty"],
        )
        numbers["way"][active] = path[active]
        path[active] = self._follow(memory, after, path)[active]
        novelty = numbers["novelty"]
        numbers["total"] += float(novelty[active].sum(dtype=np.float64))
        numbers["judged"] += int(np.count_nonzero(active))
        new = active if not numbers["fits"] else active & (novelty >= numbers["mean"])
        _enqueue(numbers, rows["after"][new])

    def _follow(self, memory: Networks, code: np.ndarray, path: np.ndarray) -> np.ndarray:
        """Codes of trajectories that went on to an observation."""
        return memory.evaluate("cell", code, path) if self.gru else code

    @override
    def evaluate(self, transitions: Transitions, memory: Networks, *inputs: Any) -> dict[str, np.ndarray]:
        return {"novelty": memory.numbers["novelty"].copy()}

    @override
    def fit(self, experience: Experience, memory: Networks, *inputs: Any) -> dict[str, float]:
        import torch
        from torch.nn.functional import softplus

        from shapegym.shaping.networks import as_tensor

        numbers, active = memory.numbers, experience.steps.active
        before, after = (inputs[0][side][active] for side in ("before", "after"))
        ways = as_tensor(self._ways(experience, memory, before)[active])
        actions = as_tensor(memory["action"].columns(experience.flat(experience.steps.action)))  # type: ignore[operator]
        held = min(numbers["queued"], len(numbers["queue"]))
        queue = numbers["queue"][:held] if held else after
        right = told = 0
        for chosen in memory.minibatches(len(after), self.batch, epochs=self.epochs, share=self.share):
            true = after[chosen.numpy()]
            false, other = (_drawn(queue, len(true), memory.generator) for _ in range(2))
            same = (false == true).all(axis=1)
            false[same] = other[same]
            apart = torch.from_numpy((false != true).any(axis=1))
            states = as_tensor(np.concatenate([before[chosen.numpy()], true, false]))
            now, then, never = memory["eye"](states).split(len(true))
            if self.gru:
                cell = memory["cell"]
                now = cell(now, ways[chosen])
                then, never = cell(torch.cat([then, never]), now.repeat(2, 1)).split(len(true))
            pairs = [torch.cat([now, end, actions[chosen]], dim=1) for end in (then, never)]
            said, lied = memory["judge"](torch.cat(pairs))[:, 0].split(len(true))
            lied = lied[apart]
            loss = softplus(-said).mean() + (softplus(lied).mean() if len(lied) else 0.0)
            memory.descend(loss / 2)
            right += int((said > 0).sum()) + int((lied < 0).sum())
            told += len(said) + len(lied)
        self._move_mean(numbers)
        numbers["start"] = numbers["way"].copy()
        numbers["old"] = numbers["counts"] > 0
        return {"loss": loss.item() / 2, "right": right / told}

    def _ways(self, experience: Experience, memory: Networks, before: np.ndarray) -> np.ndarray:
        """Codes h_{t-1} of the trajectories that led to the states ``before`` (M, n), by the network of now, (T, B, d)."""
        steps = experience.steps
        ways = np.zeros((*steps.active.shape, self.width), dtype=np.float32)
        if not self.gru:
            return ways
        codes = np.zeros_like(ways)
        codes[steps.active] = memory.evaluate("eye", before)
        way = memory.numbers["start"]
        for t in range(len(ways)):
            way = np.where(steps.first[t, :, None], np.float32(0.0), way)
            ways[t] = way
            way = np.where(steps.active[t, :, None], self._follow(memory, codes[t], way), way)
        return ways

    def _move_mean(self, numbers: State) -> None:
        if numbers["judged"]:
            mean = numbers["total"] / numbers["judged"]
            keep = _MOMENTUM if numbers["fits"] else 0.0
            numbers["mean"] = keep * numbers["mean"] + (1.0 - keep) * mean
            numbers |= {"fits": numbers["fits"] + 1, "total": 0.0, "judged": 0}


def _enqueue(numbers: State, rows: np.ndarray) -> None:
    queue = numbers["queue"]
    rows = rows[-len(queue) :]
    queue[(numbers["queued"] + np.arange(len(rows))) % len(queue)] = rows
    numbers["queued"] += len(rows)


def _drawn(rows: np.ndarray, number: int, generator: torch.Generator) -> np.ndarray:
    import torch

    return rows[torch.randint(len(rows), (number,), generator=generator).numpy()]


@dataclass(frozen=True)
class DEIR(Bonus):
    """b_t = min over the episode's earlier states i of |e_i - e_{t+1}|^2 / (|h_{i-1} - h_t| + 1e-6).

    Wan et al. 2023, "DEIR: Efficient and Robust Exploration through Discriminative-Model-Based Episodic Intrinsic Rewards". An
    observation is new if its code e is far from those of all that the episode has seen; it counts less the more the trajectories h
    that led to the two differ (`EpisodicDiscriminator`). The authors standardise the bonus by moving averages;
    published weight 0.01, beside 1 for the task. They learn in 4 passes over 8,192 steps with codes of 128 numbers; here ``share``,
    ``epochs`` and ``width`` keep the bonus cheaper than PPO at hundreds of lanes.

    Replay: the novelty is stamped; its scale is the one of now.

    Args:
        of: what the networks read.
        width: numbers in the code of an observation, and of a trajectory.
        hidden: units in hidden layers.
        gru: whether trajectories have codes of their own.
        queue: observations to draw false ones from.
        memory: states that are remembered of an episode, the latest.
        learning_rate: of Adam.
        share: of each rollout that the discriminator learns from.
        epochs: passes over it.
        batch: rows of a step.
        scale: by what the novelty is divided.
    """

    of: Sight = Sight()
    width: Count = 32
    hidden: Count = 64
    gru: bool = True
    queue: Count = 100_000
    memory: Count = SIZE
    learning_rate: Positive = 3e-4
    share: Share = 0.125
    epochs: Count = 1
    batch: Count = 256
    scale: Scale = "ema"

    @override
    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(cls(width=3, hidden=8, queue=16)),
            Example(
                0.01 * cls(Sight(("obs.observation",)), 3, 8, gru=False, queue=8, memory=3, scale="none"),
                "dict",
            ),
        )

    @property
    def raw(self) -> ModelOutput:
        """The novelty, as it is."""
        return ModelOutput(
            EpisodicDiscriminator(
                self.of,
                self.width,
                self.hidden,
                self.gru,
                self.queue,
                self.memory,
                self.learning_rate,
                self.share,
                self.epochs,
                self.batch,
            )
        )
