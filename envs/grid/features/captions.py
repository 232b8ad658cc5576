"""The feature `caption`: what happened in a step, or what came into sight, as a sentence; and `mission`, what the agent is to do.

A caption says what somebody who looks at the grid could say, and not whether it solved the task (`event` does). A step has one
sentence, of the first kind that there is something to say of:

    act       what the agent did to a thing or a place: "you pick up the yellow key", "the red door is locked"
    sight     a thing in view that no sentence of the episode has named yet: "you see the locked red door"
    motion    how the agent moved, or what it tried in vain: "you turn left", "you bump into a wall"

So things that come into sight together, or while the agent does something, are named one by one in the steps that follow, as long
as they are in view. What a closed box hides is not said.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shapegym.envs._jit import jit, jit_parallel, prange
from shapegym.envs._threads import over_lanes
from shapegym.envs.grid.companion import Companion, State
from shapegym.envs.grid.features.requested import RequestedFeature
from shapegym.envs.grid.features.sentences import (
    BUMPED,
    BURNT,
    CLOSED,
    DROPPED,
    HANDS_FULL,
    LENGTH,
    LOCKED,
    NO_ROOM,
    NOTHING,
    NOTHING_TO_DROP,
    NOTHING_TO_OPEN,
    NOTHING_TO_PICK_UP,
    OPENED,
    PICKED_UP,
    REACHED,
    SAW,
    TURNED_LEFT,
    TURNED_RIGHT,
    UNLOCKED,
    WAITED,
    WALKED,
    table,
)
from shapegym.envs.grid.lane.cells import (
    BALL,
    BOX,
    CLOSED_DOOR,
    COLORS,
    EMPTY,
    GOAL,
    KEY,
    LAVA,
    LOCKED_DOOR,
    OBJECTS,
    OPEN_DOOR,
    PALETTE,
    PICKABLE,
    PICKABLE_END,
)
from shapegym.envs.grid.lane.facts import CARRIED, DIRECTION, MISSION, STEP_X, STEP_Y, X, Y
from shapegym.envs.grid.lane.stepping import (
    AVOID_OBSTACLES,
    CHOOSE_TARGET,
    DROP,
    FORWARD,
    LEFT,
    PICK_UP,
    RIGHT,
    TOGGLE,
)
from shapegym.envs.grid.lane.task import GridTask
from shapegym.envs.grid.sight.view import see
from shapegym.envs.notes import Note
from shapegym.texts import encode, longest, text_space

TOLD = 7
"""Columns of what is remembered of a lane: where the agent was before the step (three), what it carried, what was in front of it,
the things that were named (bits), and the sentence."""
_WAS_X, _WAS_Y, _WAS_DIRECTION, _WAS_CARRIED, _WAS_FRONT, _NAMED, _SENTENCE = range(TOLD)

_NAMED_KINDS = (GOAL, KEY, BALL, BOX, LOCKED_DOOR, CLOSED_DOOR, LAVA)
"""Kinds of things that are named when they come into sight, those that are named first in front; six colours of each."""


def _bits() -> NDArray[np.int64]:
    """(256,) the bit of every code, -1 for what is not named. A box is the same whatever it hides."""
    bits = np.full(256, -1)
    for place, kind in enumerate(_NAMED_KINDS):
        for color in range(len(COLORS)):
            codes = range(kind, PICKABLE_END if kind == BOX else kind + 8, 8)
            bits[[code + color for code in codes]] = len(COLORS) * place + color
    return bits


def _bits_in_view() -> NDArray[np.int64]:
    """(object, colour, state) of a cell in view -> its bit, or -1."""
    bits = np.full((len(OBJECTS), len(COLORS), 3), -1)
    for code in np.flatnonzero(_BIT >= 0):
        bits[tuple(PALETTE[code])] = _BIT[code]
    return bits


_BIT = _bits()
_BIT_IN_VIEW = _bits_in_view()
_CODE = np.array([kind + color for kind in _NAMED_KINDS for color in range(len(COLORS))])
"""A code for every bit."""


@jit
def _watch(pad: int, cells: NDArray[np.uint8], facts: NDArray[np.int64], told: NDArray[np.int64]) -> None:
    """Remember where all lanes are before a step."""
    for lane in range(told.shape[0]):
        x, y, direction = facts[lane, X], facts[lane, Y], facts[lane, DIRECTION]
        told[lane, _WAS_X], told[lane, _WAS_Y], told[lane, _WAS_DIRECTION] = x, y, direction
        told[lane, _WAS_CARRIED] = facts[lane, CARRIED]
        told[lane, _WAS_FRONT] = cells[lane, y + STEP_Y[direction] + pad, x + STEP_X[direction] + pad]


@jit
def _what_happened(
    rule: int, action: int, moved: bool, carried: int, was_carried: int, front: Any, was_front: int, here: Any
) -> tuple[int, int]:
    """Kind of the sentence, and the code that it is about (0 for none).

    Args:
        rule: The task's.
        action: The agent's.
        moved: Whether it is in another cell now.
        carried: What it carries now.
        was_carried: What it carried.
        front: What is now in the cell that was in front of it.
        was_front: What was there.
        here: What is in the cell that it stands in.
    """
    if action == LEFT:
        return TURNED_LEFT, 0
    if action == RIGHT:
        return TURNED_RIGHT, 0
    if action == FORWARD:
        if rule == AVOID_OBSTACLES and was_front != EMPTY and was_front >> 3 != GOAL >> 3:
            return BUMPED, was_front  # even if it has given way by now
        if not moved:
            return BUMPED, front
        if here >> 3 == GOAL >> 3:
            return REACHED, here
        return (BURNT, here) if here >> 3 == LAVA >> 3 else (WALKED, 0)
    if action == PICK_UP and rule != CHOOSE_TARGET:
        if was_carried == 0 and carried != 0:
            return PICKED_UP, carried
        full = was_carried != 0 and PICKABLE <= was_front < PICKABLE_END
        return (HANDS_FULL if full else NOTHING_TO_PICK_UP), 0
    if action == DROP:
        if was_carried == 0:
            return NOTHING_TO_DROP, 0
        return (DROPPED if carried == 0 else NO_ROOM), was_carried
    if action in (TOGGLE, PICK_UP):
        kind = was_front >> 3
        if kind == LOCKED_DOOR >> 3:
            return (LOCKED if front == was_front else UNLOCKED), was_front
        if kind == CLOSED_DOOR >> 3:
            return OPENED, was_front
        if kind == OPEN_DOOR >> 3:
            return CLOSED, front
        return (OPENED, was_front) if BOX <= was_front < PICKABLE_END else (NOTHING_TO_OPEN, 0)
    return WAITED, 0


@jit
def _tell_range(
    start: int,
    stop: int,
    rule: int,
    pad: int,
    side: int,
    begins: bool,
    cells: NDArray[np.uint8],
    facts: NDArray[np.int64],
    actions: NDArray[np.int64],
    images: NDArray[np.uint8],
    mask: NDArray[np.bool_],
    told: NDArray[np.int64],
) -> None:
    """The sentences of the lanes in `mask` from start to stop - 1; `images` are what their agents see."""
    own = 3 * (side * (side // 2) + side - 1)  # the agent's own cell shows what it carries
    for lane in range(start, stop):
        if not mask[lane]:
            continue
        kind, code = NOTHING, 0
        if begins:
            told[lane, :] = 0
        else:
            x, y, before = told[lane, _WAS_X], told[lane, _WAS_Y], told[lane, _WAS_DIRECTION]
            now_x, now_y = facts[lane, X], facts[lane, Y]
            kind, code = _what_happened(
                rule,
                actions[lane],
                now_x != x or now_y != y,
                facts[lane, CARRIED],
                told[lane, _WAS_CARRIED],
                np.int64(cells[lane, y + STEP_Y[before] + pad, x + STEP_X[before] + pad]),
                told[lane, _WAS_FRONT],
                np.int64(cells[lane, now_y + pad, now_x + pad]),
            )
        named = told[lane, _NAMED]
        if kind < SAW:
            first = 64
            for at in range(0, 3 * side * side, 3):
                if images[lane, at] > 1 and at != own:
                    bit = _BIT_IN_VIEW[images[lane, at], images[lane, at + 1], images[lane, at + 2]]
                    if 0 <= bit < first and not (named >> bit) & 1:
                        first = bit
            if first < 64:
                kind, code = SAW, _CODE[first]
        if code != 0 and _BIT[code] >= 0:
            told[lane, _NAMED] = named | (1 << _BIT[code])
        told[lane, _SENTENCE] = kind << 8 | code


@jit_parallel
def _tell_chunks(
    chunks: int,
    rule: int,
    pad: int,
    side: int,
    begins: bool,
    cells: NDArray[np.uint8],
    facts: NDArray[np.int64],
    actions: NDArray[np.int64],
    images: NDArray[np.uint8],
    mask: NDArray[np.bool_],
    told: NDArray[np.int64],
) -> None:
    lanes = mask.shape[0]
    for chunk in prange(chunks):
        _tell_range(
            chunk * lanes // chunks, (chunk + 1) * lanes // chunks, rule, pad, side, begins,
            cells, facts, actions, images, mask, told,
        )  # fmt: skip


class Narrator(Companion):
    """Says what happens in a task's lanes.

    Args:
        task: The task.
        side: Cells of a side of the agent's view.
    """

    mark = "captions"

    def __init__(self, task: GridTask, side: int) -> None:
        self._task, self._side = task, side

    def allocate(self, lanes: int) -> dict[str, NDArray[Any]]:
        """What is remembered of the lanes."""
        return {"told": np.zeros((lanes, TOLD), np.int64)}

    def begin(self, state: State, noise: NDArray[np.float64], mask: NDArray[np.bool_]) -> None:
        """Say what is in sight."""
        del noise
        self._tell(state, np.zeros(len(mask), np.int64), mask, begins=True)

    def watch(self, state: State) -> None:
        """Look at all lanes."""
        _watch(self._side - 1, state["cells"], state["facts"], state["told"])

    def follow(self, state: State, actions: NDArray[np.int64], active: NDArray[np.bool_]) -> None:
        """Say what has happened."""
        self._tell(state, actions, active, begins=False)

    def write(self, state: State, mask: NDArray[np.bool_], features: Mapping[str, NDArray[Any]]) -> None:
        """The sentences as bytes (B, L)."""
        _copy_rows(table(), state["told"][:, _SENTENCE], mask, features[CAPTION])

    def _tell(
        self, state: State, actions: NDArray[np.int64], mask: NDArray[np.bool_], *, begins: bool
    ) -> None:
        side, cells, facts = self._side, state["cells"], state["facts"]
        images = np.empty((len(mask), 3 * side * side), np.uint8)
        see(side, side - 1, self._task.see_through_walls, cells, facts, mask, images)
        over_lanes(
            _tell_range, _tell_chunks, len(mask), self._task.rule, side - 1, side, begins,
            cells, facts, actions, images, mask, state["told"],
        )  # fmt: skip


def _copy_rows(
    rows: NDArray[np.uint8], index: NDArray[np.int64], mask: NDArray[np.bool_], out: NDArray[np.uint8]
) -> None:
    if mask.all():  # as in every step: straight into `out`, as "clip" needs no buffer
        np.take(rows, index, axis=0, out=out, mode="clip")
    else:
        out[mask] = rows[index[mask]]


@cache
def _missions(texts: tuple[str, ...]) -> NDArray[np.uint8]:
    return encode(texts, longest(texts))


def _write_missions(
    task: GridTask,
    pad: int,
    cells: NDArray[np.uint8],
    facts: NDArray[np.int64],
    mask: NDArray[np.bool_],
    out: NDArray[np.uint8],
) -> None:
    del pad, cells
    _copy_rows(_missions(task.missions), facts[:, MISSION], mask, out)


def _leave_to_the_narrator(*_: Any) -> None:
    """A caption is about a step, and readings see states alone."""


CAPTION = "caption"
TEXTS: dict[str, RequestedFeature] = {
    CAPTION: RequestedFeature(
        lambda task: text_space(LENGTH),
        _leave_to_the_narrator,
        Note("What happened in the step or came into sight, as a sentence (UTF-8, zeros behind it)."),
    ),
    "mission": RequestedFeature(
        lambda task: text_space(longest(task.missions)),
        _write_missions,
        Note("What the agent is to do, as a sentence (UTF-8, zeros behind it)."),
    ),
}
"""Features that are texts."""
