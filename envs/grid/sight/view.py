"""What the agent sees: MiniGrid's egocentric square view, with its rule of visibility.

Cells outside the grid are stored as walls (`pad` of them on every side), so a view never leaves the array and
a turned view is the same two loops with other strides.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from shapegym.envs._jit import jit, jit_parallel, prange
from shapegym.envs._threads import over_lanes
from shapegym.envs.grid.lane.cells import EMPTY, PALETTE
from shapegym.envs.grid.lane.facts import CARRIED, DIRECTION, STEP_X, STEP_Y, X, Y

MAX_VIEW = 31
"""Largest side of a view: a row of it is a word of bits."""

USUAL_VIEW = 7
"""The side of MiniGrid's views by default."""

_PACKED = PALETTE[:, 0] + (PALETTE[:, 1].astype(np.int64) << 8) + (PALETTE[:, 2].astype(np.int64) << 16)
_ONE, _TWO = np.uint64(1), np.uint64(2)


def _see_kernel(fixed_side: int) -> Any:
    """The kernel for views of a certain side, or of any side for 0: a side that the compiler knows is a third faster."""

    @jit
    def see_range(
        start: int,
        stop: int,
        any_side: int,
        pad: int,
        through_walls: bool,
        cells: NDArray[np.uint8],
        facts: NDArray[np.int64],
        mask: NDArray[np.bool_],
        images: NDArray[np.uint8],
    ) -> None:
        """`see` for lanes start .. stop - 1."""
        side = fixed_side if fixed_side > 0 else any_side
        middle = side // 2
        full = (1 << side) - 1
        stride = cells.shape[2]
        lane_size = cells.shape[1] * stride
        # Flat, unsigned indices: Numba then emits no code for negative ones.
        codes, pixels = cells.reshape(cells.size), images.reshape(images.size)
        for lane in range(start, stop):
            if not mask[lane]:
                continue
            direction = facts[lane, DIRECTION]
            ahead = STEP_X[direction] + stride * STEP_Y[direction]
            right = -STEP_Y[direction] + stride * STEP_X[direction]
            here = lane * lane_size + (facts[lane, Y] + pad) * stride + facts[lane, X] + pad
            pixel = lane * images.shape[1]
            seen, beyond = 1 << middle, 0
            for depth in range(side):
                left = here + ahead * depth - right * middle
                if through_walls:
                    seen = full
                else:
                    clear = 0
                    for column in range(side):
                        clear |= (1 - (int(codes[np.uint64(left + right * column)]) >> 7)) << column
                    # To the right, towards higher bits: a carry runs through each stretch of ones above a seed.
                    seeds = seen & clear
                    sources = (((clear + seeds) ^ clear) | seeds) & clear & (full >> 1)
                    seen |= sources << 1
                    beyond = sources | (sources << 1)
                    # To the left there is no carry: the stretch doubles.
                    spread, path = seen & clear, clear
                    spread |= path & (spread >> 1)
                    path &= path >> 1
                    spread |= path & (spread >> 2)
                    path &= path >> 2
                    spread |= path & (spread >> 4)
                    if side > 8:
                        path &= path >> 4
                        spread |= path & (spread >> 8)
                        path &= path >> 8
                        spread |= path & (spread >> 16)
                    sources = spread & (full - 1)
                    seen |= sources >> 1
                    beyond |= sources | (sources >> 1)
                for column in range(side):
                    code = np.int64(codes[np.uint64(left + right * column)])
                    packed = _PACKED[np.uint64(code * ((seen >> column) & 1))]
                    at = np.uint64(pixel + 3 * (side * column + side - 1 - depth))
                    pixels[at] = packed & 255
                    pixels[at + _ONE] = (packed >> 8) & 255
                    pixels[at + _TWO] = packed >> 16
                seen = beyond
            carried = facts[lane, CARRIED]
            packed = _PACKED[carried if carried != 0 else EMPTY]
            at = np.uint64(pixel + 3 * (side * middle + side - 1))
            pixels[at] = packed & 255
            pixels[at + _ONE] = (packed >> 8) & 255
            pixels[at + _TWO] = packed >> 16

    return see_range


see_range = _see_kernel(0)
see_usual_range = _see_kernel(USUAL_VIEW)


@jit_parallel
def _see_chunks(
    chunks: int,
    side: int,
    pad: int,
    through_walls: bool,
    cells: NDArray[np.uint8],
    facts: NDArray[np.int64],
    mask: NDArray[np.bool_],
    images: NDArray[np.uint8],
) -> None:
    lanes = mask.shape[0]
    for chunk in prange(chunks):
        see_range(
            chunk * lanes // chunks, (chunk + 1) * lanes // chunks, side, pad, through_walls,
            cells, facts, mask, images,
        )  # fmt: skip


@jit_parallel
def _see_usual_chunks(
    chunks: int,
    side: int,
    pad: int,
    through_walls: bool,
    cells: NDArray[np.uint8],
    facts: NDArray[np.int64],
    mask: NDArray[np.bool_],
    images: NDArray[np.uint8],
) -> None:
    lanes = mask.shape[0]
    for chunk in prange(chunks):
        see_usual_range(
            chunk * lanes // chunks, (chunk + 1) * lanes // chunks, side, pad, through_walls,
            cells, facts, mask, images,
        )  # fmt: skip


def see(
    side: int,
    pad: int,
    through_walls: bool,
    cells: NDArray[np.uint8],
    facts: NDArray[np.int64],
    mask: NDArray[np.bool_],
    images: NDArray[np.uint8],
) -> None:
    """Write what the agents of the lanes in `mask` see.

    The agent stands in the middle of the view's last row and looks towards row 0; its own cell shows what it
    carries. A cell is MiniGrid's triple (object, colour, state), all zero where the agent does not see it.

    MiniGrid's rule goes row by row away from the agent. In a row, sight spreads from every seen cell along
    transparent cells to both sides; from every transparent cell so reached it passes on to the next row,
    straight and one further to that side. Here a row is a word of bits.

    Args:
        side: Cells of a side of the view, odd, at most MAX_VIEW.
        pad: Columns and rows of walls that `cells` has on every side, at least `side` - 1.
        through_walls: Whether everything is seen.
        cells: (B, height + 2 pad, width + 2 pad) codes.
        facts: (B, K).
        mask: (B,) bool.
        images: (B, N) uint8, C-contiguous; the first 3 side^2 entries of a row are written, by column and row
            of the view.
    """
    serial, chunked = (see_usual_range, _see_usual_chunks) if side == USUAL_VIEW else (see_range, _see_chunks)
    over_lanes(serial, chunked, len(mask), side, pad, through_walls, cells, facts, mask, images)
