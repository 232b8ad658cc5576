"""Walking, turning and putting things down on one lane's map: what needs.py and plans.py stand on.

A map is a flat array of the grid's cells with one row or column of walls around it, so that a step is an
addition. A pose is 4 * cell + direction. The free region is where the agent gets without picking anything up,
unlocking or opening a box; closed doors are no obstacle.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from shapegym.envs._jit import jit
from shapegym.envs.grid.lane.cells import EMPTY
from shapegym.envs.grid.lane.stepping import FORWARD, LEFT, RIGHT, TOGGLE

(
    BLOCKED,  # no way, now or later: walls, lava, and what the task's rule forbids to touch
    FREE,
    SHUT,  # a closed door
    TAKE,  # picked up, it leaves the cell free
    OPEN,  # a box: toggled, it leaves the cell free
    OPEN_AND_TAKE,  # a box with a key in it
    LOCKED,  # a locked door
) = range(7)

NEVER = -1
"""Number of actions to a pose that cannot be reached."""


class Scratch(NamedTuple):
    """Arrays for one lane at a time, allocated once a call.

    Attributes:
        codes: (M,) int64, what stands in each cell of the map.
        kinds: (M,) uint8, how to get past it, from the list above.
        wanted: (M,) bool, the cells that the task asks for.
        actions: (4M,) int64, least number of actions from the agent's pose to each pose, or NEVER.
        firsts: (4M,) int64, the first of these actions.
        queue: (8M,) int64, a queue here and a stack there.
        labels: (8M + 1,) int64, of the search in plans.py, like the next four.
        heads: (8M + 1,) int64.
        settled: (8M + 1,) bool.
        heap: (80M + 1,) int64, its size in the last entry.
        keys: (2, 6) int64.
    """

    codes: NDArray[np.int64]
    kinds: NDArray[np.uint8]
    wanted: NDArray[np.bool_]
    actions: NDArray[np.int64]
    firsts: NDArray[np.int64]
    queue: NDArray[np.int64]
    labels: NDArray[np.int64]
    heads: NDArray[np.int64]
    settled: NDArray[np.bool_]
    heap: NDArray[np.int64]
    keys: NDArray[np.int64]


@jit
def make_scratch(cells: int) -> Scratch:
    """Scratch for maps of that many cells."""
    return Scratch(
        np.empty(cells, np.int64),
        np.empty(cells, np.uint8),
        np.empty(cells, np.bool_),
        np.empty(4 * cells, np.int64),
        np.empty(4 * cells, np.int64),
        np.empty(8 * cells, np.int64),
        np.empty(8 * cells + 1, np.int64),
        np.empty(8 * cells + 1, np.int64),
        np.empty(8 * cells + 1, np.bool_),
        np.empty(80 * cells + 1, np.int64),
        np.empty((2, 6), np.int64),
    )


@jit
def ahead(direction: int, stride: int) -> int:
    """What a step in a direction adds to a cell."""
    if direction & 1:
        return stride if direction == 1 else -stride
    return 1 if direction == 0 else -1


@jit
def explore(scratch: Scratch, stride: int, start: int) -> None:
    """Fill `actions` and `firsts` for the free region around the agent's pose `start`."""
    kinds, actions, firsts, queue = scratch.kinds, scratch.actions, scratch.firsts, scratch.queue
    actions[:] = NEVER
    actions[start], firsts[start], queue[0] = 0, LEFT, start
    head, tail = 0, 1
    while head < tail:
        pose = queue[head]
        head += 1
        if pose < 0:  # in front of a door that has just been opened
            pose = ~pose
            to = pose + 4 * ahead(pose & 3, stride)
            if actions[to] == NEVER:
                actions[to] = actions[pose] + 2
                firsts[to] = firsts[pose] if pose != start else TOGGLE
                queue[tail] = to
                tail += 1
            continue
        at, direction = pose >> 2, pose & 3
        for action in (LEFT, RIGHT, FORWARD):
            if action == FORWARD:
                front = at + ahead(direction, stride)
                if kinds[front] == SHUT:
                    queue[tail] = ~pose
                    tail += 1
                if kinds[front] != FREE:
                    continue
                to = 4 * front + direction
            else:
                to = 4 * at + ((direction + (1 if action == RIGHT else 3)) & 3)
            if actions[to] == NEVER:
                actions[to] = actions[pose] + 1
                firsts[to] = firsts[pose] if pose != start else action
                queue[tail] = to
                tail += 1


