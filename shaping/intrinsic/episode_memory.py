"""What is remembered of the states of an episode, in arrays for the kernels of `shapegym.shaping.kernels.recall`.

A lane remembers at most ``size`` states of its open episode, the latest ones: on a task that never ends, a state that was seen
longer ago is new again. Room is made as episodes grow, so short ones cost little.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any, TypeAlias

import numpy as np

from shapegym.shaping.remembered import COUNTS, GROWS, Remembers

SIZE = 1024
"""States that are remembered by default: longer than the episodes of most tasks."""
_SMALLEST = 64
"""States that there is room for at first."""

EpisodeMemory: TypeAlias = MutableMapping[str, Any]
"""``counts`` (B,), and arrays (B, d, capacity) of codes."""


def empty_memory(num_lanes: int, size: int, **widths: int) -> dict[str, Any]:
    """Return a memory of nothing, with an array of codes of each width by name."""
    capacity = min(size, _SMALLEST)
    codes = {name: np.zeros((num_lanes, width, capacity), np.float32) for name, width in widths.items()}
    return {"counts": np.zeros(num_lanes, dtype=np.int64), **codes}


def make_room(memory: EpisodeMemory, size: int, *names: str) -> None:
    """Make room for two more states a lane, which is what one step can bring, unless there is room for ``size``."""
    for name in names:
        codes = memory[name]
        capacity = codes.shape[2]
        if capacity < min(size, int(memory["counts"].max()) + 2):
            more = np.zeros((*codes.shape[:2], min(capacity, size - capacity)), np.float32)
            memory[name] = np.concatenate([codes, more], axis=2)


def remembered(*names: str, under: str = "") -> Remembers:
    """Return the limits of a memory with arrays of these names, which lies ``under`` a path."""
    return {f"{under}counts": COUNTS, **{f"{under}{name}": (GROWS,) for name in names}}


def check_memory(memory: EpisodeMemory, fresh: EpisodeMemory, size: int, *names: str) -> None:
    """Raise a ValueError if arrays that grow are none that `make_room` makes: kernels take them on trust."""
    shapes = {memory[name].shape for name in names}
    capacities = {shape[2] for shape in shapes}
    longest = int(memory["counts"].max(initial=0))
    if (
        any(memory[name].shape[:2] != fresh[name].shape[:2] for name in names)
        or len(capacities) != 1
        or not min(size, longest) <= max(capacities) <= size
        or max(capacities) < min(size, _SMALLEST)
    ):
        raise ValueError("its memory of episodes is none that this node makes")
