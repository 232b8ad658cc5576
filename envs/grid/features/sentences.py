"""The sentences of captions: kinds of what can be said, a number for each kind and thing, and the bytes of every number.

A sentence is a number, ``kind << 8 | code`` of the cell that it is about, and its bytes are a row of a table: kernels write
numbers, and one indexing makes the feature of all lanes.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np
from numpy.typing import NDArray

from shapegym.envs.grid.lane.cells import COLORS, EMPTY, GOAL, LAVA, LOCKED_DOOR, OBJECTS, PALETTE, WALL
from shapegym.texts import encode, longest

KINDS = (
    "",
    "you turn left",
    "you turn right",
    "you walk",
    "you do nothing",
    "you bump into {}",
    "there is nothing to pick up",
    "you have nothing to drop",
    "there is nothing to open",
    "you see {}",
    "you reach {}",
    "you step into {}",
    "you pick up {}",
    "your hands are full",
    "you drop {}",
    "there is no room to drop {}",
    "you unlock {}",
    "{} is locked",
    "you open {}",
    "you close {}",
)
(
    NOTHING,
    TURNED_LEFT,
    TURNED_RIGHT,
    WALKED,
    WAITED,
    BUMPED,
    NOTHING_TO_PICK_UP,
    NOTHING_TO_DROP,
    NOTHING_TO_OPEN,
    SAW,  # the kinds before it are motions, those after it acts
    REACHED,
    BURNT,
    PICKED_UP,
    HANDS_FULL,
    DROPPED,
    NO_ROOM,
    UNLOCKED,
    LOCKED,
    OPENED,
    CLOSED,
) = range(len(KINDS))


def sentences() -> Iterator[tuple[int, str]]:
    """Every sentence that a caption can be, with its number."""
    for kind, words in enumerate(KINDS):
        if "{}" not in words:
            yield kind << 8, words
            continue
        for code in np.flatnonzero(PALETTE[:, 0] > EMPTY).tolist():
            locked = kind == SAW and code >> 3 == LOCKED_DOOR >> 3
            yield kind << 8 | code, words.format(_thing(code).replace("the", "the locked", locked))


def _thing(code: int) -> str:
    names = {WALL >> 3: "a wall", GOAL >> 3: "the goal", LAVA >> 3: "the lava"}
    return names.get(code >> 3, f"the {COLORS[code & 7]} {OBJECTS[PALETTE[code, 0]]}")


@cache
def table() -> NDArray[np.uint8]:
    """(sentence, L) bytes."""
    rows = np.zeros((len(KINDS) << 8, LENGTH), np.uint8)
    numbers, texts = zip(*sentences(), strict=True)
    rows[list(numbers)] = encode(texts, LENGTH)
    return rows


LENGTH = longest(text for _, text in sentences())
"""Bytes of the longest caption, and the length of every caption, in all grid worlds."""