@jit
def nearest_facing(scratch: Scratch, stride: int, cell: int) -> int:
    """The pose in front of a cell that takes the fewest actions to reach, or -1."""
    best = -1
    for direction in range(4):
        pose = 4 * (cell - ahead(direction, stride)) + direction
        if scratch.actions[pose] != NEVER and (best < 0 or scratch.actions[pose] < scratch.actions[best]):
            best = pose
    return best


@jit
def _is_open(kind: int) -> bool:
    return kind in (FREE, SHUT)


@jit
def count_steps(scratch: Scratch, stride: int, start: int, cell: int) -> int:
    """Steps from the agent's cell `start` to `cell`, as in features/distances.py; -1 if there is no way."""
    kinds, queue, steps = scratch.kinds, scratch.queue, scratch.labels[: len(scratch.kinds)]
    if start == cell and kinds[cell] == FREE:
        return 0
    steps[:] = -1
    steps[start], queue[0] = 0, start
    head, tail = 0, 1
    while head < tail:
        at = queue[head]
        head += 1
        if at < 0:
            queue[tail] = ~at
            tail += 1
            continue
        for move in (1, stride, -1, -stride):
            to = at + move
            if to == cell:
                return steps[at] + 1
            if steps[to] < 0 and _is_open(kinds[to]):
                steps[to] = steps[at] + (2 if kinds[to] == SHUT else 1)
                queue[tail] = ~to if kinds[to] == SHUT else to
                tail += 1
    return -1


@jit
def is_spare(scratch: Scratch, stride: int, cell: int) -> bool:
    """Whether something put down in a free cell separates nothing that its eight neighbours do not join anyway.

    Its free neighbours must be joined by way of the corners; a door or thing beside it must have a free
    corner by which it can be faced from elsewhere. So it is never the cell before a door.
    """
    kinds = scratch.kinds
    groups = 0
    for direction in range(4):
        side = ahead(direction, stride)
        to_right, to_left = ahead((direction + 1) & 3, stride), ahead((direction + 3) & 3, stride)
        joined_right = _is_open(kinds[cell + side + to_right]) and _is_open(kinds[cell + to_right])
        kind = kinds[cell + side]
        if _is_open(kind):
            groups += not joined_right
        elif kind != BLOCKED:
            joined_left = _is_open(kinds[cell + side + to_left]) and _is_open(kinds[cell + to_left])
            if not (joined_left or joined_right):
                return False
    return groups <= 1


@jit
def _leads_to(scratch: Scratch, stride: int, start: int, without: int, cell: int) -> bool:
    """Whether `cell` can be faced from the free cell `start` on ways that avoid the cell `without`."""
    kinds, queue, seen = scratch.kinds, scratch.queue, scratch.settled[: len(scratch.kinds)]
    seen[:] = False
    seen[start] = seen[without] = True
    queue[0] = start
    head, tail = 0, 1
    while head < tail:
        at = queue[head]
        head += 1
        for move in (1, stride, -1, -stride):
            to = at + move
            if to == cell:
                return True
            if not seen[to] and _is_open(kinds[to]):
                seen[to] = True
                queue[tail] = to
                tail += 1
    return False


@jit
def nearest_drop(scratch: Scratch, stride: int, towards: int) -> int:
    """The nearest pose for putting down what is carried, or -1.

    In front of it is an empty cell that is spare or, with `towards` >= 0, one without which the way from
    there to facing `towards` is still open.
    """
    best = -1
    for pose in range(len(scratch.actions)):
        count = scratch.actions[pose]
        if count == NEVER or (best >= 0 and count >= scratch.actions[best]):
            continue
        front = (pose >> 2) + ahead(pose & 3, stride)
        if scratch.codes[front] == EMPTY and (
            is_spare(scratch, stride, front)
            or (towards >= 0 and _leads_to(scratch, stride, pose >> 2, front, towards))
        ):
            best = pose
    return best
