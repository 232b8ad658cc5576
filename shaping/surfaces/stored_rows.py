"""What a replay buffer keeps beside SB3's arrays in order to measure stored transitions again."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

import gymnasium as gym
import numpy as np

from shapegym.shaping.arrays import allocate, tree_map, tree_take, tree_write
from shapegym.shaping.errors import ObservationError
from shapegym.shaping.reading import WHOLE
from shapegym.shaping.transitions import Features, Observation, Spec, Transitions


class StoredRows:
    """Transitions by row: row ``step * num_lanes + lane`` holds lane ``lane`` of the buffer's step ``step``.

    SB3 stores scaled actions, and observations as the policy sees them; terms measure what the environment got and gave. So
    actions are always kept, and of observations what SB3's arrays do not hold as it was and somebody reads.

    Args:
        spec: what the expression is bound to.
        num_steps: of the buffer.
        keep_observations: the buffer's own observations are not what the environment gave.
        entries: the entries of observations that are read (`Reader.entries`).
    """

    def __init__(
        self, spec: Spec, num_steps: int, *, keep_observations: bool, entries: Container[str] = (WHOLE,)
    ) -> None:
        self._num_rows = rows = num_steps * spec.num_lanes
        self._observation_space = spec.observation_space
        self._keeps = keep_observations
        flags = {name: np.zeros(rows, dtype=bool) for name in ("terminated", "truncated", "first")}
        self._rows = {"action": allocate(spec.action_space, rows), **flags}
        readable = _readable(spec.observation_space, entries)
        if keep_observations and readable is not None:
            self._rows |= {name: allocate(readable, rows) for name in ("obs", "next_obs")}
        self._features: dict[str, dict[str, np.ndarray]] = {"features": {}, "next_features": {}}

    def write(self, step: int, transitions: Transitions) -> None:
        """Store the transitions of all lanes as the buffer's step ``step``."""
        num_lanes = transitions.num_lanes
        rows = slice(step * num_lanes, (step + 1) * num_lanes)
        for name, kept in self._rows.items():
            _write(kept, rows, getattr(transitions, name))
        for name, stored in self._features.items():
            self._write_features(stored, getattr(transitions, name), rows)

    def read(self, rows: np.ndarray, obs: Any, next_obs: Any, task_reward: np.ndarray) -> Transitions:
        """Return stored transitions; an entry of an observation that nobody was to read is an error to read.

        Args:
            rows: which, (M,) int.
            obs: the buffer's own observations, flattened to rows; not used if the memory keeps them.
            next_obs: as ``obs``.
            task_reward: the task rewards, (M,) float64.
        """
        found = tree_take({**self._rows, **self._features}, rows)
        for side, values in (("obs", obs), ("next_obs", next_obs)):
            if not self._keeps:
                found[side] = self._take(values, rows)
            elif isinstance(found.get(side, {}), dict):
                found[side] = Kept(found.get(side, {}))
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


class Kept(dict[str, Any]):
    """The entries of observations that are kept."""

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str) and key in self:
            return super().__getitem__(key)
        raise ObservationError(
            f"A term that is measured again reads {key!r} of the observation, which the replay buffer does not keep, because the "
            "term's fields do not say so. Annotate the one that selects it (`Selects`, `Phi`), or set `entries = (WHOLE,)`."
        )


def _readable(space: gym.Space, entries: Container[str]) -> gym.Space | None:
    """The part of the space that is read; None if nothing is."""
    if WHOLE in entries:
        return space
    if not isinstance(space, gym.spaces.Dict):
        return None
    read = {name: entry for name, entry in space.items() if name in entries}
    return gym.spaces.Dict(read) if read else None


def _write(kept: Any, rows: slice, values: Any) -> None:
    """As `tree_write`, of the entries that are kept."""
    if isinstance(kept, dict):
        for name, entry in kept.items():
            _write(entry, rows, values[name])
    else:
        tree_write(kept, rows, values)
