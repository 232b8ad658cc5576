"""The parts of episodes that are still open, for surfaces that settle an episode when it ends."""

from __future__ import annotations

import numpy as np

from shapegym.shaping.transitions import Episodes, State, Transitions


class Tape:
    """Parts of every step of each lane's open episode; grows by doubling."""

    def __init__(self, num_terms: int, num_lanes: int) -> None:
        self.parts = np.zeros((64, num_terms, num_lanes))
        self.lengths = np.zeros(num_lanes, dtype=np.int64)

    def append(self, parts: np.ndarray, transitions: Transitions | Episodes) -> None:
        """Add the parts (N, B) of the active rows of one step."""
        self.lengths[transitions.first & transitions.active] = 0
        lanes = np.flatnonzero(transitions.active)
        if len(lanes) and self.lengths[lanes].max() == len(self.parts):
            self.parts = np.concatenate([self.parts, np.zeros_like(self.parts)])
        self.parts[self.lengths[lanes], :, lanes] = parts[:, lanes].T
        self.lengths[lanes] += 1

    def close(self, lanes: np.ndarray, terminated: np.ndarray) -> tuple[np.ndarray, Episodes]:
        """Return the whole episodes of ``lanes`` as a block (N, T, len(lanes)) in which all end at the last step, and forget them.

        The rows before a shorter episode are inactive.
        """
        lengths = self.lengths[lanes]
        longest = int(lengths.max())
        rows = np.arange(longest)[:, None] - (longest - lengths)
        active = rows >= 0
        parts = np.where(active, self.parts[np.maximum(rows, 0), :, lanes].transpose(2, 0, 1), 0.0)
        self.lengths[lanes] = 0
        last = np.zeros_like(active)
        last[-1] = True
        return np.ascontiguousarray(parts), Episodes(rows == 0, last & terminated, last & ~terminated, active)

    def state_dict(self) -> State:
        """Return the open episodes."""
        return {
            "parts": self.parts[: max(1, int(self.lengths.max(initial=0)))].copy(),
            "lengths": self.lengths.copy(),
        }

    def load_state_dict(self, state: State) -> None:
        """Continue from `state_dict`."""
        self.parts = np.array(state["parts"])
        self.lengths = np.array(state["lengths"])


def whole_episode(length: int, terminated: bool) -> Episodes:
    """Return the segments of a one-lane block that is exactly one finished episode."""
    first, last = np.zeros((length, 1), dtype=bool), np.zeros((length, 1), dtype=bool)
    first[0], last[-1] = True, True
    nothing = np.zeros_like(first)
    return Episodes(
        first, last if terminated else nothing, nothing if terminated else last, np.ones_like(first)
    )
