"""How an agent sees its subgoal: where it is, what it is, or what a sentence says, as small whole numbers, all 0 without a subgoal.

relative        (3,) how far to the right and ahead of the agent, as it looks, both plus 8 and within 7; and 1
representation  (3,) object, colour and state of what stands there, in MiniGrid's numbers
language        (48,) a code of a sentence such as "unlock the red door": words hashed to places with signs, -1, 0 or 1, plus 2

Numbers below 16 are symbols as those of a grid are, so one network reads both. Offsets turn with the agent, as its view does.

Source: Weinberger et al. (2009), "Feature hashing for large scale multitask learning", for the codes of sentences.
"""

from __future__ import annotations

import zlib
from functools import cache

import numpy as np
from numpy.typing import NDArray

from shapegym.envs._jit import jit
from shapegym.envs.grid.lane.cells import COLORS, EMPTY, LOCKED_DOOR, OBJECTS, PALETTE
from shapegym.envs.grid.lane.facts import DIRECTION, STEP_X, STEP_Y, X, Y

FARTHEST = 7
"""Cells beyond which offsets are no longer told apart."""

WIDTHS = {"relative": 3, "representation": 3, "language": 48}
"""Numbers that each way of showing takes."""

_PLACES = 8
"""Numbers that a word of a sentence is hashed to."""


@jit
def show_offsets(
    facts: NDArray[np.int64], subgoals: NDArray[np.int64], mask: NDArray[np.bool_], out: NDArray[np.uint8]
) -> None:
    """Write where subgoals (B, 3) are, as the agents see it."""
    for lane in range(mask.shape[0]):
        if not mask[lane]:
            continue
        if subgoals[lane, 0] < 0:
            out[lane, :] = 0
            continue
        dx, dy = subgoals[lane, 0] - facts[lane, X], subgoals[lane, 1] - facts[lane, Y]
        ahead_x, ahead_y = STEP_X[facts[lane, DIRECTION]], STEP_Y[facts[lane, DIRECTION]]
        right, ahead = dy * ahead_x - dx * ahead_y, dx * ahead_x + dy * ahead_y
        out[lane, 0] = min(max(right, -FARTHEST), FARTHEST) + FARTHEST + 1
        out[lane, 1] = min(max(ahead, -FARTHEST), FARTHEST) + FARTHEST + 1
        out[lane, 2] = 1


def show_rows(
    rows: NDArray[np.uint8], subgoals: NDArray[np.int64], mask: NDArray[np.bool_], out: NDArray[np.uint8]
) -> None:
    """Write what subgoals (B, 3) are about, by a table with a row for every code; the last is for none."""
    out[mask] = rows[np.where(subgoals[:, 0] < 0, -1, subgoals[:, 2])[mask]]


@cache
def triples() -> NDArray[np.uint8]:
    """(257, 3) object, colour and state of every code."""
    return np.concatenate([PALETTE, np.zeros((1, 3), np.uint8)])


@cache
def codes() -> NDArray[np.uint8]:
    """(257, 48) codes of the sentences about every code."""
    rows = np.zeros((257, WIDTHS["language"]), np.uint8)
    for code in np.flatnonzero(PALETTE[:, 0]).tolist():
        rows[code] = np.clip(sum(_hashed(word) for word in sentence(code).split()), -1, 1) + 2
    return rows


def sentence(code: int) -> str:
    """What an agent is asked to do where a code stands."""
    object_, color = OBJECTS[PALETTE[code, 0]], COLORS[PALETTE[code, 1]]
    if object_ == "door":
        return f"{'unlock' if code >> 3 == LOCKED_DOOR >> 3 else 'open'} the {color} door"
    if object_ in ("key", "ball"):
        return f"pick up the {color} {object_}"
    return "go there" if code == EMPTY else f"go to the {color} {object_}"


def _hashed(word: str) -> NDArray[np.int64]:
    row = np.zeros(WIDTHS["language"], np.int64)
    for k in range(_PLACES):
        digest = zlib.crc32(f"{word} {k}".encode())
        row[digest % len(row)] = 1 if digest >> 16 & 1 else -1
    return row
