"""What stands in a cell, as one byte: the code that every grid kernel reads.

A code is `kind | colour`: the kind in steps of 8, MiniGrid's colour number in the low three bits. A box adds
what it hides. The kinds are ordered so that each question of the step kernel is one comparison:

    code < WALKABLE_END             the agent may enter (empty, floor, goal, lava, open door)
    PICKABLE <= code < PICKABLE_END the agent may pick it up (key, ball, box)
    code >= OPAQUE                  it blocks the view and the way (wall, closed door, locked door)

`PALETTE` turns a code into MiniGrid's triple (object, colour, state); numbers and names are those of
minigrid.core.constants (Chevalier-Boisvert et al. 2023).
"""

from __future__ import annotations

import numpy as np

COLORS = ("red", "green", "blue", "purple", "yellow", "grey")
"""Colour names in the order of their numbers."""
RED, GREEN, BLUE, PURPLE, YELLOW, GREY = range(6)

SORTED_COLORS = np.array([BLUE, GREEN, GREY, PURPLE, RED, YELLOW])
"""Colour numbers in the order of their names: MiniGrid draws colours from the sorted names."""

OBJECTS = ("unseen", "empty", "wall", "floor", "door", "key", "ball", "box", "goal", "lava", "agent")
"""Object names in the order of MiniGrid's numbers."""

UNSEEN, EMPTY = 0, 1
FLOOR, GOAL, LAVA, OPEN_DOOR = 8, 16, 24, 32
WALKABLE_END = 40
KEY, BALL, BOX = 40, 48, 56
PICKABLE, PICKABLE_END = KEY, 112
OPAQUE = 128
WALL, CLOSED_DOOR, LOCKED_DOOR = 128, 136, 144

GREY_WALL = WALL + GREY
GREEN_GOAL = GOAL + GREEN
RED_LAVA = LAVA + RED


def _palette() -> np.ndarray:
    """(256, 3) uint8: object, colour and state of every code; unused codes are all zero."""
    palette = np.zeros((256, 3), np.uint8)
    number = {name: index for index, name in enumerate(OBJECTS)}
    palette[EMPTY] = number["empty"], 0, 0
    kinds = [
        (FLOOR, "floor", 0), (GOAL, "goal", 0), (LAVA, "lava", 0), (KEY, "key", 0), (BALL, "ball", 0),
        (WALL, "wall", 0), (OPEN_DOOR, "door", 0), (CLOSED_DOOR, "door", 1), (LOCKED_DOOR, "door", 2),
        *((BOX + 8 * hidden, "box", 0) for hidden in range(len(COLORS) + 1)),
    ]  # fmt: skip
    for kind, name, state in kinds:
        for color in range(len(COLORS)):
            palette[kind + color] = number[name], color, state
    return palette


PALETTE = _palette()


def box(color: int, key_color: int | None = None) -> int:
    """Code of a box of a colour that hides a key of `key_color`, or nothing."""
    return BOX + color + (0 if key_color is None else 8 * (key_color + 1))
