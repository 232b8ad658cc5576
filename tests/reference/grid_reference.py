"""Plain searches on a grid world, given as a dict from (x, y) to (object, colour, state, colour of the key inside).

A cell that is not in the dict is a wall. Objects, colours and states have MiniGrid's names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from heapq import heappop, heappush

Cell = tuple[int, int]
Pose = tuple[int, int, int]
Thing = tuple[str, str, str, str | None]
Grid = Mapping[Cell, Thing]

AHEAD = ((1, 0), (0, 1), (-1, 0), (0, -1))
WALL: Thing = ("wall", "grey", "", None)


def neighbours(cell: Cell) -> list[Cell]:
    return [(cell[0] + dx, cell[1] + dy) for dx, dy in AHEAD]


def price(thing: Thing, key: str | None) -> int | None:
    """Steps into a cell for an agent that carries a key of that colour, or None where there is no way."""
    name, color, state, _ = thing
    if name in ("empty", "floor", "goal") or (name, state) == ("door", "open"):
        return 1
    if name == "door" and (state == "closed" or color == key):
        return 2
    return None


def walks(grid: Grid, start: Cell, key: str | None = None) -> dict[Cell, int]:
    """Least steps from `start` to every cell that the agent can stand in."""
    steps: dict[Cell, int] = {}
    heap = [(0, start)]
    while heap:
        length, cell = heappop(heap)
        if cell in steps:
            continue
        steps[cell] = length
        for near in neighbours(cell):
            cost = price(grid.get(near, WALL), key)
            if cost is not None:
                heappush(heap, (length + cost, near))
    return steps


def geodesic(grid: Grid, start: Cell, sought: Callable[[Thing], bool], key: str | None) -> int | None:
    """Least steps from `start` into a cell with something sought; the last step costs 1, whatever is there."""
    if sought(grid[start]):
        return 0
    lengths = [
        length + 1
        for cell, length in walks(grid, start, key).items()
        for near in neighbours(cell)
        if sought(grid.get(near, WALL))
    ]
    return min(lengths, default=None)


def turns_and_steps(grid: Grid, start: Pose) -> dict[Pose, int]:
    """Least turns, steps and door openings from a pose to every other; nothing is picked up."""
    counts: dict[Pose, int] = {}
    heap = [(0, start)]
    while heap:
        count, pose = heappop(heap)
        if pose in counts:
            continue
        counts[pose] = count
        x, y, direction = pose
        for turn in (1, 3):
            heappush(heap, (count + 1, (x, y, (direction + turn) % 4)))
        near = (x + AHEAD[direction][0], y + AHEAD[direction][1])
        cost = price(grid.get(near, WALL), None)
        if cost is not None:
            heappush(heap, (count + cost, (*near, direction)))
    return counts


def fewest_actions(grid: Grid, start: Pose, goal: Cell) -> int:
    """Least turns, steps and door openings from a pose into `goal`, which can be reached."""
    return min(count for (x, y, _), count in turns_and_steps(grid, start).items() if (x, y) == goal)


def can_get_to(grid: Grid, start: Cell, goals: set[Cell], carried: Thing | None) -> bool:
    """Whether one of the goals is got to when everything that has been got past stays out of the way."""
    reached = {start}
    keys = {color for name, color, _, inside in [carried] if name == "key"} if carried else set()
    if carried and carried[0] == "box" and carried[3]:
        keys.add(carried[3])
    while True:
        more = set()
        for cell in reached:
            for near in neighbours(cell):
                name, color, state, inside = grid.get(near, WALL)
                if near in reached or name in ("wall", "lava"):
                    continue
                if name == "door" and state == "locked" and color not in keys:
                    continue
                more.add(near)
                if name == "key":
                    keys.add(color)
                if name == "box" and inside:
                    keys.add(inside)
        if not more:
            return bool(reached & goals)
        reached |= more
