"""Steps that were measured when they happened and are paid together when their rewards are needed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from shapegym.shaping.evaluation.engine import RewardEngine
from shapegym.shaping.evaluation.ledger import EpisodeRecord
from shapegym.shaping.evaluation.steps import StepStore
from shapegym.shaping.evaluation.success import success_of
from shapegym.shaping.transitions import Episodes, Transitions


@dataclass(frozen=True, slots=True)
class Settled:
    """What a block paid.

    Attributes:
        shaped: shaped rewards, (T, B) float64.
        task: task rewards, (T, B) float64, valid until the block is written again.
        truncated: (T, B) bool, as ``task``.
        records: the episodes that ended in it.
        parts: of every term, and items behind them, (N', T, B), as ``task``.
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

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._steps = StepStore()

    @property
    def length(self) -> int:
        """Steps that wait."""
        return self._steps.length

    @property
    def full(self) -> bool:
        """Whether another step has no room."""
        return self.length == self.capacity

    def append(self, parts: np.ndarray, transitions: Transitions) -> None:
        """Add one step; all its rows must be active. ``parts`` is (N, B)."""
        success = success_of(transitions.next_features)
        self._steps.append(
            {
                "parts": parts.T,
                "task": transitions.reward,
                "first": transitions.first,
                "terminated": transitions.terminated,
                "truncated": transitions.truncated,
                "clock": transitions.clock,
                **({} if success is None else {"success": success}),
            }
        )

    def settle(self, engine: RewardEngine) -> Settled:
        """Combine the steps, book them with ``engine`` and start an empty block.

        If the engine leaves it to its caller when something learns, it does so now, before the steps are paid.
        """
        if not self.length:
            nothing, flags = (
                np.zeros((0, engine.spec.num_lanes)),
                np.zeros((0, engine.spec.num_lanes), dtype=bool),
            )
            parts, paid = (
                np.zeros((count, *nothing.shape))
                for count in (len(engine.program.row_names), len(engine.addends))
            )
            return Settled(nothing, nothing, flags, [], parts, paid, Episodes(flags, flags, flags, flags))
        steps = self._steps.block()
        self._steps.clear()
        task, truncated = steps["task"], steps["truncated"]
        episodes = Episodes(steps["first"], steps["terminated"], truncated, np.ones(task.shape, dtype=bool))
        parts = engine.learn() if engine.waits else np.moveaxis(steps["parts"], -1, 0).copy()
        contributions, shaped, records = engine.settle(
            parts, task, episodes, int(steps["clock"][0]), steps.get("success")
        )
        return Settled(shaped, task, truncated, records, parts, contributions, episodes)
