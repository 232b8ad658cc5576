"""What agents of grid worlds observe: an image, alone, flat, or in MiniGrid's dict with direction and mission."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from gymnasium import Space, spaces
from numpy.typing import NDArray

from shapegym.envs.grid.lane.facts import DIRECTION, MISSION
from shapegym.envs.grid.lane.task import GridTask
from shapegym.envs.grid.sight.images import IMAGES
from shapegym.envs.grid.sight.missions import MAX_TOKENS, VOCABULARY, tokenize
from shapegym.envs.grid.sight.view import MAX_VIEW

MISSIONS = {"dict": ("text", "tokens", "none"), "image": ("none",), "flat": ("none", "tokens")}
"""What may be said of the mission in each form of observation; the first is the default."""


class Observer:
    """Writes the observations of a task's lanes.

    Attributes:
        space: Space of one lane's observation.
        side: Cells of a side of the agent's view.
        through_walls: Whether the view passes through walls.
        partial: Whether the image is the agent's view, as `see` in view.py writes it.
    """

    def __init__(
        self,
        task: GridTask,
        observation: str,
        image: str,
        mission: str | None,
        agent_view_size: int,
        sign: spaces.Box | None = None,
    ) -> None:
        _require("observation", observation, MISSIONS)
        _require("image", image, IMAGES)
        if mission is None:
            mission = MISSIONS[observation][0]
        _require(f"observation={observation!r}: mission", mission, MISSIONS[observation])
        if not isinstance(agent_view_size, int) or agent_view_size not in range(3, MAX_VIEW + 1, 2):
            raise ValueError(f"agent_view_size must be odd and in 3 .. {MAX_VIEW}, got {agent_view_size!r}")
        self.side = agent_view_size
        self.through_walls = task.see_through_walls
        self.partial = image == "partial"
        self._write_image = IMAGES[image].write
        box = IMAGES[image].space(task.width, task.height, agent_view_size)
        self._pixels = int(np.prod(box.shape))
        self._words = _words(task.missions, mission)
        self._in_dict = observation == "dict"
        self._sign_width = 0 if sign is None else int(np.prod(sign.shape))
        if sign is not None and observation == "image":
            raise ValueError("an image has no place for subgoals: see the grid world as 'flat' or 'dict'")
        signs = [] if sign is None else [sign]
        self.space: Space[Any]
        if self._in_dict:
            entries: dict[str, Space[Any]] = {"image": box, "direction": spaces.Discrete(4)}
            if mission != "none":
                entries["mission"] = _TOKENS if mission == "tokens" else _text(task.missions)
            if sign is not None:
                entries["subgoal"] = sign
            self.space = spaces.Dict(entries)
        elif observation == "flat":
            self.space = _joined(box, *([_TOKENS] if mission == "tokens" else []), *signs)
        else:
            self.space = box

    def write(
        self, cells: NDArray[np.uint8], facts: NDArray[np.int64], mask: NDArray[np.bool_], out: Any
    ) -> None:
        """Write the observations of the lanes in `mask` into arrays (B, ...) of `space`."""
        self.write_view(cells, facts, mask, out)
        if self._words is not None:
            words = out["mission"] if self._in_dict else out[:, self._pixels : self._pixels + MAX_TOKENS]
            lanes = np.flatnonzero(mask)
            words[lanes] = self._words[facts[lanes, MISSION]]

    def write_view(
        self, cells: NDArray[np.uint8], facts: NDArray[np.int64], mask: NDArray[np.bool_], out: Any
    ) -> None:
        """Write all but the mission, which does not change within an episode."""
        self._write_image(
            self.side, self.side - 1, self.through_walls, cells, facts, mask, self.image_rows(out)
        )
        if self._in_dict:
            out["direction"][...] = facts[:, DIRECTION]

    def image_rows(self, out: Any) -> NDArray[Any]:
        """The array (B, N) whose rows begin with the images' pixels, a view into `out`."""
        image = out["image"] if self._in_dict else out
        return image.reshape(len(image), -1)

    def signs(self, out: Any) -> NDArray[np.uint8]:
        """The array (B, N) of what agents see of their subgoals, a view into `out`; there is one only with a `sign`."""
        signs: NDArray[np.uint8] = out["subgoal"] if self._in_dict else out[:, -self._sign_width :]
        return signs

    def directions(self, out: Any) -> NDArray[np.int64] | None:
        """The array (B,) of directions, where there is one."""
        return out["direction"] if self._in_dict else None


_TOKENS = spaces.Box(0, len(VOCABULARY) - 1, (MAX_TOKENS,), np.uint8)


def _words(missions: tuple[str, ...], mission: str) -> NDArray[Any] | None:
    """What is said of every mission id: (M,) texts, (M, MAX_TOKENS) tokens, or nothing."""
    if mission == "none":
        return None
    return tokenize(missions) if mission == "tokens" else np.array(missions, np.object_)


def _text(missions: tuple[str, ...]) -> spaces.Text:
    texts = (" ", *missions)  # a charset may not be empty
    return spaces.Text(max(map(len, texts)), min_length=0, charset="".join(sorted(set("".join(texts)))))


def _joined(*boxes: spaces.Box) -> spaces.Box:
    """The boxes as one vector, of the first one's dtype."""
    return spaces.Box(
        np.concatenate([box.low.ravel() for box in boxes], dtype=boxes[0].dtype),
        np.concatenate([box.high.ravel() for box in boxes], dtype=boxes[0].dtype),
        dtype=boxes[0].dtype,
    )


def _require(knob: str, value: object, choices: Iterable[str]) -> None:
    names = tuple(choices)
    if value not in names:
        raise ValueError(f"{knob} must be one of {names}, got {value!r}")
