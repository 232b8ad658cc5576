"""How far the agent has to walk: geodesic distances to the nearest thing of a kind, as features and as a function.

The distance to a cell is the least number of steps from the agent's cell into it, turns not counted:

    open cell            1 step; so the goal, floor, an open door
    closed door          2 steps: it is toggled, then entered
    locked door          2 steps while the agent carries a key of its colour, else no way
    key, ball, box       no way, and so are walls and lava
    the thing sought     1 step, whatever it is

so that a thing beside the agent is at distance 1, and one in its own cell (a goal, an open door) at 0. Where no
way leads to such a thing, or there is none, the distance is width * height, more than any way can have.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from gymnasium import Space
from numpy.typing import NDArray

from shapegym.envs._jit import jit, jit_parallel, prange
from shapegym.envs._threads import over_lanes
from shapegym.envs.grid.features.requested import RequestedFeature, distance_space
from shapegym.envs.grid.lane.cells import (
    CLOSED_DOOR,
    COLORS,
    KEY,
    LAVA,
    LOCKED_DOOR,
    OBJECTS,
    PALETTE,
    WALKABLE_END,
    WALL,
)
from shapegym.envs.grid.lane.facts import CARRIED, X, Y
from shapegym.envs.grid.lane.task import GridTask
from shapegym.envs.notes import Note

KINDS = ("goal", "key", "door", "ball", "box", "lava")
"""Kinds of things that distances are measured to."""


@jit
def _distance_range(
    start: int,
    stop: int,
    pad: int,
    cells: NDArray[np.uint8],
    facts: NDArray[np.int64],
    mask: NDArray[np.bool_],
    sought: NDArray[np.bool_],
    cell: int,
    distances: NDArray[np.int64],
) -> None:
    stride, size = cells.shape[2], cells.shape[1] * cells.shape[2]
    far = (cells.shape[1] - 2 * pad) * (stride - 2 * pad)
    steps = np.empty(size, np.int64)
    seen_by = np.full(size, -1)  # the lane that came here last, so that nothing is cleared between lanes
    queue = np.empty(2 * size, np.int64)  # a closed door waits twice: once for the toggle, as ~cell
    for lane in range(start, stop):
        if not mask[lane]:
            continue
        codes = cells[lane].reshape(size)
        here = (facts[lane, Y] + pad) * stride + facts[lane, X] + pad
        if sought[codes[here]] or here == cell:
            distances[lane] = 0
            continue
        fitting = LOCKED_DOOR + (facts[lane, CARRIED] & 7) if facts[lane, CARRIED] >> 3 == KEY >> 3 else -1
        distances[lane] = far
        seen_by[here], steps[here], queue[0] = lane, 0, here
        head, tail = 0, 1
        while head < tail and distances[lane] == far:
            at = queue[head]
            head += 1
            if at < 0:
                queue[tail] = ~at
                tail += 1
                continue
            for move in (1, stride, -1, -stride):
                to = at + move
                code = codes[to]
                if code >> 3 == WALL >> 3:  # first: what lies beyond the grid is walls
                    continue
                if sought[code] or to == cell:
                    distances[lane] = steps[at] + 1
                    break
                if seen_by[to] == lane:
                    continue
                shut = code >> 3 == CLOSED_DOOR >> 3 or code == fitting
                if shut or (code < WALKABLE_END and code >> 3 != LAVA >> 3):
                    seen_by[to] = lane
                    steps[to] = steps[at] + (2 if shut else 1)
                    queue[tail] = ~to if shut else to
                    tail += 1


@jit_parallel
def _distance_chunks(
    chunks: int,
    pad: int,
    cells: NDArray[np.uint8],
    facts: NDArray[np.int64],
    mask: NDArray[np.bool_],
    sought: NDArray[np.bool_],
    cell: int,
    distances: NDArray[np.int64],
) -> None:
    lanes = mask.shape[0]
    for chunk in prange(chunks):
        _distance_range(
            chunk * lanes // chunks,
            (chunk + 1) * lanes // chunks,
            pad,
            cells,
            facts,
            mask,
            sought,
            cell,
            distances,
        )


def distance_to_cell(x: int, y: int) -> RequestedFeature:
    """The distance to a cell as a feature."""

    def space(task: GridTask) -> Space[Any]:
        require_inside((x, y), task)
        return distance_space(task)

    note = Note(f"How far the agent has to walk to the cell ({x}, {y}).", "cells", oracle=True)
    return RequestedFeature(space, partial(write_distances, np.zeros(256, np.bool_), (x, y)), note)


def require_inside(cell: tuple[int, int], task: GridTask) -> None:
    """Check a cell (x, y).

    Raises:
        ValueError: It is outside of the task's grid.
    """
    x, y = cell
    if not (0 <= x < task.width and 0 <= y < task.height):
        raise ValueError(f"the cell {cell!r} is outside of the grid of {task.width} x {task.height} cells")


def codes_of(kind: str, color: str | None = None) -> NDArray[np.bool_]:
    """Which of the 256 codes are things of a kind."""
    codes = PALETTE[:, 0] == OBJECTS.index(kind)
    return codes if color is None else codes & (PALETTE[:, 1] == COLORS.index(color))


def write_distances(
    sought: NDArray[np.bool_],
    cell: tuple[int, int] | None,
    task: GridTask,
    pad: int,
    cells: NDArray[np.uint8],
    facts: NDArray[np.int64],
    mask: NDArray[np.bool_],
    out: NDArray[np.int64],
) -> None:
    """Write the distances (B,) to the codes that are `sought` (256,), or else to the cell (x, y)."""
    del task
    at = -1 if cell is None else (cell[1] + pad) * cells.shape[2] + cell[0] + pad
    over_lanes(_distance_range, _distance_chunks, len(mask), pad, cells, facts, mask, sought, at, out)


DISTANCES: dict[str, RequestedFeature] = {
    f"distance_to_{kind}": RequestedFeature(
        distance_space,
        partial(write_distances, codes_of(kind), None),
        Note(f"How far the agent has to walk to the nearest {kind}.", "cells", oracle=True),
        (kind,),
    )
    for kind in KINDS
    if kind != "lava"
}
