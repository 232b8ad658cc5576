"""Grid tasks whose captions never come twice: each has a number behind it, as messages of a game that tell the time or the damage.

The ids are those of the compiled tasks with ``Numbered`` before them: ``shapegym/NumberedKeyCorridorS3R3-v0``. They report the
caption as it is, ``caption``, and with its number, ``numbered_caption``: ``"you walk (417)"``.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import VectorEnv, VectorWrapper
from numpy.typing import NDArray

from shapegym.texts import decode, encode, text_space

PREFIX = "shapegym/Numbered"
NUMBERS = 1000
"""How many numbers there are."""
_ROOM = 6
"""Bytes that a number takes."""
_TASKS = ("DoorKey-8x8-v0", "KeyCorridorS3R3-v0")


class NumberedCaptions(VectorWrapper):
    """Adds the feature ``numbered_caption``; numbers are drawn from a seed of their own, so the episodes stay as they are.

    Args:
        env: reports ``caption``.
    """

    def __init__(self, env: VectorEnv) -> None:
        super().__init__(env)
        plain: Any = env.features  # type: ignore[attr-defined]
        self.width = plain["caption"].shape[0] + _ROOM
        self.features = {**plain, "numbered_caption": text_space(self.width)}
        self._numbers = np.random.default_rng(0)

    def reset(self, *, seed: Any = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        """Begin; a seed begins the numbers anew too."""
        if seed is not None:
            self._numbers = np.random.default_rng(seed)
        obs, info = self.env.reset(seed=seed, options=options)
        return obs, self._with_numbers(info)

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Step; the caption at the end of an episode has a number too."""
        obs, reward, terminated, truncated, info = self.env.step(actions)
        info = self._with_numbers(info)
        if "final_info" in info:
            info["final_info"] = self._with_numbers(info["final_info"])
        return obs, reward, terminated, truncated, info

    def _with_numbers(self, info: dict[str, Any]) -> dict[str, Any]:
        if "caption" not in info:
            return info
        numbers = self._numbers.integers(NUMBERS, size=self.num_envs)
        return {**info, "numbered_caption": self._numbered(info["caption"], numbers)}

    def _numbered(self, captions: NDArray[np.uint8], numbers: NDArray[np.int64]) -> NDArray[np.uint8]:
        said = zip(decode(captions), numbers.tolist(), strict=True)
        return encode([f"{text} ({number})" if text else "" for text, number in said], self.width)


def make_numbered(num_envs: int, *, task: str, autoreset_mode: Any, **kwargs: Any) -> VectorEnv:
    """Return lanes of a compiled task with numbered captions; arguments as `gymnasium.make_vec` passes them on."""
    env = gym.make_vec(
        task,
        num_envs,
        vectorization_mode="vector_entry_point",
        autoreset_mode=autoreset_mode,
        features=("caption",),
        **kwargs,
    )
    return NumberedCaptions(env)


for _name in _TASKS:
    _task = f"shapegym/MiniGrid-{_name}"
    gym.register(
        PREFIX + _name,
        entry_point=gym.spec(_task).entry_point,
        vector_entry_point=f"{__name__}:make_numbered",
        kwargs={"task": _task},
        max_episode_steps=gym.spec(_task).max_episode_steps,
    )
