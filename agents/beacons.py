"""Asking a language model for the subgoals of layouts, once and beforehand: what `subgoals=FILE` of a grid world then lays out."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shapegym.agents.environments import env_spec
from shapegym.agents.errors import SettingsError
from shapegym.envs.grid.beacons.plans import MOST, rehearse
from shapegym.envs.grid.beacons.recorded import layout_digest, line_of
from shapegym.envs.grid.grid_dynamics import GridDynamics
from shapegym.envs.grid.lane.cells import COLORS, LOCKED_DOOR, OBJECTS, PALETTE
from shapegym.envs.grid.lane.facts import DIRECTION, MISSION, X, Y
from shapegym.envs.registration import build
from shapegym.shaping.asking.chat import Message, Request
from shapegym.shaping.asking.transcript import Transcript

_INSTRUCTIONS = """\
An agent walks in a grid world, one cell at a time, and sees only a part of it. Break its task into subgoals: the cells that it \
has to get to or to act on, in order. Walls block the way. It opens closed doors, picks up keys and balls, and unlocks a locked \
door with a key of the same colour in its hands, so it fetches that key first. Doors on the way are subgoals too, and the last \
subgoal is what the task names.
Cells are [column, row], counted from 0 at the top left.
Answer with a JSON list of cells alone, and nothing else.

Example 1: the task is "pick up the red ball". There are: locked blue door at [6, 3]; red ball at [8, 2]; green door at [2, 4]; \
blue key at [1, 6]. The key lies behind the green door.
[[2, 4], [1, 6], [6, 3], [8, 2]]
Example 2: the task is "traverse the rooms to get to the goal". The agent is at [1, 9]. There are: green goal at [7, 1]; \
blue door at [6, 3]; red door at [2, 7]; grey door at [4, 5].
[[2, 7], [4, 5], [6, 3], [7, 1]]"""

_PAIRS = re.compile(r"\[\s*\[\s*-?\d+\s*,\s*-?\d+\s*\](?:\s*,\s*\[\s*-?\d+\s*,\s*-?\d+\s*\])*\s*,?\s*\]")
_PAIR = re.compile(r"\[\s*(-?\d{1,6})\s*,\s*(-?\d{1,6})\s*\]")


@dataclass(frozen=True)
class Asked:
    """What came of asking.

    Attributes:
        layouts: that were asked about.
        unreadable: answers without a list of cells; their layouts have no subgoals.
        right: subgoals of the answers that are the planner's, at their place of its plan.
        wanted: subgoals of the planner's plans.
        whole: plans that are the planner's.
    """

    layouts: int
    unreadable: int
    right: int
    wanted: int
    whole: int

    @property
    def accuracy(self) -> float:
        """The share of the planner's subgoals that the answers have at their place."""
        return self.right / self.wanted if self.wanted else float("nan")


def ask_for_subgoals(
    env_id: str, seeds: Iterable[int], transcript: Transcript[Request], file: str | Path, **knobs: Any
) -> Asked:
    """Ask for the subgoals of the layouts that seeds begin with, and write them to a file.

    A layout is asked about once: the transcript keeps every exchange, so what was broken off goes on, and a file can be made again
    from the transcript alone. Train on these layouts with ``layouts=N, subgoals=FILE`` if the seeds are 0 .. N - 1.

    Args:
        env_id: of a grid world, ``shapegym/MiniGrid-...``.
        seeds: of the layouts.
        transcript: asks and keeps (`shapegym.shaping.asking`); its budget holds.
        file: of the plans, written anew when all answers are there.
        **knobs: of the environment that change its layouts.

    Raises:
        SettingsError: if it is no grid world of ours.
        UnansweredError: if nobody answers, or the budget is spent; what was answered is kept.
    """
    spec = env_spec(env_id)
    dynamics = build(**{**spec.kwargs, **knobs}) if "builder" in spec.kwargs else None
    if not isinstance(dynamics, GridDynamics):
        raise SettingsError(f"{env_id} is no grid world of shapegym (an id shapegym/MiniGrid-...).")
    lines, unreadable, right, wanted, whole = [], 0, 0, 0, 0
    for seed in seeds:
        grid, fact, plan = _lay_out(dynamics, seed)
        told = describe_layout(dynamics, grid, fact)
        request = Request(
            (Message("system", _INSTRUCTIONS), Message("user", told)), temperature=0.0, most_tokens=200
        )
        places = read_subgoals(transcript.ask(f"{env_id}/{seed}", request).text)
        unreadable += places is None
        lines.append(line_of(layout_digest(grid, fact), places or []))
        right += sum(told == known for told, known in zip(places or [], plan, strict=False))
        wanted += len(plan)
        whole += places == plan
    Path(file).write_text("".join(lines), encoding="utf-8")
    return Asked(len(lines), unreadable, right, wanted, whole)


def describe_layout(dynamics: GridDynamics, grid: NDArray[np.uint8], fact: NDArray[np.int64]) -> str:
    """A layout (height, width) in words, with a map."""
    things = []
    for y, x in np.argwhere(PALETTE[grid, 0] > OBJECTS.index("floor")).tolist():
        object_, color, _ = PALETTE[grid[y, x]]
        locked = int(grid[y, x]) >> 3 == LOCKED_DOOR >> 3
        things.append(f"{'locked ' * locked}{COLORS[color]} {OBJECTS[object_]} at [{x}, {y}]")
    marks = {name: name[0].upper() for name in ("key", "ball", "goal", "lava")} | {
        "wall": "#",
        "door": "D",
        "box": "X",
    }
    rows = [[marks.get(OBJECTS[PALETTE[code, 0]], ".") for code in row] for row in grid]
    rows[fact[Y]][fact[X]] = "A"
    facing = ("right", "down", "left", "up")[fact[DIRECTION]]
    return "\n".join(
        [
            f"Task: {dynamics.missions[fact[MISSION]]}",
            f"The agent A is at [{fact[X]}, {fact[Y]}] and looks {facing}.",
            f"There are: {'; '.join(things) or 'only walls'}.",
            "Map:",
            *map("".join, rows),
        ]
    )


def read_subgoals(answer: str) -> list[tuple[int, int]] | None:
    """The first list of cells in an answer; None without one."""
    found = _PAIRS.search(answer)
    return None if found is None else [(int(x), int(y)) for x, y in _PAIR.findall(found[0])]


def _lay_out(
    dynamics: GridDynamics, seed: int
) -> tuple[NDArray[np.uint8], NDArray[np.int64], list[tuple[int, int]]]:
    """The layout that a seed begins with, and the planner's subgoals."""
    state, everyone = dynamics.allocate(1), np.ones(1, np.bool_)
    dynamics.seed(state, 0, seed)
    dynamics.reset(state, np.zeros((1, dynamics.reset_draws)), everyone)
    plans = np.empty((1, MOST, 3), np.int64)
    rehearse(dynamics.task, dynamics.pad, state["cells"], state["facts"], state["streams"], everyone, plans)
    pad = dynamics.pad
    plan = [(int(x), int(y)) for x, y, _ in plans[0] if x >= 0]
    return state["cells"][0, pad:-pad, pad:-pad].copy(), state["facts"][0].copy(), plan
