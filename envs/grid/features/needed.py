"""Features of the next needed thing (ways/needs.py): where it is, how far to walk, and how many stages are left.

needed_pos        (x, y) of its cell; (-1, -1) where nothing is needed or nothing helps
needed_distance   steps of walking to it, as in distances.py
needed_stages     stages left, this one included
"""

from __future__ import annotations

from functools import partial

from gymnasium import spaces

from shapegym.envs.grid.features.requested import RequestedFeature, cell_space, distance_space
from shapegym.envs.grid.ways.needs import DISTANCE, LOST, POSITION, STAGES, need_lanes
from shapegym.envs.notes import Note

NEEDS: dict[str, RequestedFeature] = {
    "needed_pos": RequestedFeature(
        cell_space,
        partial(need_lanes, POSITION),
        Note("Column x and row y of what is needed next, (-1, -1) if nothing is.", "cells", oracle=True),
    ),
    "needed_distance": RequestedFeature(
        distance_space,
        partial(need_lanes, DISTANCE),
        Note("How far the agent has to walk to what is needed next.", "cells", oracle=True),
    ),
    "needed_stages": RequestedFeature(
        lambda task: spaces.Discrete(LOST + 1),
        partial(need_lanes, STAGES),
        Note("How many stages of the task are left, this one included.", "stages", oracle=True),
    ),
}
