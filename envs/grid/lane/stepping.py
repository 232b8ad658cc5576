"""One step of MiniGrid, for any number of lanes: moves, objects, doors, and each family's rule for the end.

The rules are the families' overrides of `MiniGridEnv.step` (minigrid 3.2.0), named by what they ask for.
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
    OBSTACLES,
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
from shapegym.envs.grid.lane.layout import place

LEFT, RIGHT, FORWARD, PICK_UP, DROP, TOGGLE, DONE = range(7)
ACTION_NAMES = ("left", "right", "forward", "pick up", "drop", "toggle", "done")

(
    REACH_GOAL,  # the goal cell pays; so it does under every other rule whose layout has one
    PICK_UP_TARGET,  # picking up the object that started in the target cell
    OPEN_TARGET,  # toggling while the door in the target cell is open
    FETCH,  # holding the target code pays, holding anything ends
    STAND_BY_TARGET,  # `done` beside the target cell pays; `done` and `toggle` end
    PUT_NEAR_TARGET,  # dropping the target code beside the target cell pays; so ends any drop and a wrong pick
    OPEN_BOTH_IN_ORDER,  # the other door open after the target door pays; the other order ends
    CHOOSE_TARGET,  # standing in the target cell pays, in the other cell ends; `pickup` toggles
    AVOID_OBSTACLES,  # obstacles move first; walking into anything but the goal costs 1 and ends
) = range(9)

CAPTIONS = (
    "",
    "you reach the goal",
    "you complete the task",
    "you step into lava",
    "you fail the task",
    "you pick up an object",
    "you drop an object",
    "you unlock a door",
    "you open a door",
    "you close a door",
    "you bump into something",
    "you open a box",
)
(
    NOTHING,
    GOAL_REACHED,
    COMPLETED,
    BURNT,
    FAILED,
    PICKED_UP,
    DROPPED,
    UNLOCKED,
    OPENED,
    CLOSED,
    BUMPED,
    BOX_OPENED,
) = range(len(CAPTIONS))


@jit
def _move_obstacles(grid: NDArray[np.uint8], facts: NDArray[np.int64], stream: NDArray[np.uint64]) -> None:
    """Each obstacle, in turn, to a random free cell among its neighbours; it stays if none is found."""
    for k in range(OBSTACLES, facts.shape[0], 2):
        old_x, old_y = facts[k], facts[k + 1]
        x, y = place(grid, facts, stream, grid[old_y, old_x], old_x - 1, old_y - 1, 3, 3, 1, 100)
        if x >= 0:
            grid[old_y, old_x] = EMPTY
            facts[k], facts[k + 1] = x, y


@jit
def step_range(
    start: int,
    stop: int,
    rule: int,
    max_steps: int,
    pad: int,
    cells: NDArray[np.uint8],
    facts: NDArray[np.int64],
    streams: NDArray[np.uint64],
    actions: NDArray[np.int64],
    active: NDArray[np.bool_],
    reward: NDArray[np.float64],
    terminated: NDArray[np.bool_],
    success: NDArray[np.bool_],
    event: NDArray[np.int64],
) -> None:
    """`step_lanes` for lanes start .. stop - 1."""
    for lane in range(start, stop):
        if not active[lane]:
            continue
        action = actions[lane]
        x, y, direction = facts[lane, X], facts[lane, Y], facts[lane, DIRECTION]
        carried = facts[lane, CARRIED]
        facts[lane, STEPS] += 1
        row, column = y + STEP_Y[direction] + pad, x + STEP_X[direction] + pad
        front = cells[lane, row, column]
        happened, pays, ends = NOTHING, False, False

        hits_obstacle = False
        other_was_open = target_was_open = False
        if rule == AVOID_OBSTACLES:
            hits_obstacle = action == FORWARD and front != EMPTY and front >> 3 != GOAL >> 3
            grid = cells[lane, pad : cells.shape[1] - pad, pad : cells.shape[2] - pad]
            _move_obstacles(grid, facts[lane], streams[lane])
            front = cells[lane, row, column]
        elif rule == OPEN_BOTH_IN_ORDER:
            target = cells[lane, facts[lane, TARGET_Y] + pad, facts[lane, TARGET_X] + pad]
            other = cells[lane, facts[lane, OTHER_Y] + pad, facts[lane, OTHER_X] + pad]
            target_was_open, other_was_open = target >> 3 == OPEN_DOOR >> 3, other >> 3 == OPEN_DOOR >> 3
        elif rule == CHOOSE_TARGET and action == PICK_UP:
            action = TOGGLE

        if action == LEFT:
            facts[lane, DIRECTION] = (direction + 3) & 3
        elif action == RIGHT:
            facts[lane, DIRECTION] = (direction + 1) & 3
        elif action == FORWARD:
            if front < WALKABLE_END:
                facts[lane, X], facts[lane, Y] = column - pad, row - pad
                if front >> 3 == GOAL >> 3:
                    pays = ends = True
                    happened = GOAL_REACHED
                elif front >> 3 == LAVA >> 3:
                    ends = True
                    happened = BURNT
            else:
                happened = BUMPED
        elif action == PICK_UP:
            if PICKABLE <= front < PICKABLE_END and carried == 0:
                facts[lane, CARRIED] = front
                cells[lane, row, column] = EMPTY
                happened = PICKED_UP
        elif action == DROP:
            if front == EMPTY and carried != 0:
                cells[lane, row, column] = carried
                facts[lane, CARRIED] = 0
                happened = DROPPED
        elif action == TOGGLE:
            kind, color = front >> 3, front & 7
            if kind == LOCKED_DOOR >> 3:
                if carried == KEY + color:
                    cells[lane, row, column] = OPEN_DOOR + color
                    happened = UNLOCKED
            elif kind == CLOSED_DOOR >> 3:
                cells[lane, row, column] = OPEN_DOOR + color
                happened = OPENED
            elif kind == OPEN_DOOR >> 3:
                cells[lane, row, column] = CLOSED_DOOR + color
                happened = CLOSED
            elif BOX <= front < PICKABLE_END:
                hidden = (front - BOX) >> 3
                cells[lane, row, column] = EMPTY if hidden == 0 else KEY + hidden - 1
                happened = BOX_OPENED

        if rule == PICK_UP_TARGET:
            in_front = column - pad == facts[lane, TARGET_X] and row - pad == facts[lane, TARGET_Y]
            if happened == PICKED_UP and in_front:
                pays = ends = True
            elif happened == BOX_OPENED and in_front:
                facts[lane, TARGET_X] = facts[lane, TARGET_Y] = -1  # what lies there now is another object
        elif rule == OPEN_TARGET:
            if action == TOGGLE:
                target = cells[lane, facts[lane, TARGET_Y] + pad, facts[lane, TARGET_X] + pad]
                pays = ends = target >> 3 == OPEN_DOOR >> 3
        elif rule == FETCH:
            if facts[lane, CARRIED] != 0:
                pays, ends = facts[lane, CARRIED] == facts[lane, TARGET_CODE], True
        elif rule == STAND_BY_TARGET:
            if action == TOGGLE:
                ends = True
            elif action == DONE:
                pays = abs(x - facts[lane, TARGET_X]) + abs(y - facts[lane, TARGET_Y]) == 1
                ends = True
        elif rule == PUT_NEAR_TARGET:
            if action == PICK_UP and facts[lane, CARRIED] != 0:
                ends = facts[lane, CARRIED] != facts[lane, TARGET_CODE]
            elif action == DROP and carried != 0:
                beside = (
                    abs(column - pad - facts[lane, TARGET_X]) <= 1
                    and abs(row - pad - facts[lane, TARGET_Y]) <= 1
                )
                pays, ends = happened == DROPPED and beside, True
        elif rule == OPEN_BOTH_IN_ORDER:
            target = cells[lane, facts[lane, TARGET_Y] + pad, facts[lane, TARGET_X] + pad]
            other = cells[lane, facts[lane, OTHER_Y] + pad, facts[lane, OTHER_X] + pad]
            if other >> 3 == OPEN_DOOR >> 3:
                pays, ends = target_was_open, True
            elif target >> 3 == OPEN_DOOR >> 3 and other_was_open:
                ends = True
        elif rule == CHOOSE_TARGET:
            x, y = facts[lane, X], facts[lane, Y]
            if x == facts[lane, TARGET_X] and y == facts[lane, TARGET_Y]:
                pays = ends = True
            elif x == facts[lane, OTHER_X] and y == facts[lane, OTHER_Y]:
                ends = True

        if hits_obstacle:
            reward[lane] = -1.0
            ends, pays = True, False
            happened = FAILED
        elif pays:
            reward[lane] = 1 - 0.9 * (facts[lane, STEPS] / max_steps)
            if happened != GOAL_REACHED:
                happened = COMPLETED
        elif ends and happened != BURNT:
            happened = FAILED
        terminated[lane], success[lane], event[lane] = ends, pays, happened


@jit_parallel
def _step_chunks(
    chunks: int,
    rule: int,
    max_steps: int,
    pad: int,
    cells: NDArray[np.uint8],
    facts: NDArray[np.int64],
    streams: NDArray[np.uint64],
    actions: NDArray[np.int64],
    active: NDArray[np.bool_],
    reward: NDArray[np.float64],
    terminated: NDArray[np.bool_],
    success: NDArray[np.bool_],
    event: NDArray[np.int64],
) -> None:
    lanes = active.shape[0]
    for chunk in prange(chunks):
        step_range(
            chunk * lanes // chunks, (chunk + 1) * lanes // chunks, rule, max_steps, pad,
            cells, facts, streams, actions, active, reward, terminated, success, event,
        )  # fmt: skip


def step_lanes(
    rule: int,
    max_steps: int,
    pad: int,
    cells: NDArray[np.uint8],
    facts: NDArray[np.int64],
    streams: NDArray[np.uint64],
    actions: NDArray[np.int64],
    active: NDArray[np.bool_],
    reward: NDArray[np.float64],
    terminated: NDArray[np.bool_],
    success: NDArray[np.bool_],
    event: NDArray[np.int64],
) -> None:
    """Advance the active lanes by one step.

    Args:
        rule: What the task asks for, one of the rules above.
        max_steps: Of the reward 1 - 0.9 steps / max_steps.
        pad: Columns and rows of walls that `cells` has on every side, at least 1.
        cells: (B, height + 2 pad, width + 2 pad) codes, changed in place.
        facts: (B, K), changed in place.
        streams: (B, 5), changed in place by obstacles alone.
        actions: (B,) int64 in 0 .. 6.
        active: (B,) bool.
        reward: (B,), written where a step pays.
        terminated: (B,), written for active lanes.
        success: (B,), likewise: the step paid more than 0.
        event: (B,), likewise: an index into CAPTIONS.
    """
    over_lanes(
        step_range, _step_chunks, len(active), rule, max_steps, pad,
        cells, facts, streams, actions, active, reward, terminated, success, event,
    )  # fmt: skip
