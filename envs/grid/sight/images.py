"""What the image of an observation shows, as data: one row for each of minigrid's encodings.

An image is indexed [x, y, channel], as MiniGrid's are. The sources are minigrid.wrappers 3.2.0: FullyObsWrapper,
OneHotPartialObsWrapper, SymbolicObsWrapper; "partial" is what environments give without a wrapper.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from shapegym.envs._jit import jit, jit_parallel, prange
from shapegym.envs._threads import over_lanes
from shapegym.envs.grid.lane.cells import COLORS, EMPTY, OBJECTS, PALETTE
from shapegym.envs.grid.lane.facts import DIRECTION, X, Y
from shapegym.envs.grid.sight.view import see

_AGENT, _RED = OBJECTS.index("agent"), COLORS.index("red")
_COLOR_BITS = len(OBJECTS)
_STATE_BITS = _COLOR_BITS + len(COLORS)
_BITS = _STATE_BITS + 3  # open, closed, locked

_SYMBOLS = PALETTE[:, 0].astype(np.int64)
_SYMBOLS[EMPTY] = -1


@jit
def _full_range(
    start: int,
    stop: int,
    pad: int,
    cells: NDArray[np.uint8],
    facts: NDArray[np.int64],
    mask: NDArray[np.bool_],
    images: NDArray[np.uint8],
) -> None:
    """Triples of all cells of lanes `start` .. `stop`; the agent's is (agent, red, direction)."""
    height, width = cells.shape[1] - 2 * pad, cells.shape[2] - 2 * pad
    for lane in range(start, stop):
        if not mask[lane]:
            continue
        for x in range(width):
            for y in range(height):
                code, at = cells[lane, y + pad, x + pad], 3 * (x * height + y)
                for channel in range(3):
                    images[lane, at + channel] = PALETTE[code, channel]
        at = 3 * (facts[lane, X] * height + facts[lane, Y])
        images[lane, at], images[lane, at + 1], images[lane, at + 2] = _AGENT, _RED, facts[lane, DIRECTION]


@jit
def _symbolic_range(
    start: int,
    stop: int,
    pad: int,
    cells: NDArray[np.uint8],
    facts: NDArray[np.int64],
    mask: NDArray[np.bool_],
    images: NDArray[np.int64],
) -> None:
    """(x, y, object) of all cells of lanes `start` .. `stop`; -1 is empty."""
    height, width = cells.shape[1] - 2 * pad, cells.shape[2] - 2 * pad
    for lane in range(start, stop):
        if not mask[lane]:
            continue
        for x in range(width):
            for y in range(height):
                at = 3 * (x * height + y)
                images[lane, at], images[lane, at + 1] = x, y
                images[lane, at + 2] = _SYMBOLS[cells[lane, y + pad, x + pad]]
        images[lane, 3 * (facts[lane, X] * height + facts[lane, Y]) + 2] = _AGENT


@jit
def _bits_range(
    start: int, stop: int, count: int, mask: NDArray[np.bool_], images: NDArray[np.uint8]
) -> None:
    """Turn the `count` triples at the front of each row into bits, in place.

    From the last cell to the first: the bits of a cell begin behind the triples of those before it.
    """
    for lane in range(start, stop):
        if not mask[lane]:
            continue
        for cell in range(count - 1, -1, -1):
            kind, color, state = (
                images[lane, 3 * cell],
                images[lane, 3 * cell + 1],
                images[lane, 3 * cell + 2],
            )
            at = _BITS * cell
            for bit in range(_BITS):
                images[lane, at + bit] = 0
            images[lane, at + kind] = 1
            images[lane, at + _COLOR_BITS + color] = 1
            images[lane, at + _STATE_BITS + state] = 1


