"""Plans for getting to what cannot be reached by walking: a cheapest path in stages, whatever is in the way.

In a plan, whatever has been got past stays out of the way, and a locked door costs what its key costs:

    stage                         counts
    wanted thing in the end       1
    unlocking a door              1, and the stages to its key unless it is in the hands
    picking an object up          1 with free hands, else 2: what is carried is put down first
    opening a box                 1, in the way or with the key in it

A picked-up object occupies the hands, so that a pick-up after it counts 2. The plan with the fewest stages is
followed; among several, the one whose first thing takes the fewest actions to get to. Doing the first thing
leaves at least one stage less, and walking changes none. Keys that several doors need count for each, unless
they stay in the hands, so the count can exceed what is done in the end.

Ignoring what an act makes worse is the delete relaxation, adding up what independent conditions cost is the
heuristic h_add (Bonet and Geffner 2001, "Planning as heuristic search"); the search is Knuth's generalisation
of Dijkstra's algorithm (Knuth 1977, "A generalization of Dijkstra's algorithm").
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shapegym.envs._jit import jit
from shapegym.envs.grid.cells import BOX, KEY, PICKABLE_END
from shapegym.envs.grid.stepping import DONE, PICK_UP, TOGGLE
from shapegym.envs.grid.walking import BLOCKED, LOCKED, NEVER, OPEN, OPEN_AND_TAKE, TAKE, Scratch, ahead

_STAGE = 1 << 24  # a cost is stages * _STAGE + actions to the first thing
_UNKNOWN = 1 << 40
_NODE = 1 << 20  # an entry of the heap is cost * _NODE + node
_AS_NOW, _OTHER, _KEY = range(
    3
)  # what is in the hands on a path: as now, no key, a key of colour 0 (of 1, ...)


@jit
def beside(wanted: NDArray[np.bool_], stride: int, at: int) -> int:
    """A wanted cell beside `at`, or -1."""
    for direction in range(4):
        if wanted[at + ahead(direction, stride)]:
            return at + ahead(direction, stride)
    return -1


@jit
def _push(heap: NDArray[np.int64], entry: int) -> None:
    """Add an entry to a binary heap whose size is in its last element."""
    at = heap[-1]
    heap[-1] += 1
    while at > 0 and heap[(at - 1) >> 1] > entry:
        heap[at] = heap[(at - 1) >> 1]
        at = (at - 1) >> 1
    heap[at] = entry


@jit
def _pop(heap: NDArray[np.int64]) -> int:
    """Remove the least entry."""
    least = heap[0]
    heap[-1] -= 1
    size = heap[-1]
    entry = heap[size]
    at, child = 0, 1
    while child < size:
        child += child + 1 < size and heap[child + 1] < heap[child]
        if heap[child] >= entry:
            break
        heap[at] = heap[child]
        at, child = child, 2 * child + 1
    heap[at] = entry
    return least


@jit
def _key_color(code: int) -> int:
    """The colour of the key that is, or is in, a cell's object; -1 without one."""
    if code >> 3 == KEY >> 3:
        return code & 7
    return ((code - BOX) >> 3) - 1 if BOX <= code < PICKABLE_END else -1


