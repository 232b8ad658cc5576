"""Features of grid worlds, for rewards and potentials to read: the names of `shapegym.envs.features`' MiniGrid set."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from gymnasium import Space, spaces
from numpy.typing import NDArray

from shapegym.envs._jit import jit, jit_parallel, prange
from shapegym.envs._threads import over_lanes
from shapegym.envs.grid.cells import KEY, OBJECTS, PALETTE
from shapegym.envs.grid.distances import DISTANCES, distance_to_cell
from shapegym.envs.grid.facts import CARRIED, DIRECTION, MISSION, STEP_X, STEP_Y, X, Y
from shapegym.envs.grid.needs import NEEDS
from shapegym.envs.grid.reading import Reading
from shapegym.envs.grid.room_ids import ROOMS
from shapegym.envs.grid.scans import SCANS

if TYPE_CHECKING:
    from shapegym.envs.grid.dynamics import GridTask

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


READINGS: Mapping[str, Reading] = {**SCANS, **ROOMS, **DISTANCES, **NEEDS}
"""The features beyond the standard ones, by name; `reading_of` knows cells besides."""

_CELL = re.compile(r"distance_to_(\d+)_(\d+)")


def reading_of(name: str) -> Reading | None:
    """The feature of a name, None if there is none: one of `READINGS`, or ``distance_to_X_Y`` for the cell (X, Y)."""
    cell = _CELL.fullmatch(name)
    return distance_to_cell(int(cell[1]), int(cell[2])) if cell else READINGS.get(name)


class Reader:
    """Writes the features of a task's lanes.

    Attributes:
        spaces: Space of each feature of one lane, by name.
    """

    def __init__(self, task: GridTask, features: str | Sequence[str]) -> None:
        self.spaces: dict[str, Space[Any]] = {
            "agent_pos": spaces.Box(-1, np.array([task.width, task.height]) - 1, (2,), np.int64),
            "agent_dir": spaces.Discrete(4),
            "carrying": spaces.Discrete(11),
            "carrying_color": spaces.Discrete(7, start=-1),
            "has_key": spaces.Box(0, 1, (), np.bool_),
            "front": spaces.Discrete(11),
            "mission_id": spaces.Discrete(len(task.missions)),
        }
        if not isinstance(features, Iterable):
            raise TypeError(f"features must be names, or 'all', got {features!r}")
        names = (features,) if isinstance(features, str) else tuple(features)
        if names == ("all",):
            names = tuple(READINGS)
        found = {str(name): reading_of(str(name)) for name in names}
        unknown = sorted(name for name, reading in found.items() if reading is None)
        if unknown:
            raise ValueError(
                f"unknown features {unknown}; beyond the standard ones there are {sorted(READINGS)} and "
                "'distance_to_X_Y' for the cell (X, Y)"
            )
        self._task = task
        self._readings = {name: reading for name, reading in found.items() if reading is not None}
        self.spaces.update((name, reading.space(task)) for name, reading in self._readings.items())

    def __getstate__(self) -> dict[str, Any]:
        """Readings go by their names: they may hold functions that do not pickle."""
        return {**self.__dict__, "_readings": tuple(self._readings)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Look the readings up again."""
        readings = {name: reading_of(name) for name in state["_readings"]}
        self.__dict__.update(state, _readings=readings)

    def write(
        self,
        cells: NDArray[np.uint8],
        facts: NDArray[np.int64],
        mask: NDArray[np.bool_],
        out: Mapping[str, NDArray[Any]],
    ) -> None:
        """Write the features of the lanes in `mask` into arrays (B, ...) of `spaces`."""
        pad = (cells.shape[1] - self._task.height) // 2
        over_lanes(
            read_range, _read_chunks, len(mask), pad, cells, facts, mask, out["agent_pos"], out["agent_dir"],
            out["carrying"], out["carrying_color"], out["has_key"], out["front"], out["mission_id"],
        )  # fmt: skip
        self.write_beyond(pad, cells, facts, mask, out)

    def write_beyond(
        self,
        pad: int,
        cells: NDArray[np.uint8],
        facts: NDArray[np.int64],
        mask: NDArray[np.bool_],
        out: Mapping[str, NDArray[Any]],
    ) -> None:
        """Write the features that were asked for beyond the standard ones."""
        for name, reading in self._readings.items():
            reading.write(self._task, pad, cells, facts, mask, out[name])