@jit_parallel
def _full_chunks(
    chunks: int,
    pad: int,
    cells: NDArray[np.uint8],
    facts: NDArray[np.int64],
    mask: NDArray[np.bool_],
    images: NDArray[np.uint8],
) -> None:
    lanes = mask.shape[0]
    for chunk in prange(chunks):
        _full_range(
            chunk * lanes // chunks, (chunk + 1) * lanes // chunks, pad, cells, facts, mask, images
        )  # fmt: skip


@jit_parallel
def _symbolic_chunks(
    chunks: int,
    pad: int,
    cells: NDArray[np.uint8],
    facts: NDArray[np.int64],
    mask: NDArray[np.bool_],
    images: NDArray[np.int64],
) -> None:
    lanes = mask.shape[0]
    for chunk in prange(chunks):
        _symbolic_range(
            chunk * lanes // chunks, (chunk + 1) * lanes // chunks, pad, cells, facts, mask, images
        )  # fmt: skip


@jit_parallel
def _bits_chunks(chunks: int, count: int, mask: NDArray[np.bool_], images: NDArray[np.uint8]) -> None:
    lanes = mask.shape[0]
    for chunk in prange(chunks):
        _bits_range(chunk * lanes // chunks, (chunk + 1) * lanes // chunks, count, mask, images)


def write_full(
    side: int,
    pad: int,
    through_walls: bool,
    cells: NDArray[np.uint8],
    facts: NDArray[np.int64],
    mask: NDArray[np.bool_],
    images: NDArray[np.uint8],
) -> None:
    """Write all cells, whatever the agent sees, as triples; arguments as those of `see`."""
    del side, through_walls
    over_lanes(_full_range, _full_chunks, len(mask), pad, cells, facts, mask, images)


def write_symbolic(
    side: int,
    pad: int,
    through_walls: bool,
    cells: NDArray[np.uint8],
    facts: NDArray[np.int64],
    mask: NDArray[np.bool_],
    images: NDArray[np.int64],
) -> None:
    """Write (x, y, object) of all cells; arguments as those of `see`, but images are int64."""
    del side, through_walls
    over_lanes(_symbolic_range, _symbolic_chunks, len(mask), pad, cells, facts, mask, images)


def write_one_hot(
    side: int,
    pad: int,
    through_walls: bool,
    cells: NDArray[np.uint8],
    facts: NDArray[np.int64],
    mask: NDArray[np.bool_],
    images: NDArray[np.uint8],
) -> None:
    """Write the view as bits: 11 for the object, 6 for its colour, 3 for its state; arguments as those of `see`."""
    see(side, pad, through_walls, cells, facts, mask, images)
    over_lanes(_bits_range, _bits_chunks, len(mask), side * side, mask, images)


@dataclass(frozen=True)
class ImageEncoding:
    """An encoding.

    Attributes:
        space: (width, height, side of the view) -> space of one lane's image.
        write: (side, pad, through_walls, cells, facts, mask, images), as `see`: fills the front of the rows in
            `mask` of `images` (B, N) with the flattened image.
    """

    space: Callable[[int, int, int], spaces.Box]
    write: Callable[..., None]


def _bytes(*shape: int) -> spaces.Box:
    return spaces.Box(0, 255, shape, np.uint8)


def _symbols(width: int, height: int, side: int) -> spaces.Box:
    del side
    low, high = np.zeros((width, height, 3), np.int64), np.empty((width, height, 3), np.int64)
    low[..., 2] = -1
    high[...] = width - 1, height - 1, _AGENT
    return spaces.Box(low, high, dtype=np.int64)


IMAGES: dict[str, ImageEncoding] = {
    "partial": ImageEncoding(lambda width, height, side: _bytes(side, side, 3), see),
    "full": ImageEncoding(lambda width, height, side: _bytes(width, height, 3), write_full),
    "onehot": ImageEncoding(lambda width, height, side: _bytes(side, side, _BITS), write_one_hot),
    "symbolic": ImageEncoding(_symbols, write_symbolic),
}
"""The values of the option `image`."""
