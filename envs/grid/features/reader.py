"""All features of grid worlds, by the names of the MiniGrid set in `shapegym.envs.foreign.ready_features`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium import Space
from numpy.typing import NDArray

from shapegym.envs.grid.features.captions import TEXTS
from shapegym.envs.grid.features.current_room import ROOMS
from shapegym.envs.grid.features.distances import DISTANCES, distance_to_cell
from shapegym.envs.grid.features.needed import NEEDS
from shapegym.envs.grid.features.requested import RequestedFeature
from shapegym.envs.grid.features.scans import SCANS
from shapegym.envs.grid.features.standard import standard_notes, standard_spaces, write_standard
from shapegym.envs.grid.lane.task import GridTask

REQUESTED: Mapping[str, RequestedFeature] = {**SCANS, **ROOMS, **DISTANCES, **NEEDS, **TEXTS}
"""The features beyond the standard ones, by name; `requested_feature` knows cells besides."""

_CELL = re.compile(r"distance_to_(\d+)_(\d+)")


def requested_feature(name: str) -> RequestedFeature | None:
    """The feature of a name, None if there is none: one of `REQUESTED`, or ``distance_to_X_Y`` for the cell (X, Y)."""
    cell = _CELL.fullmatch(name)
    return distance_to_cell(int(cell[1]), int(cell[2])) if cell else REQUESTED.get(name)


class FeatureReader:
    """Writes the features of a task's lanes.

    Attributes:
        spaces: Space of each feature of one lane, by name.
        notes: What each of them means.
        offered: What else could be asked for of this task, numbers all, and means something in its layouts.
    """

    def __init__(self, task: GridTask, features: str | Sequence[str]) -> None:
        self.spaces: dict[str, Space[Any]] = standard_spaces(task)
        if not isinstance(features, Iterable):
            raise TypeError(f"features must be names, or 'all', got {features!r}")
        names = (features,) if isinstance(features, str) else tuple(features)
        if names == ("all",):
            names = tuple(REQUESTED)
        found = {str(name): requested_feature(str(name)) for name in names}
        unknown = sorted(name for name, reading in found.items() if reading is None)
        if unknown:
            raise ValueError(
                f"unknown features {unknown}; beyond the standard ones there are {sorted(REQUESTED)} and "
                "'distance_to_X_Y' for the cell (X, Y)"
            )
        self._task = task
        self._readings = {name: reading for name, reading in found.items() if reading is not None}
        self.spaces.update((name, reading.space(task)) for name, reading in self._readings.items())
        self.notes = {
            **standard_notes(task),
            **{name: reading.note for name, reading in self._readings.items()},
        }
        self.offered = {
            name: reading.note
            for name, reading in REQUESTED.items()
            if {*reading.of} <= {*task.things} and name not in TEXTS
        }

    def __getstate__(self) -> dict[str, Any]:
        """Readings go by their names: they may hold functions that do not pickle."""
        return {**self.__dict__, "_readings": tuple(self._readings)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Look the readings up again."""
        readings = {name: requested_feature(name) for name in state["_readings"]}
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
        write_standard(pad, cells, facts, mask, out)
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
