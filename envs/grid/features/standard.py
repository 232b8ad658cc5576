"""The standard features, which every grid world reports: where the agent is, what it carries, faces and is to do."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from gymnasium import Space, spaces
from numpy.typing import NDArray

from shapegym.envs._jit import jit, jit_parallel, prange
from shapegym.envs._threads import over_lanes
from shapegym.envs.grid.features.requested import cell_space
from shapegym.envs.grid.lane.cells import COLORS, KEY, OBJECTS, PALETTE
from shapegym.envs.grid.lane.facts import CARRIED, DIRECTION, MISSION, STEP_X, STEP_Y, X, Y
from shapegym.envs.grid.lane.task import GridTask
from shapegym.envs.notes import Note, coded

_EMPTY_OBJECT = OBJECTS.index("empty")


@jit
def read_range(
    start: int,
    stop: int,
    pad: int,
    cells: NDArray[np.uint8],
    facts: NDArray[np.int64],
    mask: NDArray[np.bool_],
    agent_pos: NDArray[np.int64],
    agent_dir: NDArray[np.int64],
    carrying: NDArray[np.int64],
    carrying_color: NDArray[np.int64],
    has_key: NDArray[np.bool_],
    front: NDArray[np.int64],
    mission: NDArray[np.int64],
) -> None:
    """The standard features of the lanes in `mask` from start to stop - 1, into arrays (B, ...)."""
    for lane in range(start, stop):
        if mask[lane]:
            x, y, direction = facts[lane, X], facts[lane, Y], facts[lane, DIRECTION]
            carried = facts[lane, CARRIED]
            agent_pos[lane, 0], agent_pos[lane, 1] = x, y
            agent_dir[lane] = direction
            carrying[lane] = PALETTE[carried, 0] if carried != 0 else _EMPTY_OBJECT
            carrying_color[lane] = carried & 7 if carried != 0 else -1
            has_key[lane] = carried >> 3 == KEY >> 3
            front[lane] = PALETTE[cells[lane, y + STEP_Y[direction] + pad, x + STEP_X[direction] + pad], 0]
            mission[lane] = facts[lane, MISSION]


@jit_parallel
def _read_chunks(
    chunks: int,
    pad: int,
    cells: NDArray[np.uint8],
    facts: NDArray[np.int64],
    mask: NDArray[np.bool_],
    agent_pos: NDArray[np.int64],
    agent_dir: NDArray[np.int64],
    carrying: NDArray[np.int64],
    carrying_color: NDArray[np.int64],
    has_key: NDArray[np.bool_],
    front: NDArray[np.int64],
    mission: NDArray[np.int64],
) -> None:
    lanes = mask.shape[0]
    for chunk in prange(chunks):
        read_range(
            chunk * lanes // chunks, (chunk + 1) * lanes // chunks, pad, cells, facts, mask,
            agent_pos, agent_dir, carrying, carrying_color, has_key, front, mission,
        )  # fmt: skip


def standard_spaces(task: GridTask) -> dict[str, Space[Any]]:
    """Space of each standard feature of one lane, by name."""
    return {
        "agent_pos": cell_space(task),
        "agent_dir": spaces.Discrete(4),
        "carrying": spaces.Discrete(11),
        "carrying_color": spaces.Discrete(7, start=-1),
        "has_key": spaces.Box(0, 1, (), np.bool_),
        "front": spaces.Discrete(11),
        "mission_id": spaces.Discrete(len(task.missions)),
    }


def standard_notes(task: GridTask) -> dict[str, Note]:
    """What the standard features mean in a task; codes that its layouts never show are left out, so some have a single one."""
    articles = {"empty": "nothing", "wall": "a wall", "goal": "the goal", "lava": "lava"}
    names = {number: articles.get(name, f"a {name}") for number, name in enumerate(OBJECTS)}
    shown = {"empty", "wall", *task.things}
    kept = {"empty", *(name for name in ("key", "ball", "box") if name in task.things)}
    colors = ((-1, "nothing is carried"), *(coded(COLORS) if len(kept) > 1 else ()))
    return {
        "agent_pos": Note("Column x (to the right) and row y (downwards) of the agent.", "cells"),
        "agent_dir": Note("Where the agent faces.", codes=coded(("right", "down", "left", "up"))),
        "carrying": Note("What the agent carries.", codes=_codes(names, kept)),
        "carrying_color": Note("The colour of what the agent carries.", codes=colors),
        "has_key": Note(
            "Whether the agent carries a key.",
            codes=() if "key" in task.things else ((0, "there is no key"),),
        ),
        "front": Note("What is in the cell in front of the agent.", codes=_codes(names, shown)),
        "mission_id": Note("The mission of the episode.", codes=coded(task.missions)),
    }


def _codes(names: Mapping[int, str], shown: Collection[str]) -> tuple[tuple[int, str], ...]:
    return tuple((number, words) for number, words in names.items() if OBJECTS[number] in shown)


def write_standard(
    pad: int,
    cells: NDArray[np.uint8],
    facts: NDArray[np.int64],
    mask: NDArray[np.bool_],
    out: Mapping[str, NDArray[Any]],
) -> None:
    """Write the standard features of the lanes in `mask` into arrays (B, ...) by name."""
    over_lanes(
        read_range, _read_chunks, len(mask), pad, cells, facts, mask, out["agent_pos"], out["agent_dir"],
        out["carrying"], out["carrying_color"], out["has_key"], out["front"], out["mission_id"],
    )  # fmt: skip
