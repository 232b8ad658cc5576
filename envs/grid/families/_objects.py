"""Keys, balls and boxes of random colours, and their numbers among missions."""

from __future__ import annotations

from math import isqrt

import numpy as np
from numpy.typing import NDArray

from shapegym.envs._jit import jit
from shapegym.envs._knobs import at_least
from shapegym.envs.grid.lane.cells import COLORS, KEY
from shapegym.envs.grid.lane.layout import random_color
from shapegym.envs.grid.lane.pcg64 import integers

OBJECT_TEXTS = tuple(f"{color} {kind}" for kind in ("key", "ball", "box") for color in COLORS)
"""What missions call an object, by `object_number`."""


@jit
def random_object(stream: NDArray[np.uint64], kinds: int) -> int:
    """Code of a random object: of the first `kinds` of key, ball and box, then of any colour."""
    kind = integers(stream, 0, kinds)
    return KEY + 8 * kind + random_color(stream)


@jit
def other_object(stream: NDArray[np.uint64], codes: NDArray[np.int64], n: int) -> int:
    """Code of a random key, ball or box that is not among the first `n` codes."""
    while True:
        code = random_object(stream, 3)
        is_new = True
        for k in range(n):
            is_new &= code != codes[k]
        if is_new:
            return code


@jit
def object_number(code: int) -> int:
    """Index of an object's text, 0 .. 17."""
    return 6 * ((code - KEY) >> 3) + (code & 7)


def at_most_all_objects(numObjs: int, least: int) -> None:
    """Check the number of objects of a layout in which all of them differ.

    Raises:
        TypeError: It is no integer.
        ValueError: It is below `least`, or above the number of different objects.
    """
    at_least("numObjs", numObjs, least)
    if numObjs > len(OBJECT_TEXTS):
        raise ValueError(f"numObjs must be at most {len(OBJECT_TEXTS)}, the different objects, got {numObjs}")


def room_for(size: int, numObjs: int) -> None:
    """Check that objects and agent have a cell each within the walls.

    Raises:
        TypeError: `size` is no integer.
        ValueError: There are too few cells.
    """
    at_least(f"with numObjs={numObjs}, size", size, isqrt(numObjs) + 3)
