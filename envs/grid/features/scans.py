"""Features that scan the grid: where the goal, a key and a door are, and how many doors stand open or locked.

    goal_pos, key_pos, door_pos   (x, y) of the first such cell, column by column; (-1, -1) if there is none
    doors_open, doors_locked      number of doors in that state

A key that is carried, or hidden in a box, is in no cell.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from shapegym.envs._jit import jit, jit_parallel, prange
from shapegym.envs._threads import over_lanes
from shapegym.envs.grid.features.requested import RequestedFeature, cell_count_space, cell_space
from shapegym.envs.grid.lane.cells import LOCKED_DOOR, OBJECTS, OPEN_DOOR, PALETTE
from shapegym.envs.grid.lane.task import GridTask
from shapegym.envs.notes import Note


@jit
def _find_range(
    start: int,
    stop: int,
    pad: int,
    kind: int,
    cells: NDArray[np.uint8],
    mask: NDArray[np.bool_],
    found: NDArray[np.int64],
) -> None:
    height, width = cells.shape[1] - 2 * pad, cells.shape[2] - 2 * pad
    for lane in range(start, stop):
        if not mask[lane]:
            continue
        first_x = first_y = -1
        for x in range(width):
            for y in range(height):
                if PALETTE[cells[lane, y + pad, x + pad], 0] == kind:
                    first_x, first_y = x, y
                    break
            if first_x >= 0:
                break
        found[lane, 0], found[lane, 1] = first_x, first_y


@jit
def _count_range(
    start: int,
    stop: int,
    pad: int,
    kind: int,
    cells: NDArray[np.uint8],
    mask: NDArray[np.bool_],
    counts: NDArray[np.int64],
) -> None:
    height, width = cells.shape[1] - 2 * pad, cells.shape[2] - 2 * pad
    for lane in range(start, stop):
        if not mask[lane]:
            continue
        count = 0
        for y in range(height):
            for x in range(width):
                count += cells[lane, y + pad, x + pad] >> 3 == kind >> 3
        counts[lane] = count


@jit_parallel
def _find_chunks(
    chunks: int,
    pad: int,
    kind: int,
    cells: NDArray[np.uint8],
    mask: NDArray[np.bool_],
    found: NDArray[np.int64],
) -> None:
    lanes = mask.shape[0]
    for chunk in prange(chunks):
        _find_range(chunk * lanes // chunks, (chunk + 1) * lanes // chunks, pad, kind, cells, mask, found)


@jit_parallel
def _count_chunks(
    chunks: int,
    pad: int,
    kind: int,
    cells: NDArray[np.uint8],
    mask: NDArray[np.bool_],
    counts: NDArray[np.int64],
) -> None:
    lanes = mask.shape[0]
    for chunk in prange(chunks):
        _count_range(chunk * lanes // chunks, (chunk + 1) * lanes // chunks, pad, kind, cells, mask, counts)


def find_first(
    task: GridTask,
    pad: int,
    cells: NDArray[np.uint8],
    facts: NDArray[np.int64],
    mask: NDArray[np.bool_],
    out: NDArray[np.int64],
    *,
    kind: str,
) -> None:
    """Write (x, y) of the first object of a kind, column by column from the left; (-1, -1) if there is none."""
    del task, facts
    over_lanes(_find_range, _find_chunks, len(mask), pad, OBJECTS.index(kind), cells, mask, out)


def count_kind(
    task: GridTask,
    pad: int,
    cells: NDArray[np.uint8],
    facts: NDArray[np.int64],
    mask: NDArray[np.bool_],
    out: NDArray[np.int64],
    *,
    kind: int,
) -> None:
    """Write the number of cells whose code is of a kind, in any colour."""
    del task, facts
    over_lanes(_count_range, _count_chunks, len(mask), pad, kind, cells, mask, out)


def _place_of(kind: str) -> RequestedFeature:
    """Where the first object of a kind is."""
    missing = {"goal": "none", "key": "none in sight, or while it is carried", "door": "none"}[kind]
    note = Note(f"Column x and row y of the {kind}; (-1, -1) if there is {missing}.", "cells")
    return RequestedFeature(cell_space, partial(find_first, kind=kind), note, (kind,))


SCANS: dict[str, RequestedFeature] = {
    "goal_pos": _place_of("goal"),
    "key_pos": _place_of("key"),
    "door_pos": _place_of("door"),
    "doors_open": RequestedFeature(
        cell_count_space,
        partial(count_kind, kind=OPEN_DOOR),
        Note("How many doors stand open.", "doors"),
        ("door",),
    ),
    "doors_locked": RequestedFeature(
        cell_count_space,
        partial(count_kind, kind=LOCKED_DOOR),
        Note("How many doors are locked.", "doors"),
        ("door", "key"),
    ),
}
