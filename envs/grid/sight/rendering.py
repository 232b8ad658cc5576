"""Pictures of grid worlds, drawn by minigrid itself.

A lane's arrays are copied into a MiniGridEnv that is never reset or stepped, and its own `render` does the rest:
frames and windows are MiniGrid's to the pixel. minigrid is imported with the first picture.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shapegym.envs._knobs import at_least
from shapegym.envs.grid.lane.cells import BOX, COLORS, PALETTE, PICKABLE_END
from shapegym.envs.grid.lane.facts import CARRIED, DIRECTION, MISSION, X, Y
from shapegym.envs.grid.lane.task import GridTask


class Renderer:
    """Draws the lanes of a task.

    Args:
        task: The task.
        agent_view_size: Side of the agent's view, which a picture shows lighter.
        highlight: Whether it does.
        tile_size: Pixels of a cell's side.
        agent_pov: Whether the picture is the agent's view instead of the whole grid.
        screen_size: Pixels of the window's side in mode "human".

    Raises:
        TypeError, ValueError: `tile_size` or `screen_size` is no positive integer.
    """

    modes = ("human", "rgb_array")

    def __init__(
        self,
        task: GridTask,
        agent_view_size: int,
        *,
        highlight: bool,
        tile_size: int,
        agent_pov: bool,
        screen_size: int,
    ) -> None:
        self._task = task
        self._options = {
            "agent_view_size": agent_view_size,
            "highlight": highlight,
            "tile_size": at_least("tile_size", tile_size, 1),
            "agent_pov": agent_pov,
            "screen_size": at_least("screen_size", screen_size, 1),
        }
        self._mirror: Any = None

    def render(
        self, cells: NDArray[np.uint8], facts: NDArray[np.int64], mode: str
    ) -> NDArray[np.uint8] | None:
        """Draw one lane.

        Args:
            cells: (height, width) codes, without the walls around the grid's border that states are padded with.
            facts: (K,).
            mode: "rgb_array", or "human", which shows the picture and the mission in a window.

        Returns:
            (rows, columns, 3) in mode "rgb_array".
        """
        if self._mirror is None:
            self._mirror = _mirror(self._task, self._options)
        mirror = self._mirror
        mirror.grid.grid = [_thing(code) for code in cells.ravel().tolist()]
        mirror.agent_pos = int(facts[X]), int(facts[Y])
        mirror.agent_dir = int(facts[DIRECTION])
        mirror.carrying = _thing(int(facts[CARRIED]))
        mirror.mission = self._task.missions[facts[MISSION]]
        mirror.render_mode = mode
        return mirror.render()

    def close(self) -> None:
        """Close the window, if one is open; the next picture opens it again."""
        if self._mirror is not None:
            self._mirror.close()
            self._mirror = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_mirror": None}  # a copy opens a window of its own


def _mirror(task: GridTask, options: dict[str, Any]) -> Any:
    from minigrid.core.mission import MissionSpace
    from minigrid.minigrid_env import MiniGridEnv

    return MiniGridEnv(  # type: ignore[abstract]  # what is missing lays out episodes
        MissionSpace(lambda: task.missions[0]),
        width=task.width,
        height=task.height,
        see_through_walls=task.see_through_walls,
        **options,
    )


@cache
def _thing(code: int) -> Any:
    """The minigrid object of a code; None for an empty cell and for empty hands."""
    from minigrid.core.world_object import Key, WorldObj

    thing: Any = WorldObj.decode(*PALETTE[code].tolist())
    if BOX + 8 <= code < PICKABLE_END:
        thing.contains = Key(COLORS[(code - BOX) // 8 - 1])
    return thing
