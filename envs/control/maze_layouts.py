"""Mazes as text: `#` wall, `.` free, `S` free and a start, `G` free and a goal; every cell is a unit square."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LAYOUTS: dict[str, tuple[str, ...]] = {
    "open": (
        "#######",
        "#S....#",
        "#.....#",
        "#.....#",
        "#.....#",
        "#....G#",
        "#######",
    ),
    "u": (
        "#####",
        "#S..#",
        "###.#",
        "#G..#",
        "#####",
    ),
    "medium": (
        "##########",
        "#S...#...#",
        "#.##.#.#.#",
        "#.#....#.#",
        "#.#.####.#",
        "#...#....#",
        "###.#.##.#",
        "#.....#..#",
        "#.###.#.G#",
        "##########",
    ),
    "large": (
        "################",
        "#S..#......#...#",
        "###.#.####.#.#.#",
        "#...#.#....#.#.#",
        "#.###.#.####.#.#",
        "#.#...#......#.#",
        "#.#.##########.#",
        "#.#.....#......#",
        "#.#####.#.######",
        "#.......#.....G#",
        "################",
    ),
}


@dataclass(frozen=True)
class Maze:
    """A checked layout.

    Attributes:
        rows: The text.
        walls: (width, height) bool, by column x and row y.
        starts: (N, 2) int64, (x, y) of the start cells.
        goals: (M, 2) int64, (x, y) of the goal cells.
        free: (F, 2) int64, (x, y) of the cells that a start can reach.
    """

    rows: tuple[str, ...]
    walls: NDArray[np.bool_]
    starts: NDArray[np.int64]
    goals: NDArray[np.int64]
    free: NDArray[np.int64]


def read_maze(layout: str | Sequence[str]) -> Maze:
    """Read a named layout, or rows of text.

    Raises:
        ValueError: An unknown name, a text that is no closed rectangle of the four characters, a layout without a
            start or goal, or a goal or start that cannot be reached from the first start.
    """
    if isinstance(layout, str):
        if layout not in LAYOUTS:
            raise ValueError(
                f"unknown layout {layout!r}; give one of {', '.join(LAYOUTS)}, or a sequence of rows of text"
            )
        layout = LAYOUTS[layout]
    rows = tuple(layout)
    if not rows or len({len(row) for row in rows}) != 1:
        raise ValueError(f"a layout has rows of one length, got lengths {[len(row) for row in rows]}")
    if unknown := set("".join(rows)) - set("#.SG"):
        raise ValueError(f"a layout consists of '#', '.', 'S' and 'G', got {sorted(unknown)}")
    # Contiguous, like all that follows from it, so that the kernels compile for one memory layout.
    cells = np.ascontiguousarray(np.array([list(row) for row in rows]).T)
    walls = cells == "#"
    border = np.ones_like(walls)
    border[1:-1, 1:-1] = False
    if not walls[border].all():
        x, y = np.argwhere(border & ~walls)[0]
        raise ValueError(f"a layout is closed by walls, but cell x={x}, y={y} of the border is free")
    starts, goals = _cells_where(cells == "S"), _cells_where(cells == "G")
    if not len(starts) or not len(goals):
        raise ValueError(f"a layout has at least one S and one G, got {len(starts)} and {len(goals)}")
    reached = _reachable(walls, starts[0])
    for name, marked in (("S", starts), ("G", goals)):
        for x, y in marked:
            if not reached[x, y]:
                raise ValueError(
                    f"{name} at x={x}, y={y} cannot be reached from S at {tuple(starts[0].tolist())}"
                )
    return Maze(rows, walls, starts, goals, _cells_where(reached))


def _cells_where(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    return np.ascontiguousarray(np.argwhere(mask))


def _reachable(walls: NDArray[np.bool_], start: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Cells connected with the start through free neighbours; the closed border keeps neighbours inside."""
    reached = np.zeros_like(walls)
    reached[tuple(start)] = True
    frontier = [tuple(start.tolist())]
    while frontier:
        x, y = frontier.pop()
        for cell in ((x + 1, y), (x - 1, y), (x, y + 1), (x, y - 1)):
            if not walls[cell] and not reached[cell]:
                reached[cell] = True
                frontier.append(cell)
    return reached
