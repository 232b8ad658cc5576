"""Transitions that learned terms have not been fitted to yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from shapegym.shaping.transitions import State, Transitions

_ROWS = ("obs", "action", "next_obs", "reward", "terminated", "truncated", "first", "active")
_FEATURES = ("features", "next_features")


class Experience:
    """Copies of the latest steps of B lanes and their parts, until somebody learns from them."""

    def __init__(self) -> None:
        self._steps: list[State] = []

    def __len__(self) -> int:
        return len(self._steps)

    def append(self, transitions: Transitions, parts: np.ndarray) -> None:
        """Copy one step and its parts, (N, B)."""
        step = {name: _copied(getattr(transitions, name)) for name in (*_ROWS, *_FEATURES)}
        self._steps.append({**step, "parts": parts.T.copy()})

    def batch(self, clock: int) -> tuple[Transitions, np.ndarray]:
        """Return all transitions, step after step, and their parts (N, M); rows that are none are left out.

        So are features that some steps lack. ``clock`` is what the batch will say it was made at.
        """
        active = _joined([step["active"] for step in self._steps])
        arrays = {
            name: _chosen(_joined([step[name] for step in self._steps]), active)
            for name in (*_ROWS, *_FEATURES, "parts")
        }
        parts = np.ascontiguousarray(arrays.pop("parts").T)
        return Transitions(**arrays, clock=clock), parts

    def clear(self) -> None:
        """Forget everything."""
        self._steps.clear()

    def state_dict(self) -> State:
        """Return the steps as nested plain values."""
        return {str(index): step for index, step in enumerate(self._steps)}

    def load_state_dict(self, state: State) -> None:
        """Continue from `state_dict`."""
        self._steps = [{**{key: {} for key in _FEATURES}, **state[str(index)]} for index in range(len(state))]


def _copied(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _copied(entry) for key, entry in value.items()}
    return np.array(value)


def _joined(values: Sequence[Any]) -> Any:
    if isinstance(values[0], Mapping):
        shared = [key for key in values[0] if all(key in value for value in values)]
        return {key: _joined([value[key] for value in values]) for key in shared}
    return np.concatenate(values)


def _chosen(values: Any, rows: np.ndarray) -> Any:
    if isinstance(values, Mapping):
        return {key: _chosen(entry, rows) for key, entry in values.items()}
    return values[rows]
