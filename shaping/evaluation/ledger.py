"""The books: what every episode earned from the task, from shaping, and from each part.

The task's own return is recorded here whatever the expression does with it, and it is what evaluation reads.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from shapegym.shaping.errors import NonFiniteError
from shapegym.shaping.evaluation.success import UNREADABLE, success_of
from shapegym.shaping.kernels.accounting import book_block, book_step
from shapegym.shaping.transitions import Episodes, State, Transitions


@dataclass(frozen=True, slots=True)
class EpisodeRecord:
    """One finished episode.

    Attributes:
        lane: where it happened.
        length: steps.
        task_return: undiscounted sum of the task reward.
        shaped_return: undiscounted sum of what the agent was paid.
        parts: undiscounted sum of each addend; those that are paid add up to ``shaped_return``, up to float addition.
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
        """Return the record as plain values, the way surfaces put it into ``info["shaping_episode"]``.

        There is no ``success`` where the environment does not say: readers of infos take numbers.
        """
        success = {} if self.success is None else {"success": self.success}
        return {
            "task_return": self.task_return,
            "shaped_return": self.shaped_return,
            "length": self.length,
            **success,
            "parts": self.parts,
        }


class Ledger:
    """Sums rewards over the open episode of each lane and reports the finished ones."""

    def __init__(self, addends: tuple[str, ...], num_lanes: int, num_paid: int) -> None:
        self.addends = addends
        self._num_paid = num_paid
        self.books = np.zeros((3 + len(addends), num_lanes))
        self._doubted = False

    def post_step(
        self, contributions: np.ndarray, transitions: Transitions, clock: int
    ) -> tuple[np.ndarray, list[EpisodeRecord]]:
        """Book one step, as `post` books a block, with contributions (K, B); return shaped rewards (B,) and ended episodes."""
        t = transitions
        shaped = np.empty(len(t.reward))
        flags = (t.first, t.terminated, t.truncated, t.active)
        count = book_step(contributions, self._num_paid, t.reward, *flags, shaped, self.books)
        if count == 0:
            return shaped, []
        lanes = np.flatnonzero((t.terminated | t.truncated) & t.active)
        where = np.stack([np.zeros_like(lanes), lanes], axis=1)
        success = success_of(t.next_features)
        return shaped, self._records(
            count,
            contributions[:, None],
            where,
            self.books[:, lanes].T,
            clock,
            None if success is None else success[None],
        )

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
            success: (T, B), as `shapegym.shaping.evaluation.success.truths`, or None.

        Raises:
            NonFiniteError: if a sum of contributions is not finite, although the parts were (a combinator overflowed).
        """
        shaped = np.empty(task.shape)
        where = np.empty((int(np.count_nonzero(episodes.last)), 2), dtype=np.int64)
        ended = np.empty((len(where), len(self.books)))
        count = book_block(
            contributions,
            self._num_paid,
            task,
            episodes.first,
            episodes.terminated,
            episodes.truncated,
            episodes.active,
            shaped,
            self.books,
            where,
            ended,
        )
        return shaped, self._records(count, contributions, where, ended, clock, success)

    def abandoned(self, lanes: np.ndarray, clock: int) -> list[EpisodeRecord]:
        """Return the books of open episodes that will not end, of lanes by number."""
        where = np.stack([np.zeros_like(lanes), lanes], axis=1)
        return self._records(len(lanes), self.books[:, None], where, self.books[:, lanes].T, clock, None)

    def _records(
        self,
        count: int,
        contributions: np.ndarray,
        where: np.ndarray,
        ended: np.ndarray,
        clock: int,
        success: np.ndarray | None,
    ) -> list[EpisodeRecord]:
        """Return what a kernel found of the ``count`` episodes that ended, or raise its error."""
        num_lanes = self.books.shape[1]
        if count < 0:
            step, lane = divmod(-1 - count, num_lanes)
            values = dict(zip(self.addends, contributions[:, step, lane].tolist(), strict=True))
            raise NonFiniteError(
                f"The shaped reward of lane {lane} at global step {clock + step * num_lanes} is not finite although every part is: "
                f"{values}. A combinator overflowed; clip its operands."
            )
        return [
            EpisodeRecord(
                lane=lane,
                length=int(length),
                task_return=task_return,
                shaped_return=shaped_return,
                parts=dict(zip(self.addends, parts, strict=True)),
                success=None if success is None else self._solved(success[step, lane], lane),
                clock=clock + step * num_lanes,
            )
            for (step, lane), (length, task_return, shaped_return, *parts) in zip(
                where[:count].tolist(), ended[:count].tolist(), strict=True
            )
        ]

    def _solved(self, success: float, lane: int) -> bool | None:
        if success in (False, True):
            return bool(success)
        if success == UNREADABLE and not self._doubted:
            self._doubted = True
            warnings.warn(
                f"Lane {lane}: the info says success in a form that is not one truth value (several values, a text, a number "
                "between 0 and 1), so episodes are booked without it. Let the environment say True or False (np.all of several).",
                RuntimeWarning,
                stacklevel=2,
            )
        return None

    def state_dict(self) -> State:
        """Return the books of the open episodes."""
        return {"books": self.books.copy()}

    def load_state_dict(self, state: State) -> None:
        """Continue from `state_dict`."""
        self.books[...] = state["books"]
