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
from shapegym.envs.grid.lane.cells import BOX, KEY, PICKABLE_END
from shapegym.envs.grid.lane.stepping import DONE, FORWARD, PICK_UP, TOGGLE
from shapegym.envs.grid.ways.walking import (
    FREE,
    LOCKED,
    NEVER,
    OPEN,
    OPEN_AND_TAKE,
    SHUT,
    TAKE,
    Scratch,
    ahead,
)

_STAGE = 1 << 24  # a cost is stages * _STAGE + actions to the first thing
_UNKNOWN = 1 << 40
_NODE = 1 << 20  # an entry of the heap is cost * _NODE + node
_AS_NOW, _OTHER, _KEY = range(3)  # hands on a path: as they are now, no key, a key of colour 0 (then 1, ...)
_FETCH = -1  # a first action that is found at the key


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
def _toll(kind: int, code: int, hands: int, carried: int, key_cost: int) -> tuple[int, int, int]:
    """What it takes to get past a cell.

    Args:
        kind: How to get past it, from walking.py.
        code: What stands there.
        hands: What the agent has in its hands when it comes.
        carried: What it carries now.
        key_cost: Cost of the key that fits, where it is a locked door.

    Returns:
        Stages (-1: no way), what is in the hands then, the first action there (_FETCH: elsewhere, for the key).
    """
    if kind in (FREE, SHUT):
        return 0, hands, FORWARD
    if kind == OPEN:
        return 1, hands, TOGGLE
    if kind in (TAKE, OPEN_AND_TAKE):
        take = 1 if hands == _AS_NOW and carried == 0 else 2
        taken = _key_color(code) + _KEY  # without a key, _OTHER
        return (take, taken, PICK_UP) if kind == TAKE else (1 + take, taken, TOGGLE)
    if kind == LOCKED:
        key = _KEY + (code & 7)
        fits_now = carried == KEY + (code & 7)
        if hands == key or (hands == _AS_NOW and fits_now):
            return 1, hands, TOGGLE
        if fits_now:
            return 3, key, TOGGLE  # put down on the way, and picked up again
        if key_cost != _UNKNOWN:
            reckoned_with_free_hands = hands != _AS_NOW and carried == 0
            return 1 + key_cost // _STAGE + reckoned_with_free_hands, key, _FETCH
    return -1, hands, FORWARD


@jit
def cheapest_plan(
    scratch: Scratch, stride: int, here: int, carried: int, wish: int, drop_count: int
) -> tuple[int, int]:
    """The cheapest plan for doing `wish` with a wanted cell.

    Args:
        scratch: With the map of a lane, and its free region explored.
        stride: Cells of a row of the map.
        here: The agent's cell.
        carried: The code that it carries.
        wish: PICK_UP, TOGGLE, FORWARD or DROP in front of the cell, or DONE beside it.
        drop_count: Actions to where it would put down what it carries.

    Returns:
        Its stages, and 8 * cell + action of the first thing to do; -1, -1 without a plan.
    """
    codes, kinds, wanted, actions = scratch.codes, scratch.kinds, scratch.wanted, scratch.actions
    # Nodes are 8 * cell + hands, the last one is the end; heads are first things, -1 in the free region.
    labels, heads, settled = scratch.labels, scratch.heads, scratch.settled
    keys, heap, stack = scratch.keys, scratch.heap, scratch.queue
    end = len(labels) - 1
    labels[:], heads[:], settled[:] = _UNKNOWN, -1, False
    keys[:] = _UNKNOWN
    heap[-1] = waiting = 0
    if carried >> 3 != KEY >> 3 and _key_color(carried) >= 0:  # a box: put it down, open it, pick up its key
        keys[0, _key_color(carried)] = 3 * _STAGE + drop_count
        keys[1, _key_color(carried)] = 8 * here + PICK_UP
    for at in range(len(codes)):
        if actions[4 * at] != NEVER:
            labels[8 * at] = 0
            stack[waiting] = 8 * at
            waiting += 1
    while waiting > 0 or heap[-1] > 0:
        if waiting > 0:  # nodes as cheap as the last one need no sorting
            waiting -= 1
            node = stack[waiting]
        else:
            node = _pop(heap) % _NODE
        if node == end:
            return labels[end] // _STAGE, heads[end]
        if settled[node]:
            continue
        settled[node] = True
        at, hands = node >> 3, node & 7
        if wish == DONE and beside(wanted, stride, at) >= 0 and labels[node] + _STAGE < labels[end]:
            labels[end], heads[end] = labels[node] + _STAGE, heads[node]
            _push(heap, labels[end] * _NODE + end)
        for direction in range(4):
            cell = at + ahead(direction, stride)
            color = codes[cell] & 7
            key_cost = keys[0, color] if kinds[cell] == LOCKED else _UNKNOWN
            stages, to_hands, action = _toll(kinds[cell], codes[cell], hands, carried, key_cost)
            to = 8 * cell + to_hands
            if wanted[cell] and wish != DONE:
                to = end
                if kinds[cell] != LOCKED:
                    action = wish
                    stages = 2 if wish == PICK_UP and (hands != _AS_NOW or carried != 0) else 1
            if stages < 0:
                continue
            cost, head = labels[node], heads[node]
            if head < 0 and stages > 0:
                if action == _FETCH:
                    cost, head = keys[0, color] % _STAGE, keys[1, color]
                else:
                    cost = drop_count if action == PICK_UP and carried != 0 else actions[4 * at + direction]
                    head = 8 * cell + action
            cost += stages * _STAGE
            if cost < labels[to]:
                labels[to], heads[to] = cost, head
                if stages == 0:
                    stack[waiting] = to
                    waiting += 1
                else:
                    _push(heap, cost * _NODE + to)
        color = _key_color(codes[at]) if hands >= _KEY else -1
        if color >= 0 and labels[node] < keys[0, color]:
            keys[0, color], keys[1, color] = labels[node], heads[node]
            for door in range(len(codes)):  # whoever stands before a door that it fits looks once more
                if kinds[door] == LOCKED and codes[door] & 7 == color:
                    for direction in range(4):
                        side = 8 * (door + ahead(direction, stride))
                        for again in range(side, side + 8):
                            if settled[again]:
                                settled[again] = False
                                _push(heap, labels[node] * _NODE + again)
    return -1, -1
