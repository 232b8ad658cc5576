"""Recorded episodes, for audits of tasks that have no tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shapegym.shaping.audit.model import Array, Mask
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
        observations: NDArray[Any],
        next_observations: NDArray[Any],
        rewards: Mapping[str, NDArray[Any]],
        terminated: NDArray[np.bool_],
        truncated: NDArray[np.bool_],
        active: NDArray[np.bool_] | None = None,
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
        ends = np.asarray(terminated)
        if ends.ndim not in {1, 2} or ends.dtype != np.bool_:
            raise AuditError(
                f"terminated must be (T,) or (T, B) bool, got {ends.dtype} of shape {ends.shape}."
            )
        masks = {
            "truncated": np.asarray(truncated),
            "active": np.ones_like(ends) if active is None else np.asarray(active),
        }
        for name, mask in masks.items():
            if mask.shape != ends.shape or mask.dtype != np.bool_:
                raise AuditError(f"{name} must be {ends.shape} bool, got {mask.dtype} of shape {mask.shape}.")

        def lane_by_lane(name: str, values: NDArray[Any], *, flat: bool) -> Array:
            array = np.asarray(values, np.float64)
            if array.shape[: ends.ndim] != ends.shape or (flat and array.ndim != ends.ndim):
                raise AuditError(
                    f"{name} must be {ends.shape}{'' if flat else ' + (D,)'}, got shape {array.shape}."
                )
            if not np.isfinite(array).all():
                raise AuditError(f"{name} is NaN or infinite somewhere.")
            array = array if ends.ndim == 1 else array.swapaxes(0, 1)
            return array.reshape(ends.size, -1)[:, 0] if flat else array.reshape(ends.size, -1)

        steps, lanes = ends.shape[0], 1 if ends.ndim == 1 else ends.shape[1]
        last = (ends | masks["truncated"]).T.reshape(lanes, steps) & masks["active"].T.reshape(lanes, steps)
        # A step belongs to a finished episode if its lane has an end at it or later.
        kept = np.logical_or.accumulate(last[:, ::-1], axis=1)[:, ::-1] & masks["active"].T.reshape(
            lanes, steps
        )
        keep, closes = kept.ravel(), last.ravel()[kept.ravel()]
        if not keep.any():
            raise AuditError(
                "No episode finishes in this recording, and unfinished ones are left out. "
                "Record for longer, or shorten the time limit."
            )
        episode = np.concatenate([[0], np.cumsum(closes)[:-1]])
        begins = np.flatnonzero(np.concatenate([[True], closes[:-1]]))
        return cls(
            observations=lane_by_lane("observations", observations, flat=False)[keep],
            next_observations=lane_by_lane("next_observations", next_observations, flat=False)[keep],
            terminated=ends.T.ravel()[keep],
            episode=episode,
            step=np.arange(len(episode)) - begins[episode],
            rewards={
                name: lane_by_lane(f"The reward {name!r}", paid, flat=True)[keep]
                for name, paid in rewards.items()
            },
            dropped=int(masks["active"].sum() - keep.sum()),
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
