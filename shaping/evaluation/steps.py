"""Steps of many lanes, one after the other, in memory that is kept."""

from __future__ import annotations

from typing import Any

import numpy as np

from shapegym.shaping.arrays import Tree, tree_map, tree_take, tree_write
from shapegym.shaping.transitions import State

_SMALLEST = 16  # steps


class StepStore:
    """Trees of arrays (B, ...) go in, a step at a time; a tree of arrays (T, B, ...) comes out.

    Arrays are copied, and their memory serves again after `clear`; it doubles when it is full. A key that some step lacks is left
    out, and an array whose dtype cannot hold a later step (0 at first, then 0.5) gets one that can.
    """

    def __init__(self) -> None:
        self.length = 0
        self._capacity = 0
        self._rows: Tree = None

    def append(self, step: Tree) -> None:
        """Copy one step."""
        if self._rows is None:
            self._capacity = _SMALLEST
            self._rows = tree_map(
                lambda value: np.zeros((_SMALLEST, *np.shape(value)), np.asarray(value).dtype), step
            )
        elif self.length == self._capacity:
            self._capacity *= 2
            self._rows = tree_map(lambda rows: np.concatenate([rows, np.zeros_like(rows)]), self._rows)
        if not _holds(self._rows, step):
            self._rows = _widened(self._rows, step)
        tree_write(self._rows, self.length, step)
        self.length += 1

    def add(self, path: tuple[str, str], values: np.ndarray, start: int = 0) -> None:
        """Add an entry to a dict of every step from ``start`` on; earlier ones have 0."""
        rows = np.zeros((self._capacity, *values.shape[1:]), values.dtype)
        rows[start : self.length] = values
        self._rows[path[0]] = {**self._rows.get(path[0], {}), path[1]: rows}

    def block(self, start: int = 0) -> Tree:
        """Return the steps from ``start`` on, as views that are good until the next call of another method."""
        return tree_take(self._rows, slice(start, self.length))

    def clear(self, keep_from: int | None = None) -> None:
        """Forget the steps before ``keep_from``, or all."""
        kept = 0 if keep_from is None else self.length - keep_from
        if kept:
            tree_write(self._rows, slice(0, kept), tree_map(np.copy, self.block(keep_from or 0)))
        self.length = kept

    def state_dict(self) -> State:
        """Return the steps as nested plain values."""
        return {"length": self.length, "rows": tree_map(np.copy, self.block()) if self.length else {}}

    def load_state_dict(self, state: State) -> None:
        """Continue from `state_dict`."""
        self.length = self._capacity = int(state["length"])
        self._rows = tree_map(np.array, state["rows"]) if self.length else None


def _holds(rows: Tree, step: Tree) -> bool:
    if isinstance(rows, dict):
        return all(key in step and _holds(entry, step[key]) for key, entry in rows.items())
    if isinstance(rows, tuple):
        return all(map(_holds, rows, step))
    return np.can_cast(np.asarray(step).dtype, rows.dtype, "safe")


def _widened(rows: Tree, step: Tree) -> Any:
    if isinstance(rows, dict):
        return {key: _widened(entry, step[key]) for key, entry in rows.items() if key in step}
    if isinstance(rows, tuple):
        return tuple(map(_widened, rows, step))
    return rows.astype(np.result_type(rows, np.asarray(step)), copy=False)
