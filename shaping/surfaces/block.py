"""Steps that were measured when they happened and are paid together when their rewards are needed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from shapegym.shaping.evaluation.engine import RewardEngine
from shapegym.shaping.evaluation.ledger import EpisodeRecord
from shapegym.shaping.transitions import Episodes, Transitions


@dataclass(frozen=True, slots=True)
class Settled:
    """What a block paid.

    Attributes:
        shaped: shaped rewards, (T, B) float64.
        task: task rewards, (T, B) float64, valid until the block is written again.
        truncated: (T, B) bool, as ``task``.
        records: the episodes that ended in it.
        parts: of every term, (N, T, B), as ``task``.
        contributions: what every addend paid, (K, T, B) float64; their sum is ``shaped``.
        episodes: which steps belong to which episode; as ``task``.
    """

    shaped: np.ndarray
    task: np.ndarray
    truncated: np.ndarray
    records: list[EpisodeRecord]
    parts: np.ndarray
    contributions: np.ndarray
    episodes: Episodes


class Block:
    """Up to ``capacity`` consecutive steps of B lanes, from their measurement until they are settled."""

    def __init__(self, num_terms: int, num_lanes: int, capacity: int) -> None:
        shape = (capacity, num_lanes)
        self.length = 0
        self._parts = np.zeros((num_terms, *shape))
        self._task = np.zeros(shape)
        self._first = np.zeros(shape, dtype=bool)
        self._terminated = np.zeros(shape, dtype=bool)
        self._truncated = np.zeros(shape, dtype=bool)
        self._success = np.zeros(shape, dtype=bool)
        self._knows_success = False
        self._clock = 0

    @property
    def full(self) -> bool:
        """Whether another step has no room."""
        return self.length == len(self._task)

    def append(self, parts: np.ndarray, transitions: Transitions) -> None:
        """Add one step; all its rows must be active. ``parts`` is (N, B)."""
        step = self.length
        if step == 0:
            self._clock = transitions.clock
        self._parts[:, step] = parts
        self._task[step] = transitions.reward
        self._first[step] = transitions.first
        self._terminated[step] = transitions.terminated
        self._truncated[step] = transitions.truncated
        success = transitions.next_features.get("success")
        self._knows_success |= success is not None
        self._success[step] = False if success is None else success
        self.length += 1

    def settle(self, engine: RewardEngine) -> Settled:
        """Combine the steps, book them with ``engine`` and start an empty block.

        If the engine leaves it to its caller when learned terms learn, they do so now, before the steps are paid.
        """
        steps = slice(0, self.length)
        self.length = 0
        task, truncated, parts = self._task[steps], self._truncated[steps], self._parts[:, steps]
        active = np.ones(task.shape, dtype=bool)
        episodes = Episodes(self._first[steps], self._terminated[steps], truncated, active)
        if not len(task):
            return Settled(
                task, task, truncated, [], parts, np.zeros((len(engine.addends), *task.shape)), episodes
            )
        if engine.experience is not None and engine.learn_every is None:
            parts[...] = engine.learn()[:, -task.size :].reshape(parts.shape)
        success = self._success[steps] if self._knows_success else None
        contributions, shaped, records = engine.settle(parts, task, episodes, self._clock, success)
        return Settled(shaped, task, truncated, records, parts, contributions, episodes)
