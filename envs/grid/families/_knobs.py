"""Checks of the arguments that builders of grid tasks share."""

from __future__ import annotations

from shapegym.envs.grid.cells import GREY_WALL, RED_LAVA


def at_least(name: str, value: int, least: int) -> None:
    """Check an integer knob.

    Raises:
        TypeError: `value` is no integer.
        ValueError: It is below `least`.
    """
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} must be an integer, got {value!r}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value}")


def start_cell(
    position: tuple[int, int] | None, direction: int, width: int, height: int
) -> tuple[int, int, int]:
    """Check the start (x, y) and direction of an agent; (-1, -1, 0) where it is drawn.

    Raises:
        ValueError: The cell is not inside the walls, or the direction not in 0 .. 3.
    """
    if position is None:
        return -1, -1, 0
    x, y = position
    if not (0 < x < width - 1 and 0 < y < height - 1):
        raise ValueError(f"agent_start_pos must be inside the walls of {width} x {height}, got {position!r}")
    if direction not in range(4):
        raise ValueError(f"agent_start_dir must be in 0 .. 3, got {direction!r}")
    return int(x), int(y), int(direction)


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
