"""Recorded episodes, for audits of tasks that have no tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shapegym.shaping.audit.arguments import FLAGS, NUMBERS, Array, Given, Mask, table
from shapegym.shaping.errors import AuditError

Steps = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Rollouts:
    """The N steps of E finished episodes, one episode after the other, and what several rewards paid for them.

    Attributes:
        observations: (N, D), s_t.
        next_observations: (N, D), the true successors s_{t+1}, also at the end of an episode.
        terminated: (N,), whether s_{t+1} is terminal. An episode that was truncated ends in an ordinary state.
        episode: (N,), 0 .. E - 1.
        step: (N,), t.
        rewards: name -> (N,).
        dropped: steps that were left out, because their episode had not finished.
    """

    observations: Array
    next_observations: Array
    terminated: Mask
    episode: Steps
    step: Steps
    rewards: Mapping[str, Array]
    dropped: int

    @classmethod
    def of(
        cls,
        observations: Given,
        next_observations: Given,
        rewards: Mapping[str, Given],
        terminated: Given,
        truncated: Given,
        active: Given | None = None,
    ) -> Rollouts:
        """Sort a recording into its finished episodes; it must begin where every lane begins an episode.

        Args:
            observations: (T, ...) of one lane, or (T, B, ...) of B lanes: all that the rewards depend on; it is flattened. If a
                time limit matters, the time has to be in it.
            next_observations: the same of s_{t+1}, not of the state after a reset.
            rewards: name -> (T,) or (T, B).
            terminated: (T,) or (T, B).
            truncated: the same.
            active: the same; False where a row is the reset of a lane and no step. None = all are steps.

        Raises:
            AuditError: the arrays do not fit, are not finite, or no episode finishes.
        """
        ends = table("terminated", terminated, FLAGS, ("T",), ("T", "B"))
        cuts = table("truncated", truncated, FLAGS, ends.shape)
        steps = np.ones_like(ends) if active is None else table("active", active, FLAGS, ends.shape)

        def lane_by_lane(values: Given) -> Given:
            """(T, ...) or (T, B, ...) as (T B, ...)."""
            lanes = values if ends.ndim == 1 else values.swapaxes(0, 1)
            return lanes.reshape(ends.size, *values.shape[ends.ndim :])

        def observed(name: str, values: Given) -> Array:
            return lane_by_lane(table(name, values, NUMBERS, (*ends.shape, ...))).reshape(ends.size, -1)[keep]

        last = ((ends | cuts) & steps).T
        # A step belongs to a finished episode if its lane has an end at it or later.
        finished = np.logical_or.accumulate(last[..., ::-1], axis=-1)[..., ::-1] & steps.T
        keep, closes = finished.ravel(), last[finished]
        if not keep.any():
            raise AuditError(
                "No episode finishes in this recording, and unfinished ones are left out. "
                "Record for longer, or shorten the time limit."
            )
        begins = np.concatenate([[True], closes[:-1]])
        episode = np.cumsum(begins) - 1
        return cls(
            observations=observed("observations", observations),
            next_observations=observed("next_observations", next_observations),
            terminated=lane_by_lane(ends)[keep],
            episode=episode,
            step=np.arange(len(episode)) - np.flatnonzero(begins)[episode],
            rewards={
                name: lane_by_lane(table(f"The reward {name!r}", paid, NUMBERS, ends.shape))[keep]
                for name, paid in rewards.items()
            },
            dropped=int(steps.sum() - keep.sum()),
        )

    @property
    def episodes(self) -> int:
        """E."""
        return int(self.episode[-1]) + 1

    def reward(self, name: str) -> Array:
        """What the reward of this name paid, (N,).

        Raises:
            AuditError: there is none.
        """
        if name not in self.rewards:
            raise AuditError(
                f"There is no reward {name!r} in the recording; there are {', '.join(sorted(self.rewards))}."
            )
        return self.rewards[name]

    def per_episode(self, values: Array) -> Array:
        """Sums (E, ...) of values (N, ...)."""
        return np.add.reduceat(values, np.flatnonzero(self.step == 0), axis=0)
