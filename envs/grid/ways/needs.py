"""The next needed thing of a grid task: what the agent must get to now, how far it is, and how much comes after.

Each task's rule says what is wanted in the end (a goal to enter, an object to pick up, a door to open, ...). If
the agent gets there by walking and toggling closed doors, that is the next needed thing, once its hands are
free where it is to pick something up. Otherwise something is in the way, and it is the first thing of a plan
(plans.py). `needed_stages` counts what is left, the present thing included; it never rises on the planner's way.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shapegym.envs._jit import jit, jit_parallel, prange
from shapegym.envs._threads import over_lanes
from shapegym.envs.grid.lane.cells import (
    BOX,
    CLOSED_DOOR,
    EMPTY,
    GOAL,
    KEY,
    LAVA,
    LOCKED_DOOR,
    OPEN_DOOR,
    PICKABLE,
    PICKABLE_END,
    WALKABLE_END,
)
from shapegym.envs.grid.lane.facts import (
    CARRIED,
    DIRECTION,
    OTHER_X,
    OTHER_Y,
    STEP_X,
    STEP_Y,
    STEPS,
    TARGET_CODE,
    TARGET_X,
    TARGET_Y,
    X,
    Y,
)
from shapegym.envs.grid.lane.stepping import (
    AVOID_OBSTACLES,
    CHOOSE_TARGET,
    DONE,
    DROP,
    FETCH,
    FORWARD,
    LEFT,
    OPEN_BOTH_IN_ORDER,
    OPEN_TARGET,
    PICK_UP,
    PICK_UP_TARGET,
    PUT_NEAR_TARGET,
    REACH_GOAL,
    RIGHT,
    STAND_BY_TARGET,
    TOGGLE,
)
from shapegym.envs.grid.lane.task import GridTask
from shapegym.envs.grid.ways.plans import beside, cheapest_plan
from shapegym.envs.grid.ways.walking import (
    BLOCKED,
    FREE,
    LOCKED,
    NEVER,
    OPEN,
    OPEN_AND_TAKE,
    SHUT,
    TAKE,
    Scratch,
    ahead,
    count_steps,
    explore,
    make_scratch,
    nearest_drop,
    nearest_facing,
)

MOST_STAGES = 30
"""Larger counts are reported as this."""
LOST = 31
"""`needed_stages` where no plan leads to the end, or the task can no longer be solved."""

NOTHING, HOPELESS = -1, -2
POSITION, DISTANCE, STAGES, ACTION = range(4)
"""What `need_lanes` writes."""

# Elsewhere picking something up ends the episode, or cannot be done.
_PICKING = (REACH_GOAL, PICK_UP_TARGET, OPEN_TARGET, STAND_BY_TARGET, OPEN_BOTH_IN_ORDER)
# So does toggling here.
_NOT_TOGGLING = (STAND_BY_TARGET, AVOID_OBSTACLES)


def _kinds() -> NDArray[np.uint8]:
    """(9, 256): how to get past each code under each rule, without ending the episode."""
    kinds = np.full((AVOID_OBSTACLES + 1, 256), BLOCKED, np.uint8)
    for rule in range(len(kinds)):
        picking, toggling = rule in _PICKING, rule not in _NOT_TOGGLING
        kinds[rule, EMPTY] = FREE
        kinds[rule, EMPTY + 1 : LAVA] = FREE
        kinds[rule, OPEN_DOOR:WALKABLE_END] = FREE
        if picking:
            kinds[rule, PICKABLE:PICKABLE_END] = TAKE
        if toggling:
            kinds[rule, BOX : BOX + 8] = OPEN
            kinds[rule, CLOSED_DOOR:LOCKED_DOOR] = SHUT
            kinds[rule, LOCKED_DOOR : LOCKED_DOOR + 8] = LOCKED
        if picking and toggling:
            kinds[rule, BOX + 8 : PICKABLE_END] = OPEN_AND_TAKE
    return kinds


_KINDS = _kinds()


@jit
def _draw_map(
    rule: int,
    pad: int,
    cells: NDArray[np.uint8],
    fact: NDArray[np.int64],
    scratch: Scratch,
) -> int:
    """Fill in the map of a lane.

    Returns:
        What to do with the wanted cells: FORWARD (into one), PICK_UP, DROP (into one), TOGGLE, DONE (beside
        one); or NOTHING (the end is reached, or there is none), or HOPELESS.
    """
    codes, kinds, wanted = scratch.codes, scratch.kinds, scratch.wanted
    height, stride = cells.shape[0] - 2 * pad + 2, cells.shape[1] - 2 * pad + 2
    for row in range(height):
        for column in range(stride):
            code = np.int64(cells[row + pad - 1, column + pad - 1])
            at = row * stride + column
            codes[at], kinds[at], wanted[at] = code, _KINDS[rule, code], False
    carried = fact[CARRIED]
    here = (fact[Y] + 1) * stride + fact[X] + 1
    target = (fact[TARGET_Y] + 1) * stride + fact[TARGET_X] + 1
    other = (fact[OTHER_Y] + 1) * stride + fact[OTHER_X] + 1
    if rule in (REACH_GOAL, AVOID_OBSTACLES):
        some = False
        for at in range(len(codes)):
            wanted[at] = codes[at] >> 3 == GOAL >> 3
            some |= wanted[at]
        return FORWARD if some and not wanted[here] else NOTHING
    if rule == FETCH:
        some = False
        for at in range(len(codes)):
            wanted[at] = codes[at] == fact[TARGET_CODE]
            some |= wanted[at]
        return NOTHING if carried != 0 else PICK_UP if some else HOPELESS
    if rule == PUT_NEAR_TARGET:
        kinds[target] = BLOCKED
        some = False
        for at in range(len(codes)):
            near = abs(at // stride - target // stride) <= 1 and abs(at % stride - target % stride) <= 1
            if codes[at] == fact[TARGET_CODE]:
                if near:
                    return NOTHING
                kinds[at], wanted[at], some = BLOCKED, True, True
            elif carried != 0:
                wanted[at] = near and codes[at] == EMPTY
        if carried != 0:
            return DROP if carried == fact[TARGET_CODE] else HOPELESS
        return PICK_UP if some else HOPELESS
    if fact[TARGET_X] < 0:
        return HOPELESS
    wanted[target] = True
    if rule == PICK_UP_TARGET:
        return PICK_UP if PICKABLE <= codes[target] < PICKABLE_END else NOTHING
    if rule == OPEN_TARGET:
        return NOTHING if codes[target] >> 3 == OPEN_DOOR >> 3 else TOGGLE
    if rule == STAND_BY_TARGET:
        return DONE
    if rule == CHOOSE_TARGET:
        kinds[other] = BLOCKED
        return NOTHING if here == target else FORWARD
    # OPEN_BOTH_IN_ORDER
    if codes[other] >> 3 == OPEN_DOOR >> 3:
        return NOTHING
    if codes[target] >> 3 == OPEN_DOOR >> 3:
        wanted[target], wanted[other] = False, True
    else:
        kinds[other] = BLOCKED
    return TOGGLE


@jit
def _nearest_wanted(scratch: Scratch, stride: int, carried: int, wish: int) -> tuple[int, int]:
    """The nearest pose of the free region from which the wish can be done, and the wanted cell; else -1, -1."""
    best, cell = -1, -1
    for pose in range(len(scratch.actions)):
        count = scratch.actions[pose]
        if count == NEVER or (best >= 0 and count >= scratch.actions[best]):
            continue
        if wish == DONE:
            front = beside(scratch.wanted, stride, pose >> 2)
            fits = front >= 0
        else:
            front = (pose >> 2) + ahead(pose & 3, stride)
            locked = scratch.kinds[front] == LOCKED and wish == TOGGLE
            fits = scratch.wanted[front] and (not locked or carried == KEY + (scratch.codes[front] & 7))
        if fits:
            best, cell = pose, front
    return best, cell


@jit
def _next_need(
    rule: int, pad: int, cells: NDArray[np.uint8], fact: NDArray[np.int64], scratch: Scratch
) -> tuple[int, int, int, int]:
    """Stages left, the cell needed now, the pose to be in, the action there; NOTHING, HOPELESS have no cell (-1)."""
    stride = cells.shape[1] - 2 * pad + 2
    carried = fact[CARRIED]
    wish = _draw_map(rule, pad, cells, fact, scratch)
    start = 4 * ((fact[Y] + 1) * stride + fact[X] + 1) + fact[DIRECTION]
    if wish < 0:
        return 0 if wish == NOTHING else LOST, -1, -1, wish
    explore(scratch, stride, start)
    pose, cell = _nearest_wanted(scratch, stride, carried, wish)
    if pose < 0 and rule == AVOID_OBSTACLES:  # obstacles move out of the way
        for at in range(len(scratch.codes)):
            if PICKABLE <= scratch.codes[at] < PICKABLE_END:
                scratch.kinds[at] = FREE
        explore(scratch, stride, start)
        pose, cell = _nearest_wanted(scratch, stride, carried, wish)
    stages, action = 1, wish
    drop_pose = -1
    if pose >= 0:
        stages += wish == PICK_UP and carried != 0
    else:
        if carried != 0:
            drop_pose = nearest_drop(scratch, stride, -1)
        stages, head = cheapest_plan(
            scratch, stride, start >> 2, carried, wish, scratch.actions[drop_pose] if drop_pose >= 0 else 0
        )
        if stages < 0:
            return LOST, -1, -1, HOPELESS
        cell, action = head >> 3, head & 7
        pose = nearest_facing(scratch, stride, cell)
    stages += rule == PUT_NEAR_TARGET and wish == PICK_UP
    if rule == OPEN_BOTH_IN_ORDER:
        stages += scratch.wanted[(fact[TARGET_Y] + 1) * stride + fact[TARGET_X] + 1]
    if action == PICK_UP and carried != 0:
        pose = drop_pose if drop_pose >= 0 else nearest_drop(scratch, stride, cell)
        if pose < 0:
            return LOST, -1, -1, HOPELESS
        cell, action = (pose >> 2) + ahead(pose & 3, stride), DROP
    return min(stages, MOST_STAGES), cell, pose, action


@jit
def _front(pad: int, cells: NDArray[np.uint8], fact: NDArray[np.int64]) -> int:
    """The code in front of the agent."""
    row = fact[Y] + STEP_Y[fact[DIRECTION]] + pad
    column = fact[X] + STEP_X[fact[DIRECTION]] + pad
    return int(np.int64(cells[row, column]))


@jit
def _wander(rule: int, front: int, fact: NDArray[np.int64]) -> int:
    """Something to do where nothing is needed: walk about and, if nothing depends on it, handle things."""
    dice = ((fact[STEPS] * 48271 + fact[X] * 69621 + fact[Y] * 16807 + fact[DIRECTION] * 40692) >> 3) % 16
    if rule == REACH_GOAL:
        if PICKABLE <= front < PICKABLE_END and dice >= 4:
            return PICK_UP if fact[CARRIED] == 0 else TOGGLE
        if front == EMPTY and fact[CARRIED] != 0 and dice == 0:
            return DROP
        if CLOSED_DOOR <= front < LOCKED_DOOR + 8 and dice >= 2:
            return TOGGLE
    if front < WALKABLE_END and front >> 3 != LAVA >> 3 and dice >= 3:
        return FORWARD
    return LEFT if dice & 1 else RIGHT


@jit
def next_action(
    rule: int, pad: int, cells: NDArray[np.uint8], fact: NDArray[np.int64], scratch: Scratch
) -> tuple[int, int]:
    """Stages left in a lane, and the next action of a shortest sequence of turns and steps."""
    stages, cell, pose, action = _next_need(rule, pad, cells, fact, scratch)
    front = _front(pad, cells, fact)
    if cell < 0:
        action = _wander(rule, front, fact)
    elif scratch.actions[pose] > 0:
        action = scratch.firsts[pose]
    if rule == AVOID_OBSTACLES and action == FORWARD and PICKABLE <= front < PICKABLE_END:
        action = LEFT  # until the obstacle has moved on
    return stages, action


@jit
def _need_range(
    start: int,
    stop: int,
    what: int,
    rule: int,
    pad: int,
    cells: NDArray[np.uint8],
    facts: NDArray[np.int64],
    mask: NDArray[np.bool_],
    out: NDArray[np.int64],
) -> None:
    height, stride = cells.shape[1] - 2 * pad + 2, cells.shape[2] - 2 * pad + 2
    scratch = make_scratch(height * stride)
    for lane in range(start, stop):
        if not mask[lane]:
            continue
        if what == ACTION:
            _, out[lane, 0] = next_action(rule, pad, cells[lane], facts[lane], scratch)
            continue
        stages, cell, _, _ = _next_need(rule, pad, cells[lane], facts[lane], scratch)
        if what == STAGES:
            out[lane, 0] = stages
        elif what == POSITION:
            out[lane, 0] = cell % stride - 1 if cell >= 0 else -1
            out[lane, 1] = cell // stride - 1 if cell >= 0 else -1
        elif cell >= 0:
            here = (facts[lane, Y] + 1) * stride + facts[lane, X] + 1
            out[lane, 0] = count_steps(scratch, stride, here, cell)
        else:
            out[lane, 0] = 0 if stages == 0 else (height - 2) * (stride - 2)


@jit_parallel
def _need_chunks(
    chunks: int,
    what: int,
    rule: int,
    pad: int,
    cells: NDArray[np.uint8],
    facts: NDArray[np.int64],
    mask: NDArray[np.bool_],
    out: NDArray[np.int64],
) -> None:
    lanes = mask.shape[0]
    for chunk in prange(chunks):
        _need_range(
            chunk * lanes // chunks, (chunk + 1) * lanes // chunks, what, rule, pad, cells, facts, mask, out
        )


def need_lanes(
    what: int,
    task: GridTask,
    pad: int,
    cells: NDArray[np.uint8],
    facts: NDArray[np.int64],
    mask: NDArray[np.bool_],
    out: NDArray[np.int64],
) -> None:
    """Write the next need of the lanes in `mask`.

    Args:
        what: POSITION (x, y) of the needed cell, (-1, -1) without one; DISTANCE, its steps of walking as in
            features/distances.py; STAGES left; or ACTION, the next one of a shortest sequence of turns and steps to it.
        task: The task.
        pad: Columns and rows of walls that `cells` has on every side, at least 1.
        cells: (B, height + 2 pad, width + 2 pad) codes.
        facts: (B, K).
        mask: (B,) bool.
        out: (B, 2) int64 for POSITION, else (B,).
    """
    over_lanes(
        _need_range,
        _need_chunks,
        len(mask),
        what,
        task.rule,
        pad,
        cells,
        facts,
        mask,
        out.reshape(len(mask), -1),
    )
