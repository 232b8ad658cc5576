"""Tasks that draw themselves."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shapegym.envs.dynamics import Dynamics, State
from shapegym.envs.pictures.canvas import Canvas
from shapegym.envs.pictures.window import Window


class Drawn(Dynamics):
    """A task with pictures: it implements `draw`, and has both render modes."""

    render_modes = ("human", "rgb_array")

    @abstractmethod
    def draw(self, lane: Mapping[str, NDArray[Any]]) -> Canvas:
        """Draw a lane; all pictures of a task are of one size.

        Args:
            lane: Its row of each of the task's arrays.
        """

    def render(self, state: State, lane: int, mode: str) -> NDArray[np.uint8] | None:
        """The picture of a lane, (rows, columns, 3); in mode "human" it is shown in a window instead."""
        pixels = self.draw({name: array[lane] for name, array in state.items()}).pixels()
        if mode != "human":
            return pixels
        self._window.show(pixels, self.fingerprint.partition("#")[0], self.render_fps)
        return None

    def close(self) -> None:
        """Close the window, if one is open."""
        self._window.close()

    @cached_property
    def _window(self) -> Window:
        return Window()
