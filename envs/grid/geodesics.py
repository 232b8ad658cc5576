"""How far agents have to walk in any grid world, asked from outside of it: the distances of features/distances.py."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from shapegym.envs.grid.features.distances import KINDS, codes_of, require_inside, write_distances
from shapegym.envs.grid.lane.cells import COLORS
from shapegym.envs.grid.lane.task import GridTask
from shapegym.envs.grid.unwrapping import grid_lanes


def geodesic_distances(env: Any, to: str | tuple[int, int], color: str | None = None) -> NDArray[np.int64]:
    """How far the agents have to walk to the nearest thing of a kind, or to a cell; see the module for what a step is.

    Args:
        env: A grid world, single or vector form, wrapped or not.
        to: One of `KINDS`, or a cell (x, y).
        color: Of the thing, one of MiniGrid's colours; None for any.

    Returns:
        (B,) steps (B = 1 for the single form); width * height where no way leads there.

    Raises:
        ValueError: Unknown kind or colour, or a cell outside the grid.
        TypeError: `env` is no grid world.
        ResetNeeded: It was never reset.
    """
    dynamics, state = grid_lanes(env)
    distances = np.empty(len(state["facts"]), np.int64)
    write_distances(
        *_sought(to, color, dynamics.task),
        dynamics.task,
        dynamics.pad,
        state["cells"],
        state["facts"],
        np.ones(len(distances), np.bool_),
        distances,
    )
    return distances


def _sought(
    to: str | tuple[int, int], color: str | None, task: GridTask
) -> tuple[NDArray[np.bool_], tuple[int, int] | None]:
    """Which codes are sought, and which cell."""
    if color is not None and color not in COLORS:
        raise ValueError(f"color must be one of {COLORS} or None, got {color!r}")
    if not isinstance(to, str):
        require_inside(to, task)
        return np.zeros(256, np.bool_), to
    if to not in KINDS:
        raise ValueError(f"to must be a cell (x, y) or one of {KINDS}, got {to!r}")
    return codes_of(to, color), None
