"""Plans that somebody was asked for beforehand: a file with a line a layout, found again by the layout's digest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shapegym.envs.grid.beacons.plans import MOST
from shapegym.envs.grid.lane.facts import DIRECTION, MISSION, X, Y


class PlanFileError(ValueError):
    """A file of plans cannot be read; says where and why."""


def layout_digest(grid: NDArray[np.uint8], fact: NDArray[np.int64]) -> str:
    """What tells a layout (height, width) with its agent and mission from others, of any task: 16 hexadecimal digits."""
    told = np.array([*grid.shape, fact[X], fact[Y], fact[DIRECTION], fact[MISSION]], np.int64)
    return hashlib.blake2b(told.tobytes() + np.ascontiguousarray(grid).tobytes(), digest_size=8).hexdigest()


def line_of(digest: str, places: Sequence[tuple[int, int]]) -> str:
    """A line of a file: the cells (x, y) of a layout's subgoals in their order, the first `MOST` of them."""
    return json.dumps({"layout": digest, "subgoals": [[int(x), int(y)] for x, y in places]}) + "\n"


class RecordedPlans:
    """The plans of a file.

    A layout without a line has no subgoals, and a subgoal outside of the grid is left out, as nobody can reach it.

    Args:
        path: The file.

    Raises:
        PlanFileError: It cannot be read, or a line is none.
    """

    def __init__(self, path: str | Path) -> None:
        self.plans: dict[str, NDArray[np.int64]] = {}
        try:
            lines = Path(path).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise PlanFileError(f"the plans of subgoals in {path} cannot be read: {error}") from error
        for number, line in enumerate(lines, start=1):
            try:
                entry = json.loads(line)
                places = np.array(entry["subgoals"], np.int64).reshape(-1, 2)
                self.plans[str(entry["layout"])] = places
            except (ValueError, KeyError, TypeError, OverflowError) as error:
                raise PlanFileError(
                    f"{path}, line {number}: a line is {line_of('digest', [(1, 2)]).strip()}, got {line:.80} ({error})"
                ) from error

    def write(
        self,
        pad: int,
        cells: NDArray[np.uint8],
        facts: NDArray[np.int64],
        mask: NDArray[np.bool_],
        plans: Any,
    ) -> None:
        """Write the plans (B, MOST, 3) of the lanes in `mask`."""
        height, width = cells.shape[1] - 2 * pad, cells.shape[2] - 2 * pad
        for lane in np.flatnonzero(mask):
            grid = cells[lane, pad : pad + height, pad : pad + width]
            places = self.plans.get(layout_digest(grid, facts[lane]), np.empty((0, 2), np.int64))
            places = places[((places >= 0) & (places < (width, height))).all(axis=1)][:MOST]
            plans[lane] = -1
            plans[lane, : len(places), :2] = places
            plans[lane, : len(places), 2] = grid[places[:, 1], places[:, 0]]
