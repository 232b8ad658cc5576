"""Checks of the places and obstacles that builders of grid tasks take."""

from __future__ import annotations

from collections.abc import Sequence

from shapegym.envs.grid.lane.cells import GREY_WALL, RED_LAVA


def pair(name: str, position: Sequence[int], least: int, most_x: int, most_y: int) -> tuple[int, int]:
    """Check a place (x, y), each from `least` to its most.

    Raises:
        ValueError: It is no such pair of integers.
    """
    try:
        x, y = position
        inside = x in range(least, most_x + 1) and y in range(least, most_y + 1)
    except (TypeError, ValueError):
        inside = False
    if not inside:
        raise ValueError(
            f"{name} must be (x, y), x in {least} .. {most_x} and y in {least} .. {most_y}, got {position!r}"
        )
    return int(x), int(y)


def start_cell(
    position: Sequence[int] | None, direction: int, width: int, height: int
) -> tuple[int, int, int]:
    """Check the start (x, y) and direction of an agent; (-1, -1, 0) where it is drawn.

    Raises:
        ValueError: The cell is not inside the walls, or the direction not in 0 .. 3.
    """
    if position is None:
        return -1, -1, 0
    x, y = pair("agent_start_pos", position, 1, width - 2, height - 2)
    if direction not in range(4):
        raise ValueError(f"agent_start_dir must be in 0 .. 3, got {direction!r}")
    return x, y, int(direction)


def obstacle_code(obstacle_type: str) -> int:
    """The code of what stands in the way, "lava" or "wall" in any case.

    Raises:
        ValueError: It is neither.
    """
    codes = {"lava": RED_LAVA, "wall": GREY_WALL}
    name = str(obstacle_type).lower()
    if name not in codes:
        raise ValueError(f"obstacle_type must be one of {list(codes)}, got {obstacle_type!r}")
    return codes[name]
