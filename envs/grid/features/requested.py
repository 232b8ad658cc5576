"""What a feature is that costs a look at the whole grid, and is read only where it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import Space, spaces

from shapegym.envs.grid.lane.task import GridTask
from shapegym.envs.notes import Note


@dataclass(frozen=True)
class RequestedFeature:
    """A feature beyond the standard ones.

    Attributes:
        space: Its space, by task.
        write: (task, pad, cells, facts, mask, out): writes the rows in `mask` of `out` (B, ...).
        note: What it means.
        of: Things without which a layout has nothing to tell here, as in `GridTask.things`.
    """

    space: Callable[[GridTask], Space[Any]]
    write: Callable[..., None]
    note: Note
    of: tuple[str, ...] = ()


def cell_space(task: GridTask) -> spaces.Box:
    """A cell (x, y) of the grid, or (-1, -1) for none."""
    return spaces.Box(-1, np.array([task.width, task.height]) - 1, (2,), np.int64)


def cell_count_space(task: GridTask) -> spaces.Discrete:
    """How many of the grid's cells, fewer than all."""
    return spaces.Discrete(task.width * task.height)


def distance_space(task: GridTask) -> spaces.Discrete:
    """Steps of walking: 0 .. width * height, the last one for what cannot be reached."""
    return spaces.Discrete(task.width * task.height + 1)
