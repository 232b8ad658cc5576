"""The feature `room`: which room of the layout the agent is in.

Rooms depend on walls and doors alone, which no action moves or removes: objects, lava and the goal count as
floor, and a door counts as a door in every state. So the rooms of a layout are the same for a whole episode.

    barrier   a wall or a door
    doorway   a door; or a gap: a floor cell between two barriers on opposite sides, with floor before and
              behind it, neither of which lies between two barriers in the same way. A gap is thus a hole one
              cell deep in a wall; a longer passage is no doorway, but a part of the rooms that it opens into
    room      floor cells other than doorways that are connected by steps up, down, left and right, and of which
              none is on the border of the grid: what reaches the border lies outside of all rooms

The ids of rooms are 1, 2, ... in the reading order (row by row) of their first cells. 0 is no room: a doorway, or
outside.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from shapegym.envs._jit import jit, jit_parallel, prange
from shapegym.envs._threads import over_lanes
from shapegym.envs.grid.cells import OBJECTS, PALETTE
from shapegym.envs.grid.facts import X, Y
from shapegym.envs.grid.reading import Reading

if TYPE_CHECKING:
    from shapegym.envs.grid.dynamics import GridTask


_OUTSIDE = 0
"""The corner of the padding, which comes before all cells of the grid, stands for everything outside."""

_IS_BARRIER = PALETTE[:, 0] == OBJECTS.index("wall")
_IS_BARRIER |= PALETTE[:, 0] == OBJECTS.index("door")


@jit
def _is_gap(codes: NDArray[np.uint8], at: int, along: int, across: int) -> bool:
    """Whether the floor cell `at` is a gap that is passed in steps of `along`, between barriers at +-`across`."""
    before, behind = at - along, at + along
    return (
        _IS_BARRIER[codes[at - across]]
        and _IS_BARRIER[codes[at + across]]
        and not _IS_BARRIER[codes[before]]
        and not _IS_BARRIER[codes[behind]]
        and not (_IS_BARRIER[codes[before - across]] and _IS_BARRIER[codes[before + across]])
        and not (_IS_BARRIER[codes[behind - across]] and _IS_BARRIER[codes[behind + across]])
    )


@jit
def _is_doorway(codes: NDArray[np.uint8], at: int, stride: int) -> bool:
    """Whether nobody who stands in the cell `at` is in a room; walls are no rooms either."""
    return _IS_BARRIER[codes[at]] or _is_gap(codes, at, 1, stride) or _is_gap(codes, at, stride, 1)


@jit
def _first_cell(parents: NDArray[np.int64], at: int) -> int:
    """The first cell of the set of joined cells that `at` is in, whose paths it shortens."""
    while parents[at] != at:
        parents[at] = parents[parents[at]]
        at = parents[at]
    return at


@jit
def _join(parents: NDArray[np.int64], one: int, other: int) -> None:
    """Make one set of the sets of two cells; a parent of -1 says that the other cell is in none."""
    if parents[other] >= 0:
        first, second = _first_cell(parents, one), _first_cell(parents, other)
        parents[max(first, second)] = min(first, second)


@jit
def _room_range(
    start: int,
    stop: int,
    pad: int,
    cells: NDArray[np.uint8],
    facts: NDArray[np.int64],
    mask: NDArray[np.bool_],
    rooms: NDArray[np.int64],
) -> None:
    rows, stride = cells.shape[1], cells.shape[2]
    parents = np.empty(rows * stride, np.int64)
    parents[:] = -1
    parents[_OUTSIDE] = _OUTSIDE
    for lane in range(start, stop):
        if not mask[lane]:
            continue
        codes = cells[lane].reshape(rows * stride)
        here = (facts[lane, Y] + pad) * stride + facts[lane, X] + pad
        if _is_doorway(codes, here, stride):
            rooms[lane] = 0
            continue
        for row in range(pad, rows - pad):
            for column in range(pad, stride - pad):
                at = row * stride + column
                if _is_doorway(codes, at, stride):
                    parents[at] = -1
                    continue
                parents[at] = at
                _join(parents, at, at - stride)
                _join(parents, at, at - 1)
                if row in (pad, rows - pad - 1) or column in (pad, stride - pad - 1):
                    _join(parents, at, _OUTSIDE)
        room = 0
        for at in range(_OUTSIDE + 1, _first_cell(parents, here) + 1):
            room += parents[at] == at
        rooms[lane] = room


@jit_parallel
def _room_chunks(
    chunks: int,
    pad: int,
    cells: NDArray[np.uint8],
    facts: NDArray[np.int64],
    mask: NDArray[np.bool_],
    rooms: NDArray[np.int64],
) -> None:
    lanes = mask.shape[0]
    for chunk in prange(chunks):
        _room_range(chunk * lanes // chunks, (chunk + 1) * lanes // chunks, pad, cells, facts, mask, rooms)


def find_rooms(
    task: GridTask,
    pad: int,
    cells: NDArray[np.uint8],
    facts: NDArray[np.int64],
    mask: NDArray[np.bool_],
    out: NDArray[np.int64],
) -> None:
    """Write the id of the room that each agent stands in."""
    del task
    over_lanes(_room_range, _room_chunks, len(mask), pad, cells, facts, mask, out)


ROOMS: dict[str, Reading] = {
    "room": Reading(lambda task: spaces.Discrete(task.width * task.height), find_rooms)
}
