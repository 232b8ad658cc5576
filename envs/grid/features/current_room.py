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

import numpy as np
from numpy.typing import NDArray

from shapegym.envs._jit import jit, jit_parallel, prange
from shapegym.envs._threads import over_lanes
from shapegym.envs.grid.features.requested import RequestedFeature, cell_count_space
from shapegym.envs.grid.lane.cells import OPAQUE, OPEN_DOOR
from shapegym.envs.grid.lane.facts import X, Y
from shapegym.envs.grid.lane.task import GridTask
from shapegym.envs.notes import Note

_OUTSIDE = 0
"""The label of everything that reaches the border; those of rooms follow."""


@jit
def _mark_rooms(
    codes: NDArray[np.uint8],
    barrier: NDArray[np.uint8],
    squeezed: NDArray[np.uint8],
    inside: NDArray[np.uint8],
) -> None:
    """Set `inside` (height + 2, width + 2) to 1 in every cell of a room, and to 0 in walls and doorways.

    Without branches, for the compiler to take many cells at a time. `barrier` is 1 on its border; `squeezed`
    (2, height + 2, width + 2) holds whether barriers are on the left and on the right, or above and below.
    """
    height, width = codes.shape
    for y in range(height):
        for x in range(width):
            code = codes[y, x]
            barrier[y + 1, x + 1] = (code >= OPAQUE) | (code >> 3 == OPEN_DOOR >> 3)
    for y in range(1, height + 1):
        for x in range(1, width + 1):
            floor = barrier[y, x] ^ 1
            squeezed[0, y, x] = floor & barrier[y, x - 1] & barrier[y, x + 1]
            squeezed[1, y, x] = floor & barrier[y - 1, x] & barrier[y + 1, x]
    for y in range(1, height + 1):
        for x in range(1, width + 1):
            closed_up_and_down = (
                barrier[y - 1, x] | barrier[y + 1, x] | squeezed[0, y - 1, x] | squeezed[0, y + 1, x]
            )
            closed_left_and_right = (
                barrier[y, x - 1] | barrier[y, x + 1] | squeezed[1, y, x - 1] | squeezed[1, y, x + 1]
            )
            gap = squeezed[0, y, x] & (closed_up_and_down ^ 1) | squeezed[1, y, x] & (
                closed_left_and_right ^ 1
            )
            inside[y, x] = (barrier[y, x] | gap) ^ 1


@jit
def _root(parents: NDArray[np.int64], label: int) -> int:
    """The first label of the room that `label` belongs to."""
    while parents[label] != label:
        parents[label] = parents[parents[label]]
        label = parents[label]
    return label


@jit
def _join(parents: NDArray[np.int64], one: int, other: int) -> None:
    """Two labels turn out to be one room, which keeps the first label."""
    first, second = _root(parents, one), _root(parents, other)
    parents[max(first, second)] = min(first, second)


@jit
def _label_rooms(inside: NDArray[np.uint8], labels: NDArray[np.int64], parents: NDArray[np.int64]) -> None:
    """Give connected cells labels of one root, and roots in reading order; -1 is the label of other cells."""
    height, width = inside.shape[0] - 2, inside.shape[1] - 2
    parents[_OUTSIDE] = _OUTSIDE
    count = _OUTSIDE + 1
    for y in range(1, height + 1):
        for x in range(1, width + 1):
            if not inside[y, x]:
                labels[y, x] = -1
                continue
            label, above = labels[y, x - 1], labels[y - 1, x]
            if label < 0 and above < 0:
                label = parents[count] = count
                count += 1
            elif label < 0:
                label = above
            elif above >= 0 and above != label:
                _join(parents, label, above)
            labels[y, x] = label
            if x in (1, width) or y in (1, height):
                _join(parents, label, _OUTSIDE)


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
    height, width = cells.shape[1] - 2 * pad, cells.shape[2] - 2 * pad
    barrier = np.ones((height + 2, width + 2), np.uint8)
    squeezed = np.zeros((2, height + 2, width + 2), np.uint8)
    inside = np.zeros((height + 2, width + 2), np.uint8)
    labels = np.full((height + 2, width + 2), -1)
    parents = np.empty(height * width + 1, np.int64)
    for lane in range(start, stop):
        if not mask[lane]:
            continue
        x, y = facts[lane, X], facts[lane, Y]
        _mark_rooms(cells[lane, pad : pad + height, pad : pad + width], barrier, squeezed, inside)
        room = 0
        if inside[y + 1, x + 1]:
            _label_rooms(inside, labels, parents)
            for label in range(_OUTSIDE + 1, _root(parents, labels[y + 1, x + 1]) + 1):
                room += parents[label] == label
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


ROOMS: dict[str, RequestedFeature] = {
    "room": RequestedFeature(
        cell_count_space,
        find_rooms,
        Note("The number of the room that the agent is in, from 1 on, row by row; 0 in a doorway."),
        ("wall",),
    )
}
