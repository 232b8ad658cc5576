"""What a replay buffer keeps beside SB3's arrays in order to measure stored transitions again."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

from shapegym.shaping.surfaces.collect import allocate
from shapegym.shaping.transitions import Features, Observation, Spec, Transitions


class Memory:
    """Transitions by row: row ``step * num_lanes + lane`` holds lane ``lane`` of the buffer's step ``step``.

    SB3 stores scaled actions, and observations as the policy sees them; terms measure what the environment got and gave. So
    actions are always kept, observations only if ``keep_observations``.
    """

    def __init__(self, spec: Spec, num_steps: int, *, keep_observations: bool) -> None:
        rows = num_steps * spec.num_lanes
        self.keeps_observations = keep_observations
        self._space = spec.observation_space
        self._rows = rows
        self._action = allocate(spec.action_space, rows)
        self._terminated = np.zeros(rows, dtype=bool)
        self._truncated = np.zeros(rows, dtype=bool)
        self._first = np.zeros(rows, dtype=bool)
        self._features: dict[str, np.ndarray] = {}
        self._next_features: dict[str, np.ndarray] = {}
        if keep_observations:
            self._obs = allocate(self._space, rows)
            self._next_obs = allocate(self._space, rows)

    def write(self, step: int, transitions: Transitions) -> None:
        """Store the transitions of all lanes as the buffer's step ``step``."""
        num_lanes = transitions.num_lanes
        rows = slice(step * num_lanes, (step + 1) * num_lanes)
        self._action[rows] = transitions.action
        self._terminated[rows] = transitions.terminated
        self._truncated[rows] = transitions.truncated
        self._first[rows] = transitions.first
        self._write_features(self._features, transitions.features, rows)
        self._write_features(self._next_features, transitions.next_features, rows)
        if self.keeps_observations:
            _write(self._obs, transitions.obs, rows)
            _write(self._next_obs, transitions.next_obs, rows)

    def read(self, rows: np.ndarray, obs: Any, next_obs: Any, task_reward: np.ndarray) -> Transitions:
        """Return stored transitions.

        Args:
            rows: which, (M,) int.
            obs: the buffer's own observations, flattened to rows; not used if the memory keeps them.
            next_obs: as ``obs``.
            task_reward: the task rewards, (M,) float64.
        """
        if self.keeps_observations:
            obs, next_obs = self._obs, self._next_obs
        return Transitions(
            obs=_take(self._space, obs, rows),
            action=self._action[rows],
            next_obs=_take(self._space, next_obs, rows),
            reward=task_reward,
            terminated=self._terminated[rows],
            truncated=self._truncated[rows],
            first=self._first[rows],
            active=np.ones(len(rows), dtype=bool),
            features={name: values[rows] for name, values in self._features.items()},
            next_features={name: values[rows] for name, values in self._next_features.items()},
        )

    def terminated(self, row: int) -> bool:
        """Whether the transition ended its episode in a terminal state."""
        return bool(self._terminated[row])

    def _write_features(self, stored: dict[str, np.ndarray], features: Features, rows: slice) -> None:
        for name, values in features.items():
            if name not in stored:  # shapes and dtypes are known when the first arrive
                stored[name] = np.zeros((self._rows, *values.shape[1:]), dtype=values.dtype)
            elif not np.can_cast(values.dtype, stored[name].dtype, "safe"):  # 0 at first, then 0.5
                stored[name] = stored[name].astype(np.result_type(values, stored[name]))
            stored[name][rows] = values


def _write(stored: Any, values: Observation, rows: slice) -> None:
    if isinstance(stored, dict):
        for key, entry in stored.items():
            _write(entry, values[key], rows)
    else:
        stored[rows] = values


def _take(space: gym.Space, values: Any, rows: np.ndarray) -> Observation:
    """Rows of the values in the shape of the space: SB3 stores a Discrete observation as one column."""
    if isinstance(space, gym.spaces.Dict):
        return {key: _take(entry, values[key], rows) for key, entry in space.spaces.items()}
    return values[rows].reshape(len(rows), *(space.shape or ()))
