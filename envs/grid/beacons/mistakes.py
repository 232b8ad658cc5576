"""A teacher's mistakes: each subgoal of a plan is right with some probability, and else another thing or another place.

Mistakes are drawn from the layout itself, so a layout has the same plan whenever it comes up, in any lane and process, as if a
teacher had been asked once and its answer kept.

Source: the simulated language models of Ruiz-Gonzalez et al. (2024), "Words as Beacons", whose displaced places all lie to the
right of the true one; here they lie in all directions.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from shapegym.envs._jit import jit
from shapegym.envs.grid.beacons.plans import MOST
from shapegym.envs.grid.lane.cells import GOAL, LAVA, OPEN_DOOR, PICKABLE, PICKABLE_END, WALL
from shapegym.envs.grid.lane.facts import DIRECTION, X, Y

_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_MIX_1, _MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_PRIME, _BASIS = np.uint64(0x100000001B3), np.uint64(0xCBF29CE484222325)
_S11, _S27, _S30, _S31 = np.uint64(11), np.uint64(27), np.uint64(30), np.uint64(31)

_TRIES = 100
"""Places that are tried for a displaced subgoal; where all lie outside of the grid it stays where it is."""


@jit
def _draw(stream: NDArray[np.uint64]) -> float:
    """A uniform number in [0, 1) (SplitMix64)."""
    stream[0] += _GAMMA
    mixed = (stream[0] ^ (stream[0] >> _S30)) * _MIX_1
    mixed = (mixed ^ (mixed >> _S27)) * _MIX_2
    mixed ^= mixed >> _S31
    return float(mixed >> _S11) * 2.0**-53


@jit
def _begin(stream: NDArray[np.uint64], seed: int, grid: NDArray[np.uint8], fact: NDArray[np.int64]) -> None:
    """Make the stream of a layout (FNV-1a of its cells and of the agent's pose)."""
    digest = _BASIS ^ np.uint64(seed)
    for code in grid.flat:
        digest = (digest ^ np.uint64(code)) * _PRIME
    for column in (X, Y, DIRECTION):
        digest = (digest ^ np.uint64(fact[column])) * _PRIME
    stream[0] = digest


@jit
def is_thing(code: int) -> bool:
    """Whether a subgoal may be about what stands in a cell: a goal, a key, a ball, a box or a door."""
    return (
        GOAL <= code < LAVA
        or PICKABLE <= code < PICKABLE_END
        or OPEN_DOOR <= code < PICKABLE
        or code >= WALL + 8
    )


@jit
def mistake_things(
    seed: int,
    accuracy: float,
    pad: int,
    cells: NDArray[np.uint8],
    facts: NDArray[np.int64],
    mask: NDArray[np.bool_],
    plans: NDArray[np.int64],
) -> None:
    """Put another thing of the layout, each as likely as the others, in the place of each subgoal that is wrong.

    Args:
        seed: Whose mistakes.
        accuracy: The probability that a subgoal is right.
        pad: Columns and rows of walls that `cells` has on every side.
        cells: (B, height + 2 pad, width + 2 pad) codes.
        facts: (B, K).
        mask: (B,) bool, the lanes whose plans are changed.
        plans: (B, MOST, 3), in place.
    """
    height, width = cells.shape[1] - 2 * pad, cells.shape[2] - 2 * pad
    stream, things = np.empty(1, np.uint64), np.empty((height * width, 3), np.int64)
    for lane in range(mask.shape[0]):
        if not mask[lane]:
            continue
        grid = cells[lane, pad : pad + height, pad : pad + width]
        _begin(stream, seed, grid, facts[lane])
        count = 0
        for y in range(height):
            for x in range(width):
                if is_thing(grid[y, x]):
                    things[count] = x, y, np.int64(grid[y, x])
                    count += 1
        for i in range(MOST):
            x, y = plans[lane, i, 0], plans[lane, i, 1]
            if x < 0:
                break
            if _draw(stream) < accuracy:
                continue
            others = count
            for k in range(count):
                others -= things[k, 0] == x and things[k, 1] == y
            chosen = int(_draw(stream) * others)
            for k in range(count):
                if things[k, 0] == x and things[k, 1] == y:
                    continue
                if chosen == 0:
                    plans[lane, i] = things[k]
                chosen -= 1


@jit
def mistake_places(
    seed: int,
    accuracy: float,
    mean: float,
    spread: float,
    pad: int,
    cells: NDArray[np.uint8],
    facts: NDArray[np.int64],
    mask: NDArray[np.bool_],
    plans: NDArray[np.int64],
) -> None:
    """Displace each subgoal that is wrong, by a Manhattan distance of N(mean, spread), at least one cell, in any direction.

    All cells at that distance are as likely. One outside of the grid is drawn anew, distance and all, so mistakes are smaller where
    the grid is small. Other arguments are those of `mistake_things`.
    """
    height, width = cells.shape[1] - 2 * pad, cells.shape[2] - 2 * pad
    stream = np.empty(1, np.uint64)
    for lane in range(mask.shape[0]):
        if not mask[lane]:
            continue
        grid = cells[lane, pad : pad + height, pad : pad + width]
        _begin(stream, seed, grid, facts[lane])
        for i in range(MOST):
            if plans[lane, i, 0] < 0:
                break
            if _draw(stream) < accuracy:
                continue
            for _ in range(_TRIES):
                normal = math.sqrt(-2 * math.log(1 - _draw(stream))) * math.cos(2 * math.pi * _draw(stream))
                distance = max(1, round(mean + spread * normal))
                side, along = divmod(int(_draw(stream) * 4 * distance), distance)
                dx, dy = distance - along, along  # a quarter of the ring, and then turned
                if side & 1:
                    dx, dy = -dy, dx
                if side & 2:
                    dx, dy = -dx, -dy
                x, y = plans[lane, i, 0] + dx, plans[lane, i, 1] + dy
                if 0 <= x < width and 0 <= y < height:
                    plans[lane, i] = x, y, np.int64(grid[y, x])
                    break
