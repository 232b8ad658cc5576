"""What a replay buffer keeps beside SB3's arrays in order to measure stored transitions again."""

from __future__ import annotations

from typing import Any

import numpy as np

from shapegym.shaping.arrays import allocate, tree_map, tree_take, tree_write
from shapegym.shaping.transitions import Features, Observation, Spec, Transitions


class StoredRows:
    """Transitions by row: row ``step * num_lanes + lane`` holds lane ``lane`` of the buffer's step ``step``.

    SB3 stores scaled actions, and observations as the policy sees them; terms measure what the environment got and gave. So
    actions are always kept, observations only if ``keep_observations``.
    """

    def __init__(self, spec: Spec, num_steps: int, *, keep_observations: bool) -> None:
        self._observation_space = spec.observation_space
        self._num_rows = rows = num_steps * spec.num_lanes
        flags = {name: np.zeros(rows, dtype=bool) for name in ("terminated", "truncated", "first")}
        self._rows = {"action": allocate(spec.action_space, rows), **flags}
        if keep_observations:
            self._rows |= {name: allocate(spec.observation_space, rows) for name in ("obs", "next_obs")}
        self._features: dict[str, dict[str, np.ndarray]] = {"features": {}, "next_features": {}}

    def write(self, step: int, transitions: Transitions) -> None:
        """Store the transitions of all lanes as the buffer's step ``step``."""
        num_lanes = transitions.num_lanes
        rows = slice(step * num_lanes, (step + 1) * num_lanes)
        tree_write(self._rows, rows, {name: getattr(transitions, name) for name in self._rows})
        for name, stored in self._features.items():
            self._write_features(stored, getattr(transitions, name), rows)

    def read(self, rows: np.ndarray, obs: Any, next_obs: Any, task_reward: np.ndarray) -> Transitions:
        """Return stored transitions.

        Args:
            rows: which, (M,) int.
            obs: the buffer's own observations, flattened to rows; not used if the memory keeps them.
            next_obs: as ``obs``.
            task_reward: the task rewards, (M,) float64.
        """
        found = tree_take({**self._rows, **self._features}, rows)
        if "obs" not in found:
            found |= {"obs": self._take(obs, rows), "next_obs": self._take(next_obs, rows)}
        return Transitions(**found, reward=task_reward, active=np.ones(len(rows), dtype=bool))

    def terminated(self, row: int) -> bool:
        """Whether the transition ended its episode in a terminal state."""
        return bool(self._rows["terminated"][row])

    def _write_features(self, stored: dict[str, np.ndarray], features: Features, rows: slice) -> None:
        for name, values in features.items():
            if name not in stored:  # shapes and dtypes are known when the first arrive
                stored[name] = np.zeros((self._num_rows, *values.shape[1:]), dtype=values.dtype)
            elif not np.can_cast(values.dtype, stored[name].dtype, "safe"):  # 0 at first, then 0.5
                stored[name] = stored[name].astype(np.result_type(values, stored[name]))
            stored[name][rows] = values

    def _take(self, values: Any, rows: np.ndarray) -> Observation:
        """Rows of the values in the shape of the space: SB3 stores a Discrete observation as one column."""
        return tree_map(
            lambda space, stored: stored[rows].reshape(len(rows), *(space.shape or ())),
            self._observation_space,
            values,
        )
