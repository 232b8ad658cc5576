"""An episode as a person sees it: the picture, the mission, what happened, and what it paid."""

from __future__ import annotations

import textwrap
from typing import Any

import gymnasium as gym
from PIL import Image, ImageDraw, ImageFont

from shapegym.agents.environments import env_spec
from shapegym.envs.grid.grid_dynamics import LayoutError
from shapegym.envs.native import NativeEnv, dynamics_of
from shapegym.experiments.errors import RunError
from shapegym.shaping.errors import said_as

_BACKGROUND, _PLAIN, _DIM = (24, 24, 28), (236, 236, 236), (150, 150, 158)
_EVENT, _SOLVED, _FAILED = (255, 214, 102), (116, 222, 128), (255, 122, 112)
_FONT_SIZE, _LINE, _MARGIN = 15, 21, 10


def open_grid_world(env_id: str, env_kwargs: dict[str, Any], side: int) -> NativeEnv:
    """Make a grid world whose pictures are at most about `side` pixels high and wide.

    A `tile_size` among the environment's arguments is kept.

    Raises:
        RunError: The environment has no picture, or rejects its arguments.
        gymnasium.error.Error: The id is not registered.
    """
    name = env_spec(env_id).id
    causes = TypeError, ValueError
    with said_as(RunError, causes, f"{name} rejects its arguments {env_kwargs}: ", ""):
        env = gym.make(name, **env_kwargs).unwrapped
        dynamics = dynamics_of(env)
        if dynamics is None or dynamics.grid_size is None:
            twin = f"shapegym/{name}"
            hint = (
                f"Take {twin}." if twin in gym.registry else "Grid worlds have one: shapegym envs MiniGrid."
            )
            raise RunError(f"{name} has no picture to play in. {hint}")
        fitting = {"tile_size": max(side // max(dynamics.grid_size), 8)}
        made: Any = gym.make(name, render_mode="rgb_array", **(fitting | env_kwargs)).unwrapped
    return made


class Scene:
    """Plays episodes of a grid world and draws them.

    Args:
        env: Made with render_mode "rgb_array".
        help_text: What the keys do; it stands below everything else.

    Attributes:
        env: The environment.
        steps: Steps of the running episode.
        total: Its return so far.
        over: Whether it has ended.
        solved: Whether it ended with success.
    """

    def __init__(self, env: NativeEnv, help_text: str = "") -> None:
        self.env = env
        self._dynamics = env.dynamics
        self.steps, self.total = 0, 0.0
        self.over = self.solved = False
        self._mission, self._news, self._color = "", "", _EVENT
        self._help = help_text
        self._font = ImageFont.load_default(_FONT_SIZE)

    def begin(self, seed: int | None = None) -> None:
        """Start an episode.

        Raises:
            RunError: The task could not be laid out.
        """
        with said_as(RunError, LayoutError, "", ""):
            _, info = self.env.reset(seed=seed)
        self._mission = self._dynamics.missions[info["mission_id"]]
        self.steps, self.total = 0, 0.0
        self.over = self.solved = False
        self._news = ""

    def act(self, action: int) -> bool:
        """Take a step, and return whether it ended the episode; an action that the task lacks moves nothing."""
        if action >= len(self._dynamics.action_names):
            self._news, self._color = "this task has no such action", _DIM
            return False
        _, reward, terminated, truncated, info = self.env.step(action)
        self.steps += 1
        self.total += reward
        self.over, self.solved = terminated or truncated, info["success"]
        self._news, self._color = self.env.captions[info["event"]], _EVENT
        if self.over:
            self._color = _SOLVED if self.solved else _FAILED
            if not terminated:
                self._news = "you run out of time"
        return self.over

    def picture(self) -> Image.Image:
        """The frame with its text below; of one size for all episodes of an environment."""
        frame = Image.fromarray(self.env.render())
        width = max(frame.width, 320)
        columns = int((width - 2 * _MARGIN) / self._font.getlength("e"))
        status = f"step {self.steps} of {self._dynamics.max_steps}    return {self.total:.2f}"
        lines = [(line, _PLAIN) for line in textwrap.wrap(self._mission, columns)]
        mission_lines = max(len(textwrap.wrap(mission, columns)) for mission in self._dynamics.missions)
        lines += [("", _PLAIN)] * (mission_lines - len(lines))
        lines += [(status, _DIM), (self._news, self._color)]
        lines += [(line, _DIM) for line in textwrap.wrap(self._help, columns)]
        picture = Image.new("RGB", (width, frame.height + _LINE * len(lines) + 2 * _MARGIN), _BACKGROUND)
        picture.paste(frame, ((width - frame.width) // 2, 0))
        pen = ImageDraw.Draw(picture)
        for row, (line, color) in enumerate(lines):
            pen.text((_MARGIN, frame.height + _MARGIN + row * _LINE), line, color, self._font)
        return picture
