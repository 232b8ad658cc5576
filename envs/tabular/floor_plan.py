"""Walls, free cells and moves of a rectangular grid: what grid tasks share before they become tables."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MOVES = ((-1, 0), (0, 1), (1, 0), (0, -1))
"""(row, column) steps of the actions up, right, down, left."""

MOVE_NAMES = ("up", "right", "down", "left")
"""What these actions are called."""


@dataclass(frozen=True, eq=False)
class FloorPlan:
    """Free cells of a walled grid, numbered row by row.

    Attributes:
        walls: (H, W) bool; everything outside is wall too.
    """

    walls: NDArray[np.bool_]

    @property
    def cells(self) -> NDArray[np.int64]:
        """(C, 2) int64: row and column of each free cell."""
        return np.argwhere(~self.walls)

    @property
    def number(self) -> NDArray[np.int64]:
        """(H, W) int64: the number of each free cell, -1 for walls."""
        numbers = np.full(self.walls.shape, -1, np.int64)
        numbers[~self.walls] = np.arange(int((~self.walls).sum()))
        return numbers

    @property
    def scaled(self) -> NDArray[np.float64]:
        """(C, 2) float64: the cells in [0, 1]."""
        return self.cells / (np.array(self.walls.shape) - 1)

    def neighbours(self) -> NDArray[np.int64]:
        """(C, 4) int64: the cell that each move reaches, or the same cell where a wall is in the way."""
        cells, number = self.cells, self.number
        reached = np.repeat(np.arange(len(cells))[:, None], len(MOVES), axis=1)
        for m, move in enumerate(MOVES):
            target = cells + move
            inside: NDArray[np.bool_] = np.all((target >= 0) & (target < self.walls.shape), axis=1)
            free = inside.copy()
            free[inside] = ~self.walls[tuple(target[inside].T)]
            reached[free, m] = number[tuple(target[free].T)]
        return reached
