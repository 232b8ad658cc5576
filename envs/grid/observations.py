"""What agents of grid worlds observe: an image, alone, flat, or in MiniGrid's dict with direction and mission."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from gymnasium import Space, spaces
from numpy.typing import NDArray

from shapegym.envs.grid.facts import DIRECTION, MISSION
from shapegym.envs.grid.missions import MAX_TOKENS, VOCABULARY, tokenize
from shapegym.envs.grid.view import MAX_VIEW, see

if TYPE_CHECKING:
    from shapegym.envs.grid.dynamics import GridTask

Container = Literal["dict", "image", "flat"]
Mission = Literal["text", "tokens", "none"]


class Observer:
    """Writes the observations of a task's lanes.

    Attributes:
        space: Space of one lane's observation.
    """

    def __init__(
        self, task: GridTask, observation: str, image: str, mission: str | None, agent_view_size: int
    ) -> None:
        if mission is None:
            mission = "text" if observation == "dict" else "none"
        _require("observation", observation, get_args(Container))
        _require("mission", mission, get_args(Mission))
        _require("image", image, ("partial",))
        if mission == "text" and observation != "dict":
            raise ValueError(
                f"observation={observation!r} holds numbers: it takes mission='tokens' or 'none'"
            )
        self._side = agent_view_size
        if self._side % 2 == 0 or not 3 <= self._side <= MAX_VIEW:
            raise ValueError(f"agent_view_size must be odd and in 3 .. {MAX_VIEW}, got {agent_view_size!r}")
        self._through_walls = task.see_through_walls
        self._container, self._mission = observation, mission
        self._texts = np.array(task.missions, np.object_)
        self._tokens = tokenize(task.missions)
        self._shape = (self._side, self._side, 3)
        self._pixels = int(np.prod(self._shape))
        self.space = self._space(task)

    def write(
        self, cells: NDArray[np.uint8], facts: NDArray[np.int64], mask: NDArray[np.bool_], out: Any
    ) -> None:
        """Write the observations of the lanes in `mask` into arrays (B, ...) of `space`."""
        image = out["image"] if self._container == "dict" else out
        see(self._side, self._side - 1, self._through_walls, cells, facts, mask, image.reshape(len(mask), -1))
        if self._container == "dict":
            out["direction"][...] = facts[:, DIRECTION]
            if self._mission == "text":
                out["mission"][...] = self._texts[facts[:, MISSION]]
            elif self._mission == "tokens":
                out["mission"][...] = self._tokens[facts[:, MISSION]]
        elif self._mission == "tokens":
            out[:, self._pixels :] = self._tokens[facts[:, MISSION]]

    def _space(self, task: GridTask) -> Space[Any]:
        image = spaces.Box(0, 255, self._shape, np.uint8)
        if self._container == "image":
            return image
        tokens = spaces.Box(0, len(VOCABULARY) - 1, (MAX_TOKENS,), np.uint8)
        if self._container == "flat":
            words = MAX_TOKENS if self._mission == "tokens" else 0
            return spaces.Box(0, 255, (self._pixels + words,), np.uint8)
        entries: dict[str, Space[Any]] = {"image": image, "direction": spaces.Discrete(4)}
        if self._mission == "text":
            letters = "".join(sorted({" ", *"".join(task.missions)}))
            entries["mission"] = spaces.Text(
                max(map(len, (" ", *task.missions))), min_length=0, charset=letters
            )
        elif self._mission == "tokens":
            entries["mission"] = tokens
        return spaces.Dict(entries)


def _require(knob: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{knob} must be one of {choices}, got {value!r}")
