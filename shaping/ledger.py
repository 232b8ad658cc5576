"""The books: what every episode earned from the task, from shaping, and from each part.

The task's own return is recorded here whatever the expression does with it, and it is what evaluation reads.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from shapegym.shaping.errors import NonFiniteError
from shapegym.shaping.kernels.accounting import settle
from shapegym.shaping.types import Episodes, State


@dataclass(frozen=True, slots=True)
class EpisodeRecord:
    """One finished episode.

    Attributes:
        lane: where it happened.
        length: steps.
        task_return: undiscounted sum of the task reward.
        shaped_return: undiscounted sum of what the agent was paid.
        parts: undiscounted sum of each addend; their sum is ``shaped_return`` up to float addition.
        success: whether the task was solved, or None if the environment does not say.
        clock: global steps when the batch that contains its last step began.
    """

    lane: int
    length: int
    task_return: float
    shaped_return: float
    parts: dict[str, float]
    success: bool | None
    clock: int

    def as_info(self) -> dict[str, Any]:
        """Return the record as plain values, the way surfaces put it into ``info["shaping_episode"]``."""
        return {
            "task_return": self.task_return,
            "shaped_return": self.shaped_return,
            "length": self.length,
            "success": self.success,
            "parts": self.parts,
        }


class Ledger:
    """Sums rewards over the open episode of each lane and reports the finished ones."""

    def __init__(self, addends: tuple[str, ...], num_lanes: int) -> None:
        self.addends = addends
        self.totals = np.zeros((num_lanes, 2 + len(addends)))
        self.lengths = np.zeros(num_lanes, dtype=np.int64)
        self._where = np.zeros((num_lanes, 3), dtype=np.int64)
        self._ended = np.zeros((num_lanes, 2 + len(addends)))

    def post(
        self,
        contributions: np.ndarray,
        task: np.ndarray,
        episodes: Episodes,
        clock: int,
        success: np.ndarray | None = None,
    ) -> tuple[np.ndarray, list[EpisodeRecord]]:
        """Book a block; return the shaped rewards (T, B) and the episodes that ended in it, in order of time.

        Args:
            contributions: (K, T, B), what each addend pays.
            task: (T, B), the task rewards.
            episodes: the block's segments.
            clock: global step of the block's first row.
            success: (T, B) bool, or None if unknown.

        Raises:
            NonFiniteError: if a sum of contributions is not finite, although the parts were (a combinator overflowed).
        """
        _, num_steps, num_lanes = contributions.shape
        shaped = np.empty((num_steps, num_lanes))
        where, ended = self._where, self._ended
        if num_steps > 1:
            where = np.empty((max(1, int(np.count_nonzero(episodes.last))), 3), dtype=np.int64)
            ended = np.empty((len(where), ended.shape[1]))
        count = settle(
            contributions,
            task,
            episodes.first,
            episodes.terminated,
            episodes.truncated,
            episodes.active,
            shaped,
            self.totals,
            self.lengths,
            where,
            ended,
        )
        if count == 0:
            return shaped, []
        if count < 0:
            step, lane = divmod(-1 - count, num_lanes)
            values = dict(zip(self.addends, contributions[:, step, lane].tolist(), strict=True))
            raise NonFiniteError(
                f"The shaped reward of lane {lane} at global step {clock + step * num_lanes} is not finite although every part is: "
                f"{values}. A combinator overflowed; clip its operands."
            )
        return shaped, [
            EpisodeRecord(
                lane=int(lane),
                length=int(length),
                task_return=float(totals[0]),
                shaped_return=float(totals[1]),
                parts=dict(zip(self.addends, totals[2:].tolist(), strict=True)),
                success=None if success is None else bool(success[step, lane]),
                clock=clock + int(step) * num_lanes,
            )
            for (step, lane, length), totals in zip(where[:count], ended[:count], strict=True)
        ]

    def state_dict(self) -> State:
        """Return the books of the open episodes."""
        return {"totals": self.totals.copy(), "lengths": self.lengths.copy()}

    def load_state_dict(self, state: State) -> None:
        """Continue from `state_dict`."""
        self.totals[...] = state["totals"]
        self.lengths[...] = state["lengths"]
