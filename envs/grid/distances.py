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
from typing import TYPE_CHECKING, Any

import numpy as np
from gymnasium import Space, spaces
from numpy.typing import NDArray

from shapegym.envs._jit import jit, jit_parallel, prange
from shapegym.envs._threads import over_lanes
from shapegym.envs.grid.cells import (
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
from shapegym.envs.grid.facts import CARRIED, X, Y
from shapegym.envs.grid.lanes import grid_lanes
from shapegym.envs.grid.reading import Reading

if TYPE_CHECKING:
    from shapegym.envs.grid.dynamics import GridTask

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
    _write(
        *_sought(to, color, dynamics.task),
        dynamics.task,
        dynamics.pad,
        state["cells"],
        state["facts"],
        np.ones(len(distances), np.bool_),
        distances,
    )
    return distances


def distance_space(task: GridTask) -> Space[Any]:
    """Distances in a task's grid: 0 .. width * height, the last one for what cannot be reached."""
    return spaces.Discrete(task.width * task.height + 1)


def distance_to_cell(x: int, y: int) -> Reading:
    """The distance to a cell as a feature."""

    def space(task: GridTask) -> Space[Any]:
        _require_inside((x, y), task)
        return distance_space(task)

    return Reading(space, partial(_write, np.zeros(256, np.bool_), (x, y)))


def _sought(
    to: str | tuple[int, int], color: str | None, task: GridTask
) -> tuple[NDArray[np.bool_], tuple[int, int] | None]:
    """Which codes are sought, and which cell."""
    if color is not None and color not in COLORS:
        raise ValueError(f"color must be one of {COLORS} or None, got {color!r}")
    if not isinstance(to, str):
        _require_inside(to, task)
        return np.zeros(256, np.bool_), to
    if to not in KINDS:
        raise ValueError(f"to must be a cell (x, y) or one of {KINDS}, got {to!r}")
    return _codes_of(to, color), None


def _require_inside(cell: tuple[int, int], task: GridTask) -> None:
    x, y = cell
    if not (0 <= x < task.width and 0 <= y < task.height):
        raise ValueError(f"the cell {cell!r} is outside of the grid of {task.width} x {task.height} cells")


def _codes_of(kind: str, color: str | None = None) -> NDArray[np.bool_]:
    """Which of the 256 codes are things of a kind."""
    codes = PALETTE[:, 0] == OBJECTS.index(kind)
    return codes if color is None else codes & (PALETTE[:, 1] == COLORS.index(color))


def _write(
    sought: NDArray[np.bool_],
    cell: tuple[int, int] | None,
    task: GridTask,
    pad: int,
    cells: NDArray[np.uint8],
    facts: NDArray[np.int64],
    mask: NDArray[np.bool_],
    out: NDArray[np.int64],
) -> None:
    del task
    at = -1 if cell is None else (cell[1] + pad) * cells.shape[2] + cell[0] + pad
    over_lanes(_distance_range, _distance_chunks, len(mask), pad, cells, facts, mask, sought, at, out)


DISTANCES: dict[str, Reading] = {
    f"distance_to_{kind}": Reading(distance_space, partial(_write, _codes_of(kind), None))
    for kind in KINDS
    if kind != "lava"
}