@jit
def _enter(
    scratch: Scratch,
    cell: int,
    hands: int,
    cost: int,
    head: int,
    count: int,
    drop_count: int,
    carried: int,
    wish: int,
) -> None:
    """Offer a way into `cell` from a node beside it.

    Nodes are 8 * cell + hands, the last node is the end. A head is 8 * cell + action of the first thing of a
    path; it is -1 in the free region, where `count` is the number of actions to facing `cell`.
    """
    kind = scratch.kinds[cell]
    at_end = scratch.wanted[cell] and wish != DONE
    if kind == BLOCKED and not at_end:
        return
    first = head < 0
    take = 1 if hands == _AS_NOW and carried == 0 else 2
    action, stages = TOGGLE, 0
    if kind == LOCKED:
        stages = 1
        color = scratch.codes[cell] & 7
        if hands == _KEY + color or (hands == _AS_NOW and carried == KEY + color):
            pass
        elif carried == KEY + color:
            stages += 2  # it was put down on the way
            hands = _KEY + color
        else:
            key_cost = scratch.keys[0, color]
            if key_cost == _UNKNOWN:
                return
            stages += key_cost // _STAGE
            if first:
                head, count = scratch.keys[1, color], key_cost % _STAGE
            elif hands != _AS_NOW and carried == 0:
                stages += 1  # the key was reckoned with free hands
            hands = _KEY + color
    elif at_end:
        action, stages = wish, take if wish == PICK_UP else 1
    else:
        if kind in (OPEN, OPEN_AND_TAKE):
            stages = 1
        if kind == TAKE:
            action = PICK_UP
        if kind in (TAKE, OPEN_AND_TAKE):
            stages += take
            color = _key_color(scratch.codes[cell])
            hands = _OTHER if color < 0 else _KEY + color
    if first:
        if stages == 0:
            return  # still in the free region
        cost = drop_count if action == PICK_UP and carried != 0 else count
        head = head if head >= 0 else 8 * cell + action
    cost += stages * _STAGE
    node = len(scratch.labels) - 1 if at_end else 8 * cell + hands
    if cost < scratch.labels[node]:
        scratch.labels[node], scratch.heads[node] = cost, head
        if stages > 0:
            _push(scratch.heap, cost * _NODE + node)
        else:  # as cheap as the node that it is entered from: no need to sort it
            scratch.queue[scratch.queue[-1]] = node
            scratch.queue[-1] += 1


@jit
def cheapest_plan(
    scratch: Scratch, stride: int, here: int, carried: int, wish: int, drop_count: int
) -> tuple[int, int]:
    """Stages of the cheapest plan from the cell `here`, and its head; -1, -1 without one."""
    codes, kinds, labels, settled = scratch.codes, scratch.kinds, scratch.labels, scratch.settled
    labels[:] = _UNKNOWN
    settled[:] = False
    scratch.keys[:] = _UNKNOWN
    scratch.heap[-1] = 0
    end = len(labels) - 1
    if carried >> 3 != KEY >> 3 and _key_color(carried) >= 0:  # a box: put it down, open it, pick up its key
        scratch.keys[0, _key_color(carried)] = 3 * _STAGE + drop_count
        scratch.keys[1, _key_color(carried)] = 8 * here + PICK_UP
    for pose in range(len(scratch.actions)):
        if scratch.actions[pose] != NEVER:
            front = (pose >> 2) + ahead(pose & 3, stride)
            _enter(scratch, front, _AS_NOW, 0, -1, scratch.actions[pose], drop_count, carried, wish)
    queue = scratch.queue  # used as a stack, its size in the last entry
    queue[-1] = 0
    while queue[-1] > 0 or scratch.heap[-1] > 0:
        if queue[-1] > 0:
            queue[-1] -= 1
            node = queue[queue[-1]]
        else:
            node = _pop(scratch.heap) % _NODE
        if node == end:
            return labels[end] // _STAGE, scratch.heads[end]
        if settled[node]:
            continue
        settled[node] = True
        at, hands, cost, head = node >> 3, node & 7, labels[node], scratch.heads[node]
        if wish == DONE and beside(scratch.wanted, stride, at) >= 0 and cost + _STAGE < labels[end]:
            labels[end], scratch.heads[end] = cost + _STAGE, head
            _push(scratch.heap, labels[end] * _NODE + end)
        for direction in range(4):
            _enter(scratch, at + ahead(direction, stride), hands, cost, head, 0, drop_count, carried, wish)
        color = _key_color(codes[at])
        if color < 0 or cost >= scratch.keys[0, color]:
            continue
        scratch.keys[0, color], scratch.keys[1, color] = cost, head
        for door in range(len(codes)):  # the doors that it fits, from wherever they have been reached
            if kinds[door] != LOCKED or codes[door] & 7 != color:
                continue
            for direction in range(4):
                side = door - ahead(direction, stride)
                pose = 4 * side + direction
                if scratch.actions[pose] != NEVER:
                    _enter(scratch, door, _AS_NOW, 0, -1, scratch.actions[pose], drop_count, carried, wish)
                for from_node in range(8 * side, 8 * side + 8):
                    if settled[from_node]:
                        _enter(
                            scratch, door, from_node & 7, labels[from_node], scratch.heads[from_node], 0,
                            drop_count, carried, wish,
                        )  # fmt: skip
    return -1, -1
