"""Subgoals in plain loops: which are reached, what is paid, and where the agent sees them."""

from __future__ import annotations

from typing import Any

STEPS = ((1, 0), (0, 1), (-1, 0), (0, -1))


class Walk:
    """Follows one lane through an episode.

    Args:
        places: cells (x, y) of the plan.
        grid: rows of what is in each cell, ``grid[y][x]``.
    """

    def __init__(self, places: list[tuple[int, int]], grid: Any) -> None:
        self.places, self.done, self.at, self.since = places, [False] * len(places), 0, 0
        self.before = [grid[y][x] for x, y in places]

    def step(self, agent: tuple[int, int], grid: Any) -> int:
        """Steps that the subgoal took which this step reached, or 0."""
        self.since += 1
        for i, (x, y) in enumerate(self.places):
            if i >= self.at and (agent == (x, y) or grid[y][x] != self.before[i]):
                self.done[i] = True
        if self.at == len(self.places) or not self.done[self.at]:
            return 0
        took, self.since = self.since, 0
        while self.at < len(self.places) and self.done[self.at]:
            self.at += 1
        return took

    @property
    def present(self) -> tuple[int, int]:
        """The subgoal to be reached now, (-1, -1) for none."""
        return self.places[self.at] if self.at < len(self.places) else (-1, -1)

    @property
    def left(self) -> int:
        """Subgoals that are left."""
        return len(self.places) - self.at


def offset(agent: tuple[int, int], direction: int, place: tuple[int, int]) -> tuple[int, int]:
    """Cells to the right and ahead, counted by turning the map until the agent looks up."""
    dx, dy = place[0] - agent[0], place[1] - agent[1]
    for _ in range((direction + 1) % 4):  # 3 looks up
        dx, dy = dy, -dx
    return dx, -dy
